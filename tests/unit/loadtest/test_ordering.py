"""A crowd's orders: what is asked when, and that each part of their audit can fail."""

from __future__ import annotations

import asyncio
import json
from time import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from websockets.frames import Frame, Opcode
from websockets.protocol import OPEN, Protocol, Side

from loadtest import ordering
from loadtest.clicker import Clicker
from loadtest.ledger import Rows, audit_rows
from loadtest.ordering import Book, Ordered, Ordering, together
from loadtest.stall import audit_answers
from loadtest.watcher import Watcher
from loadtest.wire import unmasked_frame
from server.domain.drop import StockLine
from server.protocol import codec, frames
from tests.unit.loadtest.test_crowd import Company, Wire, connect, said, welcome

DROP = "d" * 32


class Told(Wire):
    """Tells when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.wrote = asyncio.Event()

    def write(self, data: Any) -> None:
        super().write(data)
        self.wrote.set()


class Counter:
    """One who orders, whose orders a test reads and answers by hand."""

    def __init__(self, plan: Ordering) -> None:
        self.book = Book(plan)
        self.clicker = Clicker(Company(), self.book, 7)
        self.connect()

    def connect(self, *, missed: list[int] | None = None) -> None:
        self.wire = Told()
        connect(self.clicker, self.wire)
        self.wire.written = b""  # the upgrade and hello
        self.wire.wrote.clear()
        self.clicker.data_received(welcome(0, missed=missed))

    def asked(self) -> list[str]:
        """The refs asked for since the last look."""
        parser = Protocol(Side.SERVER, state=OPEN)
        parser.receive_data(self.wire.written)
        self.wire.written = b""
        self.wire.wrote.clear()
        orders = [codec.decode_client(bytes(frame.data)) for frame in parser.events_received()]  # type: ignore[union-attr]
        assert all(isinstance(order, frames.PlaceOrder) and order.drop == DROP for order in orders)
        return [order.ref for order in orders if isinstance(order, frames.PlaceOrder)]

    def hears(self, *texts: str) -> None:
        self.clicker.data_received(b"".join(said(text) for text in texts))

    async def rush(self) -> asyncio.Task[None]:
        """Begins; the first order is under way when this returns."""
        running = asyncio.create_task(self.book.run([self.clicker]))
        await self.wire.wrote.wait()
        return running

    def told(self) -> Ordered:
        return self.book.report([self.clicker])


def plan(how: Any = "rush", **more: Any) -> Ordering:
    return Ordering(how, DROP, time(), more.pop("seconds", 0.0), "r-", each_max=more.pop("each_max", 1), **more)


def accepted(ref: str, order: str = "o1") -> str:
    return codec.encode(frames.Receipt(ref, "accepted", order, 1, 100, "USD"))


def rejected(ref: str, reason: str, **more: int) -> str:
    return json.dumps({"type": "receipt", "ref": ref, "status": "rejected", "reason": reason, "retry": False, **more},
                      separators=(",", ":"))  # fmt: skip


def stock(left: int, version: int) -> str:
    return codec.encode_stock([StockLine(DROP, "v", left, version)])


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "AGAIN_AFTER_S", (0.0, 0.0))


@given(st.sampled_from([0, 1, 125, 126, 127, 60_000]))
def test_a_server_reads_a_frame_whose_mask_is_zero(size: int) -> None:
    parser = Protocol(Side.SERVER, state=OPEN, max_size=None)
    parser.receive_data(unmasked_frame(b"x" * size))
    (heard,) = parser.events_received()
    assert isinstance(heard, Frame)
    assert (heard.opcode, bytes(heard.data), heard.fin) == (Opcode.TEXT, b"x" * size, True)


async def test_a_rush_is_one_order_each_answered_once() -> None:
    counter = Counter(plan())
    running = await counter.rush()
    (ref,) = counter.asked()
    counter.hears(accepted(ref))
    await running
    told = counter.told()
    assert (told.orders, told.asks, told.accepted, told.unanswered, told.unasked) == (1, 1, [(ref, "o1")], 0, 0)
    assert len(told.took_ms) == 1


async def test_an_answer_that_comes_twice_is_found() -> None:
    counter = Counter(plan())
    running = await counter.rush()
    (ref,) = counter.asked()
    counter.hears(accepted(ref), accepted(ref))
    await running
    assert counter.told().unasked == 1
    assert counter.told().accepted == [(ref, "o1")]
    assert any("answered already" in problem for problem in audit_answers(counter.told(), 0))


async def test_an_order_that_is_never_answered_is_found() -> None:
    counter = Counter(plan(answered_within_s=0.0))
    await counter.book.run([counter.clicker])
    assert counter.told().unanswered == 1
    assert any("never answered" in problem for problem in audit_answers(counter.told(), 0))


@pytest.mark.parametrize("reason", sorted(ordering.AGAIN))
async def test_busy_is_asked_again_under_the_same_ref_and_counts_from_the_first_time(
    reason: str, at_once: None
) -> None:
    counter = Counter(plan())
    running = await counter.rush()
    (ref,) = counter.asked()
    counter.hears(rejected(ref, reason))
    await counter.wire.wrote.wait()
    assert counter.asked() == [ref]
    counter.hears(rejected(ref, "sold_out"))
    await running
    told = counter.told()
    assert (told.asks, told.re_asked, told.rejected, told.unasked) == (2, {reason: 1}, {"sold_out": 1}, 0)
    assert len(told.took_ms) == 1


async def test_the_server_says_when_to_ask_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ordering, "AGAIN_AFTER_S", (3_600.0, 3_600.0))  # so it is not this
    counter = Counter(plan())
    running = await counter.rush()
    (ref,) = counter.asked()
    counter.hears(rejected(ref, "busy", retry_in_ms=1))
    await counter.wire.wrote.wait()
    assert counter.asked() == [ref]
    counter.hears(accepted(ref))
    await running


async def test_what_was_asked_on_a_lost_connection_is_asked_again() -> None:
    counter = Counter(plan())
    running = await counter.rush()
    (ref,) = counter.asked()
    counter.clicker.connection_lost(None)
    counter.connect(missed=[])
    assert counter.asked() == [ref]
    counter.hears(accepted(ref))
    await running
    assert counter.told().re_asked == {"lost": 1}
    assert counter.told().unasked == 0


async def test_a_sustained_viewer_keeps_its_orders_in_flight_up_to_the_limit() -> None:
    counter = Counter(plan("sustain", seconds=0.3, in_flight=3, each_max=5))
    running = await counter.rush()
    first = counter.asked()
    assert len(first) == 3
    counter.hears(accepted(first[0], "a"), accepted(first[2], "b"))
    second = counter.asked()
    assert len(second) == 2
    counter.hears(*(accepted(ref, ref) for ref in (first[1], *second)))
    assert counter.asked() == []  # the limit
    await running
    assert counter.told().orders == len(set(dict(counter.told().accepted))) == counter.told().counted == 5


async def test_more_than_a_socket_takes_at_once_waits_and_leaves_with_the_answers() -> None:
    due = ordering.IN_FLIGHT_MAX + 2
    counter = Counter(plan("pace", seconds=1.0, each_max=due, rate_per_s=float(due)))
    counter.book._ordering = msgspec.structs.replace(counter.book._ordering, start_s=time() - 2)  # all of it is late
    running = await counter.rush()
    first = counter.asked()
    assert len(first) == ordering.IN_FLIGHT_MAX
    counter.hears(accepted(first[0], "a"), accepted(first[1], "b"))
    rest = counter.asked()
    assert len(rest) == 2
    counter.hears(*(accepted(ref, ref) for ref in (*first[2:], *rest)))
    await running
    told = counter.told()
    assert (told.orders, told.asks, len(told.accepted), told.unanswered, told.unasked) == (due, due, due, 0, 0)
    assert min(told.took_ms) > 900  # from when each was due


@given(st.integers(1, 5), st.integers(1, 200))
def test_paced_orders_are_due_at_even_distances_by_one_viewer_after_the_other(viewers: int, rate: int) -> None:
    clickers: list[Any] = [object() for _ in range(viewers)]
    due = list(ordering._due(Ordering("pace", DROP, 100.0, 1.0, "r", rate_per_s=float(rate)), clickers))
    assert [at for at, _ in due] == pytest.approx([100 + number / rate for number in range(rate)])
    assert all(a is b for (_, a), (_, b) in zip(due, due[viewers:], strict=False))


async def test_stock_is_counted_and_its_last_word_remembered() -> None:
    counter = Counter(plan())
    for left in (9, 8, 7):
        counter.hears(stock(left, 10 - left))
    other = Clicker(Company(), counter.book, 8)
    connect(other, Wire())
    other.data_received(welcome(0))
    other.data_received(said(stock(9, 1)))
    told = counter.book.report([counter.clicker, other])
    assert told.stock_frames == 3
    assert 1 <= told.stock_frames_per_s <= 3
    assert {left: viewers for left, (viewers, _) in told.last_stock.items()} == {7: 1, 9: 1}
    assert told.stock_back == 0
    assert audit_answers(told, 7) == ["1 viewers were not told that 7 are left but [9]"]


async def test_stock_that_goes_back_is_found() -> None:
    counter = Counter(plan())
    counter.hears(stock(8, 2), stock(9, 1))
    assert counter.told().stock_back == 1
    assert any("older" in problem for problem in audit_answers(counter.told(), 8))


async def test_known_reads_count_as_stock_too() -> None:
    book, company = Book(plan()), Company()
    for _ in range(3):
        clicker = Clicker(company, book, 0)
        connect(clicker, Wire())
        clicker.data_received(welcome(0))
        clicker.data_received(said(stock(4, 6)))
        assert clicker.stock_frames == 1
        assert clicker.lines[DROP, "v"][:2] == (6, 4)


def test_who_only_watches_gets_no_receipt() -> None:
    company = Company()
    watcher, wire = company.viewer()
    watcher.data_received(said(accepted("r")))
    assert isinstance(watcher, Watcher)
    assert sum(company.tally.strange.values()) == 1
    assert wire.aborted


def test_orders_of_several_processes_add_up() -> None:
    one = Ordered(
        orders=2, accepted=[("a", "1")], rejected={"sold_out": 1}, took_ms=[5.0, 1.0], last_stock={0: (2, 8.0)}
    )
    two = Ordered(orders=1, accepted=[("b", "2")], rejected={"sold_out": 2}, took_ms=[3.0], last_stock={0: (1, 9.0)})
    both = together([one, two])
    assert both is not None
    assert (both.orders, both.accepted, both.rejected) == (3, [("a", "1"), ("b", "2")], {"sold_out": 3})
    assert (both.took_ms, both.last_stock) == ([1.0, 3.0, 5.0], {0: (3, 9.0)})
    assert together([]) is None


@pytest.mark.parametrize(
    ("receipts", "rows", "says"),
    [
        ([("a", "1"), ("b", "2")], Rows((("a", "1"),), 1, 9, 8, 1), "without their order"),
        ([("a", "1")], Rows((("a", "1"), ("b", "2")), 2, 9, 7, 2), "without an accepted receipt"),
        ([("a", "1")], Rows((("a", "2"),), 1, 9, 8, 1), "without their order"),
        ([("a", "1"), ("a", "1")], Rows((("a", "1"),), 1, 9, 8, 1), "without their order"),
        ([("a", "1"), ("b", "2")], Rows((("a", "1"), ("b", "2")), 2, 1, 0, 2), "oversold"),
        ([("a", "1")], Rows((("a", "1"),), 1, 9, 9, 0), "stock says"),
    ],
)
def test_receipts_and_rows_that_do_not_agree_are_found(receipts: list[tuple[str, str]], rows: Rows, says: str) -> None:
    assert any(says in problem for problem in audit_rows(receipts, rows))


def test_receipts_and_rows_that_agree_pass() -> None:
    assert audit_rows([("b", "2"), ("a", "1")], Rows((("a", "1"), ("b", "2")), 2, 9, 7, 2)) == []
