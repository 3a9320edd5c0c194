"""The post: mails wait in the database, and whichever replica is free carries them, again until they expire."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import AsyncExitStack, suppress

from server import metrics, tasks
from server.accounts.codes import CODE_TTL_S, Codes
from server.accounts.mail import Letters
from server.accounts.ports import Carrier, MailBook, SendMail
from server.accounts.smtp import NotTaken
from server.domain.errors import Refused, Unavailable
from server.domain.mail import WITH_CODE, Mail, Purpose

log = logging.getLogger(__name__)

NOTICE_TTL_S = 24 * 3600
"""A mail without a code is worth reading for a day."""

AT_ONCE = 20
"""Mails of one connection."""

LEASE_S = 60
"""Mails of a replica that died are carried by another one after so long; a mail it had just sent then comes twice."""

LOOK_EVERY_S = 2.0
_WAIT_MAX_S = 60


class Post:
    """Takes mails in, and carries those that are due until it is closed.

    The queue is the table: it survives every restart, and its bound is the `MailBook`'s.
    """

    def __init__(
        self, mails: MailBook, codes: Codes, letters: Letters, carrier: Carrier, *, look_every_s: float = LOOK_EVERY_S
    ) -> None:
        self._mails = mails
        self._codes = codes
        self._letters = letters
        self._carrier = carrier
        self._look_every_s = look_every_s
        self._more = asyncio.Event()
        self._carrying: asyncio.Task[None] | None = None

    async def send(self, purpose: Purpose, address: str, nonce: str = "") -> None:
        """Takes a mail in; with a code's `nonce` it lives as long as the code. Raises `Refused` (`busy`) when full."""
        await self._mails.add(purpose, address, nonce, CODE_TTL_S if nonce else NOTICE_TTL_S)
        self._more.set()

    async def tell(self, purpose: Purpose, address: str) -> None:
        """Takes a notice in, if it can: what it tells has happened, and is not undone for want of a mail."""
        try:
            await self.send(purpose, address)
        except (Refused, Unavailable) as error:
            log.warning("a notice could not be queued", extra={"purpose": purpose, "error": str(error)})

    def start(self) -> None:
        """Begins to carry."""
        self._carrying = tasks.start(self._carry(), "post")

    async def close(self) -> None:
        """Stops at once; what was claimed and not sent is carried by another replica, or by the next start."""
        await tasks.stop(self._carrying)

    async def _carry(self) -> None:
        while True:
            self._more.clear()
            full = False
            try:
                full = await self._round() == AT_ONCE
                metrics.MAILS_WAITING.set(await self._mails.waiting())
            except Unavailable as error:
                log.warning("the mails that wait cannot be looked at", extra={"error": str(error)})
            if not full:
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._more.wait(), self._look_every_s)

    async def _round(self) -> int:
        due, expired = await self._mails.claim(AT_ONCE, LEASE_S)
        for mail in expired:
            self._drop(mail, "expired", "nobody took it in time")
        left = deque(due)
        try:
            # a server that hangs must not hold mails beyond the lease
            async with asyncio.timeout(LEASE_S / 2), AsyncExitStack() as stack:
                send = await stack.enter_async_context(self._carrier.trip()) if left else None
                while left and send is not None:
                    await self._one(left[0], send)
                    left.popleft()
        except (NotTaken, TimeoutError) as error:
            for mail in left:
                await self._not_taken(mail, error)
        return len(due)

    async def _one(self, mail: Mail, send: SendMail) -> None:
        code = self._codes.code(mail.purpose, mail.address, mail.nonce) if mail.nonce else None
        with_code = mail.purpose in WITH_CODE
        if with_code and code is None:
            self._drop(mail, "expired", "its secret key was removed")
        else:
            shown = code if with_code else None
            message = self._letters.write(mail.id, mail.purpose, mail.address, shown, CODE_TTL_S // 60)
            try:
                await send(message)
            except NotTaken as error:
                await self._not_taken(mail, error)
                return
            metrics.MAILS_SENT.labels(mail.purpose).inc()
            log.info("a mail was sent", extra={"mail": mail.id, "purpose": mail.purpose, "try": mail.tries})
        await self._mails.done(mail.id)

    async def _not_taken(self, mail: Mail, error: Exception) -> None:
        why = str(error) or type(error).__name__
        if isinstance(error, NotTaken) and error.for_good:
            self._drop(mail, "refused", why)
            await self._mails.done(mail.id)
            return
        wait_s = min(2**mail.tries, _WAIT_MAX_S)
        await self._mails.later(mail.id, wait_s)  # first: whoever reads the line may stop us at once
        metrics.MAILS_FAILED.labels("again").inc()
        log.warning(
            "a mail was not taken and is tried again",
            extra={"mail": mail.id, "purpose": mail.purpose, "try": mail.tries, "why": why, "wait_s": wait_s},
        )

    def _drop(self, mail: Mail, end: str, why: str) -> None:
        metrics.MAILS_FAILED.labels(end).inc()
        log.warning("a mail was given up", extra={"mail": mail.id, "purpose": mail.purpose, "end": end, "why": why})
