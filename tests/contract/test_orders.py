"""Orders, over MariaDB and SQLite: one transaction per batch, and what its receipts mean."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import msgspec
import pytest
from sqlalchemy import event, select
from sqlalchemy.exc import IntegrityError

from server.domain.drop import DropStatus, StockLine
from server.domain.errors import Reason, Unavailable
from server.domain.events import DropEvent, EventKind
from server.domain.ids import new_id
from server.domain.order import Accepted, OrderRequest, Receipt, Rejected
from server.protocol import codec, frames
from server.store.engine import Database, open_database
from server.store.orders import Orders
from server.store.tables import datetime_of, streams
from tests.contract.shops import Shop
from tests.services.mariadb import MariaDB


def reasons(receipts: tuple[Receipt, ...]) -> list[str]:
    return ["accepted" if isinstance(receipt, Accepted) else receipt.reason.value for receipt in receipts]


@contextmanager
def counted(database: Database) -> Iterator[list[str]]:
    """Statements and ends of transactions, as the engine issues them."""
    seen: list[str] = []
    engine = database.engine.sync_engine

    def statement(_c: object, _cursor: object, sql: str, *_: object) -> None:
        seen.append(sql.split()[0])

    def commit(_: object) -> None:
        seen.append("COMMIT")

    event.listen(engine, "before_cursor_execute", statement)
    event.listen(engine, "commit", commit)
    yield seen
    event.remove(engine, "before_cursor_execute", statement)
    event.remove(engine, "commit", commit)


async def test_an_accepted_order_is_in_the_database_for_everybody(shop: Shop, any_url: str) -> None:
    drop = await shop.open_drop(5, 7)
    wish = shop.wish(drop, variant=1, quantity=2)
    (receipt,) = await shop.commit(drop, [wish])
    assert receipt == Accepted(wish.ref, wish.order, 2, 4800, "USD")
    elsewhere = open_database(any_url)
    try:
        ((order, slug),), after = await shop.beside(elsewhere).orders.of_viewer(wish.viewer)
    finally:
        await elsewhere.close()
    assert (order.id, order.ref, order.drop, order.variant, order.quantity, order.total) == (
        wish.order,
        wish.ref,
        drop.id,
        drop.variants[1].id,
        2,
        4800,
    )
    assert (order.title, order.product, slug, after) == ("Hoodie", drop.product, shop.stream, None)
    assert [(v.left, v.version) for v in (await shop.drop(drop)).variants] == [(5, 1), (5, 2)]
    assert shop.told[shop.stream][-1].stock == (StockLine(drop.id, drop.variants[1].id, 5, 2),)
    assert await shop.violations() == []


async def test_orders_do_not_wait_for_their_streams_row(shop: Shop, database: Database) -> None:
    if database.is_sqlite:
        return  # one writer at a time
    drop = await shop.open_drop(5)
    async with database.transaction() as connection:  # as another drop's event does, until its COMMIT
        await connection.execute(select(streams).with_for_update())
        assert reasons((await shop.order(drop),)) == ["accepted"]


async def test_an_accepted_order_survives_a_server_killed_the_moment_after(
    request: pytest.FixtureRequest, shop: Shop
) -> None:
    if shop.database.is_sqlite:
        return  # in the same process there is nobody to kill
    mariadb: MariaDB = request.getfixturevalue("mariadb")
    drop = await shop.open_drop(5)
    receipt = await shop.order(drop)
    await asyncio.to_thread(mariadb.kill)
    with pytest.raises(Unavailable):
        await shop.order(drop)
    await asyncio.to_thread(mariadb.start)
    async with asyncio.timeout(10):
        while True:
            try:
                ((order, _),), _ = await shop.orders.of_viewer(shop.viewers[0])
                break
            except Unavailable:  # each pooled connection finds out once that it is dead
                continue
    assert isinstance(receipt, Accepted)
    assert order.id == receipt.order
    assert await shop.violations() == []


async def test_one_broken_connection_clears_the_pool_of_all_that_are_older(
    request: pytest.FixtureRequest, shop: Shop, database: Database
) -> None:
    if database.is_sqlite:
        return  # no server, no connections to lose
    mariadb: MariaDB = request.getfixturevalue("mariadb")
    everybody = asyncio.Barrier(5)

    async def hold() -> None:
        async with database.transaction():
            await everybody.wait()

    await asyncio.gather(*(hold() for _ in range(5)))
    await asyncio.to_thread(mariadb.kill)
    await asyncio.to_thread(mariadb.start)
    with pytest.raises(Unavailable):
        await shop.orders.ping()
    for _ in range(5):
        await shop.orders.ping()


async def test_the_same_ref_again_gets_the_first_receipt_and_buys_once(shop: Shop) -> None:
    drop = await shop.open_drop(5)
    first, twin, tail = await shop.commit(drop, [shop.wish(drop, ref="r1"), shop.wish(drop, ref="r1"), shop.wish(drop)])
    assert isinstance(first, Accepted)
    assert twin == first
    assert isinstance(tail, Accepted)
    assert await shop.commit(drop, [shop.wish(drop, ref="r1")]) == (first,)
    assert (await shop.drop(drop)).variants[0].left == 3
    assert len((await shop.orders.of_viewer(shop.viewers[0]))[0]) == 2


async def test_the_same_ref_gets_its_receipt_even_when_the_drop_is_closed_since(shop: Shop) -> None:
    drop = await shop.open_drop(1)
    first = await shop.order(drop, ref="r1")
    await shop.drops.close(shop.host, drop.id)
    assert await shop.order(drop, ref="r1") == first
    assert await shop.order(drop, ref="r1", variant=None) == first


async def test_the_same_ref_with_another_body_is_a_conflict(shop: Shop) -> None:
    drop, other = await shop.open_drop(5, 5), await shop.open_drop(5)
    await shop.order(drop, ref="r1")
    for receipt in (
        await shop.order(drop, ref="r1", quantity=2),
        await shop.order(drop, ref="r1", variant=1),
        await shop.order(other, ref="r1"),
    ):
        assert receipt == Rejected("r1", Reason.CONFLICT)
    assert isinstance(await shop.order(drop, 1, ref="r1"), Accepted)  # a ref is the viewer's own
    assert await shop.violations() == []


async def test_a_rejected_ref_may_be_tried_again(shop: Shop) -> None:
    drop = await shop.scheduled(5)
    assert await shop.order(drop, ref="r1") == Rejected("r1", Reason.NOT_OPEN)
    await shop.drops.open(shop.host, drop.id)
    assert isinstance(await shop.order(drop, ref="r1"), Accepted)


async def test_the_limit_holds_over_several_orders_and_variants(shop: Shop) -> None:
    drop = await shop.open_drop(9, 9, limit=3)
    assert reasons(await shop.commit(drop, [shop.wish(drop, quantity=2), shop.wish(drop, quantity=2)])) == [
        "accepted",
        "limit_reached",
    ]
    assert reasons((await shop.order(drop, variant=1),)) == ["accepted"]
    assert reasons((await shop.order(drop, variant=1),)) == ["limit_reached"]
    assert reasons((await shop.order(drop, viewer=1, quantity=3),)) == ["accepted"]
    assert reasons((await shop.order(await shop.open_drop(9), quantity=2),)) == ["accepted"]  # each drop for itself
    assert await shop.violations() == []


@pytest.mark.parametrize("quantity", [0, -1, 3, 2**31 - 1])
async def test_a_quantity_outside_one_to_limit_is_bad(shop: Shop, quantity: int) -> None:
    drop = await shop.open_drop(9, limit=2)
    assert reasons((await shop.order(drop, quantity=quantity),)) == ["bad_quantity"]


async def test_the_variant_may_stay_unsaid_when_there_is_one(shop: Shop) -> None:
    single, several = await shop.open_drop(5), await shop.open_drop(5, 5)
    assert reasons((await shop.order(single, variant=None), await shop.order(several, variant=None))) == [
        "accepted",
        "unknown_drop",
    ]
    foreign = msgspec.structs.replace(shop.wish(single), variant=several.variants[0].id)
    assert reasons(await shop.commit(single, [foreign])) == ["unknown_drop"]


async def test_an_unknown_drop_is_unknown(shop: Shop) -> None:
    wish = OrderRequest(new_id(), shop.viewers[0], "r1", new_id(), None, 1)
    assert await shop.orders.commit(wish.drop, [wish]) == ((Rejected("r1", Reason.UNKNOWN_DROP),), None)


async def test_a_drop_sells_only_while_it_is_open(shop: Shop) -> None:
    drop = await shop.scheduled(5)
    assert reasons((await shop.order(drop),)) == ["not_open"]
    await shop.drops.open(shop.host, drop.id)
    assert reasons((await shop.order(drop),)) == ["accepted"]
    await shop.drops.close(shop.host, drop.id)
    assert reasons((await shop.order(drop),)) == ["drop_closed"]


async def test_the_databases_clock_opens_and_closes_the_window(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1_767_225_600_000

    def let_it_be(ms: int) -> None:
        at = f"'{datetime_of(ms)}'"
        monkeypatch.setattr(shop.database, "clock_sql", at if shop.database.is_sqlite else f"CAST({at} AS DATETIME(6))")

    let_it_be(now)
    drop = await shop.scheduled(9, limit=9, closes_at=now + 1_000)
    await shop.drops.open(shop.host, drop.id)
    seen = []
    for at in (now - 1, now, now + 999, now + 1_000):
        let_it_be(at)
        receipts, _ = await Orders(shop.database).commit(drop.id, [shop.wish(drop)])
        seen += reasons(receipts)
    assert seen == ["not_open", "accepted", "accepted", "drop_closed"]


async def test_the_last_unit_sells_the_drop_out_in_the_same_transaction(shop: Shop, database: Database) -> None:
    drop = await shop.open_drop(1, 2)
    await shop.order(drop, variant=1)
    seq = (await shop.whole()).seq
    with counted(database) as seen:
        receipts = await shop.commit(
            drop, [shop.wish(drop, 1), shop.wish(drop, 2, variant=1), shop.wish(drop, 3), shop.wish(drop, 4, variant=1)]
        )
    assert reasons(receipts) == ["accepted", "accepted", "sold_out", "sold_out"]
    assert seen.count("COMMIT") == 1
    whole = await shop.whole()
    assert whole.seq == seq + 1
    assert whole.drops[drop.id].status is DropStatus.SOLD_OUT
    news = shop.told[shop.stream][-1]
    (frame,) = news.events
    read = codec.decode_server(frame)
    assert isinstance(read, frames.EventFrame)
    assert codec.read_event(read) == DropEvent(EventKind.DROP_SOLD_OUT, whole.drops[drop.id])
    assert [line.left for line in news.stock] == [0, 0]
    assert reasons((await shop.order(drop),)) == ["sold_out"]
    assert (await shop.whole()).seq == seq + 1
    assert await shop.violations() == []


async def test_a_batch_that_buys_nothing_tells_nothing(shop: Shop) -> None:
    drop = await shop.open_drop(1)
    await shop.order(drop)
    receipts, news = await shop.orders.commit(drop.id, [shop.wish(drop), shop.wish(drop, 1)])
    assert (reasons(receipts), news) == (["sold_out", "sold_out"], None)


@pytest.mark.parametrize("size", [1, 50])
async def test_a_batch_is_one_transaction_and_as_many_statements_whatever_its_size(
    shop: Shop, database: Database, size: int
) -> None:
    """Group commit: the cost of a transaction is shared by every order in it."""
    drop = await shop.open_drop(100, limit=100)
    batch = [shop.wish(drop, n % 5) for n in range(size)]
    with counted(database) as seen:
        receipts = await shop.commit(drop, batch)
    assert set(reasons(receipts)) == {"accepted"}
    assert [receipt.ref for receipt in receipts] == [wish.ref for wish in batch]
    assert seen.count("COMMIT") == 1
    statements = [word for word in seen if word not in ("COMMIT", "BEGIN")]
    assert statements.count("INSERT") == 1
    assert statements.count("UPDATE") == 1
    assert len(statements) <= 7


async def test_a_batch_that_fails_half_way_takes_nothing(shop: Shop) -> None:
    drop = await shop.open_drop(9)
    taken = shop.wish(drop, 2)
    await shop.commit(drop, [taken])
    before = await shop.whole()
    poisoned = msgspec.structs.replace(shop.wish(drop, 1), order=taken.order)
    with pytest.raises(IntegrityError):
        await shop.commit(drop, [shop.wish(drop), poisoned])
    assert await shop.whole() == before
    assert await shop.violations() == []


async def test_a_commit_cancelled_before_the_end_takes_nothing(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    drop = await shop.open_drop(9)
    before = await shop.whole()
    reached = asyncio.Event()

    async def never(*_: object) -> None:
        reached.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patch:
        patch.setattr(shop.orders, "_take", never)  # the orders are inserted, the stock not yet taken
        task = asyncio.create_task(shop.commit(drop, [shop.wish(drop)]))
        await asyncio.wait_for(reached.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert await shop.whole() == before
    assert reasons((await shop.order(drop),)) == ["accepted"]  # no lock was left behind
    assert await shop.violations() == []


async def test_a_viewers_orders_are_paged_newest_first(shop: Shop) -> None:
    drop = await shop.open_drop(9, limit=9)
    bought = [receipt.order for receipt in await shop.commit(drop, [shop.wish(drop) for _ in range(7)])]
    await shop.order(drop, viewer=1)
    seen, after = [], None
    for size in (3, 3, 1):
        page, after = await shop.orders.of_viewer(shop.viewers[0], after=after, limit=3)
        assert len(page) == size
        seen += [order.id for order, _ in page]
    assert after is None
    assert seen == sorted(bought, reverse=True)


async def test_a_viewers_orders_of_one_stream_are_found_among_their_own(shop: Shop) -> None:
    await shop.streams.create(shop.host, slug="monday", title="Monday", starts_at=None, video=None)
    here, there = await shop.open_drop(9, limit=9), await shop.open_drop(9, limit=9, stream="monday")
    bought = []
    for drop in (here, there, here, there, here):
        bought.append((await shop.order(drop)).order)
        await shop.order(drop, viewer=1)
    first, after = await shop.orders.of_viewer(shop.viewers[0], stream=shop.stream, limit=2)
    rest, end = await shop.orders.of_viewer(shop.viewers[0], stream=shop.stream, after=after, limit=2)
    assert [(order.id, slug) for order, slug in first + rest] == [(bought[n], shop.stream) for n in (4, 2, 0)]
    assert end is None
    assert await shop.orders.of_viewer(shop.viewers[2], stream=shop.stream) == ([], None)
    assert await shop.orders.of_viewer(shop.viewers[0], stream="nobody") == ([], None)


async def test_a_viewers_orders_of_one_stream_cost_no_look_at_others_orders(shop: Shop) -> None:
    drop = await shop.open_drop(9, limit=9)
    for _ in range(3):
        await shop.order(drop)
    asked: list[tuple[str, Any]] = []
    engine = shop.database.engine.sync_engine
    event.listen(engine, "before_cursor_execute", lambda _c, _cursor, sql, values, *_: asked.append((sql, values)))
    await shop.orders.of_viewer(shop.viewers[0], stream=shop.stream)
    ((sql, values),) = [each for each in asked if "FROM orders" in each[0]]
    explain = "EXPLAIN QUERY PLAN " if shop.database.is_sqlite else "EXPLAIN "
    async with shop.database.reading() as connection:
        plan = str((await connection.exec_driver_sql(explain + sql, values)).mappings().all())
    assert "orders_viewer" in plan
    assert "streams_slug" in plan or "autoindex_streams" in plan
    assert not any(word in plan for word in ("filesort", "temporary", "TEMP B-TREE", "SCAN", "'ALL'")), plan


async def test_the_buyers_of_a_drop_are_all_who_have_an_order_of_it_once_each(shop: Shop) -> None:
    drop, other = await shop.open_drop(9, 9, limit=3), await shop.open_drop(9)
    await shop.commit(drop, [shop.wish(drop, n, variant=n % 2) for n in (0, 1, 2, 0)])
    await shop.commit(other, [shop.wish(other, 3)])
    await shop.commit(drop, [shop.wish(drop, 4, quantity=99)])
    assert await shop.orders.buyers(drop.id, 3) == frozenset(shop.viewers[:3])
    assert await shop.orders.buyers(drop.id, 2) is None
    assert await shop.orders.buyers(new_id(), 0) == frozenset()


async def test_the_buyers_are_read_from_an_index_alone(shop: Shop) -> None:
    drop = await shop.open_drop(9)
    await shop.order(drop)
    query = "SELECT DISTINCT viewer_id FROM orders WHERE drop_id = :drop LIMIT 4"
    explain = "EXPLAIN QUERY PLAN" if shop.database.is_sqlite else "EXPLAIN"
    (plan,) = await shop.sql(f"{explain} {query}", drop=drop.id)
    assert "orders_drop_viewer" in str(plan)
    assert ("COVERING INDEX" if shop.database.is_sqlite else "Using index") in str(plan)


async def test_looking_up_gives_each_ref_the_receipt_it_has(shop: Shop) -> None:
    drop, other = await shop.open_drop(1), await shop.open_drop(5)
    bought, late = shop.wish(drop), shop.wish(drop, 1)
    receipts = await shop.commit(drop, [bought, late])
    assert reasons(receipts) == ["accepted", "sold_out"]
    another_order = msgspec.structs.replace(bought, order=new_id())
    another_body = msgspec.structs.replace(bought, quantity=2)
    foreign = shop.wish(drop, 2, ref=bought.ref)
    assert await shop.orders.look_up(drop.id, [bought, late, another_order, another_body, foreign]) == (
        receipts[0],
        None,  # what was not accepted is not kept
        receipts[0],
        Rejected(bought.ref, Reason.CONFLICT),
        None,
    )
    assert await shop.orders.look_up(other.id, [shop.wish(other)]) == (None,)
    assert await shop.orders.look_up(new_id(), [bought]) == (receipts[0],)  # the ref is known, whatever the drop


async def test_looking_up_a_batch_is_as_many_statements_whatever_its_size(shop: Shop, database: Database) -> None:
    drop = await shop.open_drop(100, limit=100)
    batch = [shop.wish(drop, n % 5) for n in range(50)]
    receipts = await shop.commit(drop, batch)
    with counted(database) as seen:
        assert await shop.orders.look_up(drop.id, batch) == receipts
    assert len([word for word in seen if word not in ("COMMIT", "BEGIN")]) == 2


async def test_a_ping_answers_or_is_unavailable(shop: Shop) -> None:
    await shop.orders.ping()
    nowhere = open_database("mysql+aiomysql://nobody@127.0.0.1:1/nothing")
    try:
        with pytest.raises(Unavailable):
            await Orders(nowhere).ping()
    finally:
        await nowhere.close()
