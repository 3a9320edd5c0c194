"""A commit nobody heard the end of: looking it up waits for its end, and asking again gets its receipt."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from server.domain.errors import Reason, Unavailable
from server.domain.news import News
from server.domain.order import Accepted, OrderRequest, Receipt, Rejected
from server.sale.committer import Committer
from server.store import orders as orders_module
from server.store.orders import Orders
from tests.concurrency.lockless import WITHIN_S, PausedOrders
from tests.concurrency.test_oversell import Replicas, waits_for_a_lock


async def no_lock(*_: object) -> None:
    """What a look-up without the lock does instead of taking it."""


async def looked_up_in_the_middle_of_its_commit(
    replicas: Replicas, without_lock: pytest.MonkeyPatch | None = None
) -> tuple[Receipt, Receipt | None]:
    """The receipt of a commit, and what was found by a look-up that began while its transaction was under way."""
    shop, other = replicas
    drop = await shop.open_drop(5)
    wish = shop.wish(drop, ref="r1")
    shop.orders = paused = PausedOrders(shop.database)
    commit = asyncio.create_task(shop.commit(drop, [wish]))
    await asyncio.wait_for(paused.holding.wait(), WITHIN_S)
    if without_lock is not None:
        without_lock.setattr(orders_module, "lock_stock", no_lock)
    looking = asyncio.create_task(other.orders.look_up(drop.id, [wish]))
    if without_lock is not None:
        await asyncio.wait_for(asyncio.shield(looking), WITHIN_S)
    else:
        await waits_for_a_lock(other)
        assert not looking.done()
    paused.go_on.set()
    ((receipt,), (found,)) = await asyncio.gather(commit, looking)
    assert await shop.violations() == []
    return receipt, found


async def test_a_look_up_waits_for_the_end_of_a_commit_and_finds_what_it_did(replicas: Replicas) -> None:
    receipt, found = await looked_up_in_the_middle_of_its_commit(replicas)
    assert isinstance(receipt, Accepted)
    assert found == receipt


async def test_control_without_the_lock_a_look_up_misses_what_is_committed_a_moment_later(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    receipt, found = await looked_up_in_the_middle_of_its_commit(replicas, without_lock=monkeypatch)
    assert isinstance(receipt, Accepted)
    assert found is None


async def test_asking_again_on_another_replica_during_the_commit_gets_the_first_order(replicas: Replicas) -> None:
    shop, other = replicas
    drop = await shop.open_drop(5)
    first, again = shop.wish(drop, ref="r1"), shop.wish(drop, ref="r1")
    assert first.order != again.order
    shop.orders = paused = PausedOrders(shop.database)
    commit = asyncio.create_task(shop.commit(drop, [first]))
    await asyncio.wait_for(paused.holding.wait(), WITHIN_S)
    asked = asyncio.create_task(other.commit(drop, [again]))
    await waits_for_a_lock(other)
    paused.go_on.set()
    ((receipt,), (answer,)) = await asyncio.gather(commit, asked)
    assert isinstance(answer, Accepted)
    assert answer.order == first.order
    assert receipt == answer
    assert await shop.violations() == []


async def test_a_locked_row_ends_a_batch_at_its_own_deadline_and_nothing_of_it_is_taken(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, other = replicas
    drop = await shop.open_drop(5)
    wish = shop.wish(drop)
    monkeypatch.setattr(orders_module, "COMMIT_WITHIN_S", 0.2)
    async with other.database.transaction() as connection:
        await orders_module.lock_stock(connection, drop.id)
        with pytest.raises(Unavailable):
            await shop.commit(drop, [wish])
        with pytest.raises(Unavailable):
            await shop.orders.look_up(drop.id, [wish])
    monkeypatch.undo()
    assert await shop.orders.look_up(drop.id, [wish]) == (None,)
    assert await shop.violations() == []


# The committer over the real store


class Unanswered(Orders):
    """The real store, whose first COMMIT is done and never heard of: the connection is lost when `lose` is set."""

    lose = asyncio.Event()

    async def commit(self, drop_id: str, batch: Sequence[OrderRequest]) -> tuple[tuple[Receipt, ...], News | None]:
        decided = await super().commit(drop_id, batch)
        if self.lose.is_set():
            return decided
        await asyncio.wait_for(self.lose.wait(), WITHIN_S)
        raise Unavailable("lost")


class LateOnes(asyncio.Queue[Receipt]):
    def __call__(self, _request: OrderRequest, receipt: Receipt) -> None:
        self.put_nowait(receipt)


def committer(orders: Orders) -> tuple[Committer, LateOnes]:
    late = LateOnes()
    return Committer(orders, lambda _: None, late, within_s=0.2), late


def is_busy(receipt: Receipt) -> bool:
    return isinstance(receipt, Rejected) and receipt.reason is Reason.BUSY


async def test_told_busy_and_committed_is_told_late_and_is_the_first_order_for_whoever_asks_again(
    replicas: Replicas,
) -> None:
    shop, other = replicas
    drop = await shop.open_drop(5)
    wish, again = shop.wish(drop, ref="r1"), shop.wish(drop, ref="r1")
    book = Unanswered(shop.database)
    book.lose = asyncio.Event()
    here, late = committer(book)
    elsewhere, _ = committer(other.orders)
    assert is_busy(await here.submit(wish))
    answer = await elsewhere.submit(again)
    book.lose.set()
    told = await asyncio.wait_for(late.get(), WITHIN_S)
    assert isinstance(told, Accepted)
    assert told.order == wish.order
    assert answer == told
    assert await here.submit(again) == told
    assert (await shop.drop(drop)).variants[0].left == 4
    assert await shop.violations() == []
    await here.close()
    await elsewhere.close()


async def test_orders_of_a_drop_whose_rows_are_locked_for_a_while_are_told_late(replicas: Replicas) -> None:
    shop, other = replicas
    drop = await shop.open_drop(5)
    wish = shop.wish(drop)
    selling, late = committer(shop.orders)
    async with other.database.transaction() as connection:
        await orders_module.lock_stock(connection, drop.id)
        assert is_busy(await selling.submit(wish))
        elsewhere = shop.wish(await shop.open_drop(5))
        assert isinstance(await selling.submit(elsewhere), Accepted)  # the others sell
    told = await asyncio.wait_for(late.get(), WITHIN_S)
    assert isinstance(told, Accepted)
    assert told.order == wish.order
    await selling.close()


async def test_orders_of_a_drop_whose_rows_stay_locked_are_given_up_and_may_be_asked_again(
    replicas: Replicas, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(orders_module, "COMMIT_WITHIN_S", 0.5)
    shop, other = replicas
    drop = await shop.open_drop(5)
    selling, late = committer(shop.orders)
    async with other.database.transaction() as connection:
        await orders_module.lock_stock(connection, drop.id)
        assert is_busy(await selling.submit(shop.wish(drop, ref="r1")))
        await asyncio.wait_for(selling.flush(), WITHIN_S)
    monkeypatch.undo()
    wish = shop.wish(drop, ref="r1")
    assert isinstance(receipt := await selling.submit(wish), Accepted)
    assert receipt.order == wish.order  # the first was never taken
    await selling.close()
    assert (await shop.drop(drop)).variants[0].left == 4
    assert late.empty() or late.get_nowait() == receipt  # looked up after it was asked again
    assert await shop.violations() == []
