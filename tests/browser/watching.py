"""Somebody at the stream page: what they see of the overlay, and their socket in the test's hand."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from playwright.async_api import Browser, Locator, Page, ViewportSize, WebSocketRoute, expect

from tests.browser.test_buying import PHONE
from tests.journeys.conftest import Shop

SOCKET = "**/ws/**"
TICK_MS = 20
"""A little more than a frame."""
HOLD_WITHIN_MS = 500
"""Held time stands a little ahead: it cannot go back, and the way to the page takes a while."""

_ANSWERS = """() => {
  window.answers = [];
  window.said = [];
  addEventListener("order", ({ detail }) => answers.push(detail.receipt.status));
}"""

_LISTEN = """(overlay) => {
  const region = overlay.shadowRoot.getElementById("status");
  new MutationObserver(() => said.push(region.textContent)).observe(region, { childList: true, characterData: true });
}"""


@dataclass
class Seat:
    """A page that watches a stream."""

    page: Page

    def __post_init__(self) -> None:
        self.overlay: Locator = self.page.locator("dropcast-overlay")
        self.card = self.page.get_by_test_id("drop-card")
        self.buy = self.page.get_by_test_id("buy")
        self.back = self.page.get_by_test_id("back")
        self.message = self.page.get_by_test_id("receipt")
        self.stock = self.page.get_by_test_id("stock")
        self.link = self.page.get_by_test_id("link-state")
        self.status = self.page.get_by_role("status")

    async def sees(self, words: str) -> None:
        """Buy says this, and a tap on it counts or there is none."""
        await expect(self.buy).to_contain_text(words)

    async def sees_left(self, left: int) -> None:
        """So many are left, as the card says."""
        await expect(self.stock).to_have_attribute("data-left", str(left))

    async def is_live(self) -> None:
        """The link is."""
        await expect(self.link).to_have_attribute("data-state", "live")

    async def confirms(self) -> None:
        """A whole first order."""
        await self.buy.click()
        await self.sees("Confirm")
        await self.buy.click()
        await self.sees("Yours")

    async def is_held(self) -> None:
        """The page's time stands still from now on, until it `passes`. It needs `clocked`."""
        await self.page.clock.pause_at((await self.page.evaluate("Date.now()") + HOLD_WITHIN_MS) / 1000)

    async def passes(self, ms: int) -> None:
        """Held time goes on by so much, and what is to be painted then is."""
        await self.page.clock.run_for(ms)
        await self.page.clock.run_for(TICK_MS)

    async def said(self) -> list[str]:
        """Everything the status region said since the page was opened."""
        return list(await self.page.evaluate("said"))

    async def answers(self) -> list[str]:
        """The status of each receipt the page told of."""
        return list(await self.page.evaluate("answers"))


@dataclass
class Wire:
    """The page's sockets, one after another, between page and shop."""

    page: Page
    sent: list[dict[str, Any]] = field(default_factory=list)
    """Every frame of the page, in order."""
    heard: list[dict[str, Any]] = field(default_factory=list)
    """Every frame of the shop, those withheld too."""
    withheld: set[str] = field(default_factory=set)
    """Types of frames that do not reach the page."""
    tick_ms: int = 3_600_000
    """What the page is told of the shop's ticks: a page whose time is held and then passes has not heard any."""
    is_cut: bool = False
    """Whether the next connections fail."""
    _now: WebSocketRoute | None = None
    _news: list[str] = field(default_factory=list)
    _told: asyncio.Event = field(default_factory=asyncio.Event)

    async def lay(self) -> Wire:
        """Before the page is opened."""
        await self.page.route_web_socket(SOCKET, self._connected)
        return self

    async def cut(self) -> None:
        """The link is lost, and stays lost until `mend`."""
        self.is_cut = True
        assert self._now is not None
        await self._now.close(code=1013)

    def mend(self) -> None:
        """The next attempt succeeds."""
        self.is_cut = False

    def says(self, frame: Mapping[str, Any]) -> None:
        """As if the shop had said it."""
        assert self._now is not None
        self._now.send(json.dumps(frame))

    async def hears(self, kind: str) -> None:
        """Until the shop said that to the page: an event's kind, or another frame's type. Taken once each."""
        async with asyncio.timeout(10):
            while kind not in self._news:
                self._told.clear()
                await self._told.wait()
        self._news.remove(kind)
        await self.page.evaluate("0")  # the page has had a turn to take it in

    def orders(self) -> list[dict[str, Any]]:
        """The orders the page sent."""
        return [frame for frame in self.sent if frame["type"] == "order"]

    async def _connected(self, route: WebSocketRoute) -> None:
        if self.is_cut:
            await route.close(code=1013)
            return
        self._now = route
        server = route.connect_to_server()

        def from_page(message: str | bytes) -> None:
            self.sent.append(json.loads(message))
            server.send(message)

        def from_shop(message: str | bytes) -> None:
            frame = json.loads(message)
            self.heard.append(frame)
            if frame["type"] == "welcome":
                frame["tick_ms"] = self.tick_ms
            if frame["type"] not in self.withheld:
                route.send(json.dumps(frame))
            self._news.append(frame["event"]["kind"] if frame["type"] == "event" else frame["type"])
            self._told.set()

        route.on_message(from_page)
        server.on_message(from_shop)


async def takes_a_seat(
    shop: Shop,
    browser: Browser,
    *,
    size: ViewportSize = PHONE,
    guest: bool = False,
    confirmed: bool = False,
    clocked: bool = False,
    **how: Any,
) -> Seat:
    """A fresh browser of the shop's viewer: `confirmed`, when a first order of the session is behind them."""
    context = await browser.new_context(
        base_url=shop.nginx.url, viewport=size, **{"locale": "en-US", "has_touch": size["width"] < 1000, **how}
    )
    await context.add_init_script(f"({_ANSWERS})()")
    if not guest:
        jar = shop.viewer.http.cookies.jar
        await context.add_cookies([{"name": c.name, "value": c.value or "", "url": shop.nginx.url} for c in jar])
    if confirmed:
        viewer = (await shop.viewer.get("/api/me"))["user"]["id"]
        await context.add_init_script(f"sessionStorage.setItem('dropcast.confirmed', '{viewer}')")
    page = await context.new_page()
    if clocked:
        await page.clock.install()
    return Seat(page)


async def watches(seat: Seat, stream: str) -> None:
    """Opens the stream's page, and is there when the link is."""
    await seat.page.goto(f"/s/{stream}")
    await seat.overlay.evaluate(_LISTEN)
    await seat.is_live()


async def open_drop(shop: Shop, units: int = 5, **more: int) -> tuple[str, str]:
    """A live stream and its open drop."""
    stream = await shop.live_stream()
    drop = await shop.drop(stream, units, **more)
    await shop.host.open(drop)
    return stream, drop


async def may_buy(shop: Shop, browser: Browser, *, confirmed: bool = False, **more: int) -> tuple[Seat, Wire, str]:
    """Somebody before an open drop, whose time stands still, and with their wire; what is sold."""
    stream, drop = await open_drop(shop, **more)
    seat = await takes_a_seat(shop, browser, confirmed=confirmed, clocked=True)
    wire = await Wire(seat.page).lay()
    await watches(seat, stream)
    await seat.sees("Buy $24")
    await seat.is_held()
    return seat, wire, drop


async def ordered(shop: Shop, drop: str) -> int:
    """How many orders of a drop the database holds."""
    return len(await shop.rows("SELECT id FROM orders WHERE drop_id = :d", d=drop))


async def buys_out(shop: Shop, stream: str, drop: str, units: int) -> None:
    """Others buy so many, one each, and have their receipts."""
    for ticket in await shop.tickets(stream, units):
        client = await shop.with_ticket(shop.nginx, stream, ticket)
        receipt = await client.expect_receipt(await client.order(drop))
        assert receipt.status == "accepted", receipt
