"""One viewer of a crowd who orders: a `Watcher` that also reads receipts and stock, and audits both."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from time import time
from typing import TYPE_CHECKING, Final

import msgspec

from loadtest.watcher import LOST, MOVED, Company, Watcher, Welcome
from server.domain.drop import StockLine

if TYPE_CHECKING:
    from loadtest.ordering import Book

_lines: Final = msgspec.json.Decoder(list[StockLine])


class Clicker(Watcher):
    """A viewer who orders as its process's `Book` says. `number` is unique in the process."""

    __slots__ = ("_book", "_forgets", "_gathering", "_in_second", "_out", "_second", "held", "lines",
                 "most_in_a_second", "number", "orders", "put_off", "stock_frames", "tickets", "waiting")  # fmt: skip

    def __init__(self, company: Company, book: Book, number: int) -> None:
        super().__init__(company)
        self._book = book
        self._gathering = False
        self._out: list[bytes] = []
        self._second = self._in_second = 0
        self.number = number
        self.orders = 0
        """How many orders it began."""

        self.waiting: dict[str, float] = {}
        """Orders it asked for on this connection and has no answer to: when each was due, by its ref."""

        self.lines: dict[tuple[str, str], tuple[int, int, float]] = {}
        """By (drop, variant): the newest version heard of, what was left then, and when it was heard."""

        self.stock_frames = self.most_in_a_second = 0
        self.tickets: deque[str] = deque()
        """Its own, one for each connection."""

        self.held: deque[tuple[str, float]] = deque()
        """Orders that are due while too many are in flight: ref and due time. Bounded by the round's orders."""

        self.put_off: dict[str, float | str] = {}
        """Orders it asks for more than once: when each was due; once decided, the order's id or the reason."""

        self._forgets = False

    def reload(self) -> None:
        """Leaves and comes back: every other one as a page that is reloaded, without a position."""
        if self.here and self.code == LOST and not self._transport.is_closing():
            self.code = MOVED
            self._forgets = self.number % 2 == 1
            self.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """The end of this connection."""
        super().connection_lost(exc)
        if self._forgets:
            self.last, self._forgets = -1, False

    def begin(self, book: Book) -> None:
        """A new round of orders; what is counted of stock starts anew."""
        self._book = book
        self._second = self._in_second = self.stock_frames = self.most_in_a_second = self.orders = 0
        self.waiting.clear()
        self.held.clear()
        self.put_off.clear()

    def send(self, frame: bytes) -> None:
        """Writes; frames that answer one read leave together."""
        if self._gathering:
            self._out.append(frame)
        else:
            self._transport.write(frame)

    @contextmanager
    def in_one_go(self) -> Iterator[None]:
        """What is sent in this block leaves at its end, in one write."""
        self._gathering = True
        try:
            yield
        finally:
            self._gathering = False
            if self._out:
                self._transport.write(b"".join(self._out))
                self._out.clear()

    def _hear(self, data: bytes) -> None:
        with self.in_one_go():
            super()._hear(data)

    def _take_receipt(self, payload: bytes, now_s: float) -> None:
        self._book.answered(self, payload, now_s)

    def _take_welcome(self, welcome: Welcome) -> None:
        super()._take_welcome(welcome)
        self._take_lines(_lines.decode(welcome.stock), time())
        self._book.back(self)

    def _take_stock(self, payloads: list[bytes]) -> None:
        now_s = time()
        if int(now_s) != self._second:
            self._second, self._in_second = int(now_s), 0
        self._in_second += len(payloads)
        self.stock_frames += len(payloads)
        self.most_in_a_second = max(self.most_in_a_second, self._in_second)
        for payload in payloads:
            self._take_lines(self._book.stock_in(payload), now_s)

    def _take_lines(self, lines: list[StockLine], now_s: float) -> None:
        for line in lines:
            known = self.lines.get((line.drop, line.variant))
            if known is None or known[0] < line.version:
                self.lines[line.drop, line.variant] = line.version, line.left, now_s
            elif known[0] > line.version:
                self._book.stock_went_back()
