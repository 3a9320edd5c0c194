"""The main roads, end to end over two replicas behind nginx."""

from __future__ import annotations

import asyncio
import json

from server.domain.drop import StockLine
from server.protocol import frames
from tests.client import Api, LiveClient
from tests.journeys.conftest import PASSWORD, Shop


async def test_a_drop_opened_on_one_replica_reaches_the_viewers_of_the_other_and_through_nginx(shop: Shop) -> None:
    stream = await shop.live_stream()
    watching = [await shop.guest(at, stream) for at in (*shop.replicas, shop.nginx)]
    drop = await shop.drop(stream, 5)
    await shop.host.open(drop)
    opened = [await viewer.expect_event("drop_opened") for viewer in watching]
    assert len({event.seq for event in opened}) == 1
    assert all(event.raw == opened[0].raw for event in opened)
    (variant,) = opened[0].raw["drop"]["variants"]
    assert (variant["id"], variant["left"], variant["version"]) == (shop.variant, 5, 1)


async def test_an_accepted_order_is_in_the_database_and_the_stock_falls_on_every_replica(shop: Shop) -> None:
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 5)
    buyer = await shop.watch(shop.nginx, stream)
    others = [await shop.guest(replica, stream) for replica in shop.replicas]
    await shop.host.open(drop)
    await buyer.expect_event("drop_opened")
    ref = await buyer.order(drop, 2)
    receipt = await buyer.expect_receipt(ref)
    assert (receipt.status, receipt.quantity, receipt.total, receipt.currency) == ("accepted", 2, 4800, "USD")
    rows = await shop.rows("SELECT id, quantity, total FROM orders WHERE ref = :ref", ref=ref)
    assert [tuple(row) for row in rows] == [(receipt.order, 2, 4800)]
    for viewer in (buyer, *others):
        await viewer.expect_stock(lambda line: line.left == 3)
    assert (await shop.viewer.orders())[0]["ref"] == ref


async def test_the_same_ref_on_two_replicas_buys_once_and_gets_the_same_receipt(shop: Shop) -> None:
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 10)
    await shop.host.open(drop)
    here, there = [await shop.watch(replica, stream) for replica in shop.replicas]
    ref = "once-" + stream
    await asyncio.gather(here.order(drop, ref=ref), there.order(drop, ref=ref))
    receipts = [await viewer.expect_receipt(ref) for viewer in (here, there)]
    await here.order(drop, 2, ref=ref)
    other_body = await here.expect_receipt(ref)
    assert receipts[0] == receipts[1]
    assert receipts[0].status == "accepted"
    assert (other_body.reason, other_body.retry) == ("conflict", False)
    assert await shop.rows("SELECT quantity FROM orders WHERE drop_id = :drop", drop=drop) == [(1,)]


async def test_150_orders_for_100_units_over_two_replicas_sell_exactly_100(shop: Shop) -> None:
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 100)
    await shop.host.open(drop)
    tickets = await shop.tickets(stream, 150)
    buyers = [
        await shop.with_ticket(shop.replicas[number % 2], stream, ticket) for number, ticket in enumerate(tickets)
    ]
    refs = await asyncio.gather(*(buyer.order(drop) for buyer in buyers))
    receipts = await asyncio.gather(
        *(buyer.expect_receipt(ref, within=20) for buyer, ref in zip(buyers, refs, strict=True))
    )
    assert sum(receipt.status == "accepted" for receipt in receipts) == 100
    assert {receipt.reason for receipt in receipts} == {None, "sold_out"}
    for buyer in buyers[:10]:
        await buyer.expect_event("drop_sold_out")
        await buyer.expect_stock(lambda line: line.left == 0)
    sold = await shop.rows("SELECT COUNT(*), SUM(quantity) FROM orders WHERE drop_id = :drop", drop=drop)
    assert sold == [(100, 100)]


async def test_a_viewer_who_returns_gets_exactly_what_was_missed_on_any_replica(shop: Shop) -> None:
    stream = await shop.live_stream()
    first = await shop.guest(shop.replicas[0], stream)
    drop = await shop.drop(stream, 5)
    await first.expect_event("drop_scheduled")
    await first.vanish()
    await shop.host.open(drop)
    await shop.host.close(drop)
    back = await shop.guest(shop.replicas[1], stream, position=first.position)
    assert back.snapshot is None
    assert back.seen == [first.position.seq + 1, first.position.seq + 2]
    await back.expect_event("drop_opened")
    await back.expect_event("drop_closed")


async def test_a_position_of_another_epoch_or_of_the_future_gets_a_whole_snapshot(shop: Shop) -> None:
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 5)
    await shop.host.open(drop)
    viewer = await shop.guest(shop.replicas[0], stream)
    epoch, seq = viewer.position.epoch, viewer.position.seq
    for position in (frames.Position("another", seq), frames.Position(epoch, seq + 5)):
        back = await shop.guest(shop.replicas[0], stream, position=position)
        assert back.snapshot is not None
        assert [known.id for known in back.snapshot.drops] == [drop]


async def test_1000_events_back_is_answered_with_exactly_those_and_further_back_with_a_snapshot(shop: Shop) -> None:
    stream = await shop.live_stream()
    viewer = await shop.guest(shop.replicas[0], stream)
    epoch = viewer.position.epoch
    await _write_events(shop, stream, first=viewer.position.seq + 1, count=1_200)
    # nobody rang: the replica finds them in the log by itself
    async with asyncio.timeout(10):
        while viewer.position.seq < 1_201:
            await viewer.expect_event("note")
    for replica in shop.replicas:
        back = await shop.guest(replica, stream, position=frames.Position(epoch, 201))
        assert back.snapshot is None
        assert back.seen == list(range(202, 1_202))
        too_old = await shop.guest(replica, stream, position=frames.Position(epoch, 200))
        assert too_old.snapshot is not None
        assert too_old.position.seq == 1_201


async def _write_events(shop: Shop, stream: str, *, first: int, count: int) -> None:
    """Events of a kind that only a later version knows, as its transaction would leave them."""
    told = [f'{{"type":"event","seq":{seq},"at":1,"event":{{"kind":"note"}}}}' for seq in range(first, first + count)]
    await shop.rows(
        "INSERT INTO events (stream_id, seq, kind, at, frame)"
        " SELECT s.id, :first + i.n - 1, 'note', UTC_TIMESTAMP(6), i.frame FROM streams s,"
        " JSON_TABLE(:frames, '$[*]' COLUMNS (n FOR ORDINALITY, frame TEXT PATH '$')) i WHERE s.slug = :slug",
        slug=stream,
        first=first,
        frames=json.dumps(told),
    )
    await shop.rows("UPDATE streams SET seq = seq + :count WHERE slug = :slug", slug=stream, count=count)


async def test_guests_watch_and_are_asked_to_sign_in_when_they_order(shop: Shop) -> None:
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 5)
    await shop.host.open(drop)
    guest = await shop.guest(shop.nginx, stream)
    assert guest.welcome.viewer is None
    receipt = await guest.expect_receipt(await guest.order(drop))
    assert (receipt.status, receipt.reason, receipt.retry) == ("rejected", "login_required", False)


async def test_the_cookie_says_who_you_are_only_with_an_allowed_origin(shop: Shop) -> None:
    stream = await shop.live_stream()
    url = shop.nginx.ws_url(stream)
    async with await LiveClient.join(url, cookie=shop.viewer.cookie, origin=shop.nginx.url) as known:
        assert known.welcome.viewer is not None
    async with await LiveClient.join(url, cookie=shop.viewer.cookie) as unknown:
        assert unknown.welcome.viewer is None


async def test_ending_a_stream_tells_its_viewers_and_gives_the_stock_back(shop: Shop) -> None:
    stream = await shop.live_stream()
    before = (await shop.rows("SELECT stock FROM variants WHERE id = :id", id=shop.variant))[0][0]
    drop = await shop.drop(stream, 5)
    await shop.host.open(drop)
    viewer = await shop.guest(shop.replicas[1], stream)
    await shop.host.end(stream)
    await viewer.expect_event("drop_closed")
    await viewer.expect_event("stream_ended")
    assert await viewer.expect_close() == 4503
    assert await shop.rows("SELECT stock FROM variants WHERE id = :id", id=shop.variant) == [(before,)]


async def test_a_sold_out_drop_opens_again_with_new_stock(shop: Shop) -> None:
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 1)
    await shop.host.open(drop)
    viewer = await shop.watch(shop.replicas[1], stream)
    assert (await viewer.expect_receipt(await viewer.order(drop))).status == "accepted"
    await viewer.expect_event("drop_sold_out")
    assert (await viewer.expect_receipt(await viewer.order(drop))).reason in ("sold_out", "limit_reached")
    body = {"variant": shop.variant, "quantity": 3, "ref": "more"}
    await shop.host.post(f"/api/host/drops/{drop}/restock", body)
    await shop.host.post(f"/api/host/drops/{drop}/restock", body)
    reopened = await viewer.expect_event("drop_opened")
    assert reopened.raw["drop"]["variants"][0]["left"] == 3
    assert (await viewer.expect_receipt(await viewer.order(drop))).status == "accepted"
    await viewer.expect_stock(lambda line: line == StockLine(drop, shop.variant, 2, line.version))


async def test_a_tick_shows_the_last_event_and_the_people_of_both_replicas(shop: Shop) -> None:
    stream = await shop.live_stream()
    viewer = await shop.guest(shop.replicas[0], stream)
    await shop.guest(shop.replicas[1], stream)
    async with asyncio.timeout(10):  # replicas tell each other every three seconds
        while (tick := await viewer.expect(frames.Tick)).viewers != 2:
            pass
    assert tick.seq == viewer.position.seq


async def test_hosts_touch_only_their_own_streams_and_viewers_none(shop: Shop) -> None:
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 5)
    async with Api(shop.nginx.url) as rival:
        await rival.login("rival@example.com", PASSWORD)
        for person, status in ((rival, 403), (shop.viewer, 403)):
            answer = await person.http.post(f"/api/host/drops/{drop}/open", headers={"Origin": shop.nginx.url})
            assert answer.status_code == status, answer.text
