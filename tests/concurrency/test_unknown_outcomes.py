"""A commit nobody heard the end of: looking it up waits for its end, and asking again gets its receipt."""

from __future__ import annotations

import asyncio

import pytest

from server.domain.errors import Unavailable
from server.domain.order import Accepted, Receipt
from server.store import orders as orders_module
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
