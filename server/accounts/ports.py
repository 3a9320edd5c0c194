"""What accounts need of the rest of the house."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from contextlib import AbstractAsyncContextManager
from email.message import EmailMessage
from typing import Protocol

from server.domain.mail import Mail, Purpose
from server.domain.session import Revoked, Session
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

    async def by_id(self, user_id: str) -> User | None:
        """The account of an id."""
        ...

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Replaces a password hash."""
        ...

    async def set_name(self, user_id: str, name: str) -> None:
        """Replaces a name."""
        ...

    async def set_email(self, user_id: str, email: str) -> None:
        """Replaces an address. Raises `Refused` when the new one has an account."""
        ...

    async def remove(self, user: User) -> tuple[list[str], Revoked]:
        """Takes the person out of an account: the ids of the sessions that went along, and what to tell of it.

        Raises `Refused` when something would be left without anybody.
        """
        ...


EndSessions = Callable[[str], Awaitable[None]]
"""Ends every session of a user, by id; none of them counts any more when it returns. May raise `Unavailable`."""


class MailBook(Protocol):
    """Where mails wait until they are sent. Each call may raise `Unavailable`."""

    async def add(self, purpose: Purpose, address: str, nonce: str, ttl_s: int) -> None:
        """A mail to be sent within so long. Raises `Refused` (`busy`) when too many wait."""
        ...

    async def claim(self, most: int, lease_s: int) -> tuple[list[Mail], list[Mail]]:
        """Mails that are due, for this replica alone for so long; and expired ones, which are gone."""
        ...

    async def done(self, mail_id: str) -> None:
        """A mail that need not be sent any more."""
        ...

    async def later(self, mail_id: str, wait_s: int) -> None:
        """A mail to be tried again after so long."""
        ...

    async def waiting(self) -> int:
        """How many wait."""
        ...


SendMail = Callable[[EmailMessage], Awaitable[None]]
"""Hands over one mail. Raises `NotTaken`."""


class Carrier(Protocol):
    """Takes mails away."""

    def trip(self) -> AbstractAsyncContextManager[SendMail]:
        """One connection for several mails. Raises `NotTaken` when there is none to be had."""
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
    """Short-lived values by key: copies of sessions, tickets, codes. Each call may raise `Unavailable`."""

    async def put(self, key: str, value: str, ttl_s: int) -> None:
        """Keeps a value for so long."""
        ...

    async def add(self, key: str, value: str, ttl_s: int) -> None:
        """Keeps a value for so long, unless there is one."""
        ...

    async def peek(self, key: str) -> str | None:
        """A value, which stays and expires as it would have; None when it is gone."""
        ...

    async def count(self, key: str, ttl_s: int) -> int:
        """Counts a key up by one and gives the new count; it starts anew `ttl_s` after its first time.

        One step: of any number who count at once, on any replica, each gets another number.
        """
        ...

    async def take(self, key: str) -> str | None:
        """A value, given out once and then gone."""
        ...

    async def drop(self, key: str) -> None:
        """Forgets a value."""
        ...
