"""Group commit: what shares a transaction, who is answered when, and what happens when the book fails."""

# ruff: noqa: ARG002  a port is implemented whole, and a test's book needs but some of its arguments

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import pytest

from server import metrics
from server.domain.errors import Reason, Unavailable
from server.domain.news import News
from server.domain.order import Accepted, OrderRequest, Receipt, Rejected
from server.sale import breaker as breaker_module
from server.sale import committer as committer_module
from server.sale import outcomes as outcomes_module
from server.sale.breaker import Breaker
from server.sale.committer import RETRY_IN_MS, Committer
from server.sale.outcomes import Outcomes

NEWS = News("friday", ("frame",))


class Book:
    """Accepts everything; each commit waits to be released, so that a test decides what happens meanwhile."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[str]] = []
        self.drops: list[str] = []
        self.fails: deque[Exception] = deque()
        self.poison: set[str] = set()
        self.at_once = self.at_once_most = 0
        self.broken: set[str] = set()
        self.pings = 0
        self.away = False
        self.placed: set[str] = set()
        self.looked_up: list[list[str]] = []
        self.look_ups_fail = 0
        self._released = asyncio.Semaphore(0 if held else 10**9)
        self._began = asyncio.Condition()

    async def ping(self) -> None:
        self.pings += 1
        await self._notify()
        if self.away:
            raise Unavailable("away")

    async def look_up(self, drop_id: str, batch: Sequence[OrderRequest]) -> tuple[Receipt | None, ...]:
        self.looked_up.append([request.ref for request in batch])
        await self._notify()
        if self.look_ups_fail:
            self.look_ups_fail -= 1
            raise Unavailable("still away")
        return tuple(accepted(request) if request.ref in self.placed else None for request in batch)

    async def commit(self, drop_id: str, batch: Sequence[OrderRequest]) -> tuple[tuple[Receipt, ...], News | None]:
        self.batches.append([request.ref for request in batch])
        self.drops.append(drop_id)
        self.at_once += 1
        self.at_once_most = max(self.at_once, self.at_once_most)
        await self._notify()
        if drop_id in self.broken:
            self.at_once -= 1
            raise Unavailable("refused at once")
        try:
            await self._released.acquire()
        finally:
            self.at_once -= 1
        if self.fails:
            raise self.fails.popleft()
        if self.poison & {request.ref for request in batch}:
            raise ValueError("poisoned")
        return tuple(accepted(request) for request in batch), NEWS

    def release(self, commits: int = 1) -> None:
        for _ in range(commits):
            self._released.release()

    async def commits(self, number: int) -> None:
        """Until so many commits have begun."""
        await self.until(lambda: len(self.batches) >= number)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Until a condition holds that changes when the book is asked something."""
        async with asyncio.timeout(5), self._began:
            await self._began.wait_for(condition)

    async def _notify(self) -> None:
        async with self._began:
            self._began.notify_all()


class LateOnes(list[tuple[str, Receipt]]):
    """Who was told late, and what."""

    def __init__(self) -> None:
        super().__init__()
        self._told = asyncio.Event()

    def __call__(self, request: OrderRequest, receipt: Receipt) -> None:
        self.append((request.ref, receipt))
        self._told.set()

    async def one(self) -> None:
        await asyncio.wait_for(self._told.wait(), 5)


def accepted(request: OrderRequest) -> Accepted:
    return Accepted(request.ref, request.order, request.quantity, 1, "USD")


class Announced(list[News]):
    def __call__(self, news: News) -> None:
        self.append(news)


def wish(ref: str, drop: str = "d") -> OrderRequest:
    return OrderRequest(f"order-{ref}", "ann", ref, drop, None, 1)


def submitted(committer: Committer, refs: str, drop: str = "d") -> list[asyncio.Future[Receipt]]:
    return [committer.submit(wish(ref, drop)) for ref in refs]


async def answers(futures: Sequence[asyncio.Future[Receipt]]) -> list[str]:
    receipts = await asyncio.wait_for(asyncio.gather(*futures), 5)
    return ["accepted" if isinstance(receipt, Accepted) else receipt.reason.value for receipt in receipts]


def reason_of(answered: asyncio.Future[Receipt]) -> Reason:
    """Why an order was refused that has its answer already."""
    receipt = answered.result()
    assert isinstance(receipt, Rejected)
    return receipt.reason


async def no_patience(_: float) -> None:
    """Stands in for the pause between tries."""


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    class Asyncio:
        sleep = staticmethod(no_patience)

        def __getattr__(self, name: str) -> object:
            return getattr(asyncio, name)

    monkeypatch.setattr(committer_module, "asyncio", Asyncio())


async def test_orders_that_arrive_during_a_commit_form_exactly_one_next_batch() -> None:
    book = Book(held=True)
    committer = Committer(book, Announced())
    first = submitted(committer, "a")
    await book.commits(1)
    second = submitted(committer, "bcd")
    await asyncio.sleep(0)
    second += submitted(committer, "ef")
    book.release()
    await book.commits(2)
    third = submitted(committer, "g")
    book.release(2)
    assert await answers(first + second + third) == ["accepted"] * 7
    assert book.batches == [["a"], [*"bcdef"], ["g"]]


async def test_orders_of_one_turn_share_the_first_batch() -> None:
    book = Book()
    committer = Committer(book, Announced())
    await answers(submitted(committer, "abc"))
    assert book.batches == [[*"abc"]]


async def test_accepted_is_said_only_after_the_commit_returned_and_news_only_after_that() -> None:
    book, announced = Book(held=True), Announced()
    committer = Committer(book, announced)
    (future,) = submitted(committer, "a")
    await book.commits(1)
    for _ in range(5):
        await asyncio.sleep(0)
    assert not future.done()
    assert announced == []
    book.release()
    assert await asyncio.wait_for(future, 5) == Accepted("a", "order-a", 1, 1, "USD")
    assert announced == [NEWS]


async def test_a_batch_is_bounded_and_first_come_is_first_served() -> None:
    book = Book()
    committer = Committer(book, Announced(), batch_max=4)
    await answers(submitted(committer, "abcdefghij"))
    assert book.batches == [[*"abcd"], [*"efgh"], [*"ij"]]


async def test_a_full_queue_is_busy_at_once_and_has_room_again_after_the_commit() -> None:
    book = Book(held=True)
    committer = Committer(book, Announced(), queue_max=3)
    taken = submitted(committer, "abc")
    (turned_away,) = submitted(committer, "d")
    assert reason_of(turned_away) is Reason.BUSY
    await book.commits(1)
    (still,) = submitted(committer, "e")  # those under way count as well
    assert reason_of(still) is Reason.BUSY
    book.release()
    assert await answers(taken) == ["accepted"] * 3
    later = submitted(committer, "f")
    book.release()
    assert await answers(later) == ["accepted"]
    assert [ref for batch in book.batches for ref in batch] == [*"abcf"]


async def test_a_caller_who_stops_waiting_changes_nothing() -> None:
    book = Book(held=True)
    committer = Committer(book, Announced())
    gone, queued, stays = (*submitted(committer, "a"), *submitted(committer, "bc"))
    await book.commits(1)
    gone.cancel()
    queued.cancel()
    book.release(2)
    assert await answers([stays]) == ["accepted"]
    await committer.flush()
    assert [ref for batch in book.batches for ref in batch] == [*"abc"]  # decided all the same


async def test_one_poisoned_order_does_not_take_its_batch_down() -> None:
    book = Book()
    book.poison = {"c"}
    committer = Committer(book, Announced())
    before = metrics.BUGS.labels("order")._value.get()
    assert await answers(submitted(committer, "abcdefgh")) == [
        "accepted" if ref != "c" else "internal" for ref in "abcdefgh"
    ]
    assert metrics.BUGS.labels("order")._value.get() == before + 1
    assert book.batches[-1] == [*"efgh"]
    assert len(book.batches) == 7  # halved: 8, 4, 2, 2, 1, 1 and the other 4


async def test_a_batch_whose_outcome_is_unknown_is_done_again(impatient: None) -> None:
    book, announced = Book(), Announced()
    book.fails += [Unavailable("gone"), Unavailable("gone")]
    assert await answers(submitted(Committer(book, announced), "ab")) == ["accepted"] * 2
    assert book.batches == [[*"ab"]] * 3
    assert announced == [NEWS]


async def test_a_database_that_stays_away_is_answered_busy_and_the_next_order_is_tried(impatient: None) -> None:
    book, announced = Book(), Announced()
    book.fails += [Unavailable("gone")] * 3
    committer = Committer(book, announced)
    assert await answers(submitted(committer, "ab")) == ["busy", "busy"]
    assert announced == []
    assert await answers(submitted(committer, "c")) == ["accepted"]


async def test_each_drop_has_a_lane_of_its_own_but_only_so_many_commit_at_once() -> None:
    book = Book(held=True)
    committer = Committer(book, Announced(), lanes_max=2)
    futures = [future for drop in "1234" for future in submitted(committer, "ab", drop)]
    await book.commits(2)
    for _ in range(5):
        await asyncio.sleep(0)
    assert book.drops == ["1", "2"]
    book.release(4)
    assert await answers(futures) == ["accepted"] * 8
    assert (book.drops, book.at_once_most) == ([*"1234"], 2)


async def test_a_lane_that_ended_begins_anew() -> None:
    book = Book()
    committer = Committer(book, Announced())
    for ref in "abc":
        assert await answers(submitted(committer, ref)) == ["accepted"]
        await committer.flush()
        assert committer._lanes == {}
    assert book.batches == [["a"], ["b"], ["c"]]


async def test_flush_waits_for_every_receipt_also_of_orders_that_come_meanwhile() -> None:
    book = Book(held=True)
    committer = Committer(book, Announced())
    futures = submitted(committer, "ab") + submitted(committer, "c", "other")
    flushed = asyncio.create_task(committer.flush())
    await book.commits(2)
    futures += submitted(committer, "d")
    assert not flushed.done()
    book.release(3)
    await asyncio.wait_for(flushed, 5)
    assert all(future.done() for future in futures)
    await committer.flush()  # nothing to wait for


async def test_nothing_new_is_nothing_to_announce() -> None:
    class Silent(Book):
        async def commit(self, drop_id: str, batch: Sequence[OrderRequest]) -> tuple[tuple[Receipt, ...], News | None]:
            return (await super().commit(drop_id, batch))[0], None

    announced = Announced()
    await answers(submitted(Committer(Silent(), announced), "a"))
    assert announced == []


@pytest.mark.parametrize("count", [committer_module.LANES_MAX])
def test_lanes_leave_connections_to_everybody_else(count: int) -> None:
    from server.settings import Settings

    smallest: Callable[[], object] = Settings.model_fields["database_pool_size"].get_default
    assert count < smallest()  # type: ignore[operator]


# Nobody waits long


SOON_S = 0.05
"""In place of the second that an order may take."""


async def test_who_waits_too_long_in_the_queue_is_told_busy_and_is_not_decided_unless_asked_again() -> None:
    book, late = Book(held=True), LateOnes()
    committer = Committer(book, Announced(), late, within_s=SOON_S)
    first = submitted(committer, "a")
    await book.commits(1)
    queued = submitted(committer, "bc")
    assert await answers(first + queued) == ["busy"] * 3
    book.release(9)
    await committer.flush()
    assert book.batches == [["a"]]
    assert await answers(submitted(committer, "b")) == ["accepted"]
    assert [ref for ref, _ in late] == ["a"]
    assert book.looked_up == []


async def test_who_was_told_busy_in_flight_is_told_late_what_the_commit_came_to() -> None:
    book, late = Book(held=True), LateOnes()
    committer = Committer(book, Announced(), late, within_s=SOON_S)
    before = metrics.LATE._value.get()
    futures = submitted(committer, "ab")
    assert await answers(futures) == ["busy", "busy"]
    book.release()
    await committer.flush()
    assert late == [("a", accepted(wish("a"))), ("b", accepted(wish("b")))]
    assert metrics.LATE._value.get() == before + 2
    assert [future.result().reason for future in futures] == [Reason.BUSY] * 2  # type: ignore[union-attr]


async def test_a_late_refusal_is_not_told_for_the_viewer_was_refused_already() -> None:
    class SoldOut(Book):
        async def commit(self, drop_id: str, batch: Sequence[OrderRequest]) -> tuple[tuple[Receipt, ...], News | None]:
            await super().commit(drop_id, batch)
            return tuple(Rejected(request.ref, Reason.SOLD_OUT) for request in batch), None

    book, late = SoldOut(held=True), LateOnes()
    committer = Committer(book, Announced(), late, within_s=SOON_S)
    assert await answers(submitted(committer, "a")) == ["busy"]
    book.release()
    await committer.flush()
    assert late == []


async def test_who_was_told_busy_in_flight_is_never_placed_anew_but_looked_up() -> None:
    book, late = Book(held=True), LateOnes()
    book.fails += [Unavailable("gone")]
    book.placed = {"b"}
    committer = Committer(book, Announced(), late, within_s=SOON_S)
    assert await answers(submitted(committer, "ab")) == ["busy", "busy"]
    book.release()
    await late.one()
    assert book.batches == [[*"ab"]]
    assert book.looked_up == [[*"ab"]]
    assert late == [("b", accepted(wish("b")))]
    await committer.close()


async def test_a_replay_is_only_for_those_who_still_wait(impatient: None) -> None:
    book, late = Book(held=True), LateOnes()
    book.placed = {"a"}
    committer = Committer(book, Announced(), late, within_s=0.6)
    submitted(committer, "x")
    await book.commits(1)
    early = submitted(committer, "a")
    await asyncio.sleep(0.3)  # time itself is the subject: they are due one after the other
    later = submitted(committer, "b")
    book.release()
    await book.commits(2)
    assert await answers(early) == ["busy"]
    book.fails += [Unavailable("gone")]
    book.release(2)
    assert await answers(later) == ["accepted"]
    assert book.batches == [["x"], [*"ab"], ["b"]]
    await late.one()
    assert (book.looked_up, late) == ([["a"]], [("a", accepted(wish("a")))])


async def test_a_batch_given_up_is_looked_up_whole_until_the_book_answers(impatient: None) -> None:
    book, late = Book(), LateOnes()
    book.fails += [Unavailable("gone")] * 3
    book.look_ups_fail = 2
    book.placed = {"a", "b"}
    committer = Committer(book, Announced(), late)
    assert await answers(submitted(committer, "ab")) == ["busy", "busy"]
    await late.one()
    assert book.looked_up == [[*"ab"]] * 3
    assert [ref for ref, _ in late] == ["a", "b"]


async def test_behind_a_late_batch_nobody_waits_but_other_drops_sell() -> None:
    book = Book(held=True)
    committer = Committer(book, Announced(), within_s=SOON_S)
    assert await answers(submitted(committer, "a", "locked")) == ["busy"]
    (behind,) = submitted(committer, "b", "locked")
    assert reason_of(behind) is Reason.BUSY  # at once
    await book.until(lambda: book.pings == 1)  # the database is asked, and answers: no reason to refuse the others
    elsewhere = submitted(committer, "c", "other")
    await book.commits(2)
    book.release(2)
    assert await answers(elsewhere) == ["accepted"]
    await committer.flush()
    book.release()
    assert await answers(submitted(committer, "b", "locked")) == ["accepted"]
    assert book.pings == 1


async def test_while_the_breaker_is_open_nobody_waits_and_the_first_answer_closes_it(
    impatient: None, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(breaker_module, "PROBE_EVERY_S", 0.01)
    book = Book(held=True)
    committer = Committer(book, Announced(), lanes_max=2)
    flying = submitted(committer, "f", "slow")
    await book.commits(1)
    queued = submitted(committer, "q", "slow")
    book.away, book.broken = True, {"d"}
    assert await answers(submitted(committer, "a")) == ["busy"]
    assert await answers(queued) == ["busy"]  # the moment it opens: nothing of them was begun
    assert metrics.BREAKER_OPEN._value.get() == 1
    for drop in ("d", "slow", "new"):
        (refused,) = submitted(committer, "z", drop)
        assert reason_of(refused) is Reason.BUSY
    book.release()
    assert await answers(flying) == ["accepted"]  # what is under way is decided
    pings = book.pings
    await book.until(lambda: book.pings >= pings + 3)
    assert book.batches == [["f"], ["a"], ["a"], ["a"]]
    book.away, book.broken = False, set()
    await asyncio.wait_for(committer._breaker.until_closed(), 5)
    assert metrics.BREAKER_OPEN._value.get() == 0
    book.release()
    assert await answers(submitted(committer, "z")) == ["accepted"]
    said = [record.message for record in caplog.records if record.name == breaker_module.__name__]
    assert said == ["the database does not answer: orders are refused", "the database answers again: orders are taken"]
    await committer.close()


async def test_the_refused_are_told_to_come_back_at_different_moments() -> None:
    committer = Committer(Book(held=True), Announced(), queue_max=0)
    times = {future.result().retry_in_ms for future in submitted(committer, "x" * 300)}  # type: ignore[union-attr]
    low, high = RETRY_IN_MS
    assert all(time is not None and low <= time <= high for time in times)
    assert len(times) > 100


async def test_flush_and_close_end_although_the_database_is_away(
    impatient: None, caplog: pytest.LogCaptureFixture
) -> None:
    book = Book()
    book.away, book.broken, book.look_ups_fail = True, {"d"}, 10**9
    committer = Committer(book, Announced())
    futures = submitted(committer, "ab")
    await asyncio.wait_for(committer.flush(), 5)
    assert await answers(futures) == ["busy", "busy"]
    await asyncio.wait_for(committer.close(), 5)
    (left,) = [record for record in caplog.records if record.message == "outcomes are left open"]
    assert (left.orders, left.drops) == (2, ["d"])  # type: ignore[attr-defined]


# Outcomes


async def test_outcomes_that_are_looked_up_are_bounded(caplog: pytest.LogCaptureFixture) -> None:
    book, late = Book(), LateOnes()
    book.placed = {*"abc"}
    outcomes = Outcomes(book, Breaker(book, on_open=lambda: None), late, open_max=2)
    outcomes.look_up("d", [wish("a"), wish("b")])
    outcomes.look_up("d", [wish("c")])
    assert "too many are open" in caplog.text
    await late.one()
    assert [ref for ref, _ in late] == ["a", "b"]
    outcomes.look_up("d", [wish("c")])  # there is room again
    await book.until(lambda: len(book.looked_up) == 2)


async def test_a_drop_that_cannot_be_looked_up_does_not_keep_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outcomes_module, "_PAUSE_S", 0.001)
    book, late = Book(), LateOnes()
    book.look_ups_fail, book.placed = 1, {*"ab"}
    outcomes = Outcomes(book, Breaker(book, on_open=lambda: None), late)
    outcomes.look_up("locked", [wish("a")])
    outcomes.look_up("other", [wish("b")])
    await book.until(lambda: len(book.looked_up) == 3)
    assert book.looked_up == [["a"], ["b"], ["a"]]


async def test_a_late_receipt_that_cannot_be_delivered_stops_nothing() -> None:
    def broken(_request: OrderRequest, _receipt: Receipt) -> None:
        raise ValueError("nobody there")

    before = metrics.BUGS.labels("late receipt")._value.get()
    book = Book(held=True)
    committer = Committer(book, Announced(), broken, within_s=SOON_S)
    assert await answers(submitted(committer, "a")) == ["busy"]
    book.release(2)
    await committer.flush()
    assert await answers(submitted(committer, "b")) == ["accepted"]
    assert metrics.BUGS.labels("late receipt")._value.get() == before + 1


async def test_while_the_breaker_is_open_nothing_is_looked_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker_module, "PROBE_EVERY_S", 0.01)
    book, late, opened = Book(), LateOnes(), asyncio.Event()
    book.away, book.placed = True, {"a"}
    breaker = Breaker(book, on_open=opened.set)
    outcomes = Outcomes(book, breaker, late)
    breaker.suspect()
    await asyncio.wait_for(opened.wait(), 5)
    outcomes.look_up("d", [wish("a")])
    pings = book.pings
    await book.until(lambda: book.pings >= pings + 3)
    assert book.looked_up == []
    book.away = False
    await late.one()
    assert book.looked_up == [["a"]]


async def test_a_large_batch_is_answered_in_slices_and_flush_waits_for_the_last(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(committer_module, "ANSWER_SLICE", 2)
    committer = Committer(Book(), Announced())
    futures = submitted(committer, "abcdefg")
    seen: list[list[bool]] = []
    futures[0].add_done_callback(lambda _: seen.append([future.done() for future in futures]))
    await committer.flush()
    assert seen == [[True] * 2 + [False] * 5]
    assert all(future.done() for future in futures)


async def test_a_queue_is_as_long_as_full_batches_say_it_can_be_decided_in_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(committer_module, "QUEUE_WITHIN_S", 0.0)  # no rate is high enough: one batch may wait
    book = Book(held=True)
    committer = Committer(book, Announced(), batch_max=4)
    futures = submitted(committer, "abcd")
    await book.commits(1)
    futures += submitted(committer, "efghij")  # nothing is known yet
    book.release()
    await book.commits(2)
    futures += submitted(committer, "kl")
    (refused,) = submitted(committer, "m")
    assert reason_of(refused) is Reason.BUSY
    book.release(10)
    assert await answers(futures) == ["accepted"] * 12
