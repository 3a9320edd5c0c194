"""Group commit: orders that arrive while a batch commits form the next one. One lane per drop, no timer."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Callable, Sequence

from server import metrics, tasks
from server.domain.errors import Reason, Unavailable
from server.domain.news import News
from server.domain.order import Accepted, OrderRequest, Receipt, Rejected
from server.sale.ports import OrderBook

log = logging.getLogger(__name__)

QUEUE_MAX = 20_000
"""Orders that may wait on one replica. When full, a further one is answered `busy` at once."""

BATCH_MAX = 2_000
"""Orders of one transaction: the size up to which bigger batches were measured to be faster."""

LANES_MAX = 8
"""Drops that commit at the same time; must stay below the pool's size."""

_REPLAYS = 2  # of a batch whose outcome is unknown; each has the database's deadline

_Waiting = tuple[OrderRequest, "asyncio.Future[Receipt]"]


class Committer:
    """Gathers orders per drop, commits each batch in one transaction, then answers.

    A receipt is handed out only after COMMIT returned. A caller that stops waiting changes nothing: its order is
    decided all the same. Each lane is a task that lives while its drop has orders; `flush()` waits for all of them.
    """

    def __init__(
        self,
        book: OrderBook,
        announce: Callable[[News], None],
        *,
        queue_max: int = QUEUE_MAX,
        batch_max: int = BATCH_MAX,
        lanes_max: int = LANES_MAX,
    ) -> None:
        self._book = book
        self._announce = announce
        self._queue_max = queue_max
        self._batch_max = batch_max
        self._lanes: dict[str, deque[_Waiting]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(lanes_max)
        self._waiting = 0

    def submit(self, request: OrderRequest) -> asyncio.Future[Receipt]:
        """Queues an order. The future always comes to a receipt: `busy` at once when the queue is full."""
        future: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        if self._waiting >= self._queue_max:
            future.set_result(Rejected(request.ref, Reason.BUSY))
            return future
        self._waiting += 1
        metrics.QUEUE_ORDERS.set(self._waiting)
        lane = self._lanes.get(request.drop)
        if lane is None:
            lane = self._lanes[request.drop] = deque()
            task = tasks.start(self._run(request.drop, lane), f"committer: {request.drop}", may_end=True)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        lane.append((request, future))
        return future

    async def flush(self) -> None:
        """Waits until every order taken has its receipt."""
        while self._tasks:
            await asyncio.wait(self._tasks)

    async def _run(self, drop: str, lane: deque[_Waiting]) -> None:
        async with self._room:
            while lane:
                batch = [lane.popleft() for _ in range(min(len(lane), self._batch_max))]
                try:
                    await self._commit(drop, batch)
                finally:
                    self._waiting -= len(batch)
                    metrics.QUEUE_ORDERS.set(self._waiting)
            del self._lanes[drop]  # no await since the lane was seen empty: nobody can have joined it

    async def _commit(self, drop: str, batch: Sequence[_Waiting]) -> None:
        began = time.perf_counter()
        try:
            receipts, news = await self._settled(drop, [request for request, _ in batch])
        except Unavailable:
            log.warning("a batch found no database", extra={"drop": drop, "orders": len(batch)})
            _answer(batch, [Rejected(request.ref, Reason.BUSY) for request, _ in batch])
            return
        except Exception:
            if len(batch) > 1:  # one poisoned order must not take the others down: find it by halving
                middle = len(batch) // 2
                await self._commit(drop, batch[:middle])
                await self._commit(drop, batch[middle:])
                return
            metrics.BUGS.labels("order").inc()
            log.exception("an order cannot be decided", extra={"drop": drop, "order": batch[0][0].order})
            _answer(batch, [Rejected(batch[0][0].ref, Reason.INTERNAL)])
            return
        metrics.COMMIT_SECONDS.observe(time.perf_counter() - began)
        metrics.BATCH_ORDERS.observe(len(batch))
        _answer(batch, receipts)
        if news is not None:
            self._announce(news)

    async def _settled(self, drop: str, requests: Sequence[OrderRequest]) -> tuple[tuple[Receipt, ...], News | None]:
        """A batch whose COMMIT went unanswered is done again: what was committed gets its first receipt."""
        for _ in range(_REPLAYS):
            try:
                return await self._book.commit(drop, requests)
            except Unavailable:
                await asyncio.sleep(0.05)
        return await self._book.commit(drop, requests)


def _answer(batch: Sequence[_Waiting], receipts: Sequence[Receipt]) -> None:
    for (_, future), receipt in zip(batch, receipts, strict=True):
        metrics.RECEIPTS.labels("accepted" if isinstance(receipt, Accepted) else receipt.reason.value).inc()
        if not future.done():  # the viewer may have stopped waiting
            future.set_result(receipt)
