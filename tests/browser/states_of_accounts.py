"""The quiet pages: streams, signing in, registering, the account, orders."""

from __future__ import annotations

import secrets

from playwright.async_api import Page, expect

from tests.browser.stage import Stage
from tests.browser.states import state
from tests.journeys.conftest import PASSWORD


def _address() -> str:
    return f"{secrets.token_hex(4)}@example.com"


@state("index-empty")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/")
    await expect(page.locator("#live-empty")).to_be_visible()


@state("index", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    await stage.stream("Friday finds, with a very long name that has to wrap on every phone there is")
    await stage.stream("Tea for two", live=False, starts_at=4_070_908_800_000)
    await stage.stream()
    await page.goto("/")
    await expect(page.get_by_test_id("streams").get_by_role("link")).to_have_count(2)
    await expect(page.get_by_test_id("coming").get_by_role("listitem")).to_have_count(1)
    await expect(page.locator("#signed-in-name")).not_to_be_empty()


@state("index-selling")
async def _(page: Page, stage: Stage) -> None:
    await stage.drop(await stage.stream(), 20, sku="DEMO-3")
    await page.goto("/")
    await expect(page.locator(".offer")).to_be_visible()


@state("shop", whole=False)
async def _(page: Page, stage: Stage) -> None:
    await stage.drop(await stage.stream(), 20, sku="DEMO-3")
    await page.goto("/shop")
    await expect(page.get_by_test_id("goods").get_by_role("listitem")).to_have_count(8)
    await expect(page.get_by_test_id("goods").get_by_role("link")).to_have_count(1)
    await expect(page.get_by_test_id("found")).not_to_be_empty()


@state("shop-nothing-found")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/shop?q=qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq")
    await expect(page.get_by_test_id("empty")).to_be_visible()


@state("offline")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/offline")
    await expect(page.get_by_test_id("offline")).to_be_visible()


@state("login")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/login")
    await expect(page.get_by_test_id("sign-in")).to_be_enabled()


@state("login-refused")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/login")
    await page.get_by_test_id("email").fill("viewer@example.com")
    await page.get_by_test_id("password").fill("not my password")
    await page.get_by_test_id("sign-in").click()
    await expect(page.locator("#note")).not_to_be_empty()


@state("login-of-the-admin")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/admin")
    await page.wait_for_url("**/login?next=*")
    await expect(page.get_by_test_id("sign-in")).to_be_enabled()


@state("register")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/register")
    await expect(page.get_by_test_id("register")).to_be_enabled()


@state("register-missing")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/register")
    await page.get_by_test_id("register").click()
    await expect(page.get_by_test_id("name")).to_be_focused()


@state("register-code")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/register")
    await page.get_by_test_id("name").fill("Ann Lee")
    await page.get_by_test_id("email").fill(_address())
    await page.get_by_test_id("password").fill(PASSWORD)
    await page.get_by_test_id("register").click()
    await expect(page.get_by_test_id("code")).to_be_focused()


@state("forgot")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/forgot")
    await expect(page.get_by_test_id("forgot")).to_be_enabled()


@state("forgot-code")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/forgot")
    await page.get_by_test_id("email").fill(_address())
    await page.get_by_test_id("forgot").click()
    await expect(page.get_by_test_id("code")).to_be_focused()


@state("account", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/account")
    await expect(page.get_by_test_id("who")).to_contain_text("viewer@example.com")
    await expect(page.locator("#sessions li").first).to_be_visible()


@state("account-refused", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/account")
    await page.get_by_test_id("old").fill(PASSWORD)
    await page.get_by_test_id("new").fill("password123")
    await page.get_by_test_id("save-password").click()
    await expect(page.get_by_test_id("new")).to_have_attribute("aria-invalid", "true")


@state("orders-empty", person="newcomer")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/orders")
    await expect(page.locator("#empty")).to_be_visible()


@state("orders", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    if not await stage.people["viewer"].orders():
        stream = await stage.stream()
        for sku, quantity in (("DEMO-1", 1), ("DEMO-3", 2), ("DEMO-4", 1)):
            drop = await stage.drop(stream, 20, sku=sku, limit=2)
            await stage.buys(stream, drop, quantity, person="viewer")
    await page.goto("/orders")
    await expect(page.get_by_role("listitem")).to_have_count(3)
