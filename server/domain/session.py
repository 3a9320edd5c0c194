"""Sessions: how long one holds, who calls by it, and what is told when something no longer holds."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec

from server.domain.user import Role, User

SESSION_IDLE_S = 14 * 24 * 3600
"""A session ends after so long without use."""

SESSION_MAX_S = 90 * 24 * 3600
"""A session ends so long after the sign-in, however much it is used: a stolen cookie is not good for ever.

As long as the cookie lives in the browser, and as long as an old secret key must be kept. OWASP's session management
cheat sheet asks for an absolute end and leaves its length to the risk; a shop's viewer signs in four times a year.
"""

SEEN_EVERY_S = 5 * 60
"""How often the use of a session is noted at the most."""


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its row tells it. `id` is a digest: who knows it cannot use the session. Times in ms."""

    id: str
    user: User
    device: str
    created_at: int
    seen_at: int
    ends_at: int
    revoked: bool

    def holds(self, now_ms: int) -> bool:
        """Whether its cookie still counts."""
        return not self.revoked and now_ms < self.ends_at and now_ms - self.seen_at < SESSION_IDLE_S * 1000

    def is_worth_noting(self, now_ms: int) -> bool:
        """Whether its use was last noted long enough ago to be noted again."""
        return now_ms - self.seen_at >= SEEN_EVERY_S * 1000


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls, and the id of the session they came by; None with a ticket that was made without one."""

    user: User
    session: str | None


@dataclass(frozen=True, slots=True)
class Revoked:
    """What no longer holds: sessions that ended, and users with the role they have now; None: they are disabled."""

    sessions: frozenset[str] = frozenset()
    users: dict[str, Role | None] = field(default_factory=dict)

    def text(self) -> str:
        """As it goes over the bus."""
        return msgspec.json.encode(self).decode()

    @classmethod
    def read(cls, text: str) -> Revoked:
        """From the bus. Raises `msgspec.DecodeError` for anything else."""
        return msgspec.json.decode(text, type=cls)
