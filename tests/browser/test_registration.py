"""Registering, a forgotten password and one's account, on the pages, with real mail. Real Chromium, real shop."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, Page, ViewportSize, expect

from tests.browser.test_buying import DESKTOP, PHONE, listen
from tests.journeys.mailing import PASSWORD, MailingShop, _mailing, mailing, new_address, somewhere

__all__ = ["_mailing", "mailing"]

OTHER = "cold plum bicycle"
Visit = Callable[[ViewportSize], Awaitable[Page]]


@pytest_asyncio.fixture
async def visit(mailing: MailingShop, browser: Browser) -> AsyncIterator[Visit]:
    """`visit(size)`: a page of somebody new, from a network of their own; no script of it may fail."""
    heard: list[list[str]] = []
    contexts: list[BrowserContext] = []

    async def new_page(size: ViewportSize) -> Page:
        headers = {"X-Forwarded-For": somewhere()}
        context = await browser.new_context(base_url=mailing.replicas[0].url, viewport=size, extra_http_headers=headers)
        contexts.append(context)
        page = await context.new_page()
        heard.append(listen(page))
        return page

    yield new_page
    for context in contexts:
        await context.close()
    # a refusal is an answer, which Chromium also writes to its console
    assert not [words for page in heard for words in page if "Failed to load resource" not in words]


@pytest.mark.parametrize(("name", "size"), [("phone", PHONE), ("desktop", DESKTOP)])
async def test_somebody_registers_by_the_code_of_the_mail_and_comes_back_to_where_they_were(
    mailing: MailingShop, visit: Visit, artifacts: Path, name: str, size: ViewportSize
) -> None:
    email, page = new_address(), await visit(size)
    await page.goto("/login?next=%2Forders")
    await page.screenshot(path=artifacts / f"{name}-0-login.png")
    await page.get_by_text("Create an account").click()
    await page.wait_for_url("**/register?next=*")
    await expect(page.get_by_test_id("name")).to_be_focused()
    await page.get_by_test_id("register").click()
    await expect(page.get_by_test_id("name")).to_be_focused()  # the first that is missing
    await expect(page.locator("#email-note")).to_contain_text("Enter an e-mail address")
    await page.screenshot(path=artifacts / f"{name}-1-missing.png")

    await page.get_by_test_id("name").fill("Ann Lee")
    await page.get_by_test_id("email").fill(email)
    await page.get_by_test_id("password").fill("password123")
    await page.get_by_test_id("register").click()
    await expect(page.locator("#password-note")).to_contain_text("first passwords a thief tries")
    await expect(page.get_by_test_id("password")).to_be_focused()
    await page.screenshot(path=artifacts / f"{name}-2-common.png")
    await page.get_by_test_id("password").fill(PASSWORD)
    await page.get_by_test_id("password").press("Enter")

    code = page.get_by_test_id("code")
    await expect(code).to_be_focused()
    assert await code.get_attribute("autocomplete") == "one-time-code"
    assert await code.get_attribute("inputmode") == "numeric"
    await expect(page.get_by_text(email)).to_be_visible()
    right = await mailing.code(email)
    await code.fill(f"{(int(right) + 1) % 10**6:06}")
    await code.press("Enter")
    await expect(page.locator("#code-note")).to_contain_text("wrong or no longer valid")
    await page.get_by_test_id("resend").click()
    await expect(page.get_by_text("come back in")).to_be_visible()
    await page.screenshot(path=artifacts / f"{name}-3-code.png")
    await code.fill(right)
    await page.get_by_test_id("verify").click()
    await page.wait_for_url("**/orders")
    await page.goto("/")
    await expect(page.get_by_role("link", name="Ann Lee")).to_be_visible()
    await page.screenshot(path=artifacts / f"{name}-4-signed-in.png")
    await page.get_by_role("link", name="Ann Lee").click()
    await expect(page.get_by_test_id("who")).to_contain_text(email)
    await page.screenshot(path=artifacts / f"{name}-5-account.png", full_page=True)
    assert await page.evaluate("document.documentElement.scrollWidth") <= size["width"]


async def test_somebody_registers_to_buy_what_they_see_and_signs_out_everywhere(
    mailing: MailingShop, visit: Visit, artifacts: Path
) -> None:
    email, (stream, _), page = new_address(), await mailing.open_drop(), await visit(PHONE)
    await page.goto(f"/s/{stream}")
    await page.get_by_test_id("buy").click()
    await page.wait_for_url("**/login?next=*")
    await page.get_by_text("Create an account").click()
    await page.get_by_test_id("name").fill("Ann Lee")
    await page.get_by_test_id("email").fill(email)
    await page.get_by_test_id("password").fill(PASSWORD)
    await page.get_by_test_id("register").click()
    await page.get_by_test_id("code").fill(await mailing.code(email))
    await page.get_by_test_id("verify").click()
    await page.wait_for_url(f"**/s/{stream}")
    await page.goto("/account")
    await page.get_by_test_id("sign-out").click()
    await page.wait_for_url(f"{mailing.replicas[0].url}/")

    await sign_in(page, email, PASSWORD, f"/s/{stream}")
    buy = page.get_by_test_id("buy")
    await expect(buy).to_contain_text("Buy")
    await expect(buy).not_to_have_attribute("aria-disabled", "true")
    await buy.click()
    await expect(buy).to_contain_text("Confirm")
    await buy.click()
    await expect(buy).to_contain_text("Yours")
    await page.goto("/orders")
    await expect(page.get_by_role("listitem")).to_have_count(1)

    elsewhere = await visit(DESKTOP)
    await sign_in(elsewhere, email, PASSWORD, "/account")
    ones = elsewhere.locator("#sessions li")
    await expect(ones).to_have_count(2)
    await expect(ones.filter(has_text="This device")).to_have_count(1)
    await expect(ones.first).to_contain_text("Signed in")
    await elsewhere.screenshot(path=artifacts / "sessions-desktop.png", full_page=True)
    await page.goto("/account")
    await expect(page.locator("#sessions li")).to_have_count(2)
    await page.screenshot(path=artifacts / "sessions-phone.png", full_page=True)
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    await page.get_by_test_id("end-others").click()
    await expect(page.locator("#sessions li")).to_have_count(1)
    await elsewhere.goto("/account")
    await elsewhere.wait_for_url("**/login?next=*")
    await page.get_by_test_id("end-all").click()
    await page.wait_for_url("**/login?next=*")
    await page.goto("/orders")
    await page.wait_for_url("**/login?next=%2Forders")


async def test_where_a_link_of_another_site_would_lead_nobody_goes(mailing: MailingShop, visit: Visit) -> None:
    email, page = new_address(), await visit(PHONE)
    await page.goto("/register?next=https%3A%2F%2Fevil.example%2F")
    await page.get_by_test_id("name").fill("Ann")
    await page.get_by_test_id("email").fill(email)
    await page.get_by_test_id("password").fill(PASSWORD)
    await page.get_by_test_id("register").click()
    await page.get_by_test_id("code").fill(await mailing.code(email))
    await page.get_by_test_id("verify").click()
    await page.wait_for_url(f"{mailing.replicas[0].url}/")


async def test_a_forgotten_password_and_every_change_of_an_account(
    mailing: MailingShop, visit: Visit, artifacts: Path
) -> None:
    email, moved = new_address(), new_address()
    async with mailing.anybody() as api:
        await api.register(email, PASSWORD, "Ann")
        await api.verify(email, await mailing.code(email))
    mailing.forget_limits()
    page = await visit(PHONE)
    await page.goto("/forgot?next=%2Faccount")
    await page.get_by_test_id("email").fill(email)
    await page.get_by_test_id("forgot").click()
    await page.get_by_test_id("code").fill(await mailing.code(email, 2))
    await page.get_by_test_id("password").fill(OTHER)
    await page.screenshot(path=artifacts / "forgot.png")
    await page.get_by_test_id("reset").click()
    await page.wait_for_url("**/account")

    await page.get_by_test_id("name").fill("Ann Lee")
    await page.get_by_test_id("save-name").click()
    await expect(page.get_by_test_id("who")).to_contain_text("Ann Lee")

    await page.get_by_test_id("email").fill(moved)
    await page.get_by_test_id("email-password").fill(PASSWORD)
    await page.get_by_test_id("save-email").click()
    await expect(page.locator("#email-password-note")).to_contain_text("not your password")
    mailing.forget_limits()
    await page.get_by_test_id("email-password").fill(OTHER)
    await page.get_by_test_id("save-email").click()
    await expect(page.get_by_test_id("code")).to_be_focused()
    await page.get_by_test_id("code").fill(await mailing.code(moved))
    await page.screenshot(path=artifacts / "account-code.png", full_page=True)
    await page.get_by_test_id("confirm-email").click()
    await expect(page.get_by_test_id("who")).to_contain_text(moved)

    await page.get_by_test_id("old").fill(OTHER)
    await page.get_by_test_id("new").fill("password123")
    await page.get_by_test_id("save-password").click()
    await expect(page.locator("#new-note")).to_contain_text("thief")
    await page.get_by_test_id("new").fill(PASSWORD)
    await page.get_by_test_id("save-password").click()
    await expect(page.get_by_text("every other device is signed out")).to_be_visible()
    await page.screenshot(path=artifacts / "account-done.png", full_page=True)

    await page.get_by_test_id("sign-out").click()
    await page.wait_for_url(f"{mailing.replicas[0].url}/")
    await page.goto("/account")
    await page.wait_for_url("**/login?next=*")
    await page.get_by_test_id("email").fill(moved)
    await page.get_by_test_id("password").fill(PASSWORD)
    await page.get_by_test_id("sign-in").click()
    await page.wait_for_url("**/account")
    await page.get_by_test_id("delete-password").fill(PASSWORD)
    await page.get_by_test_id("delete").click()
    await page.wait_for_url(f"{mailing.replicas[0].url}/")
    await expect(page.get_by_role("link", name="Sign in")).to_be_visible()


async def sign_in(page: Page, email: str, password: str, path: str) -> None:
    await page.goto(f"/login?next={path}")
    await page.get_by_test_id("email").fill(email)
    await page.get_by_test_id("password").fill(password)
    await page.get_by_test_id("sign-in").click()
    await page.wait_for_url(path)  # against the base, so that the `next` of the page before is no match
