"""Group commit: what shares a transaction, who is answered when, and what happens when the book fails."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence

import pytest

from server import metrics
from server.domain.errors import Reason, Unavailable
from server.domain.news import News
from server.domain.order import Accepted, OrderRequest, Receipt, Rejected
from server.sale import committer as committer_module
from server.sale.committer import Committer

NEWS = News("friday", ("frame",))


class Book:
    """Accepts everything; each commit waits to be released, so that a test decides what happens meanwhile."""

    def __init__(self, *, held: bool = False) -> None:
        self.batches: list[list[str]] = []
        self.drops: list[str] = []
        self.fails: deque[Exception] = deque()
        self.poison: set[str] = set()
        self.at_once = self.at_once_most = 0
        self._released = asyncio.Semaphore(0 if held else 10**9)
        self._began = asyncio.Condition()

    async def commit(self, drop_id: str, batch: Sequence[OrderRequest]) -> tuple[tuple[Receipt, ...], News | None]:
        self.batches.append([request.ref for request in batch])
        self.drops.append(drop_id)
        self.at_once += 1
        self.at_once_most = max(self.at_once, self.at_once_most)
        async with self._began:
            self._began.notify_all()
        try:
            await self._released.acquire()
        finally:
            self.at_once -= 1
        if self.fails:
            raise self.fails.popleft()
        if self.poison & {request.ref for request in batch}:
            raise ValueError("poisoned")
        return tuple(Accepted(request.ref, request.order, request.quantity, 1, "USD") for request in batch), NEWS

    def release(self, commits: int = 1) -> None:
        for _ in range(commits):
            self._released.release()

    async def commits(self, number: int) -> None:
        """Until so many commits have begun."""
        async with asyncio.timeout(5), self._began:
            await self._began.wait_for(lambda: len(self.batches) >= number)


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
    assert turned_away.result() == Rejected("d", Reason.BUSY)
    await book.commits(1)
    (still,) = submitted(committer, "e")  # those under way count as well
    assert still.result() == Rejected("e", Reason.BUSY)
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
