"""Every page, on a phone or a desktop, in light or in dark: axe finds nothing.

With `--all-looks` every state of every page is looked at in all four; else `SOME`, each in one of them.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from tests.browser.axe import Finding, findings, is_accessible
from tests.browser.stage import Stage, opened_stage
from tests.browser.states import State, states
from tests.browser.test_buying import DESKTOP, PHONE
from tests.services.chromium import chromium

pytestmark = pytest.mark.asyncio(loop_scope="module")

SIZES = {"phone": PHONE, "desktop": DESKTOP}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def stage() -> AsyncIterator[Stage]:
    async with opened_stage() as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_browser() -> AsyncIterator[Browser]:
    async with chromium() as launched:
        yield launched


SOME = {
    "index-selling",
    "shop",
    "offline",
    "login-refused",
    "login-of-the-admin",
    "register-code",
    "forgot",
    "account",
    "orders",
    "host-selling",
    "host-embedding",
    "stream-open-guest",
    "stream-variants",
    "stream-confirm",
    "stream-yours",
    "stream-sold-out",
    "stream-link-lost",
    "stream-orders",
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Which states are looked at."""
    if "state" in metafunc.fixturenames:
        every = metafunc.config.getoption("--all-looks")
        chosen = [state for state in states() if every or state.name in SOME]
        assert every or len(chosen) == len(SOME)
        metafunc.parametrize("state", chosen, ids=lambda state: state.name)


async def test_axe_finds_nothing(
    state: State, stage: Stage, shared_browser: Browser, pytestconfig: pytest.Config
) -> None:
    found: dict[Finding, list[str]] = {}
    looks = {size: ["light", "dark"] for size in SIZES}
    if not pytestconfig.getoption("--all-looks"):
        looks = {"phone": ["light"]} if states().index(state) % 2 else {"desktop": ["dark"]}
    for size, schemes in looks.items():
        context = await stage.visitor(shared_browser, state.person, "en", viewport=SIZES[size])
        page = await context.new_page()
        try:
            await state.reach(page, stage)
            for scheme in schemes:
                await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
                for finding in await findings(page):
                    found.setdefault(finding, []).append(f"{size}, {scheme}")
        finally:
            await context.close()
            await stage.clear()
    if found:
        pytest.fail("\n".join(f"{' · '.join(where)}: {finding}" for finding, where in found.items()), pytrace=False)


async def test_axe_sees_what_it_is_there_to_see(stage: Stage, shared_browser: Browser) -> None:
    context = await stage.visitor(shared_browser, None, "en")
    page = await context.new_page()
    await page.goto("/login")
    await _spoil(page)
    with pytest.raises(AssertionError) as told:
        await is_accessible(page)
    await context.close()
    assert "image-alt (critical): Images must have alternative text" in str(told.value)
    assert "#host >>> button: Element does not have inner text that is visible to screen readers" in str(told.value)
    assert "#pale: Element has insufficient color contrast of 1." in str(told.value)


async def _spoil(page: Page) -> None:
    await page.evaluate(
        """() => {
          const pale = Object.assign(document.createElement("p"), { id: "pale", textContent: "Hardly to be read" });
          Object.assign(pale.style, { color: "#dddddd", background: "#ffffff" });
          const host = Object.assign(document.createElement("div"), { id: "host" });
          host.attachShadow({ mode: "open" }).append(document.createElement("button"));
          const picture = Object.assign(document.createElement("img"), { src: "/static/shared/favicon.svg" });
          document.querySelector("main").append(pale, host, picture);
        }"""
    )
