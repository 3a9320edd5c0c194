"""The watch finds what `dropcast verify` finds in the rows, says so loudly, and is content when it is repaired."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest
import pytest_asyncio

from server import metrics
from server.domain.drop import Drop
from server.domain.errors import Unavailable
from server.domain.ids import new_id
from server.domain.views import StreamStatus
from server.store import watch as watching
from server.store.engine import open_database
from server.store.schema import init_db
from server.store.verify import violations
from server.store.watch import Watch
from tests.contract.shops import Shop
from tests.contract.test_verify import broken

SLEEPING = "SELECT 1 FROM (SELECT SLEEP(0.8) AS s) t"


def count() -> float:
    return metrics.VIOLATIONS._value.get()


def errors(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.levelno == logging.ERROR]


async def at_once(_: float) -> None:
    """No rest between queries: nobody else is here."""


def watch_of(shop: Shop) -> Watch:
    return Watch(shop.database, sleep=at_once)


@pytest_asyncio.fixture
async def sold(shop: Shop) -> Drop:
    """A drop of five with one sold, on a live stream."""
    await shop.streams.change_status(shop.host, shop.stream, StreamStatus.LIVE)
    drop = await shop.open_drop(5, limit=2)
    await shop.order(drop)
    return drop


BROKEN = [
    pytest.param(
        "UPDATE drop_stock SET put_in = 6, held = 0", ("drop_stock", "drop_stock_equation"), "put in 6", id="equation"
    ),
    pytest.param("UPDATE drop_stock SET sold = 2, `left` = 3", None, "sold says 2, its orders add up to 1", id="sold"),
    pytest.param("DELETE FROM orders", None, "sold says 1, its orders add up to 0", id="orders lost"),
    pytest.param("UPDATE orders SET variant_id = :other", None, "was never put into drop", id="foreign variant"),
    pytest.param("UPDATE orders SET drop_id = :other", None, "was never put into drop", id="foreign drop"),
    pytest.param("UPDATE orders SET viewer_id = :other", None, "does not exist", id="viewer"),
    pytest.param("UPDATE orders SET total = total + 1", None, "does not agree with its drop", id="total"),
    pytest.param("UPDATE orders SET quantity = 3, total = 7200", None, "whose limit is 2", id="limit"),
    pytest.param("UPDATE variants SET received = received + 1", None, "is another number", id="goods received"),
    pytest.param("UPDATE drops SET status = 'closed'", None, "status closed with 4 left", id="closed with stock"),
    pytest.param("DELETE FROM drop_stock", None, "has no stock rows", id="no stock rows"),
    pytest.param("UPDATE streams SET seq = seq + 1", None, "seq 4, but its log holds 3", id="event lost"),
]


@pytest.mark.parametrize(("statement", "check", "said"), BROKEN)
async def test_what_is_broken_is_found_counted_and_said(
    shop: Shop,
    sold: Drop,
    caplog: pytest.LogCaptureFixture,
    statement: str,
    check: tuple[str, str] | None,
    said: str,
) -> None:
    async with aclosing(watch_of(shop).passes()) as passes:
        await anext(passes)
        assert (count(), errors(caplog)) == (0, [])
        whole = await broken(shop, statement, check=check, **({"other": new_id()} if ":other" in statement else {}))
        await anext(passes)
        assert any(said in line for line in errors(caplog)), errors(caplog)
        of_rows = {line for line in whole if "its log tells" not in line and "its log says" not in line}
        assert {line.partition(": ")[2] for line in errors(caplog)} == of_rows
        assert count() == len(of_rows)


async def test_what_is_repaired_is_not_counted_any_more(
    shop: Shop, sold: Drop, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with aclosing(watch_of(shop).passes()) as passes:
        await shop.sql("UPDATE orders SET total = total + 1")
        await anext(passes)
        await anext(passes)
        assert count() == 1
        assert len(errors(caplog)) == 1  # said once, counted as long as it lasts
        await shop.sql("UPDATE orders SET total = total - 1")
        before = metrics.VERIFIED._value.get()
        await anext(passes)
        assert count() == 0
        assert metrics.VERIFIED._value.get() > before
        assert caplog.messages[-1] == "an invariant holds again"


async def test_who_stops_watching_reports_nothing(shop: Shop, sold: Drop) -> None:
    await shop.sql("UPDATE orders SET total = total + 1")
    async with aclosing(watch_of(shop).passes()) as passes:
        await anext(passes)
        assert count() == 1
    assert count() == 0


async def test_orders_are_added_up_over_many_pages(
    shop: Shop, sold: Drop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching, "ORDERS_PAGE", 2)
    drop = await shop.open_drop(9, 9, limit=3)
    for viewer in range(5):
        for variant in range(2):
            await shop.order(drop, viewer, variant=variant)
    async with aclosing(watch_of(shop).passes()) as passes:
        await anext(passes)
        assert errors(caplog) == []
        await shop.sql(
            "DELETE FROM orders WHERE viewer_id = :viewer AND drop_id = :drop", viewer=shop.viewers[3], drop=drop.id
        )
        await anext(passes)
    assert len(errors(caplog)) == 2
    assert all("sold says 5, its orders add up to 4" in line for line in errors(caplog))


async def test_what_is_old_is_met_on_the_way_a_bit_in_each_pass(
    shop: Shop, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With no time at all for the rest, a pass checks what is on sale and nothing else."""
    old = [await shop.open_drop(5) for _ in range(3)]
    for drop in old:
        await shop.order(drop)
        await shop.drops.close(shop.host, drop.id)
    await shop.sql("UPDATE orders SET total = total + 1")
    monkeypatch.setattr(watching, "OLD_S", 0.0)
    async with aclosing(watch_of(shop).passes()) as passes:
        await anext(passes)
        assert count() == 0
        monkeypatch.setattr(watching, "OLD_S", 1e-9)  # one of each kind
        for found in (1, 2, 3, 3):
            await anext(passes)
            assert count() == found


async def test_the_task_passes_by_itself_and_ends_in_the_middle_of_one(shop: Shop, sold: Drop) -> None:
    rests = asyncio.Event()

    async def for_ever(_: float) -> None:
        rests.set()
        await asyncio.Event().wait()

    watch = Watch(shop.database, sleep=for_ever)
    watch.start()
    await asyncio.wait_for(rests.wait(), 5)
    await watch.close()
    async with aclosing(watch_of(shop).passes()) as passes:
        await asyncio.wait_for(anext(passes), 5)  # the seat is free


# More than one replica


@pytest_asyncio.fixture
async def two(database_url: str) -> AsyncIterator[tuple[Shop, Shop]]:
    databases = [open_database(database_url, pool_size=2) for _ in range(2)]
    try:
        await init_db(databases[0])
        shop = await Shop.opened(databases[0])
        yield shop, shop.beside(databases[1])
    finally:
        for database in databases:
            await database.close()


async def gives_way(watch: Watch) -> bool:
    """Whether another one watches."""
    async with aclosing(watch.passes()) as passes:
        async for _ in passes:
            return False
    return True


async def test_one_replica_watches_and_another_takes_over_when_it_stops(two: tuple[Shop, Shop]) -> None:
    first, second = (watch_of(shop) for shop in two)
    async with aclosing(first.passes()) as passes:
        await anext(passes)
        assert await gives_way(second)
        await anext(passes)
    async with aclosing(second.passes()) as passes:
        await anext(passes)
        assert await gives_way(first)


async def test_many_replicas_at_once_make_the_passes_of_one(two: tuple[Shop, Shop]) -> None:
    """Each tries to watch, and holds on to it until all the others have tried."""
    tried = 0
    all_tried = asyncio.Event()

    async def try_to_watch(shop: Shop) -> int:
        nonlocal tried
        made = 0
        async with aclosing(watch_of(shop).passes()) as passes:
            async for _ in passes:
                made += 1
                await asyncio.wait_for(all_tried.wait(), 5)
                break
        tried += not made
        if tried == 3:
            all_tried.set()
        return made

    assert sum(await asyncio.gather(*(try_to_watch(two[n % 2]) for n in range(4)))) == 1


async def test_a_watcher_whose_connection_dies_gives_way(two: tuple[Shop, Shop], sold_in_two: Drop) -> None:
    shop, other = two
    await shop.sql("UPDATE orders SET total = total + 1")
    passes = watch_of(shop).passes()
    await anext(passes)
    assert count() == 1
    ((connection,),) = await shop.sql("SELECT IS_USED_LOCK(CONCAT('dropcast watch ', MD5(DATABASE())))")
    await shop.sql(f"KILL {int(connection)}")
    with pytest.raises(Unavailable):
        await anext(passes)
    assert count() == 0
    async with aclosing(watch_of(other).passes()) as passes:
        await anext(passes)
        assert count() == 1


@pytest_asyncio.fixture
async def sold_in_two(two: tuple[Shop, Shop]) -> Drop:
    drop = await two[0].open_drop(5)
    await two[0].order(drop)
    return drop


# The command


async def test_verify_takes_the_time_it_needs(
    database_url: str, two: tuple[Shop, Shop], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither the deadline of a unit of work nor the server's limit on a statement ends it; both end another reader."""
    hurried = open_database(database_url, deadline_s=0.4)
    slow = watching.invariants.Invariant("slept {0}", SLEEPING, "")
    monkeypatch.setattr("server.store.verify.ALL", (slow, slow))
    try:
        assert [said async for said in violations(hurried)] == ["slept 1"] * 2
        with pytest.raises(Unavailable):
            async with hurried.reading() as connection:
                await connection.execute(slow.everywhere)
        with pytest.raises(Unavailable):
            async with hurried.apart() as connection:
                await connection.execute(slow.everywhere)
    finally:
        await hurried.close()
