"""Becoming a customer, and getting back in without the password. Who asks never learns whether an address is known."""

from __future__ import annotations

import unicodedata

import msgspec

from server.accounts.address import mailable
from server.accounts.codes import Codes
from server.accounts.door import NAME_MAX
from server.accounts.limits import Limiter
from server.accounts.passwords import Passwords
from server.accounts.ports import EndSessions, UserBook
from server.accounts.post import Post
from server.domain.errors import Reason, Refused
from server.domain.mail import Purpose
from server.domain.user import Role, User


class _Wish(msgspec.Struct, frozen=True):
    name: str
    password_hash: str


class Registration:
    """Accounts by mailed codes.

    For a known and an unknown address each call does the same: one look at the users, one hash, one code kept, one mail
    in the queue. Only the mail differs, and it goes to whoever reads that address.
    """

    def __init__(
        self,
        users: UserBook,
        codes: Codes,
        post: Post,
        passwords: Passwords,
        limiter: Limiter,
        end_sessions: EndSessions,
    ) -> None:
        self._users = users
        self._codes = codes
        self._post = post
        self._passwords = passwords
        self._limiter = limiter
        self._end_sessions = end_sessions

    async def register(self, email: str, password: str, name: str, *, host: str) -> None:
        """Mails a code for a new account; an address that has one gets a mail that says so. `host` is who calls.

        Raises `Refused` for bad input (with its field), too many tries or mails, and `Unavailable`.
        """
        address, name = mailable(email), proper_name(name)
        await self._passwords.judge(password, (address, name))
        await self._limiter.hit_code(address, host)
        wish = _Wish(name, await self._passwords.hash(password))
        known = await self._users.by_email(address) is not None
        meant = "" if known else msgspec.json.encode(wish).decode()
        nonce = await self._codes.issue(Purpose.REGISTER, address, address, meant)
        await self._mail_registration(address, nonce, known=known)

    async def resend(self, email: str, *, host: str) -> None:
        """Mails a new code in place of the last one; does nothing when nobody registers with this address."""
        address = mailable(email)
        await self._limiter.hit_code(address, host)
        renewed = await self._codes.renew(Purpose.REGISTER, address)
        if renewed is not None:
            nonce, may_be_right = renewed
            await self._mail_registration(address, nonce, known=not may_be_right)

    async def verify(self, email: str, code: str, password: str | None = None) -> User:
        """The new account, of role viewer. Raises `Refused` for a wrong code.

        With a `password` the account gets this one: who types the code decides, not who asked for it last. Otherwise
        somebody could register another person's address again and wait for them to type the newer code.
        """
        address = mailable(email)
        chosen = None
        if password is not None:
            await self._passwords.judge(password, (address,))
            chosen = await self._passwords.hash(password)
        async with self._codes.redeemed(Purpose.REGISTER, address, code) as meant:
            wish = msgspec.json.decode(meant, type=_Wish)
            return await self._users.create(
                email=address, name=wish.name, role=Role.VIEWER, password_hash=chosen or wish.password_hash
            )

    async def forgot(self, email: str, *, host: str) -> None:
        """Mails a code for a new password; an address without an account gets a mail that says so."""
        address = mailable(email)
        await self._limiter.hit_code(address, host)
        known = await self._users.by_email(address)
        nonce = await self._codes.issue(Purpose.RESET, address, address, known[0].id if known else "")
        await self._post.send(Purpose.RESET if known else Purpose.UNKNOWN, address, nonce)

    async def reset(self, email: str, code: str, password: str) -> User:
        """Replaces the password and ends every session. Raises `Refused` for a wrong code."""
        address = mailable(email)
        await self._passwords.judge(password, (address,))
        password_hash = await self._passwords.hash(password)
        async with self._codes.redeemed(Purpose.RESET, address, code) as user_id:
            user = await self._users.by_id(user_id)
            if user is None or user.email != address:  # removed or moved since the code was mailed
                raise Refused(Reason.BAD_CREDENTIALS, "this account is no longer there", field="code")
            await self._users.set_password(user.id, password_hash)
            await self._end_sessions(user.id)
        await self._post.tell(Purpose.PASSWORD_CHANGED, address)
        return user

    async def _mail_registration(self, address: str, nonce: str, *, known: bool) -> None:
        await self._post.send(Purpose.KNOWN if known else Purpose.REGISTER, address, nonce)


def proper_name(name: str) -> str:
    """A name as it is kept. Raises `Refused` that names the field.

    Without control characters and marks that turn the direction of the text around them: a name is shown to others.
    """
    name = " ".join(name.split())
    if not 1 <= len(name) <= NAME_MAX:
        raise Refused(Reason.BAD_REQUEST, f"enter a name of at most {NAME_MAX} characters", field="name")
    if any(unicodedata.category(c) == "Cc" or unicodedata.bidirectional(c) in _TURNING for c in name):
        raise Refused(Reason.BAD_REQUEST, "a name has letters, digits and signs only", field="name")
    return name


_TURNING = frozenset({"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"})
