"""Accounts a scenario signs in with. They come over standard input, never in argv, where every user could read them."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import threading
from collections.abc import Callable

import msgspec

from loadtest.errors import CannotGoOn

STDIN_MAX_BYTES = 256 * 1024
"""Most that is read in search of the accounts; more is an error."""

SHAPE = '{"host": {"email": …, "password": …}, "shoppers": [{"email": …, "password": …}, …]}'


class Account(msgspec.Struct, frozen=True):
    """Who signs in."""

    email: str
    password: str

    def __repr__(self) -> str:
        return f"Account({self.email!r})"  # no password in a log or a traceback


class Accounts(msgspec.Struct, frozen=True):
    """Everybody a scenario acts for."""

    host: Account
    shoppers: tuple[Account, ...] = ()
    database: str = ""
    """`mysql://user:password@host:port/name`: where statements are counted and orders audited, by reading only.

    The peers of `flash_sale` sell in it, on drops of their own.
    """

    def __repr__(self) -> str:
        return f"Accounts({self.host!r}, {len(self.shoppers)} shoppers)"


class StandardInput:
    """Reads one JSON object from standard input, and then hears when the other end closes it.

    A thread reads, so that pipes, files and terminals are alike; it is a daemon and ends with its pipe or the process.
    """

    def __init__(self, fd: int = 0, *, on_closed: Callable[[], None] = lambda: None) -> None:
        """`on_closed` is called on the loop at the end of the input: whoever started us is gone, or wants us to go."""
        self._fd = fd
        self._on_closed = on_closed
        self._loop = asyncio.get_running_loop()
        self._first: asyncio.Future[str] = self._loop.create_future()
        threading.Thread(target=self._read, name="standard input", daemon=True).start()

    async def accounts(self, within_s: float) -> Accounts:
        """The accounts. Raises `CannotGoOn` when none come in time, or something else does."""
        try:
            async with asyncio.timeout(within_s):
                return parse_accounts(await asyncio.shield(self._first))
        except TimeoutError:
            raise CannotGoOn(f"no accounts came over standard input within {within_s:.0f} s: {SHAPE}") from None

    def _read(self) -> None:
        """The thread: what comes before the first whole object is kept, bounded; what comes after it is dropped."""
        text = b""
        whole = False
        while chunk := self._chunk():
            if not whole:
                text += chunk
                whole = _is_whole(text) or len(text) > STDIN_MAX_BYTES
                if whole:
                    self._tell(text)
        if not whole:
            self._tell(text)
        self._on_loop(self._on_closed)

    def _chunk(self) -> bytes:
        try:
            return os.read(self._fd, 64 * 1024)  # not sys.stdin: its lock would hold up the interpreter's end
        except OSError:
            return b""

    def _tell(self, text: bytes) -> None:
        def tell() -> None:
            if not self._first.done():
                self._first.set_result(text.decode("utf-8", "replace"))

        self._on_loop(tell)

    def _on_loop(self, what: Callable[[], None]) -> None:
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(what)


def parse_accounts(text: str) -> Accounts:
    """The accounts in `text`; what follows the object is ignored. Raises `CannotGoOn`, quoting nothing of it."""
    try:
        found, _ = json.JSONDecoder().raw_decode(text.lstrip())
        return msgspec.convert(found, Accounts)
    except (ValueError, RecursionError, msgspec.ValidationError):
        raise CannotGoOn(f"standard input must hold one JSON object: {SHAPE}") from None


def _is_whole(text: bytes) -> bool:
    try:
        json.JSONDecoder().raw_decode(text.decode().lstrip())
    except ValueError:  # also UnicodeDecodeError: a character cut in two
        return False
    except RecursionError:
        return True  # it will not get better
    return True
