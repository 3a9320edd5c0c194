"""The rows of sessions and the keep in memory, by a clock of the test's own; each can be away."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from dataclasses import replace

from server.accounts.keep import MemoryKeep
from server.domain.errors import Unavailable
from server.domain.session import SESSION_MAX_S, Session
from server.domain.user import User


async def settled() -> None:
    """Lets happen what follows an answer: copies, notes."""
    for _ in range(10):
        await asyncio.sleep(0)


class Clock:
    """Seconds, moved by the test."""

    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s

    @property
    def ms(self) -> int:
        return int(self.s * 1000)


class Book:
    """Rows of sessions; `reads` and `notes` are what was asked of it, `away` makes it fail."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.users: dict[str, User] = {}
        self.rows: dict[str, Session] = {}
        self.reads: list[set[str]] = []
        self.notes: list[set[str]] = []
        self.away = False

    async def open(self, session_id: str, user_id: str, device: str) -> None:
        self._there()
        now = self.clock.ms
        user = self.users[user_id]
        self.rows[session_id] = Session(session_id, user, device, now, now, now + SESSION_MAX_S * 1000, revoked=False)

    async def found(self, ids: Collection[str]) -> tuple[int, list[Session]]:
        self.reads.append(set(ids))
        self._there()
        return self.clock.ms, [self._now(self.rows[id_]) for id_ in ids if id_ in self.rows]

    async def note(self, ids: Collection[str]) -> None:
        self._there()
        self.notes.append(set(ids))
        for id_ in ids:
            self.rows[id_] = replace(self.rows[id_], seen_at=self.clock.ms)

    async def of_user(self, user_id: str) -> list[Session]:
        return [row for row in self.rows.values() if row.user.id == user_id and row.holds(self.clock.ms)]

    async def end(self, user_id: str, *, only: str | None = None, but: str | None = None) -> list[str]:
        self._there()
        mine = [id_ for id_, row in self.rows.items() if row.user.id == user_id and only in (None, id_) and id_ != but]
        for id_ in mine:
            self.rows[id_] = replace(self.rows[id_], revoked=True)
        return mine

    def _there(self) -> None:
        if self.away:
            raise Unavailable("no database")

    def _now(self, row: Session) -> Session:
        return replace(row, user=self.users[row.user.id])


class Keep(MemoryKeep):
    """A keep that can be away with all it holds, or have its additions held back."""

    away = False

    def __init__(self, clock: Clock) -> None:
        super().__init__(clock)
        self.may_add = asyncio.Event()
        self.may_add.set()

    async def put(self, key: str, value: str, ttl_s: int) -> None:
        if value:  # a copy, and not the word that there shall be none
            await self.may_add.wait()
        self._there()
        await super().put(key, value, ttl_s)

    async def add(self, key: str, value: str, ttl_s: int) -> None:
        await self.may_add.wait()
        self._there()
        await super().add(key, value, ttl_s)

    async def peek(self, key: str) -> str | None:
        self._there()
        return await super().peek(key)

    def _there(self) -> None:
        if self.away:
            raise Unavailable("no Redis")
