"""A viewer who lost the socket before the receipt came is told on whichever replica they come back, once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from server.protocol import frames
from tests.client import LiveClient
from tests.journeys.conftest import Shop
from tests.services.mariadb import MariaDB
from tests.services.replica import Replica

WITHIN_S = 10.0


@asynccontextmanager
async def held(shop: Shop, drop: str) -> AsyncIterator[None]:
    """Nobody can buy of the drop while the block runs: its lock is ours. Short, for the server waits three seconds."""
    engine = create_async_engine(shop.settings["DROPCAST_DATABASE_URL"])
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT * FROM drop_stock WHERE drop_id = :d FOR UPDATE"), {"d": drop})
            yield
    finally:
        await engine.dispose()


async def waits_for_the_lock(mariadb: MariaDB) -> None:
    """The order has been taken, and its transaction has begun."""
    query = "SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT'"
    async with asyncio.timeout(WITHIN_S):
        while not (await asyncio.to_thread(mariadb.execute, query))[0][0]:  # noqa: ASYNC110  a server of its own
            await asyncio.sleep(0.15)  # the server renews what it answers only when not asked for a tenth of a second


async def metric(replica: Replica, name: str) -> float:
    async with httpx.AsyncClient(trust_env=False) as http:
        page = (await http.get(f"{replica.url}/metrics")).text
    found = re.search(rf"^{name} (\S+)$", page, flags=re.MULTILINE)
    return float(found.group(1)) if found else 0.0


async def becomes(replica: Replica, name: str, value: float) -> None:
    async with asyncio.timeout(WITHIN_S):
        while await metric(replica, name) != value:  # noqa: ASYNC110  a process of its own
            await asyncio.sleep(0.02)


async def cut(client: LiveClient, replica: Replica) -> None:
    """The socket breaks, and the replica has noticed."""
    before = await metric(replica, "dropcast_sockets")
    await client.vanish()
    await becomes(replica, "dropcast_sockets", before - 1)


async def hears_nothing_more(client: LiveClient, drop: str) -> None:
    """The next receipt is the one asked for now."""
    ref = await client.order(drop, 0)
    assert (await client.expect(frames.Receipt)).ref == ref


async def test_who_is_back_before_the_order_is_decided_gets_the_receipt_when_it_is(
    own_shop: Shop, mariadb: MariaDB
) -> None:
    shop = own_shop  # what is remembered is counted
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 5)
    await shop.host.open(drop)
    here = await shop.watch(shop.replicas[0], stream)
    async with held(shop, drop):
        ref = await here.order(drop)
        await waits_for_the_lock(mariadb)
        await cut(here, shop.replicas[0])
        there = await shop.watch(shop.replicas[1], stream, position=here.position)
    receipt = await there.expect(frames.Receipt)
    assert (receipt.ref, receipt.status) == (ref, "accepted")
    assert await shop.rows("SELECT id FROM orders WHERE ref = :ref", ref=ref) == [(receipt.order,)]
    await hears_nothing_more(there, drop)
    await becomes(shop.replicas[0], "dropcast_receipts_remembered", 0)
    for replica in shop.replicas:
        again = await shop.watch(replica, stream)
        await hears_nothing_more(again, drop)


async def test_who_is_away_while_the_order_is_decided_is_told_after_the_welcome(
    own_shop: Shop, mariadb: MariaDB
) -> None:
    shop = own_shop  # what is remembered is counted
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 1)
    await shop.host.open(drop)
    await shop.guest(shop.replicas[1], stream)  # the other replica follows the stream
    here = await shop.watch(shop.replicas[0], stream)
    async with held(shop, drop):
        refs = [await here.order(drop), await here.order(drop)]
        await waits_for_the_lock(mariadb)
        await cut(here, shop.replicas[0])
    for replica in shop.replicas:
        await becomes(replica, "dropcast_receipts_remembered", 2)
    there = await shop.watch(shop.replicas[1], stream)
    receipts = [await there.expect(frames.Receipt) for _ in refs]
    assert [(receipt.ref, receipt.status, receipt.reason) for receipt in receipts] == [
        (refs[0], "accepted", None),
        (refs[1], "rejected", "sold_out"),
    ]
    for replica in shop.replicas:
        await becomes(replica, "dropcast_receipts_remembered", 0)
        again = await shop.watch(replica, stream)
        await hears_nothing_more(again, drop)
    await again.order(drop, ref=refs[0])
    assert await again.expect(frames.Receipt) == receipts[0]


async def test_who_asks_again_themselves_gets_one_answer(own_shop: Shop, mariadb: MariaDB) -> None:
    shop = own_shop  # what is remembered is counted
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 5)
    await shop.host.open(drop)
    here = await shop.watch(shop.replicas[0], stream)
    async with held(shop, drop):
        ref = await here.order(drop)
        await waits_for_the_lock(mariadb)
        await cut(here, shop.replicas[0])
        there = await shop.watch(shop.replicas[1], stream)
        await there.order(drop, ref=ref)
        mark = await there.order(drop, 0)
        assert (await there.expect(frames.Receipt)).ref == mark  # so the question before it was heard
    assert (await there.expect_receipt(ref)).status == "accepted"
    await becomes(shop.replicas[0], "dropcast_receipts_remembered", 0)
    await hears_nothing_more(there, drop)


async def test_who_moves_on_drain_gets_the_receipt_of_the_order_left_behind(own_shop: Shop, mariadb: MariaDB) -> None:
    shop = own_shop
    leaving, staying = shop.replicas
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 5)
    await shop.host.open(drop)
    await shop.guest(staying, stream)
    viewer = await shop.watch(leaving, stream)
    ticket = await shop.viewer.ticket(stream)
    async with held(shop, drop):
        ref = await viewer.order(drop)
        await waits_for_the_lock(mariadb)
        leaving.terminate()
        await viewer.expect(frames.DrainFrame)
        await viewer.close()
        moved = await shop.with_ticket(staying, stream, ticket, position=viewer.position)
    receipt = await moved.expect(frames.Receipt)
    assert (receipt.ref, receipt.status) == (ref, "accepted")
    assert leaving.await_exit(20) == 0
    await hears_nothing_more(moved, drop)
