"""The roads again, with TLS at nginx: the way real viewers come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack

import httpx
import pytest
import pytest_asyncio

from server.protocol import frames
from tests.client import Api, ApiError, LiveClient
from tests.journeys import test_roads
from tests.journeys.conftest import PASSWORD, Premises, Shop, furnish, opened
from tests.services import tls
from tests.services.nginx import Nginx
from tests.services.replica import Replica

StartNginx = Callable[..., Nginx]
LIBRARY = "css/vendor/tabler.min.css"  # of the admin side's library, which brings it uncompressed


@pytest_asyncio.fixture
async def secure(premises: Premises, start_nginx: StartNginx) -> AsyncIterator[Shop]:
    """The shared shop with another nginx before it, which speaks TLS."""
    nginx = start_nginx([replica.host for replica in premises.replicas], tls=True)
    async with opened(Premises(premises.settings, premises.replicas, nginx)) as shop:
        yield shop
        await shop.verify()


@pytest.mark.parametrize(
    "road",
    [
        test_roads.test_a_drop_opened_on_one_replica_reaches_the_viewers_of_the_other_and_through_nginx,
        test_roads.test_an_accepted_order_is_in_the_database_and_the_stock_falls_on_every_replica,
        test_roads.test_a_viewer_who_returns_gets_exactly_what_was_missed_on_any_replica,
    ],
)
async def test_the_main_roads_are_the_same(secure: Shop, road: Callable[[Shop], Awaitable[None]]) -> None:
    await road(secure)


async def test_a_session_behind_tls_is_kept_by_tls(secure: Shop) -> None:
    shop, url = secure, secure.nginx.url
    async with httpx.AsyncClient(base_url=url, trust_env=False, verify=tls.trusting(), http2=True) as browser:
        login = {"email": "viewer@example.com", "password": PASSWORD}
        answer = await browser.post("/api/login", json=login, headers={"Origin": url})
        assert (answer.status_code, answer.http_version) == (200, "HTTP/2")
        name, _, rest = answer.headers["set-cookie"].partition("=")
        assert name == "__Host-dropcast_session"
        assert {"Secure", "HttpOnly", "Path=/", "SameSite=lax"} <= set(rest.split("; "))
        assert answer.headers["strict-transport-security"] == "max-age=31536000"
        page = await browser.get("/")
        assert page.headers["strict-transport-security"] == "max-age=31536000"
        assert (await browser.get("/api/me")).status_code == 200
    async with httpx.AsyncClient(base_url=shop.nginx.plain_url, trust_env=False) as plain:
        turned = await plain.get("/login?next=/s/show")
    assert turned.headers["location"] == f"{url}/login?next=/s/show"
    assert "set-cookie" not in turned.headers


async def test_a_socket_over_tls_knows_the_cookie_of_its_page(secure: Shop) -> None:
    shop = secure
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 3)
    await shop.host.open(drop)
    viewer = await shop.guest(shop.nginx, stream, cookie=shop.viewer.cookie, origin=shop.nginx.url)
    ref = await viewer.order(drop)
    assert (await viewer.expect_receipt(ref)).status == "accepted"


async def test_a_page_and_its_files_come_over_one_connection_and_from_nginx_the_second_time(secure: Shop) -> None:
    nginx = secure.nginx
    async with httpx.AsyncClient(base_url=nginx.url, trust_env=False, verify=tls.trusting(), http2=True) as browser:
        page = (await browser.get("/")).text
        files = sorted({word for word in page.split('"') if word.startswith("/static/")})
        assert files
        first = [await browser.get(file) for file in files]
        second = [await browser.get(file) for file in files]
        version = files[0].split("/")[2]
        foreign = files[0].replace(version, "0" * 12)
        others = [await browser.get(foreign) for _ in range(3)]
    for one, other in zip(first, second, strict=True):
        assert one.content == other.content
        assert dict(one.headers) | {"date": ""} == dict(other.headers) | {"date": ""}
        assert one.headers["access-control-allow-origin"] == "*"
        assert one.headers["strict-transport-security"] == "max-age=31536000"
    assert {answer.headers["cache-control"] for answer in others} == {"no-store"}
    told = [
        entry["cache"] for entry in nginx.access_log(lines=len(files) * 2 + 4) if entry["path"] in (*files, foreign)
    ]
    assert told == ["MISS"] * len(files) + ["HIT"] * len(files) + ["MISS"] * 3


async def test_files_and_pages_are_compressed_once_and_answers_in_json_never(secure: Shop) -> None:
    nginx = secure.nginx
    async with httpx.AsyncClient(base_url=nginx.url, trust_env=False, verify=tls.trusting()) as browser:
        page = await browser.get("/")
        file = next(word for word in page.text.split('"') if word.startswith("/static/"))
        for path in ("/", file, f"/admin/static/{LIBRARY}"):
            answer = await browser.get(path)
            assert answer.status_code == 200, path
            assert answer.headers.get("content-encoding") == "gzip", path
        for path in ("/api/streams", "/api/products", "/admin/"):
            assert "content-encoding" not in (await browser.get(path)).headers, path


@pytest.mark.parametrize("unix", [False, True], ids=["TCP", "Unix sockets"])
async def test_who_is_moved_from_a_leaving_replica_misses_nothing(
    shop_settings: dict[str, str], start_nginx: StartNginx, *, unix: bool
) -> None:
    settings = {**shop_settings, "DROPCAST_TICK_MS": "1000", "DROPCAST_DRAIN_WITHIN_S": "4"}
    await furnish(settings)
    with Replica(settings, unix=unix) as leaving:
        staying = Replica(settings, unix=unix)
        nginx = start_nginx([leaving.host, staying.host], tls=True)
        async with AsyncExitStack() as stack:
            host = await stack.enter_async_context(Api(nginx.url))
            await host.login("host@example.com", PASSWORD)
            await host.create_stream("moving", "Moving")
            await host.start("moving")
            url = nginx.ws_url("moving")
            watching = [await stack.enter_async_context(await LiveClient.join(url)) for _ in range(3)]
            stack.callback(staying.remove)
            await asyncio.to_thread(staying.start)
            leaving.terminate()
            for guest in watching:
                await guest.expect(frames.DrainFrame)
                await guest.close()
            (product,) = [product for product in await host.products("DEMO-1") if product["sku"] == "DEMO-1"]
            drop = {"product": product["id"], "price": 2400, "currency": "USD", "limit": 1}
            stock = [{"variant": product["variants"][0]["id"], "quantity": 1}]
            await host.post("/api/host/streams/moving/drops", {**drop, "stock": stock})
            for guest in watching:
                back = await stack.enter_async_context(await LiveClient.join(url, position=guest.position))
                assert back.snapshot is None
                assert back.seen == [guest.position.seq + 1]
            assert await asyncio.to_thread(leaving.await_exit, 30) == 0


async def test_over_a_unix_socket_the_proxy_is_believed(shop_settings: dict[str, str], start_nginx: StartNginx) -> None:
    await furnish(shop_settings)
    with Replica(shop_settings, unix=True) as replica:
        nginx = start_nginx([replica.host], behind=["127.0.0.0/8"])

        async def sign_in(network: str, password: str) -> str:
            async with Api(nginx.url) as person:
                person.http.headers.update({"X-Forwarded-For": f"{network}.1", "X-Forwarded-Proto": "https"})
                await person.login("viewer@example.com", password)
                return person.cookie

        for _ in range(10):
            with pytest.raises(ApiError, match="401"):
                await sign_in("198.51.100", "wrong")
        with pytest.raises(ApiError, match="429"):
            await sign_in("198.51.100", "wrong")
        assert (await sign_in("203.0.113", PASSWORD)).startswith("__Host-dropcast_session=")
