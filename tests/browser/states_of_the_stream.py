"""The page where people watch and buy."""

from __future__ import annotations

import time

from playwright.async_api import Page, WebSocketRoute, expect

from tests.browser.stage import Stage
from tests.browser.states import state

SOCKET = "**/ws/**"
CONFIRM_FROM_MS = 450
_FOR_EVER = """(() => {
  const after = window.setTimeout;
  const ends = [1_500, 5_000]; // the moment of Undo, and what is said of it
  window.setTimeout = (then, ms, ...more) => after(then, ends.includes(ms) ? 2 ** 31 - 1 : ms, ...more);
})()"""


async def _watch(page: Page, stream: str) -> None:
    await page.goto(f"/s/{stream}")
    await expect(page.get_by_test_id("link-state")).to_have_attribute("data-state", "live")


async def _confirms(page: Page) -> None:
    await page.get_by_test_id("buy").click()
    await expect(page.get_by_test_id("back")).to_be_visible()
    await page.wait_for_timeout(CONFIRM_FROM_MS)  # a tap as quick as a double tap confirms nothing
    await page.get_by_test_id("buy").click()


async def _withholds_receipts(page: Page) -> None:
    def between(socket: WebSocketRoute) -> None:
        shop = socket.connect_to_server()
        shop.on_message(lambda said: None if '"receipt"' in str(said) else socket.send(said))

    await page.route_web_socket(SOCKET, between)


async def _buys_a_second_time(page: Page, stream: str) -> None:
    """The first order of the session is behind, and this one can be taken back for ever."""
    await page.add_init_script(_FOR_EVER)
    await _sees_the_card(page, stream)
    await _confirms(page)
    await expect(page.get_by_test_id("buy")).to_have_attribute("data-tone", "yours")
    await expect(page.get_by_test_id("buy")).to_have_attribute("data-action", "buy")
    await page.get_by_test_id("buy").click()
    await expect(page.get_by_test_id("back")).to_be_visible()


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


@state("stream-undo", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    await stage.drop(stream, 40, limit=3)
    await _buys_a_second_time(page, stream)


@state("stream-undone", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    await stage.drop(stream, 40, limit=3)
    await _buys_a_second_time(page, stream)
    await page.wait_for_timeout(CONFIRM_FROM_MS)
    await page.get_by_test_id("back").click()
    await expect(page.get_by_test_id("back")).to_be_hidden()


@state("stream-late", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    drop = await stage.drop(stream, 1)
    await _sees_the_card(page, stream)
    await page.get_by_test_id("buy").click()
    await expect(page.get_by_test_id("back")).to_be_visible()
    await stage.buys(stream, drop, 1)
    await expect(page.get_by_test_id("back")).to_be_hidden()


@state("stream-sending", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    await _withholds_receipts(page)
    stream = await stage.stream()
    await stage.drop(stream, 40)
    await _sees_the_card(page, stream)
    await _confirms(page)
    await expect(page.get_by_test_id("buy")).to_have_attribute("data-tone", "busy")


@state("stream-countdown", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    await stage.drop(stream, 40, closes_at=round(time.time() * 1000) + 600_000)
    await _sees_the_card(page, stream)
    await expect(page.get_by_test_id("clock")).not_to_be_empty()


@state("stream-away", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    drop = await stage.drop(stream, 1)
    await _sees_the_card(page, stream)
    await page.context.set_offline(True)
    await expect(page.get_by_test_id("link-state")).not_to_have_attribute("data-state", "live")
    await stage.buys(stream, drop, 1)
    await stage.drop(stream, 12, sku="DEMO-2")
    await page.context.set_offline(False)
    await expect(page.locator("#notice")).to_be_visible()


@state("stream-white-video", person="viewer")
async def _(page: Page, stage: Stage) -> None:
    stream = await stage.stream()
    await stage.drop(stream, {0: 12, 1: 3, 2: 1, 3: 8}, sku="DEMO-3", limit=3, price=6_900)
    await _sees_the_card(page, stream)
    await page.locator("#slate").evaluate("(one) => { one.style.background = '#fff'; one.replaceChildren(); }")


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
