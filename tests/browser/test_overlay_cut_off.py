"""The link is lost and comes back: nothing stale is shown, an order under way is answered once, news are told."""

from __future__ import annotations

import asyncio
import re

import httpx
import pytest
from playwright.async_api import Browser, expect

from tests.browser.test_buying import listen
from tests.browser.watching import Seat, Wire, buys_out, may_buy, open_drop, ordered, takes_a_seat, watches
from tests.journeys.conftest import Shop
from tests.services.replica import Replica

_WATCH_FOR_STALE = """(overlay) => {
  const find = (id) => overlay.shadowRoot.getElementById(id);
  window.stale = [];
  new MutationObserver(() => {
    const [link, left] = [find("link-state").dataset.state, find("stock").dataset.left ?? null];
    if (link !== "live" && (left !== null || /\\d+ left/.test(find("stock").textContent))) stale.push([link, left]);
  }).observe(overlay.shadowRoot, { subtree: true, childList: true, attributes: true, characterData: true });
}"""


async def shows_nothing_stale(seat: Seat) -> None:
    """While it is away, and did not until now."""
    await expect(seat.stock).not_to_have_attribute("data-left", re.compile(""))
    await expect(seat.stock).to_have_text("Checking stock…")
    await expect(seat.message).to_contain_text("Link lost")
    await seat.sees("Waiting…")
    assert await seat.page.evaluate("stale") == []


async def test_who_was_offline_sees_no_stale_stock_and_hears_what_opened_and_went(shop: Shop, browser: Browser) -> None:
    stream, _ = await open_drop(shop, 3)
    second = await shop.drop(stream, 5, price=1100)
    gone = await shop.drop(stream, 1, price=900)
    await shop.host.open(gone)
    seat = await takes_a_seat(shop, browser)
    await watches(seat, stream)
    await seat.sees("Buy $9")
    await seat.overlay.evaluate(_WATCH_FOR_STALE)
    await seat.page.context.set_offline(True)
    await expect(seat.link).not_to_have_attribute("data-state", "live")
    await shows_nothing_stale(seat)
    await buys_out(shop, stream, gone, 1)
    await shop.host.open(second)
    await seat.page.context.set_offline(False)
    await seat.is_live()
    await expect(seat.page.locator("#notice")).to_have_text(
        "While you were away: 1 drop opened · 1 drop sold out or closed"
    )
    await expect(seat.card).to_have_attribute("data-drop", second)
    await seat.sees_left(5)
    assert await seat.page.evaluate("stale") == []


async def test_an_order_whose_receipt_was_lost_gets_it_once_on_return(shop: Shop, browser: Browser) -> None:
    stream, drop = await open_drop(shop)
    seat = await takes_a_seat(shop, browser, confirmed=True)
    wire = await Wire(seat.page).lay()
    wire.withheld = {"receipt", "stock"}
    await watches(seat, stream)
    await seat.overlay.evaluate(_WATCH_FOR_STALE)
    await seat.buy.tap()
    await seat.sees("Sending…")
    await wire.hears("receipt")
    await wire.cut()
    await expect(seat.message).to_contain_text("sent again on return; it never buys twice")
    await seat.sees("Sending…")
    wire.withheld.clear()
    wire.mend()
    await seat.sees("Yours")
    await seat.sees_left(4)
    first, again = wire.orders()
    assert first == again
    assert await seat.answers() == ["accepted"]
    assert await ordered(shop, drop) == 1
    assert await seat.page.evaluate("stale") == []


@pytest.mark.parametrize("taken_back", [False, True])
async def test_the_moment_of_undo_goes_on_while_the_link_is_lost(
    shop: Shop, browser: Browser, taken_back: bool
) -> None:
    seat, wire, drop = await may_buy(shop, browser, confirmed=True)
    await seat.buy.tap()
    await seat.passes(100)
    await wire.cut()
    await seat.passes(300)
    await expect(seat.stock).to_have_text("Checking stock…")
    await expect(seat.back).to_have_text("Undo")
    if taken_back:
        await seat.back.tap()
        await seat.passes(0)
        await expect(seat.message).to_have_text("Nothing was sent.")
    await seat.passes(1_500)
    await seat.sees("Waiting…" if taken_back else "Sending…")
    wire.mend()
    await seat.page.clock.resume()
    await seat.sees("Buy $24" if taken_back else "Yours")
    assert len(wire.orders()) == await ordered(shop, drop) == (0 if taken_back else 1)
    assert await seat.answers() == ([] if taken_back else ["accepted"])


async def test_a_question_that_stood_when_the_link_went_is_withdrawn(shop: Shop, browser: Browser) -> None:
    stream, _ = await open_drop(shop)
    seat = await takes_a_seat(shop, browser)
    wire = await Wire(seat.page).lay()
    await watches(seat, stream)
    await seat.buy.tap()
    await seat.sees("Confirm")
    await wire.cut()
    await seat.sees("Waiting…")
    wire.mend()
    await seat.sees("Buy $24")
    assert wire.orders() == []


async def test_kill_9_under_an_order_leaves_one_order_and_one_answer(own_shop: Shop, browser: Browser) -> None:
    shop = own_shop
    stream, drop = await open_drop(shop)
    seat = await takes_a_seat(shop, browser, confirmed=True)
    await watches(seat, stream)
    await seat.sees("Buy $24")
    await seat.overlay.evaluate(_WATCH_FOR_STALE)
    under = await holder(shop)
    under.pause()  # the order lies in its socket, unread
    await seat.buy.tap()
    await seat.sees("Sending…")
    under.kill()
    await expect(seat.link).not_to_have_attribute("data-state", "live")
    await seat.sees("Yours")
    await seat.sees_left(4)
    assert await seat.answers() == ["accepted"]
    assert await ordered(shop, drop) == 1
    assert await seat.page.evaluate("stale") == []


async def test_a_drain_loses_neither_the_card_nor_an_order(own_shop: Shop, browser: Browser) -> None:
    shop = own_shop
    stream, drop = await open_drop(shop, limit=5)
    seat = await takes_a_seat(shop, browser, confirmed=True)
    complaints = listen(seat.page)
    wire = await Wire(seat.page).lay()
    await watches(seat, stream)
    await seat.sees("Buy $24")
    await seat.overlay.evaluate(_WATCH_FOR_STALE)
    under = await holder(shop)
    under.terminate()
    await wire.hears("drain")
    await seat.buy.tap()
    await seat.sees("Yours")
    await seat.sees_left(4)
    assert sum(frame["type"] == "welcome" for frame in wire.heard) == 2
    assert await seat.answers() == ["accepted"]
    assert await ordered(shop, drop) == 1
    assert await seat.page.evaluate("stale") == []
    assert complaints == []
    await asyncio.to_thread(under.await_exit, 10)


async def holder(shop: Shop) -> Replica:
    """The replica that the page's socket is at."""
    async with httpx.AsyncClient() as http:
        for replica in shop.replicas:
            told = (await http.get(f"{replica.url}/metrics")).text
            if re.search(r"^dropcast_sockets [1-9]", told, re.MULTILINE):
                return replica
    raise AssertionError("no replica holds a socket")
