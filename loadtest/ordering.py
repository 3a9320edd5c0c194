"""The orders of one process of a crowd: when each is due, what it was answered, and an audit of the answers.

Latency counts from when an order was **due**, also when it had to be asked again. An order that is refused with
`busy`, `draining` or `rate_limited` is asked again under the same ref, and so is one whose connection was lost.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from itertools import cycle
from time import time
from typing import Final, Literal

import msgspec

from loadtest.clicker import Clicker
from loadtest.wire import unmasked_frame
from server.domain.drop import StockLine

AGAIN: Final = frozenset({"busy", "draining", "rate_limited"})
"""Reasons after which the same order is asked again."""

AGAIN_AFTER_S: Final = (0.2, 1.0)
"""Full jitter where the receipt does not say `retry_in_ms`."""

IN_FLIGHT_MAX: Final = 32
"""Orders of one socket that a server takes at once; a further one waits here, its due time as it was."""

_STOCK_KNOWN_MAX = 512
_STEP_S = 0.001


class Ordering(msgspec.Struct, frozen=True):
    """How a crowd orders, one unit each time, from `start_s` (seconds since the epoch) on, for `seconds`.

    `rush`: each viewer once, at a moment of its own. `sustain`: each keeps `in_flight` orders unanswered, the next one
    leaves with the answer; the first `warm_up_s` are not counted. `pace`: `rate_per_s` orders at fixed times,
    `in_flight` together by one viewer after the other.
    """

    how: Literal["rush", "sustain", "pace"]
    drop: str
    start_s: float
    seconds: float
    prefix: str
    """What every ref begins with: unique in the whole run, and for each process."""

    warm_up_s: float = 0.0
    in_flight: int = 1
    each_max: int = 1
    """Most orders of one viewer: the drop's limit."""

    rate_per_s: float = 0.0
    reload_percent: int = 0
    """So many viewers leave at some moment of it and come back a little later, if they have tickets left."""

    answered_within_s: float = 30.0
    """After the last order was due."""


class Ordered(msgspec.Struct):
    """What became of a process's orders; also the sum of several. An order is one `ref`, however often it is asked."""

    orders: int = 0
    asks: int = 0
    accepted: list[tuple[str, str]] = []
    """(ref, order id) of every accepted receipt."""

    counted: int = 0
    """Of them, those that came while it counts: after the warm-up, before the end."""

    rejected: dict[str, int] = {}
    re_asked: dict[str, int] = {}
    unanswered: int = 0
    unasked: int = 0
    """Answers to a ref that this viewer had not asked for, or that was answered already."""

    late: int = 0
    """Further answers to an order that was asked for more than once: all receipts name one order."""

    took_ms: list[float] = []
    last_accepted_s: float = 0.0
    last_answer_s: float = 0.0
    stock_frames: int = 0
    """Of the viewer who got most."""

    stock_frames_per_s: int = 0
    """Most that one viewer got within one second of the clock."""

    stock_back: int = 0
    """Times that a viewer's stock went back to an older version."""

    last_stock: dict[int, tuple[int, float]] = {}
    """What viewers heard last was left of the drop, all variants: how many viewers, and when the last of them did."""


class _Receipt(msgspec.Struct):
    ref: str
    status: str
    order: str = ""
    reason: str = ""
    retry_in_ms: int | None = None


class _Stock(msgspec.Struct):
    stock: list[StockLine]


_receipt: Final = msgspec.json.Decoder(_Receipt)
_stock: Final = msgspec.json.Decoder(_Stock)
NOTHING: Final = Ordering("rush", "", 0.0, 0.0, "")


class Book:
    """One round of orders. Without an ordering it only listens."""

    def __init__(self, ordering: Ordering = NOTHING) -> None:
        self._ordering = ordering
        self._to = f'","drop":"{ordering.drop}","quantity":1}}'
        self._counts_from_s = ordering.start_s + ordering.warm_up_s
        self._ends_s = ordering.start_s + ordering.seconds
        self._asking = False
        self._open = 0
        self._settled = asyncio.Event()
        self._stock_known: dict[bytes, list[StockLine]] = {}
        self._rejected: Counter[str] = Counter()
        self._re_asked: Counter[str] = Counter()
        self._told = Ordered()

    async def run(self, clickers: Sequence[Clicker]) -> None:
        """All orders, until each is answered or time is up."""
        self._asking = True
        if self._ordering.how == "sustain":
            await self._sustain(clickers)
        else:
            await self._on_time(_due(self._ordering, clickers))
        self._asking = False
        if self._open:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._settled.wait(), self._ordering.answered_within_s)

    def answered(self, clicker: Clicker, payload: bytes, now_s: float) -> None:
        """A receipt came."""
        receipt, told = _receipt.decode(payload), self._told
        due_s = clicker.waiting.pop(receipt.ref, None)
        if clicker.held and len(clicker.waiting) < IN_FLIGHT_MAX:
            self._ask_now(clicker, *clicker.held.popleft())
        before = clicker.put_off.get(receipt.ref)
        if isinstance(before, str):  # asked for more than once, and decided: each asking is answered
            told.late += 1
            told.unasked += receipt.order not in ("", before)
            return
        if receipt.status == "accepted" and before is not None:
            # it may have been under way when it was put off: then its receipt comes late, asked again or not
            clicker.put_off[receipt.ref] = receipt.order
            due_s = before
        if due_s is None:
            told.unasked += 1
            return
        told.last_answer_s = now_s
        if receipt.status == "accepted":
            told.accepted.append((receipt.ref, receipt.order))
            told.last_accepted_s = now_s
            if self._counts_from_s <= now_s <= self._ends_s:
                told.counted += 1
        elif receipt.reason in AGAIN:
            self._rest(clicker, receipt, due_s)
            return
        else:
            self._rejected[receipt.reason] += 1
            if before is not None:
                clicker.put_off[receipt.ref] = receipt.reason
        told.took_ms.append((now_s - due_s) * 1000)
        self._open -= 1
        if self._asking and self._ordering.how == "sustain" and now_s < self._ends_s:
            self._ask_new(clicker, now_s)
        if not self._open and not self._asking:
            self._settled.set()

    def back(self, clicker: Clicker) -> None:
        """A viewer was welcomed: what it had asked for on a lost connection is asked again."""
        for ref, due_s in clicker.waiting.items():
            self._re_asked["lost"] += 1
            clicker.put_off.setdefault(ref, due_s)  # told by itself and asked for again: two receipts
            self._ask(clicker, ref)

    def stock_in(self, payload: bytes) -> list[StockLine]:
        """The lines of a stock frame; everyone reads the same bytes, so they are parsed once."""
        lines = self._stock_known.get(payload)
        if lines is None:
            if len(self._stock_known) >= _STOCK_KNOWN_MAX:
                self._stock_known.clear()
            lines = self._stock_known[payload] = _stock.decode(payload).stock
        return lines

    def stock_went_back(self) -> None:
        """A viewer was told older stock after newer."""
        self._told.stock_back += 1

    def report(self, clickers: Sequence[Clicker]) -> Ordered:
        """Everything so far."""
        told = self._told
        told.rejected, told.re_asked, told.unanswered = dict(self._rejected), dict(self._re_asked), self._open
        told.stock_frames = max((clicker.stock_frames for clicker in clickers), default=0)
        told.stock_frames_per_s = max((clicker.most_in_a_second for clicker in clickers), default=0)
        told.last_stock = {}
        for clicker in clickers:
            lines = [line for (drop, _), line in clicker.lines.items() if drop == self._ordering.drop]
            left, at_s = sum(line[1] for line in lines), max((line[2] for line in lines), default=0.0)
            viewers, latest_s = told.last_stock.get(left, (0, 0.0))
            told.last_stock[left] = viewers + 1, max(latest_s, at_s)
        return told

    # How

    async def _on_time(self, due: Iterable[tuple[float, Clicker]]) -> None:
        for due_s, clicker in due:
            early_s = due_s - time()
            if early_s > 0:
                await asyncio.sleep(max(early_s, _STEP_S))
            with clicker.in_one_go():
                for _ in range(self._ordering.in_flight):
                    self._ask_new(clicker, due_s)

    async def _sustain(self, clickers: Sequence[Clicker]) -> None:
        await asyncio.sleep(max(0.0, self._ordering.start_s - time()))
        for clicker in clickers:
            for _ in range(self._ordering.in_flight):
                self._ask_new(clicker, time())
        await asyncio.sleep(max(0.0, self._ends_s - time()))

    def _ask_new(self, clicker: Clicker, due_s: float) -> None:
        if clicker.orders >= self._ordering.each_max:
            return
        ref = f"{self._ordering.prefix}{clicker.number}-{clicker.orders}"
        clicker.orders += 1
        self._told.orders += 1
        self._open += 1
        self._ask_in_turn(clicker, ref, due_s)

    def _ask_in_turn(self, clicker: Clicker, ref: str, due_s: float) -> None:
        if len(clicker.waiting) >= IN_FLIGHT_MAX:
            clicker.held.append((ref, due_s))
        else:
            self._ask_now(clicker, ref, due_s)

    def _ask_now(self, clicker: Clicker, ref: str, due_s: float) -> None:
        clicker.waiting[ref] = due_s
        if clicker.here:  # else when it is back
            self._ask(clicker, ref)

    def _ask(self, clicker: Clicker, ref: str) -> None:
        self._told.asks += 1
        clicker.send(unmasked_frame(f'{{"type":"order","ref":"{ref}{self._to}'.encode("ascii")))

    def _rest(self, clicker: Clicker, receipt: _Receipt, due_s: float) -> None:
        self._re_asked[receipt.reason] += 1
        wait_s = random.uniform(*AGAIN_AFTER_S) if receipt.retry_in_ms is None else receipt.retry_in_ms / 1000
        clicker.put_off.setdefault(receipt.ref, due_s)
        asyncio.get_running_loop().call_later(wait_s, self._ask_again, clicker, receipt.ref, due_s)

    def _ask_again(self, clicker: Clicker, ref: str, due_s: float) -> None:
        if not isinstance(clicker.put_off.get(ref), str):  # no receipt came meanwhile
            self._ask_in_turn(clicker, ref, due_s)


def _due(ordering: Ordering, clickers: Sequence[Clicker]) -> Iterable[tuple[float, Clicker]]:
    """When whom, in order."""
    start_s, seconds = ordering.start_s, ordering.seconds
    if ordering.how == "rush":
        moments = sorted(random.uniform(start_s, start_s + seconds) for _ in clickers)
        return zip(moments, clickers, strict=True)
    turns = deque(clickers)
    random.shuffle(turns)
    every_s = ordering.in_flight / ordering.rate_per_s
    return zip((start_s + number * every_s for number in range(round(seconds / every_s))), cycle(turns), strict=False)


def together(parts: Sequence[Ordered]) -> Ordered | None:
    """Several processes' orders as one; None of nothing."""
    if not parts:
        return None
    rejected, re_asked = Counter[str](), Counter[str]()
    last_stock: dict[int, tuple[int, float]] = {}
    for part in parts:
        rejected.update(part.rejected)
        re_asked.update(part.re_asked)
        for left, (viewers, at_s) in part.last_stock.items():
            before, latest_s = last_stock.get(left, (0, 0.0))
            last_stock[left] = before + viewers, max(latest_s, at_s)
    return Ordered(
        orders=sum(part.orders for part in parts),
        asks=sum(part.asks for part in parts),
        accepted=[pair for part in parts for pair in part.accepted],
        counted=sum(part.counted for part in parts),
        rejected=dict(rejected),
        re_asked=dict(re_asked),
        unanswered=sum(part.unanswered for part in parts),
        unasked=sum(part.unasked for part in parts),
        late=sum(part.late for part in parts),
        took_ms=sorted(took for part in parts for took in part.took_ms),
        last_accepted_s=max(part.last_accepted_s for part in parts),
        last_answer_s=max(part.last_answer_s for part in parts),
        stock_frames=max(part.stock_frames for part in parts),
        stock_frames_per_s=max(part.stock_frames_per_s for part in parts),
        stock_back=sum(part.stock_back for part in parts),
        last_stock=last_stock,
    )
