"""The door: signing in and out, who a cookie stands for, and tickets for clients that have no cookie."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

import msgspec
from itsdangerous import BadSignature, Signer

from server.accounts.address import normal_email
from server.accounts.passwords import Passwords
from server.accounts.ports import Keep, UserBook
from server.domain.errors import Reason, Refused
from server.domain.user import Role, User

SESSION_TTL_S = 14 * 24 * 3600
"""A session ends after so long without use."""

TICKET_TTL_S = 30
NAME_MAX = 100


class _Ticket(msgspec.Struct, frozen=True):
    stream: str
    user: User


class Door:
    """Lets people in. The cookie is a signed session id; what it means is kept on the server side."""

    def __init__(self, users: UserBook, keep: Keep, passwords: Passwords, secret_keys: Sequence[str]) -> None:
        self._users = users
        self._keep = keep
        self._passwords = passwords
        # itsdangerous signs with the last key and accepts all; its own default digest would be SHA-1
        self._signer = Signer(
            list(reversed(secret_keys)), salt="dropcast.session", key_derivation="hmac", digest_method=hashlib.sha256
        )

    async def create_user(
        self, email: str, role: Role, *, name: str | None = None, password: str | None = None
    ) -> User:
        """Creates a verified user. Raises `Refused` for a bad or known address or a bad password."""
        address = normal_email(email)
        if address is None:
            raise Refused(Reason.BAD_REQUEST, f"{email!r} is not an e-mail address")
        name = (name or address.partition("@")[0]).strip()[:NAME_MAX]
        if password is not None:
            await self._passwords.judge(password, (address, name))
        hashed = await self._passwords.hash(password) if password is not None else None
        return await self._users.create(email=address, name=name, role=role, password_hash=hashed)

    async def sign_in(self, email: str, password: str) -> tuple[str, User]:
        """A new session: its cookie's value and its user. Raises `Refused`, the same for every wrong pair."""
        address = normal_email(email)
        known = await self._users.by_email(address) if address else None
        password_hash = known[1] if known else None
        if not await self._passwords.check(password_hash, password) or known is None or password_hash is None:
            raise Refused(Reason.BAD_CREDENTIALS, "e-mail address or password is wrong")
        user = known[0]
        if self._passwords.is_outdated(password_hash):
            await self._users.set_password(user.id, await self._passwords.hash(password))
        return await self.open_session(user), user

    async def open_session(self, user: User, device: str = "") -> str:  # noqa: ARG002
        """A new session for somebody who has shown who they are: its cookie's value. `device` is what they use."""
        session = secrets.token_urlsafe(24)
        await self._keep.put(_session_key(session), msgspec.json.encode(user).decode(), SESSION_TTL_S)
        return self._signer.sign(session).decode()

    async def user_of(self, cookie: str | None) -> User | None:
        """Who a cookie stands for; None for a forged, expired or missing one. Raises `Unavailable`."""
        session = self._session(cookie)
        kept = await self._keep.get(_session_key(session), SESSION_TTL_S) if session else None
        return msgspec.json.decode(kept, type=User) if kept else None

    async def sign_out(self, cookie: str | None) -> None:
        """Ends the cookie's session; harmless for any other."""
        session = self._session(cookie)
        if session:
            await self._keep.drop(_session_key(session))

    async def ticket(self, user: User, stream: str, *, ttl_s: int = TICKET_TTL_S) -> str:
        """A ticket that lets its bearer join one stream as this user, once, within `ttl_s`."""
        ticket, key, value = new_ticket(user, stream)
        await self._keep.put(key, value, ttl_s)
        return ticket

    async def redeem(self, ticket: str, stream: str) -> User | None:
        """Who a ticket stands for; None when it is used, expired, or for another stream. It is used up either way."""
        kept = await self._keep.take(_ticket_key(ticket))
        if kept is None:
            return None
        meant = msgspec.json.decode(kept, type=_Ticket)
        return meant.user if meant.stream == stream else None

    def _session(self, cookie: str | None) -> str | None:
        try:
            return self._signer.unsign(cookie).decode() if cookie else None
        except (BadSignature, UnicodeError):
            return None


def new_ticket(user: User, stream: str) -> tuple[str, str, str]:
    """A ticket, the key it is kept under and what is kept: only its digest, so a leaked store lets nobody in."""
    ticket = secrets.token_urlsafe(24)
    return ticket, _ticket_key(ticket), msgspec.json.encode(_Ticket(stream, user)).decode()


def _session_key(session: str) -> str:
    return "session:" + hashlib.sha256(session.encode()).hexdigest()


def _ticket_key(ticket: str) -> str:
    return "ticket:" + hashlib.sha256(ticket.encode()).hexdigest()
