"""The page where people watch and buy."""

from __future__ import annotations

from playwright.async_api import Page, WebSocketRoute, expect

from tests.browser.stage import Stage
from tests.browser.states import state

SOCKET = "**/ws/**"
CONFIRM_FROM_MS = 450


async def _watch(page: Page, stream: str) -> None:
    await page.goto(f"/s/{stream}")
    await expect(page.get_by_test_id("link-state")).to_have_attribute("data-state", "live")


async def _confirms(page: Page) -> None:
    await page.get_by_test_id("buy").click()
    await expect(page.get_by_test_id("back")).to_be_visible()
    await page.wait_for_timeout(CONFIRM_FROM_MS)  # a tap as quick as a double tap confirms nothing
    await page.get_by_test_id("buy").click()


async def _sees_the_card(page: Page, stream: str) -> None:
    await _watch(page, stream)
    await expect(page.get_by_test_id("drop-card")).to_be_visible()


@state("stream-connecting", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    await page.route_web_socket(SOCKET, lambda _: None)  # opens, and hears nothing
    await page.goto(f"/s/{await stage.stream()}")
    await expect(page.get_by_test_id("link-state")).to_have_attribute("data-state", "connecting")


@state("stream-unknown")
async def _(page: Page, stage: Stage) -> None:
    await page.goto("/s/nowhere")
    await expect(page.get_by_test_id("link-state")).to_have_attribute("data-state", "over")


@state("stream-scheduled", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    await _watch(page, await stage.stream(live=False, starts_at=4_070_908_800_000))


@state("stream-no-drop", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    await _watch(page, await stage.stream())


@state("stream-open", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    await stage.drop(stream, 40)
    await _sees_the_card(page, stream)


@state("stream-open-guest")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    await stage.drop(stream, 40)
    await _sees_the_card(page, stream)


@state("stream-variants", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    drop = await stage.drop(stream, {0: 12, 1: 3, 2: 1, 3: 8}, sku="DEMO-3", limit=3)
    await stage.buys(stream, drop, 1, variant=2)
    await _sees_the_card(page, stream)
    await expect(page.locator("#variants")).to_be_visible()


@state("stream-few-left", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    await stage.drop(stream, 3)
    await _sees_the_card(page, stream)


@state("stream-confirm", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    await stage.drop(stream, 40)
    await _sees_the_card(page, stream)
    await page.get_by_test_id("buy").click()
    await expect(page.get_by_test_id("back")).to_be_visible()


@state("stream-yours", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    await stage.drop(stream, 40)
    await _sees_the_card(page, stream)
    await _confirms(page)
    await expect(page.get_by_test_id("stock")).to_have_attribute("data-left", "39")


@state("stream-sold-out", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    await stage.buys(stream, await stage.drop(stream, 1), 1)
    await _sees_the_card(page, stream)
    await expect(page.get_by_test_id("stock")).to_have_attribute("data-left", "0")


@state("stream-closed", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    drop = await stage.drop(stream, 5)
    await _sees_the_card(page, stream)
    await stage.host.close(drop)
    await expect(page.locator('[data-phase="closed"], #quiet:visible').first).to_be_visible()


@state("stream-link-lost", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    sockets: list[WebSocketRoute] = []

    async def once(socket: WebSocketRoute) -> None:
        sockets.append(socket)
        if len(sockets) == 1:
            socket.connect_to_server()
        else:
            await socket.close(code=1013)

    await page.route_web_socket(SOCKET, once)
    stream = await stage.stream()
    await stage.drop(stream, 40)
    await _sees_the_card(page, stream)
    await sockets[0].close(code=1013)
    await expect(page.get_by_test_id("link-state")).not_to_have_attribute("data-state", "live")


@state("stream-sheet", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    await stage.drop(stream, 4, sku="DEMO-2", opened=False)
    await stage.buys(stream, await stage.drop(stream, {0: 1}, sku="DEMO-4"), 1)
    await stage.drop(stream, 40, sku="DEMO-3")
    await _sees_the_card(page, stream)
    await page.locator("#open-drops").click()
    await expect(page.locator("#sheet [data-drop]")).to_have_count(3)


@state("stream-orders", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    await stage.buys(stream, await stage.drop(stream, 40, limit=2), 2, person="viewer")
    await _sees_the_card(page, stream)
    await page.locator("#open-orders").click()
    await expect(page.locator("#sheet-list li")).to_have_count(1)


@state("stream-ended", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    await stage.drop(stream, 40)
    await _sees_the_card(page, stream)
    await stage.host.end(stream)
    await expect(page.get_by_test_id("link-state")).not_to_have_attribute("data-state", "live")
