"""Group commit: orders that arrive while a batch commits form the next one. One lane per drop, no timer for a batch.

Nobody waits for a database that stands still: `BATCH_WITHIN_S` after a batch began, whoever is in it or behind it is
answered `busy`. Those behind are certainly undecided; the outcome of those in flight is not known, which is never
guessed and never placed anew, but looked up. In a queue that moves an order keeps its place: first come, first served.
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

BATCH_WITHIN_S = 1.0
"""A batch that takes longer is late: nobody waits for it, or behind it."""

QUEUED_WITHIN_S = 2.5
"""How long an order may wait for its batch to begin. Only a queue that grew while the rate fell comes to that."""

RETRY_IN_MS = (500, 1_500)
"""When to ask again after `busy`: a random moment of these, so that 10,000 refused viewers do not return in one."""

RETURNS_PER_S = 5_000
"""So many of the refused are asked back in a second, the others later: a refusal costs about half as much as an order,
and at twice this rate they would take from those who wait what these wait for."""

RETURN_WITHIN_MS = 10_000
"""The latest moment anybody is asked back, whatever the number of the refused."""

QUEUE_MAX = 20_000
"""Orders that may wait on one replica. When full, a further one is answered `busy` at once."""

BATCH_MAX = 2_000
"""Orders of one transaction: the size up to which bigger batches were measured to be faster."""

QUEUE_S = 1.5
"""Orders may queue for a drop as long as its last full batches say they are decided in this time; a further one is
`busy`. Long enough to carry the stall of a moment at once: who is refused asks again, which costs almost as much as an
order, and with a queue of 0.6 s that was measured to feed itself (530,000 refusals at 80 % of the highest rate)."""

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
    """An order and whoever waits for it; `due` in the queue."""

    request: OrderRequest
    future: asyncio.Future[Receipt]
    due: float


@dataclass(slots=True, eq=False)
class _Lane:
    """A drop's orders: those waiting, and those of the batch that is being committed since `began`.

    `late`: that batch takes too long. It was answered `busy`, and may be decided all the same; whoever comes now would
    wait behind it in vain. `most`: how many may queue. `viewers`: how many orders each has here, queued or in flight.
    """

    queue: deque[_Waiting] = field(default_factory=deque)
    flying: Sequence[_Waiting] = ()
    began: float = 0.0
    late: bool = False
    most: float = inf
    viewers: dict[str, int] = field(default_factory=dict)

    def take(self, waiting: _Waiting) -> None:
        viewer = waiting.request.viewer
        self.queue.append(waiting)
        self.viewers[viewer] = self.viewers.get(viewer, 0) + 1

    def forget(self, orders: Iterable[_Waiting]) -> None:
        for waiting in orders:
            viewer = waiting.request.viewer
            if (more := self.viewers[viewer] - 1) > 0:
                self.viewers[viewer] = more
            else:
                del self.viewers[viewer]


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
        within_s: float = BATCH_WITHIN_S,
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
        self._returns_from_s = 0.0  # until then as many as may are asked back already
        metrics.QUEUE_ORDERS.set_function(lambda: self._waiting)

    def submit(self, request: OrderRequest) -> asyncio.Future[Receipt]:
        """Queues an order. The future comes to a receipt within `QUEUED_WITHIN_S` and `BATCH_WITHIN_S`.

        It is `busy` at once when the queue is full or too long, while the breaker is open, or while the drop's batch is
        late.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        waiting = _Waiting(request, loop.create_future(), now + QUEUED_WITHIN_S)
        lane = self._lanes.get(request.drop)
        full = self._waiting >= self._queue_max or (lane is not None and (lane.late or len(lane.queue) >= lane.most))
        if full or self._breaker.is_open:
            _answer(waiting, self.put_off(request.ref))
            return waiting.future
        self._waiting += 1
        if lane is None:
            lane = self._lanes[request.drop] = _Lane()
            task = tasks.start(self._run(request.drop, lane), f"committer: {request.drop}", may_end=True)
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        lane.take(waiting)
        if self._alarm is None:
            self._alarm = loop.call_at(now + self._within_s, self._answer_the_overdue)
        return waiting.future

    def has_under_way(self, drop: str, viewer: str) -> bool:
        """Whether an order of this viewer waits here or is being committed, also when it was told `busy` meanwhile."""
        lane = self._lanes.get(drop)
        return lane is not None and viewer in lane.viewers

    def put_off(self, ref: str, reason: Reason = Reason.BUSY) -> Rejected:
        """A refusal that says when to ask again."""
        now = time.monotonic()
        self._returns_from_s = max(self._returns_from_s, now) + 1 / RETURNS_PER_S
        wait_ms = int((self._returns_from_s - now) * 1_000) + random.randint(*RETRY_IN_MS)  # noqa: S311  jitter, no secret
        return Rejected(ref, reason, min(wait_ms, RETURN_WITHIN_MS))

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
                    await self._commit(drop, lane, batch)
                finally:
                    took_s = asyncio.get_running_loop().time() - lane.began
                    if len(batch) >= self._batch_max // 2:  # smaller ones do not show how fast bigger ones would be
                        lane.most = max(self._batch_max, len(batch) / took_s * QUEUE_S)
                    lane.flying, lane.late = (), False
                    lane.forget(batch)
                    self._waiting -= len(batch)
            del self._lanes[drop]  # no await since the queue was seen empty: nobody can have joined it

    async def _commit(self, drop: str, lane: _Lane, batch: Sequence[_Waiting]) -> None:
        requests = [waiting.request for waiting in batch]
        if lane.late:  # told `busy` while the other half was tried
            self._outcomes.look_up(drop, requests)
        else:
            await self._try(drop, lane, batch, requests)

    async def _try(self, drop: str, lane: _Lane, batch: Sequence[_Waiting], requests: Sequence[OrderRequest]) -> None:
        began = time.perf_counter()
        try:
            receipts, news = await self._settled(drop, lane, requests)
        except Unavailable:
            log.warning("a batch found no database", extra={"drop": drop, "orders": len(batch)})
            if not lane.late:
                self._put_off(batch)
            self._outcomes.look_up(drop, requests)
            self._breaker.suspect()
            return
        except Exception:  # nothing of it was committed
            if lane.late:  # but for a try before that, of which nothing was heard
                self._outcomes.look_up(drop, requests)
                return
            if len(batch) > 1:  # one poisoned order must not take the others down: find it by halving
                middle = len(batch) // 2
                for half in (batch[:middle], batch[middle:]):
                    await self._commit(drop, lane, half)
                return
            metrics.BUGS.labels("order").inc()
            log.exception("an order cannot be decided", extra={"drop": drop, "order": requests[0].order})
            _answer(batch[0], Rejected(requests[0].ref, Reason.INTERNAL))
            return
        metrics.COMMIT_SECONDS.observe(time.perf_counter() - began)
        metrics.BATCH_ORDERS.observe(len(batch))
        if lane.late:
            for request, receipt in zip(requests, receipts, strict=True):
                self._outcomes.told(request, receipt)
        else:
            # together, for counting is a good part of what a receipt costs
            for reason, given in Counter(map(_reason, receipts)).items():
                metrics.RECEIPTS.labels(reason).inc(given)
            self._answering += 1
            self._answer_slice(deque(zip((waiting.future for waiting in batch), receipts, strict=True)))
        if news is not None:
            self._announce(news)

    async def _settled(
        self, drop: str, lane: _Lane, requests: Sequence[OrderRequest]
    ) -> tuple[Sequence[Receipt], News | None]:
        """How a batch was decided. One whose COMMIT went unanswered is done again: what was committed gets its first
        receipt. Not once it is late: who was told `busy` is not placed anew.
        """
        for _ in range(_REPLAYS):
            try:
                return await self._book.commit(drop, requests)
            except Unavailable:
                if lane.late:
                    raise
                await asyncio.sleep(_REPLAY_AFTER_S)
                if lane.late:
                    raise
        return await self._book.commit(drop, requests)

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
        now = loop.time()
        next_look = now + self._within_s  # a batch that begins meanwhile is not late before that
        for lane in self._lanes.values():
            while lane.queue and lane.queue[0].due <= now:
                overdue = [lane.queue.popleft()]
                self._waiting -= 1
                lane.forget(overdue)
                self._put_off(overdue)
            if lane.queue:
                next_look = min(next_look, lane.queue[0].due)
            if not lane.flying or lane.late:
                continue
            if lane.began + self._within_s > now:
                next_look = min(next_look, lane.began + self._within_s)
                continue
            lane.late = True
            self._put_off(lane.flying)
            self._empty(lane)
            self._breaker.suspect()
        at = max(next_look, now + _ALARM_EVERY_S)
        self._alarm = loop.call_at(at, self._answer_the_overdue) if self._lanes else None

    def _empty_queues(self) -> None:
        for lane in self._lanes.values():
            self._empty(lane)

    def _empty(self, lane: _Lane) -> None:
        """Answers a queue: certainly not decided, unless they ask again."""
        self._waiting -= len(lane.queue)
        self._put_off(lane.queue)
        lane.forget(lane.queue)
        lane.queue.clear()

    def _put_off(self, orders: Iterable[_Waiting]) -> None:
        for waiting in orders:
            _answer(waiting, self.put_off(waiting.request.ref))


def _answer(waiting: _Waiting, receipt: Receipt) -> None:
    metrics.RECEIPTS.labels(_reason(receipt)).inc()
    if not waiting.future.done():
        waiting.future.set_result(receipt)


def _reason(receipt: Receipt) -> str:
    return "accepted" if isinstance(receipt, Accepted) else receipt.reason.value
