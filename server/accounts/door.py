"""The door: signing in and out, who a cookie stands for, and tickets for clients that have no cookie."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence

import msgspec
from itsdangerous import BadSignature, Signer

from server.accounts.address import normal_email
from server.accounts.device import device_of
from server.accounts.passwords import Passwords
from server.accounts.ports import Keep, UserBook
from server.accounts.sessions import Sessions, session_id
from server.domain.errors import Reason, Refused
from server.domain.session import Caller
from server.domain.user import Role, User

TICKET_TTL_S = 30
NAME_MAX = 100


class _Ticket(msgspec.Struct, frozen=True):
    stream: str
    user: User
    session: str | None = None
    origin: str | None = None


class Door:
    """Lets people in. The cookie is a session's secret, signed; what it means is known on the server side."""

    def __init__(
        self, users: UserBook, sessions: Sessions, keep: Keep, passwords: Passwords, secret_keys: Sequence[str]
    ) -> None:
        self.sessions = sessions
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

    async def sign_in(self, email: str, password: str, device: str = "", *, placed: bool = False) -> tuple[str, User]:
        """A new session: its cookie's value and its user. Raises `Refused`, the same for every wrong pair.

        `device` as for `open_session`, `placed` as for `Passwords.check`. Counts nothing: see `Porter`.
        """
        address = normal_email(email)
        known = await self._users.by_email(address) if address else None
        password_hash = known[1] if known else None
        if not await self._passwords.check(password_hash, password, placed=placed) or not known or not password_hash:
            raise _wrong_pair()
        user = known[0]
        if self._passwords.is_outdated(password_hash):
            password_hash = await self._passwords.hash(password)
            await self._users.set_password(user.id, password_hash)
        cookie = await self.open_session(user, device)
        # a change of the password ends the sessions it finds, and this one may be younger: so look once more
        now = await self._users.by_email(user.email)
        if now is None or (now[1] != password_hash and not await self._passwords.check(now[1], password)):
            await self.sign_out(cookie)
            raise _wrong_pair()
        return cookie, user

    async def open_session(self, user: User, device: str = "") -> str:
        """A new session of a user who has shown who they are: its cookie's value. Raises `Unavailable`.

        `device` is what they use, in the words of their User-Agent; few of them are kept.
        """
        return self._signer.sign(await self.sessions.open(user.id, device_of(device))).decode()

    async def caller_of(self, cookie: str | None) -> Caller | None:
        """Who calls with a cookie; None for a forged, ended, expired or missing one. Raises `Unavailable`."""
        secret = self._secret(cookie)
        return await self.sessions.caller(session_id(secret)) if secret else None

    async def user_of(self, cookie: str | None) -> User | None:
        """Who a cookie stands for; see `caller_of`."""
        caller = await self.caller_of(cookie)
        return caller.user if caller else None

    async def sign_out(self, cookie: str | None) -> None:
        """Ends the cookie's session; harmless for any other. Raises `Unavailable`."""
        caller = await self.caller_of(cookie)
        if caller is not None:
            await self.sessions.end(caller.user.id, only=caller.session)

    async def end_sessions(self, user_id: str, except_session: str | None = None) -> None:
        """Signs a user out everywhere, or everywhere else. Raises `Unavailable`."""
        await self.sessions.end(user_id, but=except_session)

    async def ticket(self, caller: Caller, stream: str, origin: str | None = None, *, ttl_s: int = TICKET_TTL_S) -> str:
        """A ticket that lets its bearer join one stream as this caller, once, within `ttl_s`. Raises `Unavailable`.

        With an `origin` it counts only on a socket from there.
        """
        ticket, key, value = new_ticket(caller.user, stream, caller.session, origin)
        await self._keep.put(key, value, ttl_s)
        return ticket

    async def redeem(self, ticket: str, stream: str, origin: str | None = None) -> Caller | None:
        """Who a ticket stands for; None when it is used, expired, or for another stream. It is used up either way.

        `origin` is where its bearer comes from; a ticket that was made for another one counts for nothing there.

        A ticket holds no longer than the session it was made in. Raises `Unavailable`.
        """
        kept = await self._keep.take(_ticket_key(ticket))
        if kept is None:
            return None
        meant = msgspec.json.decode(kept, type=_Ticket)
        if meant.stream != stream or meant.origin not in (None, origin):
            return None
        return await self.sessions.caller(meant.session) if meant.session else Caller(meant.user, None)

    def _secret(self, cookie: str | None) -> str | None:
        try:
            return self._signer.unsign(cookie).decode() if cookie else None
        except (BadSignature, UnicodeError):
            return None


def _wrong_pair() -> Refused:
    return Refused(Reason.BAD_CREDENTIALS, "e-mail address or password is wrong")


def new_ticket(user: User, stream: str, session: str | None = None, origin: str | None = None) -> tuple[str, str, str]:
    """A ticket, the key it is kept under and what is kept: only its digest, so a leaked store lets nobody in."""
    ticket = secrets.token_urlsafe(24)
    return ticket, _ticket_key(ticket), msgspec.json.encode(_Ticket(stream, user, session, origin)).decode()


def _ticket_key(ticket: str) -> str:
    return "ticket:" + hashlib.sha256(ticket.encode()).hexdigest()
