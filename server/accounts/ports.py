"""What accounts need of the rest of the house."""

from __future__ import annotations

from collections.abc import Collection
from typing import Protocol

from server.domain.session import Session
from server.domain.user import Role, User


class UserBook(Protocol):
    """Where users are kept. Each call may raise `Unavailable`."""

    async def create(self, *, email: str, name: str, role: Role, password_hash: str | None) -> User:
        """Creates a user. Raises `Refused` when the address has an account."""
        ...

    async def create_nameless(self, count: int) -> list[User]:
        """Makes viewer accounts that cannot sign in."""
        ...

    async def by_email(self, email: str) -> tuple[User, str | None] | None:
        """The account of an address with its password hash, which is None for one that may not sign in."""
        ...

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Replaces a password hash."""
        ...


class SessionBook(Protocol):
    """The rows of sessions. Each call may raise `Unavailable`."""

    async def open(self, session_id: str, user_id: str, device: str) -> None:
        """Adds a session."""
        ...

    async def found(self, ids: Collection[str]) -> tuple[int, list[Session]]:
        """Those of some sessions that have a row, and what the time is."""
        ...

    async def note(self, ids: Collection[str]) -> None:
        """Notes that these sessions are in use."""
        ...

    async def of_user(self, user_id: str) -> list[Session]:
        """A user's sessions that hold, the one used last first."""
        ...

    async def end(self, user_id: str, *, only: str | None = None, but: str | None = None) -> list[str]:
        """Ends a user's sessions: all, `only` one, or all `but` one. Their ids, with those ended before."""
        ...


class Keep(Protocol):
    """Short-lived values by key: copies of sessions, tickets. Each call may raise `Unavailable`."""

    async def put(self, key: str, value: str, ttl_s: int) -> None:
        """Keeps a value for so long."""
        ...

    async def add(self, key: str, value: str, ttl_s: int) -> None:
        """Keeps a value for so long, unless there is one."""
        ...

    async def peek(self, key: str) -> str | None:
        """A value, which stays and expires as it would have; None when it is gone."""
        ...

    async def take(self, key: str) -> str | None:
        """A value, given out once and then gone."""
        ...

    async def drop(self, key: str) -> None:
        """Forgets a value."""
        ...
