"""Orders under way: each keeps its `ref` until it is answered, over any number of links."""

from __future__ import annotations

import asyncio
import random
import re
import secrets
from collections.abc import Awaitable, Callable

from dropcast.comeback import Backoff
from dropcast.errors import Rejected, TimedOut, ViewerChanged
from dropcast.frames import PlaceOrder, Receipt

ORDERS_MAX = 16
"""Orders of one watch that are asked at once; one more waits its turn. A shop takes 32 of a socket."""

ANSWER_WITHIN_S = 8.0
"""No answer for so long on a live link: the order is sent again, under the same `ref`."""

_REF = re.compile(r"[\x21-\x7e]{1,64}")
_QUANTITY_MAX = 2**53


def place(drop: str, quantity: int, variant: str | None, ref: str | None) -> PlaceOrder:
    """An order, with a fresh `ref` where none is given. Raises `ValueError` for what would break the link."""
    if ref is not None and not _REF.fullmatch(ref):
        raise ValueError("ref must be 1..64 printable ASCII characters without spaces")
    if not 1 <= len(drop) <= 64:
        raise ValueError("drop must be a drop, or the id of one")
    if variant is not None and not 1 <= len(variant) <= 64:
        raise ValueError("variant must be the id of one of the drop's variants, or None where it has one")
    if isinstance(quantity, bool) or not isinstance(quantity, int) or abs(quantity) >= _QUANTITY_MAX:
        raise ValueError("quantity must be an integer from 1 to the drop's limit")
    return PlaceOrder(ref or secrets.token_hex(16), drop, quantity, variant)


def again_in_s(receipt: Receipt, attempt: int, backoff: Backoff, luck: float) -> float | None:
    """How long to wait before asking again after so many answers that were not final; None for a final one."""
    if receipt.status == "accepted" or not receipt.retry:
        return None
    if receipt.reason == "draining":  # asked again on the replica that the link comes back to
        return ANSWER_WITHIN_S
    return receipt.retry_in_ms / 1000 if receipt.retry_in_ms is not None else backoff.delay_s(attempt, luck)


class Ask:
    """One order, and whoever waits for its receipt."""

    def __init__(self, order: PlaceOrder, viewer: str | None) -> None:
        self.order = order
        self.viewer = viewer
        """For whom it is asked: it is never sent for anybody else."""
        self.paused = False
        """Whether the shop told it to wait: then a link that comes back does not send it at once."""
        self.last: Receipt | None = None
        """The last answer that was not final."""
        self._receipt: Receipt | None = None
        self._failure: Exception | None = None
        self._is_time = False
        self._woken = asyncio.Event()

    def answer(self, receipt: Receipt) -> None:
        """A receipt came."""
        self._receipt = receipt
        self._woken.set()

    def opened(self) -> None:
        """The drop is on sale: who was told that it is too early asks again now."""
        told = self._receipt or self.last  # the answer may have come in the same breath, and not be heard yet
        if told is not None and told.reason == "not_open":
            self._is_time = True
            self._woken.set()

    def fail(self, failure: Exception) -> None:
        """There will be no answer."""
        self._failure = failure
        self._woken.set()

    async def heard(self, within_s: float) -> Receipt | None:
        """The next receipt; None when it is time to ask again. Raises what `fail` was given."""
        try:
            async with asyncio.timeout(within_s):
                await self._woken.wait()
        except TimeoutError:
            return None
        if self._receipt is None and self._failure is not None:
            raise self._failure
        receipt, self._receipt = self._receipt, None
        if receipt is None:
            self._is_time = False
        if not self._is_time:
            self._woken.clear()
        return receipt


class Orders:
    """The orders of one watch. `say` sends a frame if the link is live; `viewer` is whom the shop takes us for."""

    def __init__(
        self, say: Callable[[PlaceOrder], Awaitable[None]], viewer: Callable[[], str | None], backoff: Backoff
    ) -> None:
        self._say = say
        self._viewer = viewer
        self._backoff = backoff
        self._asks: dict[str, Ask] = {}
        self._room = asyncio.Semaphore(ORDERS_MAX)
        self._end: Callable[[str], Exception] | None = None

    async def see_through(self, order: PlaceOrder, within_s: float | None) -> Receipt:
        """The accepted receipt. Raises as `Watch.order` says."""
        ask = Ask(order, self._viewer())
        try:
            async with asyncio.timeout(within_s) as patience, self._room:
                return await self._answer_to(ask)
        except TimeoutError:
            if not patience.expired():
                raise
            if ask.last is not None and ask.last.reason == "not_open":  # of those that may pass, this bought nothing
                raise Rejected(ask.last) from None
            raise TimedOut(order.ref, f"no final receipt within {within_s} s", ask.last) from None

    def hear(self, receipt: Receipt) -> None:
        """A receipt came. One that nobody waits for was heard before, or is for another of the viewer's devices."""
        if (ask := self._asks.get(receipt.ref)) is not None:
            ask.answer(receipt)

    async def welcome(self) -> None:
        """The link is back: asks again what is unanswered."""
        for ask in list(self._asks.values()):
            if not ask.paused:
                await self._send(ask)

    def opened(self, drop: str) -> None:
        """A drop is on sale: who was too early is asked for now."""
        for ask in self._asks.values():
            if ask.order.drop == drop:
                ask.opened()

    def end(self, error_of: Callable[[str], Exception]) -> None:
        """The link is over: everybody who waits, or comes later, gets the error for their `ref`."""
        self._end = error_of
        for ref, ask in self._asks.items():
            ask.fail(error_of(ref))

    async def _answer_to(self, ask: Ask) -> Receipt:
        ref = ask.order.ref
        if self._end is not None:
            raise self._end(ref)
        if ref in self._asks:
            raise ValueError(f"the order {ref} is being asked already")
        self._asks[ref] = ask
        try:
            await self._send(ask)
            attempt, wait_s = 0, ANSWER_WITHIN_S
            while True:
                receipt = await ask.heard(wait_s)
                if receipt is None:
                    ask.paused, wait_s = False, ANSWER_WITHIN_S
                    await self._send(ask)
                    continue
                luck = random.random()  # noqa: S311  jitter, no secret
                again_s = again_in_s(receipt, attempt, self._backoff, luck)
                if again_s is None and receipt.status == "accepted":
                    return receipt
                if again_s is None:
                    raise Rejected(receipt)
                ask.last, ask.paused = receipt, receipt.reason != "draining"
                attempt, wait_s = attempt + 1, again_s
        finally:
            del self._asks[ref]

    async def _send(self, ask: Ask) -> None:
        if ask.viewer == self._viewer():
            await self._say(ask.order)
        else:
            ask.fail(ViewerChanged(ask.order.ref, "the link is another viewer's now", ask.last))
