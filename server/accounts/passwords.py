"""Passwords: argon2id in a bounded executor, so that signing in never stalls the event loop."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from zxcvbn import zxcvbn  # type: ignore[import-untyped]

from server import metrics
from server.domain.errors import Reason, Refused

T = TypeVar("T")

PASSWORD_MIN, PASSWORD_MAX = 10, 200
GUESSES_MIN = 1_000_000
"""A password that zxcvbn finds in fewer guesses (its scores 0 and 1) is among the first that thieves try."""

WAITING_MAX = 32
"""Hashes under way or waiting (each about 40 ms on one core). When full, a further sign-in is told to come back."""

WORKERS = max(1, (os.cpu_count() or 1) // 2)
"""Threads that hash: half of the cores at the most, so that the event loop and the database have the others."""

_NICE = 5
"""Of these threads: the loop comes first, at three times their share of a core, and they still get on."""

_FULL_FOR_S = 1  # in which one thread works off all who wait

_JUDGED_MAX = 32
"""Characters zxcvbn looks at: the worst 32 take it about 30 ms, the worst 72 take 170 ms."""


class Passwords:
    """Hashes and checks passwords on `workers` threads."""

    def __init__(self, *, workers: int = WORKERS, waiting_max: int = WAITING_MAX) -> None:
        # OWASP's password storage cheat sheet: argon2id with 19 MiB, t=2, p=1
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="argon2", initializer=_step_back)
        self._judging = threading.Lock()  # zxcvbn keeps the hints of a call in a module's variable
        self._waiting_max = waiting_max
        self._waiting = 0
        self._nobody = self._hasher.hash("nobody has this password")

    async def judge(self, password: str, hints: Sequence[str] = (), *, field: str = "password") -> None:
        """Raises `Refused` with what to do when a new password is too short, too long, or easily guessed.

        `hints` are what a thief knows of the person: address and name. `field` is how the asker calls the password.
        """
        wrong = None
        if len(password) < PASSWORD_MIN:
            wrong = f"use at least {PASSWORD_MIN} characters"
        elif len(password) > PASSWORD_MAX:
            wrong = f"use at most {PASSWORD_MAX} characters"
        elif await self._off_loop(self._guesses, password[:_JUDGED_MAX], hints) < GUESSES_MIN:
            wrong = "this is among the first passwords a thief tries: add a few words that do not belong together"
        if wrong:
            raise Refused(Reason.BAD_REQUEST, wrong, field=field)

    async def hash(self, password: str) -> str:
        """A new hash. Raises `Refused` when too many wait."""
        return await self._off_loop(self._hasher.hash, password)

    @contextmanager
    def place(self) -> Iterator[None]:
        """A place among those who wait, for one check and what must be counted before it.

        Raises `Refused` when all are taken: then nothing was tried, and nothing needs to be counted.
        """
        if self._waiting >= self._waiting_max:
            metrics.LIMITED.labels("passwords").inc()
            detail = "too many people sign in at this moment: try again in a second"
            raise Refused(Reason.RATE_LIMITED, detail, retry_after_s=_FULL_FOR_S)
        self._waiting += 1
        try:
            yield
        finally:
            self._waiting -= 1

    async def check(self, password_hash: str | None, password: str, *, placed: bool = False) -> bool:
        """Whether the password is right. Does the same work when there is no hash, so that timing tells nothing.

        `placed`: the caller holds a place already. Raises `Refused` when too many wait.
        """
        if len(password) > PASSWORD_MAX:
            password, password_hash = "", None
        with nullcontext() if placed else self.place():
            right = await self._on_thread(self._verify, password_hash or self._nobody, password)
        return right and bool(password_hash)

    def is_outdated(self, password_hash: str) -> bool:
        """Whether the hash was made with other parameters than today's."""
        return self._hasher.check_needs_rehash(password_hash)

    def close(self) -> None:
        """Ends the threads."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    def _verify(self, password_hash: str, password: str) -> bool:
        try:
            return self._hasher.verify(password_hash, password)
        except (VerificationError, InvalidHashError):
            return False

    def _guesses(self, password: str, hints: Sequence[str]) -> float:
        known = [part for hint in hints for part in (hint, *hint.replace("@", " ").split())]
        with self._judging:
            return float(zxcvbn(password, user_inputs=known)["guesses"])

    async def _off_loop(self, work: Callable[..., T], *arguments: object) -> T:
        with self.place():
            return await self._on_thread(work, *arguments)

    async def _on_thread(self, work: Callable[..., T], *arguments: object) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)


def _step_back() -> None:
    """The threads give way to the event loop, where receipts are written: on Linux each thread has its own niceness."""
    if sys.platform == "linux":
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), _NICE)
