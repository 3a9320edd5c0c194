"""Bad starts, bad frames, bad orders and bad settings: a clear answer each time, and nobody else notices."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio
from websockets.exceptions import InvalidStatus

from server.protocol import frames
from tests.client import ClosedError, LiveClient
from tests.journeys.conftest import Shop
from tests.services.replica import run_command

HELLO = {"type": "hello", "v": 1}


@pytest_asyncio.fixture
async def bystander(shop: Shop) -> AsyncIterator[LiveClient]:
    """Somebody on the same replica and stream, who still hears everything when the test is over."""
    stream = await shop.live_stream()
    watching = await shop.guest(shop.replicas[0], stream)
    watching.stream = stream  # type: ignore[attr-defined]
    yield watching
    drop = await shop.drop(stream, 1)
    await shop.host.open(drop)
    await watching.expect_event("drop_opened")
    log = shop.replicas[0].log_text()
    assert '"level": "error"' not in log
    assert "Traceback" not in log


async def at_the_door(shop: Shop, bystander: LiveClient) -> LiveClient:
    """Connected to the bystander's stream, nothing said yet."""
    url = shop.replicas[0].ws_url(bystander.stream)  # type: ignore[attr-defined]
    return await shop.stack.enter_async_context(await LiveClient.connect(url))


FIRST_FRAMES: list[tuple[str, Any, str]] = [
    ("an order first", {"type": "order", "ref": "r", "drop": "d", "quantity": 1}, "hello"),
    ("not JSON", "hello!", "not one JSON object"),
    ("nothing", "", "not one JSON object"),
    ("a list", "[]", "object"),
    ("an unknown type", {"type": "shout"}, "shout"),
    ("no type", {"v": 1}, "type"),
    ("an extra field", {**HELLO, "colour": "red"}, "colour"),
    ("no version", {"type": "hello"}, "v"),
    ("another version", {"type": "hello", "v": 2}, "hello.v"),
    ("a mistyped ticket", {**HELLO, "ticket": 7}, "hello.ticket"),
    ("half a position", {**HELLO, "position": {"epoch": "e"}}, "hello.position.seq"),
    ("a negative position", {**HELLO, "position": {"epoch": "e", "seq": -1}}, "hello.position.seq"),
    ("nesting 10,000 deep", "[" * 10_000, ""),
    ("objects 2,000 deep", '{"a":' * 2_000, ""),
    ("a binary frame", b'{"type":"hello","v":1}', "text"),
]


@pytest.mark.parametrize(("said", "names"), [f[1:] for f in FIRST_FRAMES], ids=[f[0] for f in FIRST_FRAMES])
async def test_a_first_frame_that_cannot_be_read_gets_a_fault_that_names_it_then_4500(
    shop: Shop, bystander: LiveClient, said: Any, names: str
) -> None:
    client = await at_the_door(shop, bystander)
    await client.send(said)
    fault = await client.expect(frames.Fault)
    assert fault.reason == "bad_frame"
    assert names in fault.detail
    assert await client.expect_close() == 4500


ORDERS: list[tuple[str, Any, str]] = [
    ("JSON that is not", '{"type":"order"', "not one JSON object"),
    ("1e400 units", '{"type":"order","ref":"r","drop":"d","quantity":1e400}', "order.quantity"),
    ("1.0 units", '{"type":"order","ref":"r","drop":"d","quantity":1.0}', "order.quantity"),
    ("units as a word", {"type": "order", "ref": "r", "drop": "d", "quantity": "1"}, "order.quantity"),
    ("no quantity", {"type": "order", "ref": "r", "drop": "d"}, "order.quantity"),
    ("an extra field", {"type": "order", "ref": "r", "drop": "d", "quantity": 1, "price": 0}, "order.price"),
    ("a ref with a space", {"type": "order", "ref": "r r", "drop": "d", "quantity": 1}, "order.ref"),
    ("an endless ref", {"type": "order", "ref": "r" * 65, "drop": "d", "quantity": 1}, "order.ref"),
    ("a second hello", HELLO, "hello"),
]


@pytest.mark.parametrize(("said", "names"), [o[1:] for o in ORDERS], ids=[o[0] for o in ORDERS])
async def test_a_frame_that_cannot_be_read_gets_a_fault_that_names_the_field_then_4500(
    shop: Shop, bystander: LiveClient, said: Any, names: str
) -> None:
    client = await shop.watch(shop.replicas[0], bystander.stream)  # type: ignore[attr-defined]
    await client.send(said)
    fault = await client.expect(frames.Fault)
    assert names in fault.detail
    assert await client.expect_close() == 4500


async def test_a_17_kib_frame_is_closed_with_1009(shop: Shop, bystander: LiveClient) -> None:
    client = await at_the_door(shop, bystander)
    await client.send(" " * 17 * 1024)
    assert await client.expect_close() == 1009


async def test_nobody_who_says_nothing_stays_longer_than_ten_seconds(shop: Shop, bystander: LiveClient) -> None:
    client = await at_the_door(shop, bystander)
    assert await client.expect_close(within=15) == 4012


async def test_an_unknown_stream_is_accepted_then_closed_with_4504(shop: Shop) -> None:
    for slug in ("no-such-stream", "%F0%9F%90%99", "a" * 500):
        client = await LiveClient.connect(shop.replicas[0].ws_url(slug))
        assert await client.expect_close() == 4504
        await client.close()


async def test_orders_that_cannot_be_are_answered_with_their_reason(shop: Shop, bystander: LiveClient) -> None:
    stream = bystander.stream  # type: ignore[attr-defined]
    client = await shop.watch(shop.replicas[0], stream)
    drop = await shop.drop(stream, 5, limit=2)

    async def reason(drop: str, quantity: int, variant: str | None = None) -> str | None:
        return (await client.expect_receipt(await client.order(drop, quantity, variant=variant))).reason

    assert await reason(drop, 1) == "not_open"
    await shop.host.open(drop)
    for quantity in (0, -1, 3, 2**31, 10**30):
        assert await reason(drop, quantity) == "bad_quantity"
    for unknown in ("f" * 32, "nonsense", "é'; DROP TABLE orders; --"):
        assert await reason(unknown, 1) == "unknown_drop"
    assert await reason(drop, 1, variant="f" * 32) == "unknown_drop"
    assert await reason(drop, 2) is None
    assert await reason(drop, 1) == "limit_reached"
    await shop.host.close(drop)
    assert await reason(drop, 1) == "drop_closed"


async def test_another_origin_is_refused_before_the_upgrade(shop: Shop, bystander: LiveClient) -> None:
    url = shop.replicas[0].ws_url(bystander.stream)  # type: ignore[attr-defined]
    for origin in ("https://evil.example", "null", shop.replicas[0].url + ".evil.example"):
        with pytest.raises(InvalidStatus) as refused:
            await LiveClient.connect(url, origin=origin, cookie=shop.viewer.cookie)
        assert refused.value.response.status_code == 403


async def test_a_forged_cookie_is_a_guest(shop: Shop, bystander: LiveClient) -> None:
    url = shop.nginx.ws_url(bystander.stream)  # type: ignore[attr-defined]
    name, _, value = shop.viewer.cookie.partition("=")
    for forged in (f"{name}=", f"{name}=x.y", f"{name}={value[:-2]}xx", f"{name}={'A' * 4000}"):
        async with await LiveClient.join(url, cookie=forged, origin=shop.nginx.url) as client:
            assert client.welcome.viewer is None


async def test_a_ticket_lets_in_once_on_one_stream_only(shop: Shop, bystander: LiveClient) -> None:
    stream = bystander.stream  # type: ignore[attr-defined]
    ticket = await shop.viewer.ticket(stream)
    await shop.with_ticket(shop.replicas[0], stream, ticket)
    foreign = await shop.viewer.ticket(await shop.live_stream())
    for bad in (ticket, foreign, secrets.token_urlsafe(24), "é"):
        with pytest.raises(ClosedError) as closed:
            await shop.with_ticket(shop.replicas[1], stream, bad)
        assert closed.value.code == 4501
        assert closed.value.fault is not None
        assert "ticket" in closed.value.fault.detail


HTTP: list[tuple[str, str, Any, int, str]] = [
    ("POST", "/api/login", "{", 400, "JSON"),
    ("POST", "/api/login", '{"email": "a@b.c"}', 400, "password"),
    ("POST", "/api/login", '{"email": "a@b.c", "password": "wrong-password"}', 401, "wrong"),
    ("POST", "/api/login", '{"email": "' + "a" * 2_000_000 + '"}', 413, ""),
    ("POST", "/api/host/streams", '{"slug": "A B", "title": "x"}', 400, "slug"),
    ("POST", "/api/host/streams", '{"slug": "ok", "title": "   "}', 400, "title"),
    ("POST", "/api/host/streams", '{"slug": "ok", "title": "x", "video": "javascript:alert(1)"}', 400, "video"),
    ("POST", "/api/host/streams", '{"slug": "ok", "title": "x", "starts_at": 1e30}', 400, "starts_at"),
    ("POST", "/api/host/streams/no-such-stream/start", "", 404, "stream"),
    ("POST", "/api/host/drops/nonsense/open", "", 404, "drop"),
    ("POST", "/api/host/drops/" + "f" * 32 + "/open", "", 404, "drop"),
    ("GET", "/api/streams/no-such-stream", "", 404, "stream"),
    ("GET", "/api/orders?cursor=nonsense", "", 400, "cursor"),
    ("GET", "/api/orders?stream=Not%20a%20slug", "", 400, "stream"),
    ("GET", "/api/orders?stream=%E6%B5%B7", "", 400, "stream"),
    ("GET", "/api/streams?status=over", "", 400, "scheduled, live, ended"),
    ("GET", "/api/streams?status=", "", 400, "status"),
    ("GET", "/api/streams?status=live,", "", 400, "status"),
    ("GET", "/api/streams/no-such-stream/calendar", "", 404, "stream"),
    ("GET", "/api/streams/%E6%B5%B7/calendar", "", 404, "stream"),
    ("GET", "/api/products?q=" + "x" * 101, "", 400, "q"),
    ("GET", "/nowhere", "", 404, ""),
    ("DELETE", "/api/me", "", 405, ""),
]


@pytest.mark.parametrize(("method", "path", "body", "status", "names"), HTTP)
async def test_bad_calls_get_an_error_in_the_contracts_shape_that_names_the_field(
    shop: Shop, method: str, path: str, body: str, status: int, names: str
) -> None:
    headers = {"Origin": shop.replicas[0].url, "Content-Type": "application/json"}
    answer = await shop.host.http.request(method, path, content=body, headers=headers)
    assert answer.status_code == status, answer.text
    error = answer.json()["error"]
    assert error["reason"]
    assert names in error["detail"]


DROPS: list[tuple[dict[str, Any], int, str]] = [
    ({"price": -1}, 400, "price"),
    ({"price": 1.5}, 400, "price"),
    ({"currency": "dollar"}, 400, "currency"),
    ({"limit": 0}, 400, "limit"),
    ({"stock": []}, 400, "stock"),
    ({"stock": [{"variant": "f" * 32, "quantity": 1}]}, 400, "variant"),
    ({"product": "no-such-product"}, 404, "product"),
    ({"product": "é"}, 400, "product"),
    ({"opens_at": 2_000, "closes_at": 1_000}, 400, "closes_at"),
    ({"colour": "red"}, 400, "colour"),
]


@pytest.mark.parametrize(("change", "status", "names"), DROPS)
async def test_a_bad_drop_is_refused_and_takes_no_stock(
    shop: Shop, change: dict[str, Any], status: int, names: str
) -> None:
    stream = await shop.live_stream()
    good = {"product": "DEMO-1", "price": 100, "currency": "USD", "limit": 1}
    body = {**good, "stock": [{"variant": shop.variant, "quantity": 1}], **change}
    before = await shop.rows("SELECT stock FROM variants WHERE id = :id", id=shop.variant)
    path = f"/api/host/streams/{stream}/drops"
    answer = await shop.host.http.post(path, json=body, headers={"Origin": shop.replicas[0].url})
    assert answer.status_code == status, answer.text
    assert names in answer.json()["error"]["detail"]
    assert await shop.rows("SELECT stock FROM variants WHERE id = :id", id=shop.variant) == before


async def test_more_than_is_on_the_shelf_is_refused(shop: Shop) -> None:
    stream = await shop.live_stream()
    body = {"product": "DEMO-1", "price": 100, "currency": "USD", "limit": 1}
    stock = [{"variant": shop.variant, "quantity": 900_000_000}]
    path = f"/api/host/streams/{stream}/drops"
    answer = await shop.host.http.post(path, json={**body, "stock": stock}, headers={"Origin": shop.replicas[0].url})
    assert (answer.status_code, answer.json()["error"]["reason"]) == (409, "no_stock")


async def test_a_call_that_changes_something_needs_its_own_origin_with_the_cookie(shop: Shop) -> None:
    for headers in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        answer = await shop.viewer.http.post("/api/logout", headers=headers)
        assert answer.status_code == 403
    assert (await shop.viewer.get("/api/me"))["user"]["email"] == "viewer@example.com"
    async with httpx.AsyncClient(base_url=shop.nginx.url, trust_env=False) as no_browser:
        login = {"email": "viewer@example.com", "password": "not the password"}
        assert (await no_browser.post("/api/login", json=login)).status_code == 401


def test_a_database_that_is_not_there_is_one_clear_line_and_exit_code_1(shop_settings: dict[str, str]) -> None:
    settings = {**shop_settings, "DROPCAST_DATABASE_URL": "mysql+aiomysql://u:secret-word@127.0.0.1:1/none"}
    for command in ("serve", "init-db", "verify"):
        done = run_command([command], settings)
        assert done.returncode == 1
        assert "database" in done.stderr
        assert "Traceback" not in done.stderr
        assert "secret-word" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"), [("DROPCAST_BINDD", "x"), ("DROPCAST_BIND", "8080"), ("DROPCAST_SURFACES", "shop")]
)
def test_a_bad_or_unknown_variable_stops_the_start_and_is_named(
    shop_settings: dict[str, str], name: str, value: str
) -> None:
    done = run_command(["serve"], {**shop_settings, name: value})
    assert done.returncode == 1
    assert name in done.stderr
    assert "Traceback" not in done.stderr
