"""The ways mails leave: an SMTP server, or files in a folder where there is none."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import unquote, urlsplit

from aiosmtplib import SMTP, SMTPException, SMTPRecipientsRefused, SMTPResponseException, SMTPSenderRefused

from server.accounts.ports import SendMail
from server.domain.errors import DropcastError

log = logging.getLogger(__name__)

TIMEOUT_S = 10
"""Longest wait for a connection, and for any one answer of the server."""

OUTBOX_MAX = 1_000
"""Files in the outbox. When full, the oldest is removed."""

_SUBMISSION = 587
_FORM = "must be smtp://user:password@host:587 or smtps://user:password@host:465"


class NotTaken(DropcastError):
    """A mail was not handed over; `for_good` when trying again would not help. The text names no address."""

    def __init__(self, why: str, *, for_good: bool = False) -> None:
        super().__init__(why)
        self.for_good = for_good


class Smtp:
    """An SMTP server by its URL: `smtps://user:password@host:465` (TLS from the first byte) or `smtp://…`.

    Over `smtp://`, STARTTLS is a must with a user or on port 587, used when offered elsewhere, and left alone on a
    loopback address, where there is nobody in between and seldom a certificate. Raises `ValueError` for anything else.
    """

    def __init__(self, url: str) -> None:
        try:
            address = urlsplit(url)
            port = address.port
        except ValueError:  # its text may hold a part of the password
            raise ValueError(_FORM) from None
        if address.scheme not in ("smtp", "smtps") or not address.hostname or address.path not in ("", "/"):
            raise ValueError(_FORM)
        if address.query or address.fragment or (address.username is None) != (address.password is None):
            raise ValueError("must have a user and a password, or neither, and nothing after the port")
        self._tls = address.scheme == "smtps"
        self._host = address.hostname
        self._port = port or (465 if self._tls else _SUBMISSION if address.username else 25)
        self._user = unquote(address.username) if address.username else None
        self._password = unquote(address.password) if address.password else None
        must = bool(self._user) or self._port == _SUBMISSION
        self._start_tls = False if self._tls or _is_loopback(self._host) else True if must else None

    @property
    def user(self) -> str | None:
        """Who signs in at the server."""
        return self._user

    @asynccontextmanager
    async def trip(self) -> AsyncIterator[SendMail]:
        """One connection. Raises `NotTaken`; cancelled, it hangs up, and the mail under way may have been taken."""
        client = SMTP(
            hostname=self._host,
            port=self._port,
            username=self._user,
            password=self._password,
            use_tls=self._tls,
            start_tls=self._start_tls,
            timeout=TIMEOUT_S,
        )

        async def send(message: EmailMessage) -> None:
            try:
                await client.send_message(message)
            except (SMTPException, OSError) as error:
                raise _not_taken(error) from None

        try:
            await client.connect()
        except (SMTPException, OSError) as error:
            raise NotTaken(f"no connection: {_not_taken(error)}") from None  # whatever it says: no mail is at fault
        try:
            yield send
        finally:
            client.close()


class Outbox:
    """A folder of `.eml` files, for trying things out: each readable by its owner only, because it holds a code."""

    def __init__(self, folder: Path, *, most: int = OUTBOX_MAX) -> None:
        self._folder = folder
        self._most = most

    @asynccontextmanager
    async def trip(self) -> AsyncIterator[SendMail]:
        """Nothing to connect to."""
        yield self._send

    async def _send(self, message: EmailMessage) -> None:
        try:
            file = await asyncio.to_thread(self._write, message)
        except OSError as error:
            raise NotTaken(f"the outbox cannot be written: {error.strerror}") from None
        log.info("a mail was written, not sent: DROPCAST_SMTP_URL is not set", extra={"file": str(file)})

    def _write(self, message: EmailMessage) -> Path:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stem = message["Message-ID"].strip("<>").partition("@")[0].replace("/", "_")
        file = self._folder / f"{stem}.eml"  # ids rise with time: the last one by name is the newest
        half = file.with_suffix(".half")
        with os.fdopen(os.open(half, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as whole:
            whole.write(bytes(message))
        half.rename(file)  # whoever looks for *.eml finds whole ones
        for old in sorted(self._folder.glob("*.eml"))[: -self._most]:
            old.unlink(missing_ok=True)
        return file


def _not_taken(error: Exception) -> NotTaken:
    """What to tell of an error: its kind and the server's number, for its text may hold an address or a sign-in."""
    codes: list[int] = []
    if isinstance(error, SMTPRecipientsRefused):
        codes = [refused.code for refused in error.recipients]
    elif isinstance(error, SMTPResponseException):
        codes = [error.code]
    about_us = isinstance(error, SMTPSenderRefused)  # may be set right in a minute; a refused mail stays refused
    for_good = bool(codes) and all(500 <= code < 600 for code in codes) and not about_us
    return NotTaken(" ".join([type(error).__name__, *map(str, codes)]), for_good=for_good)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
