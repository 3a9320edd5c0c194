"""Drops open and close by themselves once, however many replicas keep the time on one MariaDB.

The control: a replica that looks at the status before it holds the lock tells everything twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Sequence

import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.drop import Drop, DropStatus
from server.domain.news import News
from server.domain.views import StreamStatus
from server.protocol import codec
from server.sale.desk import Desk
from server.sale.timekeeper import Timekeeper
from server.store import turns
from server.store.embeds import EmbedOrigins
from server.store.engine import Database, open_database
from server.store.rows import lock_stock
from server.store.times import Times
from tests.concurrency.lockless import WITHIN_S
from tests.contract.shops import Shop

Replicas = tuple[Shop, Shop]
PAST = 1_000
KEEPERS, DROPS = 4, 120


@pytest_asyncio.fixture
async def databases(replicas: Replicas, database_url: str) -> AsyncIterator[list[Database]]:
    """What each of so many replicas opens for itself."""
    opened = [open_database(database_url, pool_size=2) for _ in range(KEEPERS)]
    yield opened
    for database in opened:
        await database.close()


async def test_many_timekeepers_open_and_close_every_drop_once(replicas: Replicas, databases: list[Database]) -> None:
    shop, _ = replicas
    opening = [await shop.scheduled(2, shelf=1, opens_at=PAST) for _ in range(DROPS // 2)]
    closing = [await shop.scheduled(2, shelf=1, closes_at=PAST) for _ in range(DROPS // 2)]
    told: list[News] = []
    enough = asyncio.Event()

    def announce(news: News) -> None:
        told.append(news)
        if len(told) == DROPS:
            enough.set()

    keepers = [Timekeeper(Times(database), announce) for database in databases]
    for keeper in keepers:
        keeper.start()
    await asyncio.wait_for(enough.wait(), 60)
    for keeper in keepers:
        await keeper.close()
    assert await turns_told(shop) == {
        **{(drop.id, "drop_opened"): 1 for drop in opening},
        **{(drop.id, "drop_closed"): 1 for drop in closing},
    }
    assert len(told) == DROPS
    assert sum([sum(await shop.shelf(drop)) for drop in closing]) == 3 * len(closing)
    assert await shop.sql("SELECT COUNT(*) FROM audit WHERE actor_id IS NULL") == [(DROPS,)]
    assert await shop.violations() == []


class HastyTimes(Times):
    """Looks at the drop before it has the lock, and believes what it saw."""

    def __init__(self, database: Database, all_have_looked: asyncio.Barrier) -> None:
        super().__init__(database)
        self._all_have_looked = all_have_looked

    async def _found(self, connection: AsyncConnection, drop_id: str) -> turns.Found:
        found = await turns.read(connection, drop_id)
        await asyncio.wait_for(self._all_have_looked.wait(), WITHIN_S)
        await lock_stock(connection, drop_id)
        return found


async def test_control_who_looks_before_the_lock_opens_a_drop_as_often_as_there_are_replicas(
    replicas: Replicas, databases: list[Database]
) -> None:
    shop, _ = replicas
    drop = await shop.scheduled(2, opens_at=PAST)
    await hastily(databases, drop)
    assert await turns_told(shop) == {(drop.id, "drop_opened"): KEEPERS}


async def test_control_of_who_looks_before_the_lock_only_the_check_keeps_stock_from_coming_back_twice(
    replicas: Replicas, databases: list[Database]
) -> None:
    shop, _ = replicas
    drop = await shop.scheduled(2, shelf=1, closes_at=PAST)
    first, second = await hastily(databases[:2], drop)
    assert isinstance(first, News)
    assert "drop_stock_equation" in str(second)
    assert await shop.shelf(drop) == [3]


async def hastily(databases: Sequence[Database], drop: Drop) -> list[News | BaseException | None]:
    barrier = asyncio.Barrier(len(databases))
    ends = await asyncio.gather(
        *(HastyTimes(database, barrier).turn(drop.id) for database in databases), return_exceptions=True
    )
    return sorted(ends, key=lambda end: not isinstance(end, News))


async def test_host_and_clock_at_the_same_moment_open_a_drop_once(replicas: Replicas) -> None:
    shop, other = replicas
    drops = [await shop.scheduled(1, opens_at=PAST) for _ in range(20)]
    for drop in drops:
        await asyncio.gather(shop.drops.open(shop.host, drop.id), Times(other.database).turn(drop.id))
    assert await turns_told(shop) == {(drop.id, "drop_opened"): 1 for drop in drops}
    assert await shop.violations() == []


async def test_a_stream_that_ends_while_its_drops_open_by_themselves_leaves_every_drop_closed(
    replicas: Replicas,
) -> None:
    shop, other = replicas
    for n in range(8):
        slug = f"s{n}"
        await shop.streams.create(shop.host, slug=slug, title="S", starts_at=None, video=None)
        await shop.streams.change_status(shop.host, slug, StreamStatus.LIVE)
        drops = [await shop.scheduled(1, shelf=1, stream=slug, opens_at=PAST) for _ in range(3)]
        desk, times = Desk(shop.streams, shop.drops, EmbedOrigins(shop.database), lambda _: None), Times(other.database)
        await asyncio.gather(desk.end_stream(shop.host, slug), *(times.turn(drop.id) for drop in drops))
        kinds = await shop.kinds(slug)
        assert kinds[-1] == "stream_ended"
        assert kinds.count("drop_closed") == 3
        assert {drop.status for drop in (await shop.whole(slug)).drops.values()} == {DropStatus.CLOSED}
        assert [await shop.shelf(drop) for drop in drops] == [[2]] * 3
    assert await shop.violations() == []


async def test_a_stream_does_not_end_while_a_drop_opens_by_itself(replicas: Replicas) -> None:
    """Either the drop opens and the end is refused, or the stream ends and the drop stays shut: never both."""
    shop, other = replicas
    for n in range(10):
        slug = f"s{n}"
        await shop.streams.create(shop.host, slug=slug, title="S", starts_at=None, video=None)
        drop = await shop.scheduled(1, stream=slug, opens_at=PAST)
        await asyncio.gather(
            Times(other.database).turn(drop.id),
            shop.streams.change_status(shop.host, slug, StreamStatus.ENDED),
            return_exceptions=True,
        )
        kinds = await shop.kinds(slug)
        assert ("drop_opened" in kinds) != ("stream_ended" in kinds), kinds
    assert await shop.violations() == []


async def turns_told(shop: Shop) -> Counter[tuple[str, str]]:
    """How often the log tells of each turn."""
    found: Counter[tuple[str, str]] = Counter()
    for frame in await shop.log():
        event = codec.read_event(frame)
        if event is not None and event.kind in ("drop_opened", "drop_closed"):
            found[event.drop.id, event.kind.value] += 1  # type: ignore[union-attr]
    return found


@pytest.mark.parametrize("moment", ["open", "close"])
async def test_a_replica_cut_in_the_middle_of_a_turn_leaves_it_to_another(
    replicas: Replicas, database_url: str, moment: str
) -> None:
    """Its connection goes, its locks go with it, and nothing of its turn is there."""
    shop, other = replicas
    drop = await shop.scheduled(2, shelf=1, **{"opens_at" if moment == "open" else "closes_at": PAST})
    holding = asyncio.Event()

    class CutTimes(Times):
        async def _found(self, connection: AsyncConnection, drop_id: str) -> turns.Found:
            found = await super()._found(connection, drop_id)
            holding.set()
            await asyncio.Event().wait()
            return found

    keeper = Timekeeper(CutTimes(shop.database), lambda _: None)
    keeper.start()
    await asyncio.wait_for(holding.wait(), WITHIN_S)
    second = asyncio.create_task(Times(other.database).turn(drop.id))
    await keeper.close()
    assert await second is not None
    assert sum((await turns_told(shop)).values()) == 1
    assert await shop.violations() == []
