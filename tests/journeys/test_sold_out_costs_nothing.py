"""Once a drop is sold out or closed, a crowd that goes on tapping costs the database nothing, and nobody is wronged."""

from __future__ import annotations

import asyncio
import time

from tests.client import LiveClient
from tests.journeys.conftest import Shop
from tests.journeys.test_receipts_find_their_owner import metric

EARLY = "dropcast_orders_refused_early_total"
ORDERS = 1_000


async def statements(shop: Shop) -> int:
    return int((await shop.rows("SHOW GLOBAL STATUS LIKE 'Questions'"))[0][1])


async def refused(client: LiveClient, drop: str, reason: str, times: int) -> None:
    """One order after the other: many at once would share a transaction, and cost little without any shortcut."""
    for _ in range(times):
        assert (await client.expect_receipt(await client.order(drop))).reason == reason


async def known_to_be_over(shop: Shop, crowd: list[LiveClient], drop: str, reason: str) -> None:
    """Orders until each replica refuses by itself: the first ones it asks the database for."""
    before = [await metric(replica, EARLY) for replica in shop.replicas]
    async with asyncio.timeout(10):
        for replica, client, count in zip(shop.replicas, crowd, before, strict=False):
            while await metric(replica, EARLY) == count:
                assert (await client.expect_receipt(await client.order(drop))).reason == reason
                await asyncio.sleep(0.05)


async def cost_of_a_crowd(shop: Shop, crowd: list[LiveClient], drop: str, reason: str) -> float:
    """Statements for a thousand orders, beyond what the replicas ask in that time anyway."""
    began, before = time.monotonic(), await statements(shop)
    await asyncio.gather(*(refused(client, drop, reason, ORDERS // len(crowd)) for client in crowd))
    took, asked = time.monotonic() - began, await statements(shop) - before
    before = await statements(shop)
    await asyncio.sleep(took)
    return asked - (await statements(shop) - before)


async def test_a_thousand_orders_for_what_is_sold_out_or_closed_ask_the_database_next_to_nothing(shop: Shop) -> None:
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 1)
    await shop.host.open(drop)
    tickets = await shop.tickets(stream, 10)
    crowd = [await shop.with_ticket(shop.replicas[n % 2], stream, ticket) for n, ticket in enumerate(tickets)]
    buyers = [await shop.watch(replica, stream) for replica in shop.replicas]
    ref = await buyers[0].order(drop)
    first = await buyers[0].expect_receipt(ref)
    assert first.status == "accepted"
    for client in crowd:
        await client.expect_event("drop_sold_out")

    await known_to_be_over(shop, crowd, drop, "sold_out")
    assert await cost_of_a_crowd(shop, crowd, drop, "sold_out") < 100

    for replica, buyer in zip(shop.replicas, buyers, strict=True):
        back = await shop.watch(replica, stream)
        for asking in (buyer, back):
            await asking.order(drop, ref=ref)
            assert await asking.expect_receipt(ref) == first

    await shop.host.restock(drop, shop.variant, 2)
    for client in crowd[:2]:  # one on each replica
        await client.expect_event("drop_opened")
        assert (await client.expect_receipt(await client.order(drop))).status == "accepted"
    for client in crowd:
        await client.expect_event("drop_sold_out")

    await shop.host.close(drop)
    for client in crowd:
        await client.expect_event("drop_closed")
    others = crowd[2:]
    await known_to_be_over(shop, others, drop, "drop_closed")
    assert await cost_of_a_crowd(shop, others, drop, "drop_closed") < 100
    for buyer in buyers:
        await buyer.order(drop, ref=ref)
        assert await buyer.expect_receipt(ref) == first
