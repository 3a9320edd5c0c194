"""The announcer: what a commit leaves to be told goes out to the bus, events whole, stock conflated."""

from __future__ import annotations

import asyncio
import logging
from collections import deque

from server import metrics, tasks
from server.domain.drop import StockLine
from server.domain.errors import Unavailable
from server.domain.news import News
from server.protocol import codec
from server.sale.ports import Bell

log = logging.getLogger(__name__)

EVENTS_MAX = 10_000
"""Events waiting to be rung. When full, further ones are not rung: every relay reads them from the log in a second."""

STOCK_EVERY_S = 0.1
"""Stock goes out at most this often per stream …"""

EXACT_BELOW = 10
"""… but at once when no more than this is left."""


class Announcer:
    """Rings the bus for what is committed. Owns one task, ended by `close()` after the last ring.

    Stock waits as one line per variant (a newer line replaces an older one), so that queue is bounded by the catalogue.
    """

    def __init__(self, bell: Bell) -> None:
        self._bell = bell
        self._events: deque[tuple[str, str]] = deque()
        self._stock: dict[str, dict[tuple[str, str], StockLine]] = {}
        self._wake = asyncio.Event()
        self._urgent = False
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts to ring."""
        self._task = tasks.start(self._run(), "announcer", may_end=True)

    async def close(self) -> None:
        """Rings what is left, then ends. The task is not cancelled: what it is ringing would be lost."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await asyncio.wait([self._task])
        await self._ring_events()
        await self._ring_stock()

    def announce(self, news: News) -> None:
        """Takes news of a COMMIT; never waits."""
        for frame in news.events:
            if len(self._events) >= EVENTS_MAX:
                metrics.RINGS_LOST.inc()
                break
            self._events.append((news.stream, frame))
        for line in news.stock:
            waiting = self._stock.setdefault(news.stream, {})
            known = waiting.get((line.drop, line.variant))
            if known is None or known.version < line.version:
                waiting[line.drop, line.variant] = line
            self._urgent = self._urgent or line.left <= EXACT_BELOW
        self._wake.set()

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        stock_due = loop.time()
        while not self._closing:
            timeout = max(0.0, stock_due - loop.time()) if self._stock else None
            try:
                async with asyncio.timeout(timeout):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            await self._ring_events()
            if self._stock and (self._urgent or loop.time() >= stock_due):
                await self._ring_stock()
                stock_due = loop.time() + STOCK_EVERY_S

    async def _ring_events(self) -> None:
        while self._events:
            await self._ring(*self._events.popleft())

    async def _ring_stock(self) -> None:
        stock, self._stock, self._urgent = self._stock, {}, False
        for stream, lines in stock.items():
            await self._ring(stream, codec.encode_stock(lines.values()))

    async def _ring(self, stream: str, message: str) -> None:
        try:
            await self._bell.ring(stream, message)
        except Unavailable as error:
            metrics.RINGS_LOST.inc()
            log.warning("a ring was lost; relays will read the log", extra={"stream": stream, "error": str(error)})
