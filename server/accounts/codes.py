"""Codes that prove an address: six digits, ten minutes, five tries."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import msgspec

from server.accounts.ports import Keep
from server.domain.errors import Reason, Refused, Unavailable
from server.domain.mail import Purpose

CODE_TTL_S = 600
TRIES_MAX = 5
"""Tries of one code, right ones counted: a guess hits once in 200,000 codes."""

_DIGITS = 6


class _Pending(msgspec.Struct, frozen=True):
    nonce: str
    address: str


class Codes:
    """Issues codes and finds out what they stand for.

    A code is HMAC(secret key, purpose, address, nonce): only the nonce is kept, in the keep and in the queue of
    mails, so who reads either has no code. The nonce begins with its key's name: a code lives through a rotation as
    long as the old key is still among the keys, and exactly one code is right.
    """

    def __init__(self, keep: Keep, secret_keys: Sequence[str]) -> None:
        self._keep = keep
        keys = [hmac.digest(key.encode(), b"dropcast.code", "sha256") for key in secret_keys]
        self._keys = {hmac.digest(key, b"name", "sha256").hex()[:8]: key for key in keys}
        self._newest = next(iter(self._keys))

    async def issue(self, purpose: Purpose, subject: str, address: str, meant: str) -> str:
        """The nonce of a new code for `address`, which replaces the subject's earlier one. Raises `Unavailable`.

        `subject` is who may redeem it: an address, or a user's id. `meant` is what it stands for; an empty text is
        a code that is never right, for the same work where nothing is to be had.
        """
        nonce = f"{self._newest}.{secrets.token_urlsafe(16)}"
        await self._keep.put(_meant_key(nonce), meant, CODE_TTL_S)
        pending = msgspec.json.encode(_Pending(nonce, address)).decode()
        await self._keep.put(_key(purpose, subject), pending, CODE_TTL_S)
        return nonce

    async def renew(self, purpose: Purpose, subject: str) -> tuple[str, bool] | None:
        """A new code in place of the subject's pending one, and whether it can be right; None when there is none."""
        pending = await self._pending(purpose, subject)
        meant = await self._keep.take(_meant_key(pending.nonce)) if pending else None
        if pending is None or meant is None:
            return None
        return await self.issue(purpose, subject, pending.address, meant), bool(meant)

    def code(self, purpose: Purpose, address: str, nonce: str) -> str | None:
        """The code itself; None when its key is no longer among ours."""
        key = self._keys.get(nonce.partition(".")[0])
        if key is None:
            return None
        digest = hmac.digest(key, "\0".join((purpose, address, nonce)).encode(), "sha256")
        return f"{int.from_bytes(digest, 'big') % 10**_DIGITS:0{_DIGITS}}"

    @asynccontextmanager
    async def redeemed(self, purpose: Purpose, subject: str, code: str) -> AsyncIterator[str]:
        """What the code stands for; it is used up, unless the block ends with `Unavailable`.

        Raises `Refused`, in the same words for a wrong code, a burned, expired or used one, and none at all.
        """
        meant_key = await self._check(purpose, subject, code)
        meant = await self._keep.take(meant_key)  # of two who come at once, one gets it
        if not meant:
            raise _wrong()
        try:
            yield meant
        except Unavailable:
            await self._keep.put(meant_key, meant, CODE_TTL_S)  # no longer than what leads to it
            raise

    async def _check(self, purpose: Purpose, subject: str, code: str) -> str:
        pending = await self._pending(purpose, subject)
        if pending is None:
            raise _wrong()
        # counted before it is looked at, in one step at one place: ten at once on two replicas are ten
        tries = await self._keep.count(f"tries:{pending.nonce}", CODE_TTL_S)
        right = self.code(purpose, pending.address, pending.nonce)
        given = re.sub(r"[\s-]", "", code).encode()
        if tries > TRIES_MAX or right is None or not hmac.compare_digest(right.encode(), given):
            raise _wrong()
        return _meant_key(pending.nonce)

    async def _pending(self, purpose: Purpose, subject: str) -> _Pending | None:
        kept = await self._keep.peek(_key(purpose, subject))
        return msgspec.json.decode(kept, type=_Pending) if kept else None


def _wrong() -> Refused:
    detail = "this code is wrong or no longer valid: look at the newest mail, or ask for a new code"
    return Refused(Reason.BAD_CREDENTIALS, detail, field="code")


def _key(purpose: Purpose, subject: str) -> str:
    return f"code:{purpose}:{hashlib.sha256(subject.encode()).hexdigest()}"


def _meant_key(nonce: str) -> str:
    return f"meant:{nonce}"
