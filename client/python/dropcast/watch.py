"""One stream, watched: what is new for every loop, the state, and orders seen through to their receipts."""

from __future__ import annotations

import asyncio
import weakref
from collections.abc import Callable
from types import TracebackType
from typing import Self

from dropcast import frames, orders
from dropcast.comeback import STREAM_OVER, Backoff
from dropcast.door import Door
from dropcast.errors import DropcastError, LinkOver, Unreachable
from dropcast.fold import State
from dropcast.link import Link, Listener
from dropcast.news import Event, LinkState, News, Queue, Whole
from dropcast.shapes import Drop

OPEN_WITHIN_S = 30.0
ORDER_WITHIN_S = 30.0

_LEFT = 1000


class Watch:
    """A stream as `async with shop.watch(slug) as show` gives it.

    Is entered with the first welcome; comes back by itself for as long as it takes, or until `give_up_after_s`.
    Iterate for what is new, any number of times: each loop begins with the stream `Whole`, has every event after that
    once and in order, and ends when the stream does. `state` is always the newest. Owns one task, which ends with the
    `async with`.

    Loops, `order` and `until` raise what ended the link: `LinkOver`, `Refused` (the upgrade), `Unreachable`
    (after `give_up_after_s`), `BadAnswer`, or what the ticket's callable raised.
    """

    def __init__(
        self,
        door: Door,
        *,
        open_within_s: float = OPEN_WITHIN_S,
        give_up_after_s: float | None = None,
        backoff: Backoff | None = None,
    ) -> None:
        backoff = backoff or Backoff()
        self._open_within_s = open_within_s
        self._orders = orders.Orders(self._say, self._viewer_id, backoff)
        self._link = Link(door, Listener(self._tell, self._orders.welcome, self._room), backoff, give_up_after_s)
        self._queues: weakref.WeakSet[Queue] = weakref.WeakSet()
        self._taken = asyncio.Event()
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._end: Exception | None = None

    @property
    def state(self) -> State:
        """The stream as it is known now; it stays as it was while the link is down."""
        state = self._link.following.state
        if state is None:
            raise RuntimeError("enter the watch first: async with shop.watch(…) as show")
        return state

    @property
    def viewer(self) -> frames.Viewer | None:
        """Who the shop takes this link for; None is a guest, whose orders are rejected."""
        return self._link.following.viewer

    @property
    def link(self) -> LinkState:
        """Whether the link is live now."""
        return self._link.state

    @property
    def reconnects(self) -> int:
        """How often the link had to come back."""
        return self._link.reconnects

    def __aiter__(self) -> Queue:
        """News from now on, the stream `Whole` first. `NEWS_MAX` says what becomes of a loop that is slow."""
        queue = Queue(self._taken)
        queue.put(Whole(self.state))
        if self._end is not None:
            queue.end(_loop_error(self._end))
        self._queues.add(queue)
        return queue

    async def until(self, condition: Callable[[State], bool]) -> State:
        """The state as soon as `condition` holds for it, at once if it does. Raises what ended the link."""
        while not condition(self.state):
            await self._change()
        return self.state

    async def order(
        self,
        drop: Drop | str,
        quantity: int = 1,
        variant: str | None = None,
        *,
        ref: str | None = None,
        within_s: float | None = ORDER_WITHIN_S,
    ) -> frames.Receipt:
        """Orders, and returns the receipt once it is accepted: the order is in the shop's database then.

        `variant` may be left out where the drop has one. The order keeps its `ref` over any number of reconnects and
        is never bought twice; where the shop says that asking again may help (`busy`, `not_open`, `rate_limited` …)
        it is asked again, when the shop says so, until `within_s` seconds are over (None: for ever).

        Raises `Rejected` with the reason; `TimedOut`, `ViewerChanged` and `LinkOver` with the `ref`, when nobody knows
        whether it is bought; `ValueError` for what no shop takes. Cancelling stops the waiting only: the order may
        still be accepted. `order` with the same `ref` and the same wish tells what became of it, and never buys twice:
        so name a `ref` if you may cancel.
        """
        placed = orders.place(drop if isinstance(drop, str) else drop.id, quantity, variant, ref)
        return await self._orders.see_through(placed, within_s)

    async def __aenter__(self) -> Self:
        if self._task is not None:
            raise RuntimeError("a watch is entered once: call shop.watch for another")
        self._task = asyncio.create_task(self._run(), name="dropcast: watch")
        try:
            async with asyncio.timeout(self._open_within_s) as patience:
                while self._link.following.state is None:
                    await self._change()
        except BaseException as error:
            await self._leave()
            if isinstance(error, TimeoutError) and patience.expired():
                raise Unreachable(f"not open within {self._open_within_s} s: {self._link.trouble}") from None
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._leave()
        if kind is None and self._end is not None and not isinstance(self._end, DropcastError):
            raise self._end  # nobody may have waited for anything: a bug must not pass in silence

    async def _leave(self) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        try:
            await self._link.run()
        except asyncio.CancelledError:
            self._finish(LinkOver(_LEFT, "this watch was left"))
            raise
        except Exception as end:  # a bug as well: it goes to those who wait, who would wait for ever otherwise
            self._finish(end)

    def _finish(self, end: Exception) -> None:
        self._end = end
        self._link.become(LinkState.OVER, end.code if isinstance(end, LinkOver) else None)
        for queue in self._queues:
            queue.end(_loop_error(end))
        self._orders.end(lambda ref: LinkOver(end.code, end.fault, ref=ref) if isinstance(end, LinkOver) else end)

    async def _say(self, order: frames.PlaceOrder) -> None:
        await self._link.say(order)

    def _viewer_id(self) -> str | None:
        return self.viewer.id if self.viewer is not None else None

    def _tell(self, news: list[News]) -> None:
        """To the loops, the orders, and whoever waits for a change."""
        for item in news:
            for queue in self._queues:
                queue.put(item)
            match item:
                case frames.Receipt():
                    self._orders.hear(item)
                case Event(kind="drop_opened", drop=Drop(id=drop)):
                    self._orders.opened(drop)
        self._changed.set()

    async def _room(self) -> None:
        while any(queue.full for queue in self._queues):  # and no name keeps a queue that its loop has let go
            self._taken.clear()
            await self._taken.wait()

    async def _change(self) -> None:
        """Returns after the next change of anything. Raises what ended the link."""
        if self._end is not None:
            raise self._end
        self._changed.clear()
        await self._changed.wait()


def _loop_error(end: Exception) -> Exception | None:
    """What a loop ends with: a stream that is over, or a watch that was left, is no error."""
    return None if isinstance(end, LinkOver) and end.code in (_LEFT, STREAM_OVER) else end
