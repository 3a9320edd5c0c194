"""The porter: stands before the door and counts who tries it, so that it holds under load and passwords stay secret."""

from __future__ import annotations

import hashlib
from contextlib import suppress

from server.accounts.address import EMAIL_MAX, normal_email
from server.accounts.door import Door
from server.accounts.limits import Limiter, network_of
from server.accounts.passwords import Passwords
from server.accounts.ports import Keep
from server.domain.errors import Reason, Refused, Unavailable
from server.domain.session import Caller
from server.domain.user import User

KNOWN_S = 90 * 24 * 3600
"""How long an account is known in a network after it was signed in to from there: as long as a session can last."""


class Porter:
    """Lets people try. Rules and their numbers: `limits.RULES`; why these: docs/decisions/0010.

    A pair is an account and a network. One that has signed in before is known: what strangers do to the account, or
    neighbours in the network, does not keep its owner out. `host` is who calls.
    """

    def __init__(self, door: Door, passwords: Passwords, keep: Keep, limiter: Limiter) -> None:
        self._door = door
        self._passwords = passwords
        self._keep = keep
        self._limiter = limiter

    async def sign_in(self, email: str, password: str, device: str, *, host: str) -> tuple[str, User]:
        """As the door's `sign_in`; raises `Refused` (`rate_limited`) as well, with when to come back."""
        account, network = _account(email), network_of(host)
        pair = f"{account}@{network}"
        known = await self._is_known(pair)
        if known:
            await self._limiter.hit("signin.known", pair)
        else:
            await self._limiter.hit("signin.network", network)
            await self._limiter.look("signin.wrong", network)
        # a place first: who is turned away because all are taken has not tried
        with self._passwords.place():
            # counted before it is tried, so that many at once are many
            await self._limiter.hit("signin.pair", pair)
            if not known:
                await self._limiter.hit("signin.account", account)
            try:
                cookie, user = await self._door.sign_in(email, password, device, placed=True)
            except Refused as refused:
                if refused.reason is Reason.BAD_CREDENTIALS and not known:
                    # looked at before and counted after: beyond the rule by who was in a place meanwhile at the most
                    with suppress(Refused):
                        await self._limiter.hit("signin.wrong", network)
                raise
        await self._limiter.forget("signin.pair", pair)
        with suppress(Unavailable):
            await self._keep.put(_known_key(pair), "1", KNOWN_S)
        return cookie, user

    async def admit(self, host: str, *rules: str) -> None:
        """One more try of these kinds from the caller's network. Raises `Refused` with when to come back."""
        for rule in rules:
            await self._limiter.hit(rule, network_of(host))

    async def ticket(self, caller: Caller, stream: str, origin: str | None = None) -> str:
        """As the door's `ticket`; raises `Refused` (`rate_limited`) as well, with when to come back."""
        self._limiter.pace("tickets", caller.user.id)
        return await self._door.ticket(caller, stream, origin)

    async def _is_known(self, pair: str) -> bool:
        with suppress(Unavailable):
            return await self._keep.peek(_known_key(pair)) is not None
        return False


def _account(email: str) -> str:
    """What stands for an account in keys, whether or not there is one."""
    said = normal_email(email) or email[:EMAIL_MAX]
    return hashlib.sha256(said.encode("utf-8", "replace")).hexdigest()[:32]


def _known_key(pair: str) -> str:
    return f"known:{pair}"
