"""What `async for news in show` gives, and the queue it is taken from."""

from __future__ import annotations

import asyncio
import weakref
from collections import deque
from dataclasses import dataclass
from enum import StrEnum

from dropcast.fold import State
from dropcast.frames import Receipt
from dropcast.shapes import Drop, StockLine, Stream

NEWS_MAX = 1_000
"""News that may wait to be taken by a loop; what one frame brings is kept whole, though it be a thousand missed events.
When it is reached the watch reads no further until some are taken: TCP then holds the server back, which closes with
4008 in the end, and the watch comes back for exactly what is missing (a `Whole` when that is more than the shop keeps
at hand). Orders get no receipts meanwhile, and time out."""


class LinkState(StrEnum):
    """`connecting → live → waiting → connecting …`, and `over` at the end."""

    CONNECTING = "connecting"
    LIVE = "live"
    WAITING = "waiting"
    OVER = "over"


@dataclass(frozen=True, slots=True)
class LinkChange:
    """The link changed. `code` is what the socket was closed with, if it was."""

    state: LinkState
    code: int | None = None


@dataclass(frozen=True, slots=True)
class Whole:
    """The stream whole: the first news of every loop; later when too much was missed to be told one by one."""

    state: State


@dataclass(frozen=True, slots=True)
class Event:
    """A fact of the stream's history; `at` in ms since the epoch.

    `drop` or `stream` is what it is about, as it was then; neither for a kind that a later version brings.
    """

    seq: int
    at: int
    kind: str
    drop: Drop | None = None
    stream: Stream | None = None


@dataclass(frozen=True, slots=True)
class Stock:
    """What is left, where that changed. Lines that wait to be taken give way to newer ones of the same variant."""

    lines: tuple[StockLine, ...]


@dataclass(frozen=True, slots=True)
class Viewers:
    """How many watch."""

    viewers: int


News = LinkChange | Whole | Event | Stock | Viewers | Receipt


class Queue:
    """News on their way to one loop, which iterates over it. Bounded by `NEWS_MAX`, see there.

    A loop that is left lets its queue go, and the watch then keeps nothing for it. To go on later where a loop
    stopped, keep the iterator: `news = aiter(show)`.
    """

    def __init__(self, taken: asyncio.Event) -> None:
        """`taken` is set whenever there may be room again, also when the queue itself is let go."""
        self._waiting: deque[News] = deque()
        self._changed = asyncio.Event()
        self._taken = taken
        self._ended = False
        self._failure: Exception | None = None
        weakref.finalize(self, taken.set)

    @property
    def full(self) -> bool:
        """Whether the watch must not read on."""
        return len(self._waiting) >= NEWS_MAX and not self._ended

    def put(self, news: News) -> None:
        """One more; state that waits directly before newer state is replaced by it."""
        match self._waiting[-1] if self._waiting else None, news:
            case Stock(lines=older), Stock(lines=newer):
                newest = {(line.drop, line.variant): line for line in (*older, *newer)}
                self._waiting[-1] = Stock(tuple(newest.values()))
            case Viewers(), Viewers():
                self._waiting[-1] = news
            case _:
                self._waiting.append(news)
        self._changed.set()

    def end(self, failure: Exception | None) -> None:
        """Nothing more comes: the loop ends after what waits, with the failure if there is one. Safe to repeat."""
        if not self._ended:
            self._ended, self._failure = True, failure
            self._changed.set()
            self._taken.set()

    async def aclose(self) -> None:
        """The loop wants nothing any more."""
        self._waiting.clear()
        self.end(None)

    def __aiter__(self) -> Queue:
        return self

    async def __anext__(self) -> News:
        while not self._waiting:
            if self._ended:
                if self._failure is not None:
                    raise self._failure
                raise StopAsyncIteration
            self._changed.clear()
            await self._changed.wait()
        self._taken.set()
        return self._waiting.popleft()
