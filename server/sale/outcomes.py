"""Outcomes: what became of orders that were told `busy` while they were being committed."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from server import metrics, tasks
from server.domain.errors import Unavailable
from server.domain.order import Accepted, OrderRequest, Receipt
from server.sale.breaker import Breaker
from server.sale.ports import OrderBook

log = logging.getLogger(__name__)

OPEN_MAX = 20_000
"""Orders whose outcome may be looked up on one replica. When full, further ones are not: their viewers learn it by
asking again with the same ref, as everybody may."""

_PAUSE_S, _PAUSE_MAX_S = 0.1, 2.0

Late = Callable[[OrderRequest, Receipt], None]
"""Told of every order that was answered `busy` and is accepted. A courtesy: the answer to its `ref` is exact anyway."""


class Outcomes:
    """Looks up, batch by batch, what nobody guesses; tells `late` of each order that turns out to be accepted.

    Owns a task while there is something to look up; it waits while the breaker is open. Ends with `close()`.
    """

    def __init__(self, book: OrderBook, breaker: Breaker, late: Late, *, open_max: int = OPEN_MAX) -> None:
        self._book = book
        self._breaker = breaker
        self._late = late
        self._open_max = open_max
        self._open: deque[tuple[str, Sequence[OrderRequest]]] = deque()
        self._count = 0
        self._task: asyncio.Task[None] | None = None

    def look_up(self, drop: str, requests: Sequence[OrderRequest]) -> None:
        """Takes orders of one drop whose commit ended without an answer."""
        if not requests:
            return
        if self._count + len(requests) > self._open_max:
            log.warning("outcomes are not looked up: too many are open", extra={"drop": drop, "orders": len(requests)})
            return
        self._count += len(requests)
        self._open.append((drop, requests))
        if self._task is None or self._task.done():
            self._task = tasks.start(self._look_up_all(), "outcomes: look up", may_end=True)

    def told(self, request: OrderRequest, receipt: Receipt) -> None:
        """An order that was told `busy` has its receipt now."""
        if isinstance(receipt, Accepted):
            metrics.LATE.inc()
            try:
                self._late(request, receipt)
            except Exception:  # a courtesy must not stop the sale
                metrics.BUGS.labels("late receipt").inc()
                log.exception("a late receipt cannot be delivered", extra={"order": request.order})

    async def close(self) -> None:
        """Ends the looking up; says what is left open."""
        await tasks.stop(self._task)
        if self._open:
            drops = sorted({drop for drop, _ in self._open})
            log.warning("outcomes are left open", extra={"orders": self._count, "drops": drops})

    async def _look_up_all(self) -> None:
        pause_s = _PAUSE_S
        while self._open:
            await self._breaker.until_closed()
            drop, requests = self._open[0]
            try:
                receipts = await self._book.look_up(drop, requests)
            except Unavailable:
                self._open.rotate(-1)  # a drop that is locked must not keep the others from being looked up
                self._breaker.suspect()
                await asyncio.sleep(pause_s)
                pause_s = min(2 * pause_s, _PAUSE_MAX_S)
                continue
            except Exception:
                metrics.BUGS.labels("look up").inc()
                log.exception("outcomes cannot be looked up", extra={"drop": drop, "orders": len(requests)})
                receipts = (None,) * len(requests)
            pause_s = _PAUSE_S
            self._open.popleft()
            self._count -= len(requests)
            for request, receipt in zip(requests, receipts, strict=True):
                if receipt is not None:
                    self.told(request, receipt)
