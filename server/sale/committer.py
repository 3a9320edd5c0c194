"""Group commit: orders that arrive while a batch commits form the next one. One lane per drop, no timer for a batch.

Nobody waits longer than `ORDER_WITHIN_S`. What is not decided by then is answered `busy`: out of the queue for certain
undecided; in flight with an outcome that is not known, which is never guessed and never placed anew, but looked up.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from math import inf

from server import metrics, tasks
from server.domain.errors import Reason, Unavailable
from server.domain.news import News
from server.domain.order import Accepted, OrderRequest, Receipt, Rejected
from server.sale.breaker import Breaker
from server.sale.outcomes import Late, Outcomes
from server.sale.ports import OrderBook

log = logging.getLogger(__name__)

ORDER_WITHIN_S = 1.0
"""From `submit` to the receipt, whatever the database does."""

RETRY_IN_MS = (500, 1_500)
"""When to ask again after `busy`: a random moment of these, so that 10,000 refused viewers do not return in one."""

QUEUE_MAX = 20_000
"""Orders that may wait on one replica. When full, a further one is answered `busy` at once."""

BATCH_MAX = 2_000
"""Orders of one transaction: the size up to which bigger batches were measured to be faster."""

QUEUE_WITHIN_S = 0.6
"""Orders may queue for a drop as long as its last full batches say they are decided in time; a further one is `busy`.

Else a queue that has once grown too long stays so: everyone in it waits until it is too late, is told `busy`, and asks
again. Measured without it at 9,000 orders a second on a machine that could do 8,000: 1,800 were answered in time.
"""

ANSWER_SLICE = 100
"""Receipts handed out in one turn of the loop, about a millisecond and a half.

All 2,000 of a batch at once kept the next batch's statements waiting, and the database idle meanwhile.
"""

LANES_MAX = 8
"""Drops that commit at the same time; must stay below the pool's size."""

_REPLAYS = 2  # of a batch whose commit failed at once: a connection that was lost, while the database is there
_REPLAY_AFTER_S = 0.05
_ALARM_EVERY_S = 0.02  # orders that are due in the same moment are answered together


@dataclass(slots=True, eq=False)
class _Waiting:
    """An order and whoever waits for it. `told`: it was answered `busy`, and may be decided all the same."""

    request: OrderRequest
    future: asyncio.Future[Receipt]
    due: float
    told: bool = False


@dataclass(slots=True, eq=False)
class _Lane:
    """A drop's orders: those waiting, and those of the batch that is being committed since `began`.

    `late`: that batch takes too long; whoever comes now would wait behind it in vain. `most`: how many may queue.
    """

    queue: deque[_Waiting] = field(default_factory=deque)
    flying: Sequence[_Waiting] = ()
    began: float = 0.0
    late: bool = False
    most: float = inf


class Committer:
    """Gathers orders per drop, commits each batch in one transaction, then answers.

    A receipt is handed out only after COMMIT returned. A caller that stops waiting changes nothing: its order is
    answered all the same. Each lane is a task that lives while its drop has orders; `flush()` waits for all of them,
    `close()` also ends the breaker's probe and the look-ups. `late` is told of orders found accepted after `busy`.
    """

    def __init__(
        self,
        book: OrderBook,
        announce: Callable[[News], None],
        late: Late = lambda _request, _receipt: None,
        *,
        queue_max: int = QUEUE_MAX,
        batch_max: int = BATCH_MAX,
        lanes_max: int = LANES_MAX,
        within_s: float = ORDER_WITHIN_S,
    ) -> None:
        self._book = book
        self._announce = announce
        self._queue_max = queue_max
        self._batch_max = batch_max
        self._within_s = within_s
        self._breaker = Breaker(book, on_open=self._empty_queues)
        self._outcomes = Outcomes(book, self._breaker, late)
        self._lanes: dict[str, _Lane] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._room = asyncio.Semaphore(lanes_max)
        self._waiting = 0
        self._alarm: asyncio.TimerHandle | None = None
        self._answering = 0  # batches that are committed, and not all told yet
        self._answered = asyncio.Event()
        metrics.QUEUE_ORDERS.set_function(lambda: self._waiting)

    def submit(self, request: OrderRequest) -> asyncio.Future[Receipt]:
        """Queues an order. The future comes to a receipt within `ORDER_WITHIN_S`.

        It is `busy` at once when the queue is full or too long, while the breaker is open, or while the drop's batch is
        late.
        """
        loop = asyncio.get_running_loop()
        waiting = _Waiting(request, loop.create_future(), loop.time() + self._within_s)
        lane = self._lanes.get(request.drop)
        full = self._waiting >= self._queue_max or (lane is not None and (lane.late or len(lane.queue) >= lane.most))
        if full or self._breaker.is_open:
            _answer(waiting, put_off(request.ref))
            return waiting.future
        self._waiting += 1
        if lane is None:
            lane = self._lanes[request.drop] = _Lane()
            task = tasks.start(self._run(request.drop, lane), f"committer: {request.drop}", may_end=True)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        lane.queue.append(waiting)
        if self._alarm is None:
            self._alarm = loop.call_at(waiting.due, self._answer_the_overdue)
        return waiting.future

    async def flush(self) -> None:
        """Waits until every order taken has its receipt and no batch is in flight: as long as `commit` may take."""
        while self._tasks or self._answering:
            if self._tasks:
                await asyncio.wait(self._tasks)
            else:
                self._answered.clear()
                await self._answered.wait()

    async def close(self) -> None:
        """`flush`, then the end of what goes on beside the orders. Outcomes left open are said in the log."""
        await self.flush()
        await self._breaker.close()
        await self._outcomes.close()
        if self._alarm is not None:
            self._alarm.cancel()

    # A lane

    async def _run(self, drop: str, lane: _Lane) -> None:
        async with self._room:
            while lane.queue:
                batch = [lane.queue.popleft() for _ in range(min(len(lane.queue), self._batch_max))]
                lane.flying, lane.began = batch, asyncio.get_running_loop().time()
                try:
                    await self._commit(drop, batch)
                finally:
                    took_s = asyncio.get_running_loop().time() - lane.began
                    if len(batch) >= self._batch_max // 2:  # smaller ones do not show how fast bigger ones would be
                        lane.most = max(self._batch_max, len(batch) / took_s * QUEUE_WITHIN_S)
                    lane.flying, lane.late = (), False
                    self._waiting -= len(batch)
            del self._lanes[drop]  # no await since the queue was seen empty: nobody can have joined it

    async def _commit(self, drop: str, batch: Sequence[_Waiting]) -> None:
        began = time.perf_counter()
        try:
            decided, receipts, news = await self._settled(drop, batch)
        except Unavailable:
            log.warning("a batch found no database", extra={"drop": drop, "orders": len(batch)})
            _put_off(batch)
            self._breaker.suspect()
            return
        except Exception:  # nothing of it was committed
            # but for a try before that, of which nothing was heard
            self._outcomes.look_up(drop, [waiting.request for waiting in batch if waiting.told])
            if len(batch) > 1:  # one poisoned order must not take the others down: find it by halving
                middle = len(batch) // 2
                for half in (batch[:middle], batch[middle:]):
                    if untold := [waiting for waiting in half if not waiting.told]:
                        await self._commit(drop, untold)
                return
            metrics.BUGS.labels("order").inc()
            log.exception("an order cannot be decided", extra={"drop": drop, "order": batch[0].request.order})
            _answer(batch[0], Rejected(batch[0].request.ref, Reason.INTERNAL))
            return
        metrics.COMMIT_SECONDS.observe(time.perf_counter() - began)
        metrics.BATCH_ORDERS.observe(len(decided))
        given: Counter[str] = Counter()
        to_answer: deque[tuple[asyncio.Future[Receipt], Receipt]] = deque()
        for waiting, receipt in zip(decided, receipts, strict=True):
            if waiting.told:
                self._outcomes.told(waiting.request, receipt)
                continue
            given[_reason(receipt)] += 1
            to_answer.append((waiting.future, receipt))
        for reason, receipts_given in given.items():  # together, for counting is a good part of what a receipt costs
            metrics.RECEIPTS.labels(reason).inc(receipts_given)
        self._answering += 1
        self._answer_slice(to_answer)
        if news is not None:
            self._announce(news)

    async def _settled(
        self, drop: str, batch: Sequence[_Waiting]
    ) -> tuple[Sequence[_Waiting], Sequence[Receipt], News | None]:
        """Who was decided, and how. A batch whose COMMIT went unanswered is done again: what was committed gets its
        first receipt. Those who were told `busy` meanwhile are not placed anew, they are looked up.
        """
        unsure: list[OrderRequest] = []
        try:
            for replays_left in range(_REPLAYS, -1, -1):
                try:
                    return batch, *await self._book.commit(drop, [waiting.request for waiting in batch])
                except Unavailable:
                    if replays_left:
                        await asyncio.sleep(_REPLAY_AFTER_S)
                    again = [waiting for waiting in batch if replays_left and not waiting.told]
                    unsure += [waiting.request for waiting in batch if waiting.told or not again]
                    if not again:
                        raise
                    batch = again
        finally:
            self._outcomes.look_up(drop, unsure)
        raise AssertionError("unreachable")

    def _answer_slice(self, to_answer: deque[tuple[asyncio.Future[Receipt], Receipt]]) -> None:
        """Answers some, the rest in the next turns of the loop: in between the next batch talks to the database."""
        for _ in range(min(len(to_answer), ANSWER_SLICE)):
            future, receipt = to_answer.popleft()
            if not future.done():  # the viewer may have stopped waiting
                future.set_result(receipt)
        if to_answer:
            asyncio.get_running_loop().call_soon(self._answer_slice, to_answer)
            return
        self._answering -= 1
        if not self._answering:
            self._answered.set()

    # Time

    def _answer_the_overdue(self) -> None:
        """Answers whoever has waited long enough; sets the alarm for the next one, if there is one."""
        loop = asyncio.get_running_loop()
        now, ahead = loop.time(), []
        for lane in self._lanes.values():
            while lane.queue and lane.queue[0].due <= now:
                self._unqueue(lane)
            if lane.queue:
                ahead.append(lane.queue[0].due)
            if not lane.flying:
                continue
            _put_off(waiting for waiting in lane.flying if waiting.due <= now)
            ahead += [waiting.due for waiting in lane.flying if waiting.due > now][:1]
            if lane.late:
                continue
            if lane.began + self._within_s > now:
                ahead.append(lane.began + self._within_s)
                continue
            lane.late = True
            while lane.queue:
                self._unqueue(lane)
            self._breaker.suspect()
        self._alarm = loop.call_at(max(min(ahead), now + _ALARM_EVERY_S), self._answer_the_overdue) if ahead else None

    def _empty_queues(self) -> None:
        for lane in self._lanes.values():
            while lane.queue:
                self._unqueue(lane)

    def _unqueue(self, lane: _Lane) -> None:
        """Answers the first of a queue: certainly not decided, unless it asks again."""
        _put_off([lane.queue.popleft()])
        self._waiting -= 1


def put_off(ref: str, reason: Reason = Reason.BUSY) -> Rejected:
    """A refusal that says when to ask again."""
    return Rejected(ref, reason, random.randint(*RETRY_IN_MS))  # noqa: S311  jitter, no secret


def _put_off(orders: Iterable[_Waiting]) -> None:
    for waiting in orders:
        if not waiting.future.done():  # answered, or nobody waits any more
            waiting.told = True
            _answer(waiting, put_off(waiting.request.ref))


def _answer(waiting: _Waiting, receipt: Receipt) -> None:
    metrics.RECEIPTS.labels(_reason(receipt)).inc()
    if not waiting.future.done():
        waiting.future.set_result(receipt)


def _reason(receipt: Receipt) -> str:
    return "accepted" if isinstance(receipt, Accepted) else receipt.reason.value
