"""The books are watched while the shop is open, by one of its replicas; a killed one leaves the seat free."""

from __future__ import annotations

import asyncio
import re

import httpx

from tests.journeys.conftest import Shop


async def test_one_replica_of_two_watches_the_books(own_shop: Shop) -> None:
    shop = own_shop
    async with asyncio.timeout(20):
        while not any(said := [await _verified(replica.url) for replica in shop.replicas]):  # noqa: ASYNC110  metrics are asked, they do not call
            await asyncio.sleep(0.1)
    assert sorted(at > 0 for at in said) == [False, True]
    holders = "SELECT IS_USED_LOCK(CONCAT('dropcast watch ', MD5(DATABASE())))"
    ((holder,),) = await shop.rows(holders)
    assert holder is not None
    shop.replicas[said.index(max(said))].kill()
    async with asyncio.timeout(20):  # until the server has noticed
        while await shop.rows(holders) == [(holder,)]:  # noqa: ASYNC110  a server's locks send no signal
            await asyncio.sleep(0.05)


async def _verified(url: str) -> float:
    async with httpx.AsyncClient(trust_env=False) as http:
        text = (await http.get(f"{url}/metrics")).text
    assert re.search(r"^dropcast_violations 0\.0$", text, flags=re.MULTILINE)
    found = re.search(r"^dropcast_verified_timestamp_seconds (\S+)$", text, flags=re.MULTILINE)
    assert found is not None
    return float(found[1])
