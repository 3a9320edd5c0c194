"""Two thousand viewers on two replicas: what each of them hears is audited, event by event, while Redis dies twice."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress

from loadtest.crew import Crew, audit
from tests.client import ApiError
from tests.journeys.conftest import PASSWORD, Shop
from tests.services.redis import Redis

VIEWERS = 2_000
WITHIN_S = 30.0


async def test_two_thousand_viewers_miss_nothing_while_redis_is_killed_and_restarted_twice(
    own_shop: Shop, redis_server: Redis
) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    last_units = [await shop.drop(stream, 1) for _ in range(4)]
    for drop in last_units:
        await shop.host.open(drop)
    buyer = await shop.watch(shop.replicas[0], stream)
    async with AsyncExitStack() as stack:
        crews = [await stack.enter_async_context(Crew(replica.url, stream, VIEWERS // 2)) for replica in shop.replicas]
        for crew in crews:
            await crew.gathered(WITHIN_S)
        for _ in range(2):
            await asyncio.to_thread(redis_server.kill)
            for drop in (last_units.pop(), last_units.pop()):  # nobody can be told by the bus of these two
                assert (await buyer.expect_receipt(await buyer.order(drop))).status == "accepted"
                await buyer.expect_event("drop_sold_out")
            await asyncio.to_thread(redis_server.start)
            await _host_sells(shop, stream)
        last = (await shop.host.stream(stream))["position"]["seq"]
        for crew in crews:
            assert await crew.reach(last, WITHIN_S) == 0
            report = await crew.report()
            assert audit(report, last) == []
            assert (report.here, report.closed) == (VIEWERS // 2, {})


async def test_a_thousand_returns_cost_the_database_nothing_for_each(own_shop: Shop) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    await shop.guest(shop.replicas[0], stream)  # keeps the stream open on this replica

    async def statements() -> int:
        return int((await shop.rows("SHOW GLOBAL STATUS LIKE 'Questions'"))[0][1])

    async def in_peace() -> int:
        before = await statements()
        await asyncio.sleep(3)  # what two replicas ask while nothing happens, in the time a thousand take to come
        return await statements() - before

    usual = await in_peace()
    before = await statements()
    async with Crew(shop.replicas[0].url, stream, 1_000, rate_per_s=1_000) as crew:
        await crew.gathered(WITHIN_S)
        asked = await statements() - before
    assert asked < usual + 100, f"{asked} statements for 1,000 viewers, {usual} without them"


async def _host_sells(shop: Shop, stream: str) -> None:
    """A drop is scheduled, opened and closed; the session went with Redis, so the host signs in anew."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            with suppress(ApiError):  # Redis has only just been started
                await shop.host.login("host@example.com", PASSWORD)
                break
            await asyncio.sleep(0.05)
    drop = await shop.drop(stream, 1)
    await shop.host.open(drop)
    await shop.host.close(drop)
