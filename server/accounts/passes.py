"""Passes: how somebody buys on another site's page, which never has their cookie.

Its owner allows it on our own page; the embed keeps it, and shows it for a ticket before each connection. It is good
for one stream on one origin, and for nothing else: no call but `POST /api/ticket` takes it. The session it was made in
stays the truth: when that ends, the pass is worth nothing and the sockets it opened are closed.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence

import msgspec
from itsdangerous import BadData, URLSafeSerializer

from server.accounts.limits import Limiter
from server.accounts.sessions import Sessions
from server.domain.errors import Reason, Refused
from server.domain.session import Caller

PASS_MAX_S = 12 * 3600
"""How long a pass is good at the most: a long show, and no second evening."""

_LENGTH_MAX = 2048


class _Pass(msgspec.Struct, frozen=True, array_like=True):
    session: str
    stream: str
    origin: str
    ends_at: int


class Passes:
    """Makes passes and reads them. Nothing is kept: a pass is signed, and asks its session each time."""

    def __init__(
        self,
        sessions: Sessions,
        limiter: Limiter,
        secret_keys: Sequence[str],
        *,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._sessions = sessions
        self._limiter = limiter
        self._now_ms = now_ms
        # as the door signs cookies; with a salt of its own, so that neither passes for the other
        self._signed = URLSafeSerializer(
            list(reversed(secret_keys)),
            salt="dropcast.pass",
            signer_kwargs={"key_derivation": "hmac", "digest_method": hashlib.sha256},
        )

    async def issue(self, caller: Caller, stream: str, origin: str) -> tuple[str, int]:
        """A pass for one stream on the pages of one origin, and when it ends, in ms. The caller has allowed that.

        Raises `Refused` when the session ends meanwhile, or too many are made, and `Unavailable`.
        """
        self._limiter.pace("passes", caller.user.id)
        ends_at = await self._sessions.ends_at(caller.session) if caller.session else None
        if caller.session is None or ends_at is None:
            raise _over()
        made = _Pass(caller.session, stream, origin, min(self._now_ms() + PASS_MAX_S * 1000, ends_at))
        return str(self._signed.dumps(msgspec.to_builtins(made))), made.ends_at

    async def caller(self, shown: str, stream: str, origin: str) -> Caller:
        """Who shows a pass for this stream, from a page of this origin.

        Raises `Refused`: `bad_credentials` for one that is not ours, `forbidden` for one of another stream or origin,
        `login_required` when it or its session has ended. Raises `Unavailable`.
        """
        meant = self._read(shown)
        if meant is None:
            raise Refused(Reason.BAD_CREDENTIALS, f"this is no pass of this shop: {_ANOTHER}", field="pass")
        if meant.origin != origin:
            raise Refused(Reason.FORBIDDEN, "this pass is for another site: it counts only where it was asked for")
        if meant.stream != stream:
            raise Refused(Reason.FORBIDDEN, f"this pass is for another stream: {_ANOTHER}")
        if meant.ends_at <= self._now_ms():
            raise Refused(Reason.LOGIN_REQUIRED, f"this pass has expired: {_ANOTHER}")
        caller = await self._sessions.caller(meant.session)
        if caller is None:
            raise _over()
        return caller

    def _read(self, shown: str) -> _Pass | None:
        if len(shown) > _LENGTH_MAX:
            return None
        try:
            return msgspec.convert(self._signed.loads(shown), type=_Pass)
        except (BadData, UnicodeError, msgspec.ValidationError):
            return None


_ANOTHER = "open /embed/sign-in for another"


def _over() -> Refused:
    return Refused(Reason.LOGIN_REQUIRED, f"the session of this pass was ended: {_ANOTHER}")
