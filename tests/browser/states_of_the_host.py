"""The host's page."""

from __future__ import annotations

from playwright.async_api import Page, expect

from tests.browser.stage import Stage
from tests.browser.states import state


@state("host-new", person="guest-host")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/host")
    await expect(page.get_by_test_id("create-stream")).to_be_visible()


@state("host-not-one", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/host")
    await expect(page.locator("#gate")).to_contain_text("Ann Lee")


@state("host-scheduled", person="host")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream(live=False)
    await page.goto(f"/host#{stream}")
    await expect(page.get_by_test_id("start-stream")).to_be_visible()
    await expect(page.get_by_test_id("link-state")).to_have_attribute("data-state", "live")


@state("host-selling", person="host")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    await stage.drop(stream, 1, sku="DEMO-2", opened=False)
    sold_out = await stage.drop(stream, {0: 1}, sku="DEMO-4")
    await stage.buys(stream, sold_out, 1)
    await stage.drop(stream, 40, sku="DEMO-3", limit=2)
    await page.goto(f"/host#{stream}")
    await expect(page.get_by_test_id("drop-row")).to_have_count(3)
    await expect(page.locator('[data-status="sold_out"]').first).to_be_visible()


@state("host-adding", person="host")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    await page.goto(f"/host#{stream}")
    await page.get_by_test_id("product-search").fill("DEMO-3")
    await expect(page.get_by_test_id("add-drop")).to_be_visible()
    await page.get_by_test_id("drop-limit").fill("none")
    await page.get_by_test_id("add-drop").click()
    await expect(page.locator("#add-error")).not_to_be_empty()


@state("host-embedding", person="host")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    await page.goto(f"/host#{stream}")
    await expect(page.locator("#embed-code")).to_contain_text(stream)  # the stream's list is there
    await page.get_by_test_id("embed-origins").fill("https://partner.example\npartner.example")
    await page.get_by_test_id("save-embed").click()
    await expect(page.locator("#embed-error")).not_to_be_empty()
    await page.get_by_test_id("save-embed").scroll_into_view_if_needed()
