"""MariaDB hangs, or dies and comes back, in the middle of a rush: nobody is disconnected, every order is answered."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.client import LiveClient
from tests.journeys.conftest import Shop
from tests.services.mariadb import MariaDB

OUTAGE_S = float(os.environ.get("OUTAGE_S", "4"))
"""Longer than a batch may take, so that transactions are given up. `make outage` takes ten."""

WAYS = [("pause", "resume"), ("kill", "start")]
"""It hangs, as a lost network does; or every connection breaks. `make outage` also has it shut down in good order."""
if "OUTAGE_S" in os.environ:
    WAYS.append(("stop", "start"))

BUYERS = 12
ANSWERED_WITHIN_S = 3.0
"""An order is answered in a second; the machine may be busy."""

AGAIN_WITHIN_S = 5.0
"""Orders flow again two seconds after the return; the machine may be busy."""


@dataclass
class Buyer:
    """Orders one unit after another; asks again with the same ref when told to, until the order is decided."""

    client: LiveClient
    drop: str
    name: str
    accepted: dict[str, tuple[str, float]] = field(default_factory=dict)
    """By ref: the order's id, and when it was told."""
    busy: list[float] = field(default_factory=list)
    """When `busy` was told."""
    waits: list[float] = field(default_factory=list)

    async def buy(self, enough: asyncio.Event) -> None:
        while not enough.is_set():
            await self._order(f"{self.name}-{len(self.accepted)}")
            await asyncio.sleep(0.02)  # or the limit would end the rush

    async def _order(self, ref: str) -> None:
        while True:
            asked = time.monotonic()
            await self.client.order(self.drop, ref=ref)
            receipt = await self.client.expect_receipt(ref, ANSWERED_WITHIN_S)
            now = time.monotonic()
            self.waits.append(now - asked)
            if receipt.status == "accepted":
                self.accepted[ref] = str(receipt.order), now
                return
            assert receipt.reason == "busy", receipt
            assert receipt.retry_in_ms is not None
            self.busy.append(now)
            await asyncio.sleep(receipt.retry_in_ms / 1000)


@pytest.mark.parametrize(("leave", "come_back"), WAYS)
async def test_while_the_database_is_away_orders_are_busy_and_after_it_they_flow_again(
    own_shop: Shop, mariadb: MariaDB, artifacts: Path, leave: str, come_back: str
) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 900_000, limit=1000)
    await shop.host.open(drop)
    tickets = await shop.tickets(stream, BUYERS)
    clients = [await shop.with_ticket(shop.replicas[n % 2], stream, ticket) for n, ticket in enumerate(tickets)]
    buyers = [Buyer(client, drop, f"buyer-{n}") for n, client in enumerate(clients)]
    watchers = [await shop.guest(shop.replicas[n % 2], stream) for n in range(6)]
    enough = asyncio.Event()
    sale = asyncio.gather(*(buyer.buy(enough) for buyer in buyers))
    await until(sale, lambda: all(len(buyer.accepted) >= 5 for buyer in buyers))

    gone = time.monotonic()
    await asyncio.to_thread(getattr(mariadb, leave))
    await until(sale, lambda: all(buyer.busy for buyer in buyers))
    watchers.append(await shop.guest(shop.nginx, stream))  # the stream is open in memory: no database is needed
    await asyncio.sleep(max(0.0, OUTAGE_S - (time.monotonic() - gone)))  # the outage itself is the subject
    returned = time.monotonic()
    await asyncio.to_thread(getattr(mariadb, come_back))
    up = time.monotonic()
    await until(sale, lambda: all(since(buyer, up) >= 5 for buyer in buyers), AGAIN_WITHIN_S)
    enough.set()
    await sale

    told = {ref: order for buyer in buyers for ref, (order, _) in buyer.accepted.items()}
    rows = await shop.rows("SELECT ref, id FROM orders WHERE drop_id = :drop", drop=drop)
    assert dict(rows) == told  # every order was decided in the end: no row without its receipt, no receipt without row
    assert len(rows) == len(told)
    (left,) = (await shop.rows("SELECT `left` FROM drop_stock WHERE drop_id = :drop", drop=drop))[0]
    for viewer in (*clients, *watchers):
        await viewer.expect_stock(lambda line: line.left == left, within=5)
        assert viewer.closed is None
    accepted = sorted(at for buyer in buyers for _, at in buyer.accepted.values())
    (artifacts / "figures.json").write_text(
        json.dumps(
            {
                "outage_s": returned - gone,
                "accepted": len(accepted),
                "busy": sum(len(buyer.busy) for buyer in buyers),
                "longest_wait_s": max(wait for buyer in buyers for wait in buyer.waits),
                "first_busy_after_s": min(at for buyer in buyers for at in buyer.busy) - gone,
                "back_up_after_s": up - returned,
                "first_accepted_after_return_s": min(at for at in accepted if at > returned) - returned,
                "everybody_after_return_s": max(
                    min(at for _, at in buyer.accepted.values() if at > returned) for buyer in buyers
                )
                - returned,
            },
            indent=1,
        )
    )


async def test_a_replica_leaves_in_time_although_the_database_hangs(own_shop: Shop, mariadb: MariaDB) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 100)
    await shop.host.open(drop)
    viewer = await shop.watch(shop.replicas[0], stream)
    await viewer.expect_receipt(await viewer.order(drop))
    await asyncio.to_thread(mariadb.pause)
    try:
        refs = [await viewer.order(drop) for _ in range(5)]
        shop.replicas[0].terminate()
        for ref in refs:
            assert (await viewer.expect_receipt(ref, ANSWERED_WITHIN_S)).reason in ("busy", "draining")
        assert await viewer.expect_close(within=10) == 1012
        assert await asyncio.to_thread(shop.replicas[0].await_exit, 20) == 0
    finally:
        await asyncio.to_thread(mariadb.resume)
    assert "outcomes are left open" in shop.replicas[0].log_text()


def since(buyer: Buyer, moment: float) -> int:
    return sum(at > moment for _, at in buyer.accepted.values())


async def until(sale: asyncio.Future[object], condition: Callable[[], bool], within_s: float = 10.0) -> None:
    """Until a condition of the buyers' books holds; a buyer's failure ends the waiting."""
    async with asyncio.timeout(within_s):
        while not condition():
            if sale.done():
                await sale
            await asyncio.sleep(0.01)
