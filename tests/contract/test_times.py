"""Drops that open and close by themselves: what is due, by the database's clock, and what a turn leaves behind."""

from __future__ import annotations

import pytest

from server.domain.drop import Drop, DropStatus
from server.domain.errors import Reason, Refused
from server.domain.ids import new_id
from server.domain.news import News
from server.domain.order import Rejected
from server.domain.views import StreamStatus
from server.protocol import codec
from server.store.engine import open_database
from server.store.schema import init_db
from server.store.times import Times
from tests.contract.shops import Shop

PAST, FUTURE = 1_000, 4_102_444_800_000


async def due(shop: Shop, within_ms: int = 1_000, limit: int = 100, **more: object) -> list[str]:
    return [drop for drop, _ in await Times(shop.database).due(within_ms, limit, **more)]  # type: ignore[arg-type]


async def turned(shop: Shop, drop: Drop) -> News | None:
    return await Times(shop.database).turn(drop.id)


async def now_ms(shop: Shop) -> int:
    async with shop.database.reading() as connection:
        return await shop.database.now_ms(connection)


async def times(shop: Shop, drop: Drop, **at: int) -> None:
    """Gives a drop other times behind its host's back, its event too: the log tells what the row says."""
    for column, ms in at.items():
        shifted = "datetime(:s, 'unixepoch')" if shop.database.is_sqlite else "FROM_UNIXTIME(:s)"
        await shop.sql(f"UPDATE drops SET {column} = {shifted} WHERE id = :id", s=ms / 1000, id=drop.id)


# What is due


async def test_what_is_due_comes_soonest_first_and_nothing_else_does(shop: Shop) -> None:
    now = await now_ms(shop)
    later = await shop.scheduled(1, opens_at=now + 3_600_000, closes_at=FUTURE)
    soon = await shop.scheduled(1, opens_at=now + 30_000)
    opens = await shop.scheduled(1, opens_at=PAST + 2_000)
    closes = await shop.scheduled(1, closes_at=PAST + 1_000)
    await shop.scheduled(1)
    on_sale = await shop.open_drop(1)
    assert await due(shop) == [closes.id, opens.id]
    assert await due(shop, 60_000) == [closes.id, opens.id, soon.id]
    assert await due(shop, limit=1) == [closes.id]
    assert await due(shop, without=[closes.id]) == [opens.id]
    await times(shop, on_sale, closes_at=PAST)
    assert await due(shop) == [on_sale.id, closes.id, opens.id]
    waits = dict(await Times(shop.database).due(60_000, 100))
    assert waits[on_sale.id] < waits[closes.id] < waits[opens.id] < 0 < waits[soon.id] <= 30_000
    assert later.id not in waits


async def test_what_had_its_turn_is_not_due_again(shop: Shop) -> None:
    drops = [await shop.scheduled(1, opens_at=PAST), await shop.scheduled(1, opens_at=PAST, closes_at=PAST + 1)]
    for drop in drops:
        assert await turned(shop, drop) is not None
    assert await due(shop) == []
    assert [(await shop.drop(drop)).status for drop in drops] == [DropStatus.OPEN, DropStatus.CLOSED]


# The turn


async def test_a_drop_opens_at_its_time_once_and_keeps_the_time_that_was_planned(shop: Shop) -> None:
    drop = await shop.scheduled(5, opens_at=PAST, closes_at=FUTURE)
    news = await turned(shop, drop)
    assert news is not None
    now = await shop.drop(drop)
    assert (now.status, now.opens_at, now.closes_at) == (DropStatus.OPEN, PAST, FUTURE)
    assert [codec.read_event(codec.decode_server(frame)).drop for frame in news.events] == [now]  # type: ignore
    assert news.stream == shop.stream
    assert await turned(shop, drop) is None
    assert await shop.kinds() == ["drop_scheduled", "drop_opened"]
    assert await audited(shop, drop) == [("drop.schedule", shop.host.id), ("drop.open", None)]
    assert (await shop.order(drop)).total == 2400
    assert await shop.violations() == []


async def test_a_drop_closes_at_its_time_and_its_stock_is_back_on_the_shelf(shop: Shop) -> None:
    drop = await shop.scheduled(5, 3, shelf=2, opens_at=PAST, closes_at=(await now_ms(shop)) + 600_000)
    await turned(shop, drop)
    await shop.order(drop)
    assert await turned(shop, drop) is None  # not yet
    closes_at = (await now_ms(shop)) // 1000 * 1000 - 1000
    await times(shop, drop, closes_at=closes_at)
    assert await shop.order(drop, 1, ref="late") == Rejected("late", Reason.DROP_CLOSED)
    news = await turned(shop, drop)
    assert news is not None
    now = await shop.drop(drop)
    assert (now.status, now.opens_at, now.closes_at) == (DropStatus.CLOSED, PAST, closes_at)
    assert [line.left for line in news.stock] == [0, 0]
    assert await shop.shelf(drop) == [6, 5]
    assert await turned(shop, drop) is None
    assert await shop.kinds() == ["drop_scheduled", "drop_opened", "drop_closed"]
    assert await audited(shop, drop) == [("drop.schedule", shop.host.id), ("drop.open", None), ("drop.close", None)]
    assert await shop.violations() == []


async def test_a_sold_out_drop_closes_too(shop: Shop) -> None:
    drop = await shop.open_drop(1, shelf=1)
    await shop.order(drop)
    await times(shop, drop, closes_at=PAST)
    assert await due(shop) == [drop.id]
    await turned(shop, drop)
    assert await shop.kinds() == ["drop_scheduled", "drop_opened", "drop_sold_out", "drop_closed"]
    assert await shop.shelf(drop) == [1]
    assert await shop.violations() == []


async def test_a_drop_that_missed_both_its_times_closes_without_having_been_open(shop: Shop) -> None:
    drop = await shop.scheduled(5, shelf=1, opens_at=PAST, closes_at=PAST + 1)
    await turned(shop, drop)
    assert await shop.kinds() == ["drop_scheduled", "drop_closed"]
    assert await shop.shelf(drop) == [6]
    assert await shop.violations() == []


async def test_on_a_stream_that_is_over_nothing_opens_and_the_stock_goes_back(shop: Shop) -> None:
    drop = await shop.scheduled(5, opens_at=PAST)
    waits = await shop.scheduled(5)
    await shop.streams.change_status(shop.host, shop.stream, StreamStatus.ENDED)
    before = await now_ms(shop)
    assert await due(shop) == [drop.id]
    await turned(shop, drop)
    now = await shop.drop(drop)
    assert now.status is DropStatus.CLOSED
    assert now.closes_at is not None
    assert now.closes_at >= before
    assert await shop.shelf(drop) == [5]
    assert await turned(shop, waits) is None
    assert await shop.kinds() == ["drop_scheduled", "drop_scheduled", "stream_ended", "drop_closed"]
    assert await shop.violations() == []


async def test_what_the_host_did_first_the_clock_does_not_do_again(shop: Shop) -> None:
    drop = await shop.scheduled(5, opens_at=PAST)
    opened, _ = await shop.drops.open(shop.host, drop.id)
    assert opened.opens_at != PAST
    assert await turned(shop, drop) is None
    await shop.drops.close(shop.host, drop.id)
    await times(shop, drop, closes_at=PAST)
    assert await turned(shop, drop) is None
    assert await shop.kinds() == ["drop_scheduled", "drop_opened", "drop_closed"]


async def test_no_such_drop_is_refused(shop: Shop) -> None:
    with pytest.raises(Refused):
        await Times(shop.database).turn(new_id())


async def audited(shop: Shop, drop: Drop) -> list[tuple[str, str | None]]:
    rows = await shop.sql("SELECT action, actor_id FROM audit WHERE subject_id = :id ORDER BY id", id=drop.id)
    return [(action, actor) for action, actor in rows]


# What it costs

CLOSED = 5_000


async def test_closed_drops_however_many_are_not_looked_at(database_url: str) -> None:
    """The server's own count of the rows it read; and the control, without the keys."""
    database = open_database(database_url, pool_size=1)  # one connection, for the count is a connection's
    try:
        await init_db(database)
        shop = await Shop.opened(database)
        drop = await shop.scheduled(1, opens_at=PAST, closes_at=FUTURE)
        await shop.sql(
            "INSERT INTO drops SELECT MD5(seq), stream_id, product_id, title, image, price, currency, list_price,"
            " viewer_limit, FROM_UNIXTIME(seq), FROM_UNIXTIME(seq + 1), 'closed', created_at FROM drops, seq_1_to_5000"
            " WHERE id = :id",
            id=drop.id,
        )
        assert await rows_read(shop, drop) < 20
        await shop.sql("ALTER TABLE drops DROP INDEX drops_opening, DROP INDEX drops_closing")
        assert await rows_read(shop, drop) > CLOSED
    finally:
        await database.close()


async def rows_read(shop: Shop, drop: Drop) -> int:
    await shop.sql("ANALYZE TABLE drops")
    count = "SHOW SESSION STATUS WHERE Variable_name IN ('Handler_read_next', 'Handler_read_rnd_next')"
    before = sum(int(value) for _, value in await shop.sql(count))
    assert await due(shop) == [drop.id]
    return sum(int(value) for _, value in await shop.sql(count)) - before
