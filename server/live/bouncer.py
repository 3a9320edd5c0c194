"""The bouncer: whose session has ended leaves, on every replica, within a second.

The bus brings the news at once and may lose it; once a second the database is asked as well, by two small indexed
queries, and only while there is somebody to ask about.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Callable
from typing import Protocol

import msgspec

from server import tasks
from server.domain.errors import ProtocolViolation, Unavailable
from server.domain.session import Revoked
from server.domain.user import Role, User
from server.live.hub import Hub
from server.live.ports import Doorbell, Revocations
from server.protocol.codes import CloseCode

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""How often the database is asked: bounds what a lost message on the bus can cost."""

REMEMBERED_S = 60.0
"""How long a revocation is remembered, so that a socket that was let in just before and joins just after is caught.

Longer than from the look at a cookie to the welcome: ten seconds for hello, and the units of work around it."""


class Someone(Protocol):
    """A viewer as the bouncer sees them."""

    viewer: User | None
    session: str | None


class Bouncer:
    """Closes the sockets of what was revoked. Owns two tasks: one listens, one looks; both end with `close()`.

    Its memory is bounded by what the whole shop revokes in `REMEMBERED_S`.
    """

    def __init__(
        self,
        hub: Hub,
        revocations: Revocations,
        bus: Doorbell,
        *,
        subject: str,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._hub = hub
        self._revocations = revocations
        self._bus = bus
        self._subject = subject
        self._now_s = now_s
        self._ended: dict[str, float] = {}
        self._roles: dict[str, tuple[Role | None, float]] = {}
        self._listener: asyncio.Task[None] | None = None
        self._looker: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts to listen and to look."""
        self._listener = tasks.start(self._listen_for_ever(), "bouncer: listen")
        self._looker = tasks.start(self._look_for_ever(), "bouncer: look")

    async def close(self) -> None:
        """Ends both tasks."""
        await tasks.stop(self._listener, self._looker)

    def objection(self, someone: Someone) -> ProtocolViolation | None:
        """Why a viewer may not be here: to be called with no await before they join, or None."""
        if someone.session in self._ended:
            return _not_allowed("this session was ended: sign in again")
        if someone.viewer is not None and someone.viewer.id in self._roles:
            role, _ = self._roles[someone.viewer.id]
            if role is None:
                return _not_allowed("this account is disabled")
            if role is not someone.viewer.role:
                # the session still holds: whoever comes back is let in as what they are now
                return ProtocolViolation("your role was changed", code=CloseCode.RESTARTING, reason="not_allowed")
        return None

    def hear(self, revoked: Revoked) -> None:
        """Takes note of what was revoked, and closes whoever it concerns; hearing it again costs nothing."""
        now = self._now_s()
        sessions = revoked.sessions - self._ended.keys()
        users = {user for user, role in revoked.users.items() if not self._knows(user, role)}
        self._ended |= dict.fromkeys(revoked.sessions, now)
        self._roles |= {user: (role, now) for user, role in revoked.users.items()}
        if not sessions and not users:
            return
        for live in self._hub.everyone():
            concerned = live.session in sessions or (live.viewer is not None and live.viewer.id in users)
            if concerned and (objection := self.objection(live)) is not None:
                live.fail(objection)

    async def _listen_for_ever(self) -> None:
        async with self._bus.listen(self._subject) as messages:
            await self._listen(messages)

    async def _listen(self, messages: AsyncIterator[str]) -> None:
        async for message in messages:
            if not message:
                continue  # something may have been missed: the next look finds it
            try:
                self.hear(Revoked.read(message))
            except msgspec.DecodeError:
                log.warning("a message on the bus is no revocation")

    async def _look_for_ever(self) -> None:
        since: int | None = None
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            self._forget()
            if not len(self._hub):
                since = None
                continue
            try:
                since, revoked = await self._revocations.revoked_since(since)
            except Unavailable as error:
                log.warning("the look for revocations is put off", extra={"error": str(error)})
            else:
                self.hear(revoked)

    def _knows(self, user: str, role: Role | None) -> bool:
        return user in self._roles and self._roles[user][0] is role

    def _forget(self) -> None:
        before = self._now_s() - REMEMBERED_S
        self._ended = {session: at for session, at in self._ended.items() if at >= before}
        self._roles = {user: known for user, known in self._roles.items() if known[1] >= before}


def _not_allowed(detail: str) -> ProtocolViolation:
    return ProtocolViolation(detail, code=CloseCode.NOT_ALLOWED, reason="not_allowed")
