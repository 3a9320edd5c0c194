"""Law 1 while two replicas sell the same stock on one MariaDB: never oversold, never two orders for one ref.

Each race has a control: the same race through a store that forgets a lock or a key goes wrong, so the race races.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import pytest

from server.domain.drop import Drop, DropStatus
from server.domain.errors import Reason
from server.domain.order import Accepted, OrderRequest, Receipt, Rejected
from server.domain.views import StreamStatus
from tests.concurrency.lockless import WITHIN_S, LockFreeOrders, MeetingOrders, PausedOrders
from tests.contract.shops import Shop
from tests.services.mariadb import Database as Named
from tests.services.mariadb import MariaDB

Replicas = tuple[Shop, Shop]
T = TypeVar("T")


def outcome(receipts: list[Receipt]) -> Counter[str]:
    return Counter("accepted" if isinstance(receipt, Accepted) else receipt.reason.value for receipt in receipts)


async def race(*runs: Awaitable[tuple[Receipt, ...]]) -> list[Receipt]:
    return [receipt for receipts in await asyncio.gather(*runs) for receipt in receipts]


# The last units


async def test_two_replicas_sell_a_hundred_units_to_a_hundred_and_fifty_exactly_once(replicas: Replicas) -> None:
    shop, _ = replicas
    drop = await shop.open_drop(100, limit=1)
    wishes = [shop.wish(drop, viewer) for viewer in range(150)]
    random.Random(7).shuffle(wishes)
    batches = [wishes[start : start + 5] for start in range(0, 150, 5)]
    receipts = await race(*(replicas[n % 2].commit(drop, batch) for n, batch in enumerate(batches)))
    assert outcome(receipts) == {"accepted": 100, "sold_out": 50}
    now = await shop.drop(drop)
    assert (now.status, now.variants[0].left) == (DropStatus.SOLD_OUT, 0)
    assert (await shop.kinds()).count("drop_sold_out") == 1
    assert await shop.sql("SELECT COUNT(*), SUM(quantity) FROM orders") == [(100, 100)]
    assert await shop.violations() == []


async def test_control_without_the_lock_two_replicas_oversell(replicas: Replicas) -> None:
    drop = await replicas[0].open_drop(100, limit=1)
    both_have_read = asyncio.Barrier(2)
    receipts = await race(
        *(
            commit_lock_free(shop, drop, [shop.wish(drop, viewer) for viewer in crowd], both_have_read.wait)
            for shop, crowd in zip(replicas, (range(75), range(75, 150)), strict=True)
        )
    )
    assert outcome(receipts) == {"accepted": 150}  # of 100
    assert any("sold says 75, its orders add up to 150" in said for said in await replicas[0].violations())


async def commit_lock_free(
    shop: Shop, drop: Drop, batch: list[OrderRequest], in_between: Callable[[], Coroutine[Any, Any, object]]
) -> tuple[Receipt, ...]:
    return (await LockFreeOrders(shop.database, in_between).commit(drop.id, batch))[0]


async def test_a_variant_that_is_sold_out_does_not_stop_another(replicas: Replicas) -> None:
    shop, _ = replicas
    drop = await shop.open_drop(10, 30, limit=1)
    wishes = [shop.wish(drop, viewer, variant=viewer % 2) for viewer in range(60)]
    receipts = await race(*(replicas[n % 2].commit(drop, wishes[n::12]) for n in range(12)))
    assert outcome(receipts) == {"accepted": 40, "sold_out": 20}
    assert await shop.violations() == []


async def test_many_drops_at_once_sell_each_their_own(replicas: Replicas) -> None:
    shop, _ = replicas
    drops = [await shop.open_drop(6, limit=1) for _ in range(4)]
    runs = [(drop, viewer) for drop in drops for viewer in range(10)]
    random.Random(8).shuffle(runs)
    receipts = await race(
        *(replicas[n % 2].commit(drop, [shop.wish(drop, viewer)]) for n, (drop, viewer) in enumerate(runs))
    )
    assert outcome(receipts) == {"accepted": 24, "sold_out": 16}
    assert (await shop.kinds()).count("drop_sold_out") == 4
    assert await shop.violations() == []


# One ref


async def test_the_same_ref_on_two_replicas_at_once_buys_once(replicas: Replicas) -> None:
    shop, _ = replicas
    drop = await shop.open_drop(100, limit=9)
    first, *again = await race(*(replicas[n % 2].commit(drop, [shop.wish(drop, ref="r1")]) for n in range(8)))
    assert isinstance(first, Accepted)
    assert again == [first] * 7
    assert (await shop.drop(drop)).variants[0].left == 99
    assert await shop.violations() == []


async def test_a_double_click_in_one_batch_buys_once(replicas: Replicas) -> None:
    shop, _ = replicas
    drop = await shop.open_drop(100, limit=9)
    clicks = [shop.wish(drop, ref="r1") for _ in range(5)]
    receipts = await race(replicas[0].commit(drop, clicks), replicas[1].commit(drop, clicks))
    assert len(set(receipts)) == 1
    assert (await shop.drop(drop)).variants[0].left == 99


async def test_the_same_ref_for_two_drops_at_once_buys_one_of_them(replicas: Replicas) -> None:
    """No common stock row, hence no common lock: here it is the unique key that decides."""
    receipts = await race(*await one_ref_for_two_drops(replicas))
    assert outcome(receipts) == {"accepted": 1, "conflict": 1}
    assert await replicas[0].sql("SELECT COUNT(*) FROM orders") == [(1,)]
    assert await replicas[0].violations() == []


async def test_control_without_the_unique_key_one_ref_buys_both(
    replicas: Replicas, mariadb: MariaDB, database_url: str
) -> None:
    name = database_url.rpartition("/")[2]
    mariadb.execute("ALTER TABLE orders DROP INDEX orders_viewer_ref", Named(name, "", ""))
    receipts = await race(*await one_ref_for_two_drops(replicas))
    assert outcome(receipts) == {"accepted": 2}
    assert await replicas[0].sql("SELECT COUNT(*) FROM orders GROUP BY viewer_id, ref") == [(2,)]


async def one_ref_for_two_drops(replicas: Replicas) -> list[Awaitable[tuple[Receipt, ...]]]:
    both_have_looked = asyncio.Barrier(2)
    runs = []
    for shop in replicas:
        drop = await replicas[0].open_drop(5)
        shop.orders = MeetingOrders(shop.database, both_have_looked)
        runs.append(shop.commit(drop, [shop.wish(drop, ref="r1")]))
    return runs


# Orders against the host


async def test_an_order_that_is_being_committed_is_decided_before_the_drop_closes(replicas: Replicas) -> None:
    shop, other = replicas
    drop = await shop.open_drop(5)
    receipt, closed = await while_an_order_holds_the_stock(
        replicas, drop, lambda: other.drops.close(other.host, drop.id)
    )
    assert isinstance(receipt, Accepted)
    assert closed[0].status is DropStatus.CLOSED
    assert await shop.shelf(drop) == [4]
    assert await shop.order(drop, 1, ref="late") == Rejected("late", Reason.DROP_CLOSED)
    assert await shop.violations() == []


async def test_new_stock_that_arrives_with_the_last_order_is_told_after_it(replicas: Replicas) -> None:
    shop, other = replicas
    drop = await shop.open_drop(1, shelf=5)
    receipt, (restocked, _) = await while_an_order_holds_the_stock(
        replicas, drop, lambda: other.drops.restock(other.host, drop.id, drop.variants[0].id, 5, "r")
    )
    assert isinstance(receipt, Accepted)
    assert (restocked.status, restocked.variants[0].left) == (DropStatus.OPEN, 5)
    assert (await shop.kinds())[-2:] == ["drop_sold_out", "drop_opened"]
    assert await shop.drop(drop) == restocked
    assert await shop.violations() == []


async def while_an_order_holds_the_stock(
    replicas: Replicas, drop: Drop, command: Callable[[], Awaitable[T]]
) -> tuple[Receipt, T]:
    """Begins an order on one replica, then the command on the other; the order goes on once the command waits."""
    shop, other = replicas
    shop.orders = paused = PausedOrders(shop.database)
    order = asyncio.create_task(shop.order(drop))
    await asyncio.wait_for(paused.holding.wait(), WITHIN_S)
    commanded = asyncio.ensure_future(command())
    await waits_for_a_lock(other)
    assert not commanded.done()
    paused.go_on.set()
    return await order, await commanded


async def waits_for_a_lock(shop: Shop) -> None:
    """Until the server says that a statement of this database waits for a row."""
    async with asyncio.timeout(WITHIN_S):
        while not await shop.sql(  # noqa: ASYNC110  a server's locks send no signal
            "SELECT 1 FROM information_schema.processlist WHERE db = DATABASE() AND info LIKE '%drop_stock%FOR UPDATE'"
        ):
            await asyncio.sleep(0.01)


@pytest.mark.parametrize("command", ["close", "restock"])
async def test_control_without_the_lock_what_the_host_did_is_undone(replicas: Replicas, command: str) -> None:
    """The host's command commits between a lock-free order's reading and its writing."""
    shop, other = replicas
    drop = await shop.open_drop(1, shelf=5)

    async def host_commands() -> None:
        if command == "close":
            await other.drops.close(other.host, drop.id)
        else:
            await other.drops.restock(other.host, drop.id, drop.variants[0].id, 5, "r")

    await commit_lock_free(shop, drop, [shop.wish(drop)], host_commands)
    lost = await shop.violations()
    assert any(said.startswith("variant ") and said.endswith("is another number") for said in lost), lost


async def test_orders_restocks_and_a_close_in_any_order_keep_every_invariant(replicas: Replicas) -> None:
    shop, other = replicas
    drop = await shop.open_drop(20, 20, limit=3, shelf=20)
    chance = random.Random(9)

    async def host() -> None:
        for n in range(10):
            await other.drops.restock(other.host, drop.id, drop.variants[n % 2].id, 2, f"r{n % 6}")
        await other.drops.close(other.host, drop.id)

    async def crowd(shop: Shop, viewers: range) -> list[Receipt]:
        receipts: list[Receipt] = []
        for viewer in viewers:
            batch = [shop.wish(drop, viewer, variant=chance.randrange(2), quantity=chance.randint(1, 2)) for _ in "ab"]
            receipts += await shop.commit(drop, batch)
        return receipts

    crowds = [range(start, start + 12) for start in range(0, 96, 12)]
    _, *receipts = await asyncio.gather(host(), *(crowd(replicas[n % 2], who) for n, who in enumerate(crowds)))
    seen = outcome([receipt for some in receipts for receipt in some])
    assert seen["accepted"]
    assert seen["drop_closed"] + seen["sold_out"] + seen["limit_reached"] + seen["accepted"] == sum(seen.values())
    assert await shop.violations() == []
    kinds = await shop.kinds()
    assert kinds[-1] == "drop_closed"


async def test_a_stream_does_not_end_while_a_drop_is_being_opened(replicas: Replicas) -> None:
    """Either the drop opens and the end is refused, or the stream ends and the drop stays shut: never both."""
    shop, other = replicas
    for n in range(10):
        await shop.streams.create(shop.host, slug=f"s{n}", title="S", starts_at=None, video=None)
        drop = await shop.scheduled(1, stream=f"s{n}")
        ends = await asyncio.gather(
            shop.drops.open(shop.host, drop.id),
            other.streams.change_status(other.host, f"s{n}", StreamStatus.ENDED),
            return_exceptions=True,
        )
        assert [isinstance(end, Exception) for end in ends].count(True) == 1
    assert await shop.violations() == []
