"""Sessions: a row each in the database, which is the truth, and for a few minutes a copy in the keep, which is fast.

    cookie ──▶ the keep has a copy ──▶ that (one question to Redis, as long as Redis answers)
                          no copy  ──▶ the row, read together with all others asked for meanwhile, then copied
                          is away  ──▶ the row

Only when both are away is there no answer.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Iterable, Sequence

import msgspec

from server.accounts.ports import Keep, SessionBook
from server.domain.errors import Unavailable
from server.domain.session import Caller, Revoked, Session
from server.domain.user import User
from server.together import Tell, Together

log = logging.getLogger(__name__)

COPY_S = 5 * 60
"""How long a copy is believed: what a revocation costs at the most that could not be told to the keep."""

ROW_ONLY_S = 60
"""How long after a change only the row is believed.

A reader that was faster than the change may be about to put back what it read: nothing is copied for longer than any
reading takes (`DROPCAST_DATABASE_DEADLINE_S` is at most 60)."""

_ROW_ONLY, _OVER = "", "-"

_Question = tuple[str, bool]
"""The id of a session, and whether its row is to be copied."""


async def _nobody(_revoked: Revoked) -> None:
    """Tells nobody: a replica finds every revocation in the database within a second or so."""


class Sessions:
    """Opens, recognises and ends sessions.

    `tell` hands a revocation to every replica at once; it must not raise. Without `copies` each question reads the row:
    for a keep that others who end sessions, such as `dropcast end-sessions`, cannot reach.
    """

    def __init__(
        self,
        book: SessionBook,
        keep: Keep,
        tell: Callable[[Revoked], Awaitable[None]] = _nobody,
        *,
        copies: bool = True,
    ) -> None:
        self._book = book
        self._keep = keep
        self._tell = tell
        self._copies = copies
        self._rows = Together("sessions", self._read)

    async def open(self, user_id: str, device: str) -> str:
        """A new session: the secret that stands for it, which is kept nowhere. Raises `Unavailable`."""
        secret = secrets.token_urlsafe(24)
        await self._book.open(session_id(secret), user_id, device)
        return secret

    async def caller(self, id_: str) -> Caller | None:
        """Who a session stands for; None when it does not hold. Raises `Unavailable` when keep and rows are away.

        Cancelled, it leaves nothing behind.
        """
        try:
            kept = await self._keep.peek(_key(id_)) if self._copies else _ROW_ONLY
        except Unavailable:
            user = await self._rows.ask((id_, False))
        else:
            if kept:
                user = None if kept == _OVER else msgspec.json.decode(kept, type=User)
            else:
                user = await self._rows.ask((id_, kept != _ROW_ONLY))
        return Caller(user, id_) if user else None

    async def ends_at(self, id_: str) -> int | None:
        """When a session ends at the latest, in ms; None when it does not hold. Raises `Unavailable`."""
        now, found = await self._book.found({id_})
        return next((session.ends_at for session in found if session.holds(now)), None)

    async def of_user(self, user_id: str) -> list[Session]:
        """A user's sessions that hold, the one used last first. Raises `Unavailable`."""
        return await self._book.of_user(user_id)

    async def end(self, user_id: str, *, only: str | None = None, but: str | None = None) -> bool:
        """Ends a user's sessions: all, `only` one, or all `but` one. False when there was none. Raises `Unavailable`.

        When it returns, no replica takes their cookies any more; their sockets are closed within a second or so.
        """
        ended = await self._book.end(user_id, only=only, but=but)
        if ended:
            await self.revoke(Revoked(frozenset(ended)), ended)
        return bool(ended)

    async def refresh(self, user_id: str) -> None:
        """After a change of a user's name or address: their sessions show it from the next call on, and none ends.

        Never raises, for the change is made: without the database, and of one with more sessions than are listed, a
        session shows it when its copy is old.
        """
        try:
            held = await self._book.of_user(user_id)
        except Unavailable as error:
            log.warning("a change of a user is seen late", extra={"user": user_id, "error": str(error)})
        else:
            await self._take_back([session.id for session in held])

    async def revoke(self, revoked: Revoked, stale: Iterable[str]) -> None:
        """Makes known what is committed already: `stale` are the sessions whose copies are out of date. Never raises.

        While Redis is away no copy can be taken back, and none is believed; one that Redis brings back with it may be
        believed until `COPY_S` after it was made.
        """
        await self._take_back(stale)
        await self._tell(revoked)

    async def _take_back(self, ids: Iterable[str]) -> None:
        puts = [self._keep.put(_key(id_), _ROW_ONLY, ROW_ONLY_S) for id_ in ids]
        ends = await asyncio.gather(*puts, return_exceptions=True)
        if any(isinstance(end, Unavailable) for end in ends):
            log.warning("copies of sessions could not be taken back", extra={"sessions": len(ends)})

    async def _read(self, asked: Sequence[_Question], tell: Tell[User | None]) -> None:
        now, found = await self._book.found({id_ for id_, _ in asked})
        held = {session.id: session for session in found if session.holds(now)}
        tell([held[id_].user if id_ in held else None for id_, _ in asked])
        await self._copy({id_ for id_, copy in asked if copy}, held, now)
        await self._note([session.id for session in held.values() if session.is_worth_noting(now)])

    async def _copy(self, ids: Iterable[str], held: dict[str, Session], now_ms: int) -> None:
        copies = []
        for id_ in ids:
            session = held.get(id_)
            ttl_s = min(COPY_S, -(-(session.ends_at - now_ms) // 1000)) if session else COPY_S
            value = msgspec.json.encode(session.user).decode() if session else _OVER
            copies.append(self._keep.add(_key(id_), value, ttl_s))
        for end in await asyncio.gather(*copies, return_exceptions=True):
            if isinstance(end, BaseException) and not isinstance(end, Unavailable):
                raise end

    async def _note(self, ids: list[str]) -> None:
        if not ids:
            return
        try:
            await self._book.note(ids)
        except Unavailable as error:
            log.warning("the use of sessions was not noted", extra={"error": str(error)})


def session_id(secret: str) -> str:
    """The id of a session: the first 128 bits of the SHA-256 of its secret, as 32 hex digits."""
    return hashlib.sha256(secret.encode()).hexdigest()[:32]


def _key(id_: str) -> str:
    return "session:" + id_
