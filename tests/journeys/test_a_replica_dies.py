"""`kill -9` in the middle of a sale, and a graceful leave."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field

from websockets.exceptions import ConnectionClosed, InvalidStatus

from server.protocol import frames
from tests.client import Api, ClosedError, LiveClient
from tests.journeys.conftest import PASSWORD, Shop


@dataclass
class Buyer:
    """Buys one unit after another through nginx, and comes back with position and unanswered ref when cut."""

    shop: Shop
    stream: str
    drop: str
    name: str
    tickets: list[str]
    accepted: list[str] = field(default_factory=list)
    seen: list[int] = field(default_factory=list)
    reconnects: int = 0

    async def buy(self, orders: int) -> None:
        """Ends when so many orders are answered."""
        position: frames.Position | None = None
        answered = 0
        while answered < orders:
            try:
                client = await LiveClient.join(self.shop.nginx.ws_url(self.stream), self.tickets.pop(), position)
            except (ClosedError, ConnectionClosed, InvalidStatus, OSError):
                await asyncio.sleep(0.05)  # nginx has not noticed yet
                continue
            try:
                while answered < orders:
                    ref = f"{self.name}-{answered}"
                    await client.order(self.drop, ref=ref)
                    receipt = await client.expect_receipt(ref)
                    if receipt.reason == "busy":  # the machine is; the same ref again
                        continue
                    assert receipt.status == "accepted", receipt
                    self.accepted.append(str(receipt.order))
                    answered += 1
            except (ClosedError, ConnectionClosed):
                self.reconnects += 1
            finally:
                self.seen += client.seen
                position = client.position
                await client.close()


async def test_kill_9_in_the_middle_of_a_sale_loses_no_accepted_order_and_no_event(own_shop: Shop) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 100_000, limit=1000)
    await shop.host.open(drop)
    people, orders = 10, 60
    # one person with ten devices: each ticket lets the same viewer in again, each device has refs of its own
    buyers = [
        Buyer(shop, stream, drop, f"device-{n}", [await shop.viewer.ticket(stream) for _ in range(12)])
        for n in range(people)
    ]
    watcher = await shop.guest(shop.replicas[1], stream)
    first_seq = watcher.position.seq
    buying = asyncio.gather(*(buyer.buy(orders) for buyer in buyers))
    await watcher.expect_stock(lambda line: line.left < 100_000 - people * orders // 4)  # the sale is in full swing
    shop.replicas[0].kill()
    other = await _host_at(shop, 1)
    late = await other.post(
        f"/api/host/streams/{stream}/drops",
        {
            "product": shop.product["id"],
            "price": 1,
            "currency": "USD",
            "stock": [{"variant": shop.variant, "quantity": 1}],
            "limit": 1,
        },
    )
    await other.open(late["drop"]["id"])
    await buying
    await other.aclose()

    assert sum(buyer.reconnects for buyer in buyers) > 0, "nobody was cut: the kill proved nothing"
    accepted = [order for buyer in buyers for order in buyer.accepted]
    assert len(accepted) == people * orders
    kept = {row[0] for row in await shop.rows("SELECT id FROM orders")}
    assert set(accepted) <= kept
    doubles = [ref for ref, n in Counter(await shop.rows("SELECT viewer_id, ref FROM orders")).items() if n > 1]
    assert not doubles
    await watcher.expect_event("drop_opened")
    last_seq = watcher.position.seq
    assert watcher.seen == list(range(first_seq + 1, last_seq + 1))


async def test_on_sigterm_viewers_are_told_to_come_back_and_every_order_taken_is_answered(own_shop: Shop) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 1000, limit=1000)
    await shop.host.open(drop)
    viewer = await shop.watch(shop.replicas[0], stream)
    refs = [await viewer.order(drop) for _ in range(20)]
    shop.replicas[0].terminate()
    drain = await viewer.expect(frames.DrainFrame)
    assert drain.reconnect_in_ms >= 0
    receipts = [await viewer.expect_receipt(ref) for ref in refs]
    assert all(receipt.status == "accepted" or receipt.reason in ("draining", "busy") for receipt in receipts)
    position = viewer.position
    await viewer.close()
    back = await shop.watch(shop.nginx, stream, position=position)
    assert back.snapshot is None
    assert shop.replicas[0].await_exit(20) == 0


async def test_a_viewer_who_ignores_drain_is_closed_with_1012(own_shop: Shop) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    viewer = await shop.guest(shop.replicas[0], stream)
    shop.replicas[0].terminate()
    assert await viewer.expect_close(within=20) == 1012


async def _host_at(shop: Shop, replica: int) -> Api:
    api = Api(shop.replicas[replica].url)
    await api.login("host@example.com", PASSWORD)
    return api
