"""What accounts need of the rest of the house."""

from __future__ import annotations

from typing import Protocol

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
        """The account of an address with its password hash."""
        ...

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Replaces a password hash."""
        ...


class Keep(Protocol):
    """Short-lived values by key: sessions, tickets. Each call may raise `Unavailable`."""

    async def put(self, key: str, value: str, ttl_s: int) -> None:
        """Keeps a value for so long."""
        ...

    async def get(self, key: str, ttl_s: int) -> str | None:
        """A value, kept for so long again; None when it is gone."""
        ...

    async def take(self, key: str) -> str | None:
        """A value, given out once and then gone."""
        ...

    async def drop(self, key: str) -> None:
        """Forgets a value."""
        ...
