"""`<dropcast-overlay>` on a partner's page, over the partner's own player: watched, bought from, refused."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Browser, Page, expect

from tests.browser.axe import findings
from tests.browser.test_buying import DESKTOP, PHONE, fill_in, listen
from tests.browser.test_embedding import Partner, answer_and_close, partner
from tests.journeys.conftest import Shop

__all__ = ["partner"]

PAGE = """<!doctype html><html lang="en"><title>Partner</title>
<style>
  body {{ margin: 0; color: green }}
  .player {{ position: relative; height: 640px; background: #789 }}
  p {{ color: red }}
</style>
<h1>A magazine</h1>
<div class="player"><dropcast-overlay stream="{stream}"></dropcast-overlay></div>
<script>
  window.heard = [];
  addEventListener("drop", ({{ detail }}) => heard.push(["drop", detail.kind]));
  addEventListener("order", ({{ detail }}) => heard.push(["order", detail.receipt.status]));
</script>
<script type="module" src="{shop}/embed.js"></script>"""


async def embedding_page(shop: Shop, partner: Partner, *origins: str) -> str:
    """A live stream on the partner's page."""
    stream = await shop.live_stream()
    await shop.host.post(f"/api/host/streams/{stream}/embed", {"origins": list(origins)})
    partner.page = PAGE.format(stream=stream, shop=shop.nginx.url)
    return stream


async def test_people_watch_and_buy_on_a_partners_page(
    shop: Shop, partner: Partner, browser: Browser, artifacts: Path
) -> None:
    stream = await embedding_page(shop, partner, partner.url)
    context = await browser.new_context(viewport=PHONE)
    page = await context.new_page()
    complaints = listen(page)
    await page.goto(partner.url)
    await expect(page.get_by_test_id("link-state")).to_have_text("Connected")
    drop = await shop.drop(stream, 5)
    await shop.host.open(drop)
    buy = page.get_by_test_id("buy")
    await expect(buy).to_have_text("Buy $24")
    await page.screenshot(path=artifacts / "elsewhere-1-guest.png")

    async with page.expect_popup() as opening:
        await buy.click()
    popup = await opening.value
    await fill_in(popup, "viewer@example.com")
    await answer_and_close(popup, "allow")
    await bought(page, 4)
    await page.screenshot(path=artifacts / "elsewhere-2-bought.png")
    assert await page.evaluate("heard") == [["drop", "opened"], ["order", "accepted"]]
    assert len(await shop.rows("SELECT id FROM orders WHERE drop_id = :d", d=drop)) == 1

    await page.reload()  # the pass outlives it: one tap, and then the moment to take it back
    await expect(page.get_by_test_id("receipt")).to_contain_text("You have 1")
    await page.get_by_test_id("buy").click()
    await expect(page.get_by_test_id("stock")).to_have_attribute("data-left", "3")
    assert complaints == []


async def bought(page: Page, left: int) -> None:
    """The second half of a first order."""
    buy = page.get_by_test_id("buy")
    await expect(page.get_by_text("My orders")).to_be_visible()
    await buy.click()
    await expect(buy).to_contain_text("Confirm")
    await buy.click()
    await expect(buy).to_contain_text("Yours")
    await expect(page.get_by_test_id("stock")).to_have_attribute("data-left", str(left))


async def test_a_page_that_is_not_allowed_says_so_and_tries_no_more(
    shop: Shop, partner: Partner, browser: Browser, artifacts: Path
) -> None:
    await embedding_page(shop, partner, "https://another.example")
    page = await (await browser.new_context(viewport=DESKTOP)).new_page()
    complaints = listen(page)
    await page.goto(partner.url)
    await expect(page.get_by_text("This page may not show the stream")).to_be_visible()
    await expect(page.get_by_text(f"has not allowed {partner.url}")).to_be_visible()
    await expect(page.get_by_test_id("link-state")).to_have_text("Disconnected")
    await page.screenshot(path=artifacts / "elsewhere-3-refused.png")
    assert any("adds this origin" in words for words in complaints)
    where = "dropcast-overlay"  # the rest of the page, and its landmarks, are the partner's
    found = [one for one in await findings(page) if one.rule != "region" and any(where in at for at in one.where)]
    assert not found, found


async def test_a_page_that_is_taken_off_the_list_shows_nothing_any_more_and_says_why(
    shop: Shop, partner: Partner, browser: Browser, artifacts: Path
) -> None:
    stream = await embedding_page(shop, partner, partner.url)
    page = await (await browser.new_context(viewport=DESKTOP)).new_page()
    await page.goto(partner.url)
    await shop.host.open(await shop.drop(stream, 5))
    await expect(page.get_by_test_id("drop-card")).to_be_visible()
    await shop.host.post(f"/api/host/streams/{stream}/embed", {"origins": []})
    await expect(page.get_by_text("This page may not show the stream")).to_be_visible(timeout=10_000)
    await expect(page.get_by_test_id("drop-card")).to_be_hidden()
    await expect(page.get_by_test_id("link-state")).to_have_text("Disconnected")
    await page.screenshot(path=artifacts / "elsewhere-4-taken-off.png")


async def test_who_signs_out_of_the_shop_is_a_guest_on_the_partners_page_and_may_come_again(
    shop: Shop, partner: Partner, browser: Browser
) -> None:
    stream = await embedding_page(shop, partner, partner.url)
    await shop.host.open(await shop.drop(stream, 5))
    context = await browser.new_context(viewport=DESKTOP)
    page = await context.new_page()
    await page.goto(partner.url)
    for signed_out in (True, False):
        async with page.expect_popup() as opening:
            await page.get_by_text("Sign in", exact=True).click()
        popup = await opening.value
        await fill_in(popup, "viewer@example.com")
        async with popup.expect_event("close"):
            await popup.get_by_test_id("allow").click()
        await expect(page.get_by_text("My orders")).to_be_visible()
        if signed_out:
            answer = await context.request.post(f"{shop.nginx.url}/api/logout", headers={"Origin": shop.nginx.url})
            assert answer.ok
            await expect(page.get_by_text("Sign in", exact=True)).to_be_visible(timeout=10_000)
            await expect(page.get_by_test_id("link-state")).to_have_text("Connected")


async def test_the_partners_styles_and_the_overlays_do_not_meet(shop: Shop, partner: Partner, browser: Browser) -> None:
    await embedding_page(shop, partner, partner.url)
    page = await (await browser.new_context(viewport=DESKTOP)).new_page()
    await page.goto(partner.url)
    quiet = page.locator("#quiet-title")
    await expect(quiet).to_have_text("No drop yet")
    assert await quiet.evaluate("(one) => getComputedStyle(one).color") == "rgb(255, 255, 255)"
    assert await page.locator("h1").evaluate("(one) => getComputedStyle(one).color") == "rgb(0, 128, 0)"
