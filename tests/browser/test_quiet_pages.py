"""Streams, shop, orders and signing in: three languages, any text size, by keyboard, and offline. Real Chromium."""

from __future__ import annotations

import asyncio
import json
import time
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Route, expect

from tests.browser.test_buying import DESKTOP, PHONE, fill_in, listen, signed_in
from tests.journeys.conftest import Shop

PAGES = ["/", "/shop", "/shop?q=zzzzzz", "/login", "/register", "/forgot", "/offline"]
PRIVATE = ["/orders", "/account"]

CUT = """() => [...document.querySelectorAll("body *")]
    .filter((one) => one.clientWidth > 0 && one.scrollWidth > one.clientWidth + 1 && !one.closest(".sr-only"))
    .map((one) => `${one.tagName} ${one.className} ${one.scrollWidth} > ${one.clientWidth}: ${one.textContent.trim()}`)
"""
KEPT = """async () => {
    const kept = [];
    for (const name of await caches.keys()) kept.push(...(await (await caches.open(name)).keys()));
    return kept.map(({ url }) => new URL(url).pathname);
}"""


async def visitor(browser: Browser, shop: Shop, *, locale: str = "en-US") -> BrowserContext:
    return await browser.new_context(base_url=shop.nginx.url, viewport=PHONE, locale=locale)


async def bought(shop: Shop) -> str:
    """A live stream on which the viewer has bought two."""
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 5)
    await shop.host.open(drop)
    client = await shop.watch(shop.nginx, stream)
    receipt = await client.expect_receipt(await client.order(drop, quantity=2))
    assert receipt.status == "accepted"
    return stream


async def test_products_are_found_as_one_types_and_the_address_keeps_the_words(browser: Browser, shop: Shop) -> None:
    page = await (await visitor(browser, shop)).new_page()
    complaints = listen(page)
    await page.goto("/shop")
    goods = page.get_by_test_id("goods").get_by_role("listitem")
    await expect(goods).to_have_count(8)
    await expect(page.get_by_test_id("found")).to_have_text("8 products")
    await page.get_by_label("Search products").press_sequentially("scarf")
    await expect(goods).to_have_count(1)
    await expect(goods).to_contain_text("$")
    await expect(page.get_by_test_id("found")).to_have_text("1 product")
    await page.wait_for_url("**/shop?q=scarf")
    await page.reload()
    await expect(page.get_by_test_id("search")).to_have_value("scarf")
    await expect(goods).to_have_count(1)
    await page.goto("/login")
    await page.go_back()
    await expect(goods).to_have_count(1)
    await page.get_by_test_id("search").fill("qqqqqqqqqq")
    await expect(page.get_by_test_id("empty")).to_contain_text("Nothing found for “qqqqqqqqqq”")
    await expect(goods).to_have_count(0)
    await page.get_by_test_id("search").fill("")
    await expect(goods).to_have_count(8)
    assert page.url == f"{shop.nginx.url}/shop"
    assert complaints == []


async def test_an_answer_that_was_overtaken_is_never_shown(browser: Browser, shop: Shop) -> None:
    page = await (await visitor(browser, shop)).new_page()
    held, release = asyncio.Event(), asyncio.Event()

    async def slow_for_mugs(route: Route) -> None:
        if parse_qs(urlsplit(route.request.url).query).get("q") == ["mug"]:
            held.set()
            await release.wait()
        with suppress(Exception):  # who asked may not want it any more
            await route.continue_()

    await page.route("**/api/products*", slow_for_mugs)
    await page.goto("/shop")
    goods = page.get_by_test_id("goods").get_by_role("listitem")
    await page.get_by_test_id("search").fill("mug")
    await asyncio.wait_for(held.wait(), 5)
    await page.get_by_test_id("search").fill("scarf")
    await expect(goods).to_contain_text(["scarf"])
    release.set()
    await page.get_by_test_id("search").fill("plant")  # after the mugs would have come
    await expect(goods).to_contain_text(["plant"])
    await expect(page.get_by_test_id("goods")).not_to_contain_text("mug")


async def test_a_search_that_fails_says_so_in_place_and_can_be_tried_again(browser: Browser, shop: Shop) -> None:
    page = await (await visitor(browser, shop)).new_page()
    await page.route("**/api/products*", lambda route: route.abort())
    await page.goto("/shop")
    await expect(page.get_by_text("The server cannot be reached")).to_be_visible()
    await page.unroute("**/api/products*")
    await page.get_by_test_id("more").click()
    await expect(page.get_by_test_id("goods").get_by_role("listitem")).to_have_count(8)
    await expect(page.get_by_text("The server cannot be reached")).to_be_hidden()


async def test_what_a_live_stream_sells_leads_to_it(browser: Browser, own_shop: Shop) -> None:
    stream = await bought(own_shop)  # where no other stream sells it
    page = await (await visitor(browser, own_shop)).new_page()
    await page.goto("/shop?q=DEMO-1")
    await page.get_by_role("link", name="Live now · $24").first.click()
    await page.wait_for_url(f"**/s/{stream}")
    await page.goto("/")
    tile = page.locator(f'[data-stream="{stream}"]')
    await expect(tile).to_contain_text("On sale now")
    await expect(tile).to_contain_text("$24")


async def test_streams_are_live_to_come_and_past(browser: Browser, shop: Shop) -> None:
    stream = await shop.live_stream()
    await shop.host.post(f"/api/host/streams/{stream}/end", {})
    in_two_days = int(time.time() * 1000) + 48 * 3_600_000
    await shop.host.post(
        "/api/host/streams", {"slug": f"{stream}-2", "title": f"{stream} again", "starts_at": in_two_days}
    )
    context = await visitor(browser, shop)
    page = await context.new_page()
    complaints = listen(page)
    await page.goto("/")
    coming = page.get_by_test_id("coming").get_by_role("listitem").filter(has_text=f"{stream} again")
    await expect(coming).to_contain_text("in 2 days")
    async with page.expect_download() as download:
        await coming.get_by_role("link", name="Add to calendar").click()
    assert (await download.value).suggested_filename == f"{stream}-2.ics"
    past = page.get_by_test_id("past").locator(f'a[href="/s/{stream}"]')
    await page.locator("#past-title").scroll_into_view_if_needed()
    await expect(past).to_be_visible()
    assert complaints == []


@pytest.mark.parametrize(
    ("locale", "lang", "orders", "wrong"),
    [
        ("en-GB", "en", "My orders", "E-mail or password is wrong."),
        ("es-MX", "es", "Mis pedidos", "El correo o la contraseña no son correctos."),
        ("zh-CN", "zh-Hans", "我的订单", "邮箱或密码不正确。"),
        ("fr-FR", "en", "My orders", "E-mail or password is wrong."),
    ],
)
async def test_pages_and_refusals_speak_the_readers_language(
    browser: Browser, shop: Shop, locale: str, lang: str, orders: str, wrong: str
) -> None:
    page = await (await visitor(browser, shop, locale=locale)).new_page()
    await page.goto("/login?next=/orders")
    await expect(page.locator("html")).to_have_attribute("lang", lang)
    await expect(page.get_by_role("navigation").get_by_role("link").nth(2)).to_have_text(orders)
    await page.get_by_test_id("email").fill("viewer@example.com")
    await page.get_by_test_id("password").fill("not my password")
    await page.get_by_test_id("sign-in").click()
    await expect(page.get_by_text(wrong)).to_be_visible()


async def test_orders_stand_under_their_day_with_picture_and_stream(browser: Browser, shop: Shop) -> None:
    stream = await bought(shop)
    page = await signed_in(await visitor(browser, shop), "viewer@example.com", "/orders")
    await expect(page.get_by_role("heading", name="Today")).to_be_visible()
    order = page.get_by_test_id("orders").get_by_role("listitem").first
    await expect(order).to_contain_text("$48")
    await expect(order).to_contain_text("Quantity 2")
    await expect(order).to_contain_text("Ordered")
    assert await order.locator("img").evaluate("async (img) => (await img.decode(), img.naturalWidth)") > 0
    await order.get_by_role("link", name="A show").click()
    await page.wait_for_url(f"**/s/{stream}")


async def test_who_has_no_orders_is_led_to_the_streams(browser: Browser, shop: Shop) -> None:
    page = await signed_in(await visitor(browser, shop), "rival@example.com", "/orders")
    await page.get_by_test_id("empty").get_by_role("link").click()
    await page.wait_for_url(f"{shop.nginx.url}/")


async def test_a_keyboard_alone_signs_in_and_comes_to_the_orders(browser: Browser, shop: Shop) -> None:
    await bought(shop)
    page = await (await visitor(browser, shop)).new_page()
    await page.goto("/orders")
    await page.wait_for_url("**/login?next=%2Forders")
    await expect(page.get_by_test_id("email")).to_be_focused()
    await page.keyboard.type("viewer@example.com")
    await page.keyboard.press("Tab")
    await page.keyboard.type("correct horse battery staple")
    await page.keyboard.press("Enter")
    await page.wait_for_url("**/orders")
    await expect(page.get_by_test_id("orders").get_by_role("listitem").first).to_be_visible()
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    reached = []
    for _ in range(6):
        await page.keyboard.press("Tab")
        reached.append(await page.evaluate("document.activeElement.getAttribute('href')"))
        assert await page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    assert reached[:5] == ["/", "/", "/shop", "/orders", "/account"]
    assert reached[5].startswith("/s/")
    await expect(page.locator('[aria-current="page"]')).to_have_text("My orders")


async def test_the_bar_knows_at_once_whether_somebody_may_be_signed_in(browser: Browser, shop: Shop) -> None:
    context = await visitor(browser, shop)
    page = await context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(urlsplit(request.url).path))
    await page.goto("/shop", wait_until="networkidle")
    await expect(page.get_by_role("link", name="Sign in")).to_be_visible()
    await expect(page.get_by_role("link", name="Sign in")).to_have_attribute("href", "/login?next=%2Fshop")
    assert "/api/me" not in asked
    await page.get_by_role("link", name="Sign in").click()
    await fill_in(page, "viewer@example.com")
    await page.wait_for_url("**/shop")
    await expect(page.get_by_role("link", name="Account viewer")).to_be_visible()
    assert "/api/me" in asked
    await context.clear_cookies()
    await context.add_cookies([{"name": "dropcast_session", "value": "worn out", "url": shop.nginx.url}])
    await page.reload()
    await expect(page.get_by_role("link", name="Sign in")).to_be_visible()


@pytest.mark.parametrize("locale", ["en-US", "es-ES", "zh-CN"])
async def test_nothing_is_cut_at_twice_the_text_size(browser: Browser, shop: Shop, locale: str) -> None:
    await bought(shop)
    page = await signed_in(await visitor(browser, shop, locale=locale), "viewer@example.com", "/account")
    guest = await (await visitor(browser, shop, locale=locale)).new_page()
    for who, path in [*((guest, path) for path in PAGES), *((page, path) for path in [*PRIVATE, "/"])]:
        await who.goto(path, wait_until="networkidle")
        for direction in ("ltr", "rtl"):
            await who.evaluate(
                "(dir) => Object.assign(document.documentElement, { dir }).style.setProperty('font-size', '200%')",
                direction,
            )
            assert await who.evaluate(CUT) == [], (path, direction)
            assert await who.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], (path, direction)


async def test_the_shop_can_be_installed(browser: Browser, shop: Shop) -> None:
    context = await visitor(browser, shop)
    page = await context.new_page()
    complaints = listen(page)
    await page.goto("/")
    await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    devtools = await context.new_cdp_session(page)
    manifest = await devtools.send("Page.getAppManifest")
    assert manifest["errors"] == []
    said = json.loads(manifest["data"])
    assert (said["start_url"], said["display"]) == ("/", "standalone")
    errors = (await devtools.send("Page.getInstallabilityErrors"))["installabilityErrors"]
    assert [one["errorId"] for one in errors if one["errorId"] != "in-incognito"] == []
    for icon in said["icons"]:
        size = await page.evaluate(
            "async (src) => { const img = new Image(); img.src = src; await img.decode(); return img.naturalWidth; }",
            icon["src"],
        )
        assert icon["sizes"] in ("any", f"{size}x{size}")
    assert complaints == []


async def test_offline_the_shop_says_so_and_shows_nothing_old(browser: Browser, shop: Shop) -> None:
    context = await visitor(browser, shop, locale="es-ES")
    page = await context.new_page()
    await page.goto("/shop", wait_until="networkidle")
    await page.evaluate("navigator.serviceWorker.ready.then(() => true)")
    await page.reload(wait_until="networkidle")
    await expect(page.get_by_test_id("goods").get_by_role("listitem")).to_have_count(8)
    kept = await page.evaluate(KEPT)
    assert "/offline" in kept
    assert any(path.endswith("/viewer/shop.js") for path in kept)
    assert [path for path in kept if path != "/offline" and not path.startswith("/static/")] == []

    await context.set_offline(True)
    for path in ("/shop?q=scarf", "/orders"):
        await page.goto(path)
        await expect(page.get_by_test_id("offline")).to_contain_text("Estás sin conexión")
        assert page.url.endswith(path)
        assert await page.evaluate("getComputedStyle(document.body).display") == "flex"  # its style came along
    await page.goto("/shop?q=scarf")
    await expect(page.get_by_test_id("again")).to_have_text("Reintentar")
    await context.set_offline(False)
    await expect(page.get_by_test_id("goods").get_by_role("listitem")).to_have_count(1)


async def test_the_pages_of_a_desktop_have_their_bar_at_the_top(browser: Browser, shop: Shop) -> None:
    page = await (await browser.new_context(base_url=shop.nginx.url, viewport=DESKTOP)).new_page()
    await page.goto("/shop")
    bar, main = await page.get_by_role("navigation").bounding_box(), await page.locator("main").bounding_box()
    assert bar is not None
    assert main is not None
    assert (bar["y"], main["y"]) == (0, bar["height"])
    assert main["width"] == DESKTOP["width"]
