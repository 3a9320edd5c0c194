"""What the viewer's pages ask for beside the live stream: list prices, past and coming streams, one's own orders."""

from __future__ import annotations

import json
import secrets
from typing import Any

from icalendar import Calendar

from tests.client import Api
from tests.journeys.conftest import Shop

NEW_YEAR_2100 = 4_102_444_800_000


async def slugs(api: Api, **query: str) -> list[str]:
    """Of the newest page."""
    return [stream["slug"] for stream in (await api.get("/api/streams", **query))["streams"]]


async def test_a_drop_says_its_list_price_in_events_snapshots_and_answers(shop: Shop) -> None:
    stream = await shop.live_stream()
    early = await shop.guest(shop.replicas[1], stream)
    drop = await shop.drop(stream, 5, price=100)
    expected = shop.product["price"]
    await shop.host.open(drop)
    assert (await early.expect_event("drop_opened")).raw["drop"]["list_price"] == expected
    late = await shop.guest(shop.nginx, stream)
    for shown in (json.loads(bytes(late.welcome.snapshot)), await whole(shop.viewer, stream)):
        assert [(each["id"], each["price"], each["list_price"]) for each in shown["drops"]] == [(drop, 100, expected)]


async def test_streams_are_listed_by_what_they_are(shop: Shop) -> None:
    live, over, coming = await shop.live_stream(), await shop.live_stream(), "soon-" + secrets.token_hex(4)
    await shop.host.create_stream(coming, "Soon", starts_at=NEW_YEAR_2100)
    await shop.host.end(over)
    ours = {live, over, coming}
    for query, expected in (
        ({}, [coming, live]),
        ({"status": "live"}, [live]),
        ({"status": "scheduled"}, [coming]),
        ({"status": "ended"}, [over]),
        ({"status": "ended,live"}, [over, live]),
        ({"status": "live,scheduled,ended,live"}, [coming, over, live]),
    ):
        assert [slug for slug in await slugs(shop.viewer, **query) if slug in ours] == expected, query


async def test_a_stream_that_is_over_can_still_be_looked_at_on_any_replica(shop: Shop) -> None:
    stream = await shop.live_stream()
    sold, unsold = await shop.drop(stream, 5), await shop.drop(stream, 3)
    await shop.host.open(sold)
    buyer = await shop.watch(shop.replicas[0], stream)
    assert (await buyer.expect_receipt(await buyer.order(sold))).status == "accepted"
    await shop.host.end(stream)
    assert await buyer.expect_close() == 4503
    for replica in shop.replicas:
        async with Api(replica.url) as guest:
            past = await whole(guest, stream)
        assert past["stream"]["status"] == "ended"
        assert [(drop["id"], drop["status"]) for drop in past["drops"]] == [(sold, "closed"), (unsold, "closed")]
        assert past["stock"] == []


async def test_ones_own_orders_of_a_stream(shop: Shop) -> None:
    here, there = await shop.live_stream(), await shop.live_stream()
    bought: dict[str, list[str]] = {here: [], there: []}
    for stream in (here, there):
        drop = await shop.drop(stream, 5)
        await shop.host.open(drop)
        buyer = await shop.watch(shop.nginx, stream)
        for _ in range(2):
            receipt = await buyer.expect_receipt(await buyer.order(drop))
            bought[stream].insert(0, str(receipt.order))
    for stream, expected in bought.items():
        mine = await shop.viewer.get("/api/orders", stream=stream)
        assert [(order["id"], order["stream"]) for order in mine["orders"]] == [(id_, stream) for id_ in expected]
        assert await shop.host.get("/api/orders", stream=stream) == {"orders": [], "next": None}
    assert await shop.viewer.get("/api/orders", stream="no-such-stream") == {"orders": [], "next": None}


async def test_a_coming_stream_is_a_calendar_entry_with_the_address_it_was_asked_at(shop: Shop) -> None:
    slug = "soon-" + secrets.token_hex(4)
    await shop.host.create_stream(slug, '新年直播, live; "now"', starts_at=NEW_YEAR_2100 - 1)
    path, entries = f"/api/streams/{slug}/calendar", []
    for at in (shop.nginx.url, shop.replicas[1].url):
        async with Api(at) as guest:
            answer = await guest.http.get(path)
        assert answer.status_code == 200, answer.text
        assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
        assert answer.headers["content-disposition"] == f'attachment; filename="{slug}.ics"'
        (event,) = Calendar.from_ical(answer.content).events
        assert (event["summary"], event["url"]) == ('新年直播, live; "now"', f"{at}/s/{slug}")
        assert (event.start.isoformat(), event.duration.total_seconds()) == ("2099-12-31T23:59:59+00:00", 3600)
        entries.append(event["uid"])
    assert len(set(entries)) == 1
    await shop.host.start(slug)
    for gone in (path, f"/api/streams/{await shop.live_stream()}/calendar"):
        answer = await shop.viewer.http.get(gone)
        assert (answer.status_code, answer.json()["error"]["reason"]) == (404, "not_found")


async def test_behind_tls_the_calendar_entry_leads_back_behind_tls(shop: Shop) -> None:
    slug = "soon-" + secrets.token_hex(4)
    await shop.host.create_stream(slug, "Soon", starts_at=NEW_YEAR_2100)
    headers = {"Host": "shop.example", "X-Forwarded-Proto": "https"}  # as a trusted proxy says it
    answer = await shop.host.http.get(f"/api/streams/{slug}/calendar", headers=headers)
    (event,) = Calendar.from_ical(answer.content).events
    assert event["url"] == f"https://shop.example/s/{slug}"


async def whole(api: Api, stream: str) -> dict[str, Any]:
    return await api.get(f"/api/streams/{stream}")
