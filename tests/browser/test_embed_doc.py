"""docs/embed.md is true: its pages and its Content-Security-Policy, on another site, with a live shop."""

from __future__ import annotations

import re
from pathlib import Path

from playwright.async_api import Browser, Page, expect

from tests.browser.test_buying import DESKTOP, PHONE, fill_in, listen
from tests.browser.test_embedding import Partner, partner
from tests.browser.test_overlay_elsewhere import bought
from tests.journeys.conftest import Shop

__all__ = ["partner"]

DOC = (Path(__file__).resolve().parents[2] / "docs" / "embed.md").read_text("utf-8")
ELEMENT, SDK = re.findall(r"```html\n(.*?)```", DOC, flags=re.DOTALL)
((NAME, POLICY),) = re.findall(r"```http\n([\w-]+): (.*?)\n```", DOC)


async def on_sale(shop: Shop, partner: Partner, page: str) -> str:
    """The page of the doc, with this shop and a stream of its own, which has a drop: its id."""
    stream = await shop.live_stream()
    await shop.host.post(f"/api/host/streams/{stream}/embed", {"origins": [partner.url]})
    partner.page = of(shop, page).replace("friday-show", stream)
    drop = await shop.drop(stream, 5)
    await shop.host.open(drop)
    return drop


def of(shop: Shop, text: str) -> str:
    return (
        text.replace("https://shop.example", shop.nginx.url)
        .replace("wss://", "ws://")
        .replace("shop.example", shop.nginx.host)
    )


async def allow(page: Page, button: str) -> None:
    """Signs in and says yes in the window that a tap opens."""
    async with page.expect_popup() as opening:
        await page.get_by_role("button", name=button).click()
    popup = await opening.value
    await fill_in(popup, "viewer@example.com")
    async with popup.expect_event("close"):
        await popup.get_by_test_id("allow").click()


async def orders(shop: Shop, drop: str) -> int:
    return len(await shop.rows("SELECT id FROM orders WHERE drop_id = :d", d=drop))


async def test_the_page_with_the_element_sells(shop: Shop, partner: Partner, browser: Browser, artifacts: Path) -> None:
    drop = await on_sale(shop, partner, ELEMENT)
    page = await (await browser.new_context(viewport=DESKTOP)).new_page()
    await page.goto(partner.url)
    await expect(page.get_by_test_id("buy")).to_have_text("Buy $24")
    await page.screenshot(path=artifacts / "desktop.png")
    await allow(page, "Buy $24")
    await bought(page, 4)
    await expect(page.locator("#news")).to_have_text("Your order: accepted")
    assert await orders(shop, drop) == 1
    await shop.host.close(drop)
    await expect(page.locator("#news")).to_have_text("Moonrise lamp: closed")
    await page.set_viewport_size(PHONE)
    await page.screenshot(path=artifacts / "phone.png")


async def test_the_page_of_ones_own_design_sells(
    shop: Shop, partner: Partner, browser: Browser, artifacts: Path
) -> None:
    drop = await on_sale(shop, partner, SDK)
    page = await (await browser.new_context(viewport=PHONE)).new_page()
    complaints = listen(page)
    await page.goto(partner.url)
    await expect(page.locator("#title")).to_have_text("Moonrise lamp")
    await expect(page.locator("#left")).to_have_text("5 left")
    picture = page.locator("#picture")
    await expect(picture).to_have_js_property("complete", True)
    assert await picture.evaluate("(one) => one.naturalWidth") > 0
    assert str(await picture.get_attribute("src")).startswith(shop.nginx.url)
    await allow(page, "Sign in to buy")
    await page.get_by_role("button", name="Buy", exact=True).click()
    await expect(page.locator("#answer")).to_have_text("Yours")
    await expect(page.locator("#left")).to_have_text("4 left")
    assert await orders(shop, drop) == 1
    await page.screenshot(path=artifacts / "own.png")
    await shop.host.close(drop)
    await expect(page.locator("#title")).to_have_text("Nothing yet")
    assert complaints == []


async def test_a_page_with_the_docs_content_policy_shows_and_sells(
    shop: Shop, partner: Partner, browser: Browser
) -> None:
    script = '<script type="module" src="https://shop.example/embed.js"></script>'
    drop = await on_sale(shop, partner, f'<dropcast-overlay stream="friday-show"></dropcast-overlay>{script}')
    partner.headers = {NAME: "default-src 'none'; " + of(shop, POLICY)}
    page = await (await browser.new_context(viewport=PHONE)).new_page()
    complaints = listen(page)
    await page.goto(partner.url)
    await allow(page, "Buy $24")
    await bought(page, 4)
    assert await orders(shop, drop) == 1
    assert [words for words in complaints if "favicon" not in words] == []
