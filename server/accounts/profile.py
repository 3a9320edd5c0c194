"""One's own account: password, address, name, and leaving for good."""

from __future__ import annotations

from server.accounts.address import mailable
from server.accounts.codes import Codes
from server.accounts.limits import Limiter
from server.accounts.passwords import Passwords
from server.accounts.ports import UserBook
from server.accounts.post import Post
from server.accounts.registration import proper_name
from server.accounts.sessions import Sessions
from server.domain.errors import Reason, Refused
from server.domain.mail import Purpose
from server.domain.session import Caller
from server.domain.user import User


class Profile:
    """What the signed-in person changes. What matters needs the password again: a borrowed phone is not enough."""

    def __init__(
        self,
        users: UserBook,
        codes: Codes,
        post: Post,
        passwords: Passwords,
        limiter: Limiter,
        sessions: Sessions,
    ) -> None:
        self._users = users
        self._codes = codes
        self._post = post
        self._passwords = passwords
        self._limiter = limiter
        self._sessions = sessions

    async def change_password(self, caller: Caller, old: str, new: str) -> User:
        """Replaces the password, ends every other session, and says so by mail. Raises `Refused` with the field."""
        user = caller.user
        await self._limiter.hit("passwords.new", user.id)
        await self._passwords.judge(new, (user.email, user.name), field="new")
        known = await self._sure(user, old, field="old")
        await self._users.set_password(user.id, await self._passwords.hash(new))
        await self._sessions.end(user.id, but=caller.session)
        await self._post.tell(Purpose.PASSWORD_CHANGED, known.email)
        return known

    async def ask_address(self, user: User, password: str, email: str, *, host: str) -> None:
        """Mails a code to the new address; one that has an account gets a mail that says so. `host` is who calls."""
        address = mailable(email)
        await self._sure(user, password)
        await self._limiter.hit_code(address, host)
        taken = await self._users.by_email(address) is not None
        nonce = await self._codes.issue(Purpose.ADDRESS, user.id, address, "" if taken else address)
        await self._post.send(Purpose.KNOWN if taken else Purpose.ADDRESS, address, nonce)

    async def confirm_address(self, user: User, code: str) -> User:
        """The account with its new address; the old one is told. Raises `Refused` for a wrong code."""
        async with self._codes.redeemed(Purpose.ADDRESS, user.id, code) as address:
            known = await self._there(user)
            await self._users.set_email(user.id, address)
        await self._sessions.refresh(user.id)
        if known.email:
            await self._post.tell(Purpose.MOVED, known.email)
        return User(known.id, address, known.name, known.role)

    async def change_name(self, user: User, name: str) -> User:
        """The account with its new name."""
        name = proper_name(name)
        known = await self._there(user)
        await self._users.set_name(user.id, name)
        await self._sessions.refresh(user.id)
        return User(known.id, known.email, name, known.role)

    async def delete(self, user: User, password: str) -> None:
        """Takes the person out of the account, with every session; orders stay, and belong to nobody any more.

        Raises `Refused` when a host's streams or the last admin would be left behind.
        """
        known = await self._sure(user, password)
        stale, revoked = await self._users.remove(known)
        await self._sessions.revoke(revoked, stale)

    async def _there(self, user: User) -> User:
        known = await self._users.by_id(user.id)
        if known is None:
            raise Refused(Reason.LOGIN_REQUIRED, "this account is no longer there")
        return known

    async def _sure(self, user: User, password: str, *, field: str = "password") -> User:
        # by id, as the database has it now: the session may remember an older address
        there = await self._there(user)
        await self._limiter.hit("passwords.again", user.id)
        known = await self._users.by_email(there.email) if there.email else None
        right = await self._passwords.check(known[1] if known else None, password)
        if known is None or not right:
            raise Refused(Reason.BAD_CREDENTIALS, "this is not your password", field=field)
        await self._limiter.forget("passwords.again", user.id)
        return known[0]
