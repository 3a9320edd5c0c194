"""A host opens a drop on the host page; a viewer sees it on the stream page and buys. Real Chromium, real shop."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.journeys.conftest import PASSWORD, Shop

PHONE: ViewportSize = {"width": 390, "height": 844}
DESKTOP: ViewportSize = {"width": 1280, "height": 800}


async def test_a_viewer_sees_a_drop_opened_on_the_host_page_and_buys_it(
    shop: Shop, browser: Browser, artifacts: Path
) -> None:
    at = shop.nginx.url
    stream = await shop.live_stream()
    host = await signed_in(await browser.new_context(base_url=at, viewport=DESKTOP), "host@example.com", "/host")
    viewer = await signed_in(
        await browser.new_context(base_url=at, viewport=PHONE, has_touch=True), "viewer@example.com", f"/s/{stream}"
    )
    complaints = [listen(page) for page in (host, viewer)]
    await expect(viewer.get_by_test_id("link-state")).to_contain_text("Connected")
    await viewer.screenshot(path=artifacts / "viewer-1-waiting.png")

    await host.locator("#streams button").first.click()  # newest first
    await expect(host.locator("#show-link")).to_contain_text(stream)
    await host.get_by_test_id("product-search").fill("DEMO-1")
    await expect(host.get_by_test_id("add-drop")).to_be_enabled()
    await host.get_by_label("Price").fill("24.00")
    await host.get_by_test_id("add-drop").click()
    row = host.get_by_test_id("drop-row")
    await expect(row).to_have_attribute("data-status", "scheduled")
    await host.screenshot(path=artifacts / "host-1-run-sheet.png")
    await row.get_by_test_id("open-drop").click()
    await expect(row).to_have_attribute("data-status", "open")

    card = viewer.get_by_test_id("drop-card")
    await expect(card).to_be_visible()
    stock = viewer.get_by_test_id("stock")
    before = int(await stock.get_attribute("data-left") or "")
    await viewer.screenshot(path=artifacts / "viewer-2-open.png")
    buy = viewer.get_by_test_id("buy")
    await expect(buy).to_contain_text("$24")
    await expect(buy).not_to_have_attribute("aria-disabled", "true")
    await buy.tap()
    await expect(buy).to_contain_text("Confirm $24")
    await buy.click()
    await expect(buy).to_contain_text("Yours")
    await expect(viewer.get_by_test_id("receipt")).to_contain_text("yours")
    await expect(stock).to_have_attribute("data-left", str(before - 1))
    await viewer.screenshot(path=artifacts / "viewer-3-bought.png")
    await host.screenshot(path=artifacts / "host-2-sold-one.png")
    assert len(await shop.rows("SELECT id FROM orders WHERE drop_id = :d", d=await row.get_attribute("data-drop"))) == 1

    await row.get_by_test_id("close-drop").click()
    await expect(row).to_have_attribute("data-status", "closed")
    await viewer.goto("/orders")
    await expect(viewer.get_by_role("listitem").first).to_contain_text("$24")
    await viewer.screenshot(path=artifacts / "viewer-4-orders.png")
    assert complaints == [[], []]


async def test_a_guest_who_buys_is_led_to_sign_in_and_back(shop: Shop, browser: Browser, artifacts: Path) -> None:
    stream = await shop.live_stream()
    await shop.host.open(await shop.drop(stream, 5))
    page = await (await browser.new_context(base_url=shop.nginx.url, viewport=PHONE)).new_page()
    await page.goto(f"/s/{stream}")
    await page.get_by_test_id("buy").click()
    await page.wait_for_url("**/login?next=*")
    await page.screenshot(path=artifacts / "login.png")
    await fill_in(page, "viewer@example.com")
    await page.wait_for_url(f"**/s/{stream}")
    buy = page.get_by_test_id("buy")
    await expect(buy).to_contain_text("Buy")


async def test_a_wrong_password_says_so_on_the_page(shop: Shop, browser: Browser) -> None:
    page = await (await browser.new_context(base_url=shop.nginx.url, viewport=PHONE)).new_page()
    await page.goto("/login")
    await page.get_by_test_id("email").fill("viewer@example.com")
    await page.get_by_test_id("password").fill("not my password")
    await page.get_by_test_id("sign-in").click()
    await expect(page.get_by_text("wrong")).to_be_visible()


async def signed_in(context: BrowserContext, email: str, path: str) -> Page:
    page = await context.new_page()
    await page.goto(f"/login?next={path}")
    await fill_in(page, email)
    await page.wait_for_url(path)  # against the base, so that the `next` of the page before is no match
    return page


async def fill_in(page: Page, email: str) -> None:
    await page.get_by_test_id("email").fill(email)
    await page.get_by_test_id("password").fill(PASSWORD)
    await page.get_by_test_id("sign-in").click()


def listen(page: Page) -> list[str]:
    """Errors of a page's scripts, and what its content policy refuses."""
    heard: list[str] = []
    page.on("pageerror", lambda error: heard.append(str(error)))
    page.on("console", lambda message: heard.append(message.text) if message.type == "error" else None)
    return heard
