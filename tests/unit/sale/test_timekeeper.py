"""The timekeeper: every turn on time, one trouble at a time, and no looking without need."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Collection

import pytest

from server import metrics
from server.domain.errors import Reason, Refused, Unavailable
from server.domain.news import News
from server.sale.timekeeper import BROKEN_S, BUSY_S, DUE_MAX, LOOK_EVERY_S, Timekeeper


class Book:
    """Drops with the time of their one turn, in s of the loop's clock; `failing` says how a drop's turn goes wrong."""

    def __init__(self, **times: float) -> None:
        self.times = times
        self.failing: dict[str, Exception] = {}
        self.asked: list[str] = []
        self.looks: list[float] = []
        self.down: Exception | None = None

    async def due(self, within_ms: int, limit: int, *, without: Collection[str] = ()) -> list[tuple[str, int]]:
        now = asyncio.get_running_loop().time()
        self.looks.append(now)
        if self.down is not None:
            raise self.down
        waits = sorted((round((at - now) * 1000), drop) for drop, at in self.times.items() if drop not in without)
        return [(drop, in_ms) for in_ms, drop in waits if in_ms <= within_ms][:limit]

    async def turn(self, drop: str) -> News | None:
        self.asked.append(drop)
        if drop in self.failing:
            raise self.failing[drop]
        return News("friday", (drop,)) if self.times.pop(drop, None) is not None else None


class Clock:
    """The loop's clock, and the sleep that moves it; after `until` s it sleeps for ever."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.now = 0.0
        self.until = 0.0
        self.slept: list[float] = []
        self.there = asyncio.Event()
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: self.now)

    async def sleep(self, for_s: float) -> None:
        self.slept.append(for_s)
        if self.now + for_s > self.until:
            self.there.set()
            await asyncio.Event().wait()
        self.now += for_s


@pytest.fixture
async def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    return Clock(monkeypatch)


async def kept(book: Book, clock: Clock, until: float, *, at: Callable[[News], None] | None = None) -> list[str]:
    """What was announced until then."""
    told: list[str] = []
    clock.until = until

    def announce(news: News) -> None:
        told.extend(news.events)
        if at is not None:
            at(news)

    keeper = Timekeeper(book, announce, sleep=clock.sleep)
    keeper.start()
    await clock.there.wait()
    await keeper.close()
    return told


async def test_each_drop_has_its_turn_at_its_time_and_is_announced(clock: Clock) -> None:
    book = Book(b=0.25, a=0.0, c=2.5)
    when: dict[str, float] = {}
    told = await kept(book, clock, 3.0, at=lambda news: when.update({news.events[0]: clock.now}))
    assert told == ["a", "b", "c"]
    assert when == {"a": 0.0, "b": 0.25, "c": 2.5}
    assert book.asked == ["a", "b", "c"]


async def test_nothing_is_asked_more_often_than_there_is_reason_to(clock: Clock) -> None:
    book = Book(b=0.25)
    await kept(book, clock, 3.5)
    assert book.looks == [0.0, 0.25, 1.25, 2.25, 3.25]
    assert max(clock.slept) == LOOK_EVERY_S


async def test_more_drops_than_one_look_holds_follow_at_once(clock: Clock) -> None:
    book = Book(**{f"d{n:03}": 0.0 for n in range(2 * DUE_MAX + 5)})
    told = await kept(book, clock, 0.5)
    assert len(told) == 2 * DUE_MAX + 5
    assert book.looks == [0.0, 0.0, 0.0]


async def test_a_turn_another_replica_made_is_not_announced(clock: Clock) -> None:
    class Faster(Book):
        async def turn(self, drop: str) -> News | None:
            self.asked.append(drop)
            return None

    book = Faster(a=0.0)
    assert await kept(book, clock, 2.5) == []
    assert book.looks == [0.0, 1.0, 2.0]  # no hurry: nothing was done here


async def test_a_broken_drop_stops_no_other_and_does_not_fill_the_log(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    book = Book(a=0.0, b=0.0, c=1.0)
    book.failing["a"] = RuntimeError("poisoned")
    bugs = metrics.BUGS.labels("timekeeper")._value.get()
    assert await kept(book, clock, BROKEN_S + 1.5) == ["b", "c"]
    assert Counter(book.asked) == {"a": 2, "b": 1, "c": 1}
    assert metrics.BUGS.labels("timekeeper")._value.get() == bugs + 2
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


async def test_a_look_full_of_broken_drops_stops_no_other(clock: Clock) -> None:
    broken = {f"a{n:03}": 0.0 for n in range(DUE_MAX)}
    book = Book(**broken, b=0.0)
    book.failing.update(dict.fromkeys(broken, RuntimeError("poisoned")))
    assert await kept(book, clock, 1.5) == ["b"]


async def test_a_refusal_is_no_bug(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    book = Book(a=0.0, b=0.0)
    book.failing["a"] = Refused(Reason.CONFLICT, "the stream is over: create another")
    assert await kept(book, clock, 2.5) == ["b"]
    assert Counter(book.asked) == {"a": 1, "b": 1}
    assert not caplog.records


async def test_a_drop_whose_rows_are_held_does_not_keep_the_others_waiting(clock: Clock) -> None:
    class Held(Book):
        async def turn(self, drop: str) -> News | None:
            if drop == "a" and clock.now < 2:
                self.asked.append(drop)
                raise Unavailable("lock wait timeout")
            return await super().turn(drop)

    book = Held(a=0.0, b=0.0)
    when: dict[str, float] = {}
    await kept(book, clock, BUSY_S + 1.5, at=lambda news: when.update({news.events[0]: clock.now}))
    assert book.asked == ["a", "b", "a"]
    assert when == {"b": 1.0, "a": BUSY_S}


async def test_without_a_database_one_warning_is_logged_and_then_time_goes_on(
    clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    book = Book(a=0.0)
    book.down = Unavailable("no database")

    async def sleep(for_s: float) -> None:
        if clock.now == 4.0:
            book.down = None
        await Clock.sleep(clock, for_s)

    told: list[News] = []
    clock.until = 6.0
    keeper = Timekeeper(book, told.append, sleep=sleep)
    keeper.start()
    await clock.there.wait()
    await keeper.close()
    assert [news.events for news in told] == [("a",)]
    assert book.looks[:6] == [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]
    assert [record.levelno for record in caplog.records] == [logging.WARNING]


async def test_a_book_with_a_bug_is_loud_and_asked_again(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    book = Book(a=0.0)
    book.down = RuntimeError("bug")
    assert await kept(book, clock, 1.5) == []
    assert book.looks == [0.0, 1.0]
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2


async def test_closing_ends_the_task_even_in_the_middle_of_a_turn() -> None:
    entered = asyncio.Event()

    class Slow(Book):
        async def turn(self, drop: str) -> News | None:
            self.asked.append(drop)
            entered.set()
            await asyncio.Event().wait()
            raise AssertionError("unreachable")

    keeper = Timekeeper(Slow(a=0.0), lambda _: None)
    keeper.start()
    await asyncio.wait_for(entered.wait(), 5)
    await keeper.close()
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "timekeeper"]
