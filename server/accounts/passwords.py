"""Passwords: argon2id in a bounded executor, so that signing in never stalls the event loop."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from server.domain.errors import Reason, Refused

PASSWORD_MIN, PASSWORD_MAX = 8, 256
WAITING_MAX = 32
"""Hashes under way or waiting (each about 40 ms on one core). When full, a further sign-in is told to come back."""


class Passwords:
    """Hashes and checks passwords on `workers` threads."""

    def __init__(self, *, workers: int = 2, waiting_max: int = WAITING_MAX) -> None:
        # OWASP's password storage cheat sheet: argon2id with 19 MiB, t=2, p=1
        self._hasher = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="argon2")
        self._waiting_max = waiting_max
        self._waiting = 0
        self._nobody = self._hasher.hash("nobody has this password")

    async def hash(self, password: str) -> str:
        """A new hash. Raises `Refused` for a password too short or too long, or when too many wait."""
        if not PASSWORD_MIN <= len(password) <= PASSWORD_MAX:
            raise Refused(Reason.BAD_REQUEST, f"a password has {PASSWORD_MIN}..{PASSWORD_MAX} characters")
        return str(await self._off_loop(self._hasher.hash, password))

    async def check(self, password_hash: str | None, password: str) -> bool:
        """Whether the password is right. Does the same work when there is no hash, so that timing tells nothing."""
        if len(password) > PASSWORD_MAX:
            password, password_hash = "", None
        right = await self._off_loop(self._verify, password_hash or self._nobody, password)
        return bool(right) and bool(password_hash)

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

    async def _off_loop(self, work: object, *arguments: str) -> object:
        if self._waiting >= self._waiting_max:
            raise Refused(Reason.RATE_LIMITED, "too many people sign in at this moment: try again in a second")
        self._waiting += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)  # type: ignore[arg-type]
        finally:
            self._waiting -= 1
