"""Buying with a thumb: how many taps an order takes, what takes it back, and what comes between."""

from __future__ import annotations

import time

import pytest
from playwright.async_api import Browser, Locator, expect

from tests.browser.test_buying import fill_in, listen
from tests.browser.watching import Seat, Wire, buys_out, may_buy, open_drop, ordered, takes_a_seat, watches
from tests.journeys.conftest import Shop

ECHO_MS = 400
UNDO_MS = 1_500
TOO_LATE = "Gone before your order was sent. Nothing was bought."


async def quick_taps(seat: Seat, what: Locator, times: int) -> None:
    """Taps as a hurried thumb does: on a place, whatever stands there by then."""
    box = await what.bounding_box()
    assert box is not None
    for _ in range(times):
        await seat.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)


async def test_a_first_order_takes_two_taps_and_a_later_one_takes_one(shop: Shop, browser: Browser) -> None:
    stream, drop = await open_drop(shop, limit=2)
    seat = await takes_a_seat(shop, browser)
    complaints = listen(seat.page)
    await watches(seat, stream)
    await seat.sees("Buy $24")
    await seat.buy.tap()
    await seat.sees("Confirm $24")
    await expect(seat.message).to_have_text(await _question(seat))
    assert await ordered(shop, drop) == 0
    await seat.buy.tap()  # waits until the button takes it
    await seat.sees("Yours")
    assert await ordered(shop, drop) == 1

    await seat.sees("Buy $24")  # again, after a while
    await seat.buy.tap()
    await expect(seat.back).to_have_text("Undo")
    await seat.sees("Yours")
    assert await ordered(shop, drop) == 2
    assert await seat.answers() == ["accepted", "accepted"]
    await seat.sees_left(3)
    assert complaints == []


async def _question(seat: Seat) -> str:
    title = await seat.card.get_by_role("heading").text_content()
    return f"1 × {title} for $24. Buy it?"


async def test_undo_takes_the_order_back(shop: Shop, browser: Browser) -> None:
    seat, wire, drop = await may_buy(shop, browser, confirmed=True)
    await seat.buy.tap()
    await seat.passes(ECHO_MS)
    await seat.sees("Send now")
    await seat.back.tap()
    await seat.passes(0)
    await seat.sees("Buy $24")
    await expect(seat.message).to_have_text("Nothing was sent.")
    await seat.passes(2 * UNDO_MS)
    assert wire.orders() == []
    assert await ordered(shop, drop) == 0


async def test_send_now_does_not_wait_and_sends_once(shop: Shop, browser: Browser) -> None:
    seat, wire, drop = await may_buy(shop, browser, confirmed=True)
    await seat.buy.tap()
    await seat.passes(ECHO_MS)
    await seat.buy.tap()
    await seat.passes(0)
    assert len(wire.orders()) == 1  # before its time was over
    await seat.page.clock.resume()
    await seat.sees("Yours")
    await seat.is_held()
    await seat.passes(2 * UNDO_MS)
    assert len(wire.orders()) == 1
    assert await ordered(shop, drop) == 1


@pytest.mark.parametrize("taps", [2, 3])
async def test_a_double_tap_on_buy_never_confirms(shop: Shop, browser: Browser, taps: int) -> None:
    seat, wire, drop = await may_buy(shop, browser)
    await quick_taps(seat, seat.buy, taps)
    await seat.passes(ECHO_MS + UNDO_MS)
    await seat.sees("Confirm $24")
    assert wire.orders() == []
    assert await ordered(shop, drop) == 0


async def test_a_double_tap_on_buy_buys_a_later_order_once(shop: Shop, browser: Browser) -> None:
    seat, wire, drop = await may_buy(shop, browser, confirmed=True, limit=5)
    await quick_taps(seat, seat.buy, 3)
    await seat.passes(UNDO_MS)
    await quick_taps(seat, seat.buy, 3)  # what was meant for "Send now", a moment too late
    await seat.page.clock.resume()
    await seat.sees("Yours")
    assert len(wire.orders()) == 1
    assert await ordered(shop, drop) == 1


async def test_the_echo_of_a_tap_on_undo_buys_nothing(shop: Shop, browser: Browser) -> None:
    stream, drop = await open_drop(shop, limit=1)  # without a choice of how many, Buy grows over the place of Undo
    seat = await takes_a_seat(shop, browser, confirmed=True, clocked=True)
    wire = await Wire(seat.page).lay()
    await watches(seat, stream)
    await seat.sees("Buy $24")
    await seat.is_held()
    await seat.buy.tap()
    await seat.passes(ECHO_MS)
    box = await seat.back.bounding_box()
    assert box is not None
    for _ in range(2):
        await seat.page.touchscreen.tap(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
        await seat.passes(0)
    await seat.passes(2 * UNDO_MS)
    assert wire.orders() == []
    assert await ordered(shop, drop) == 0


@pytest.mark.parametrize("confirmed", [False, True])
async def test_what_sells_out_before_it_was_sent_is_not_sent_and_the_card_says_so(
    shop: Shop, browser: Browser, confirmed: bool
) -> None:
    stream, drop = await open_drop(shop, 1)
    seat = await takes_a_seat(shop, browser, confirmed=confirmed, clocked=True)
    wire = await Wire(seat.page).lay()
    await watches(seat, stream)
    await seat.sees("Buy $24")
    await seat.is_held()
    await seat.buy.tap()
    await seat.passes(0)
    await seat.sees("Send now" if confirmed else "Confirm $24")
    await buys_out(shop, stream, drop, 1)
    await wire.hears("drop_sold_out")
    await seat.passes(0)
    await seat.sees("Sold out")
    await expect(seat.message).to_have_text(TOO_LATE)
    await seat.passes(2 * UNDO_MS)
    assert wire.orders() == []
    assert (await seat.said())[-2:] == [TOO_LATE, "Sold out"]
    assert await ordered(shop, drop) == 1


async def test_fewer_left_than_were_asked_for_is_not_quietly_another_order(shop: Shop, browser: Browser) -> None:
    stream, drop = await open_drop(shop, 2, limit=2)
    seat = await takes_a_seat(shop, browser, confirmed=True, clocked=True)
    wire = await Wire(seat.page).lay()
    await watches(seat, stream)
    await seat.page.get_by_role("button", name="One more").tap()
    await seat.sees("Buy 2 · $48")
    await seat.is_held()
    await seat.buy.tap()
    await seat.passes(0)
    await seat.sees("Send now")
    await buys_out(shop, stream, drop, 1)
    await wire.hears("stock")
    await seat.passes(0)
    await expect(seat.message).to_contain_text("Fewer were left")
    await seat.sees("Buy $24")
    await seat.passes(2 * UNDO_MS)
    assert wire.orders() == []


async def test_a_restock_after_all_was_sold_brings_buy_back(shop: Shop, browser: Browser) -> None:
    stream, drop = await open_drop(shop, 1)
    seat = await takes_a_seat(shop, browser)
    await watches(seat, stream)
    await seat.sees("Buy $24")
    await buys_out(shop, stream, drop, 1)
    await seat.sees("Sold out")
    await seat.sees_left(0)
    await shop.host.restock(drop, shop.variant, 3)
    await seat.sees("Buy $24")
    await seat.sees_left(3)
    await seat.confirms()
    assert await ordered(shop, drop) == 2


async def test_who_has_as_many_as_one_may_have_is_told_so(shop: Shop, browser: Browser) -> None:
    stream, drop = await open_drop(shop, limit=1)
    seat = await takes_a_seat(shop, browser)
    await watches(seat, stream)
    await seat.confirms()
    await expect(seat.buy).to_have_attribute("aria-disabled", "true")
    another = await takes_a_seat(shop, browser, confirmed=True)  # who does not know of the first
    await watches(another, stream)
    await another.buy.tap()
    await another.sees("Limit reached")
    assert await another.answers() == ["rejected"]
    assert await ordered(shop, drop) == 1


async def test_a_drop_closes_by_its_own_time_with_its_clock_running(shop: Shop, browser: Browser) -> None:
    stream, _ = await open_drop(shop, closes_at=round(time.time() * 1000) + 600_000)
    seat = await takes_a_seat(shop, browser, clocked=True)
    wire = await Wire(seat.page).lay()
    await watches(seat, stream)
    await seat.sees("Buy $24")
    clock = seat.page.get_by_test_id("clock")
    await seat.is_held()
    seen = []
    for _ in range(3):
        await seat.passes(1_000)
        seen.append(_seconds(await clock.text_content()))
    assert seen == sorted(set(seen), reverse=True)
    assert seen[0] < 600
    await seat.buy.tap()
    await seat.passes(ECHO_MS)
    await seat.sees("Confirm $24")
    await wire.cut()  # no event tells it: the page's own reckoning does
    await seat.page.clock.fast_forward(600_000)
    await seat.passes(0)
    await seat.sees("Closed")
    await expect(clock).to_be_empty()
    assert wire.orders() == []


def _seconds(clock: str | None) -> int:
    assert clock is not None
    minutes, seconds = clock.removeprefix("Closes in ").split(":")
    return int(minutes) * 60 + int(seconds)


async def test_a_drop_that_opens_does_not_push_away_the_one_in_hand(shop: Shop, browser: Browser) -> None:
    stream, drop = await open_drop(shop)
    seat = await takes_a_seat(shop, browser, clocked=True)
    wire = await Wire(seat.page).lay()
    await watches(seat, stream)
    await seat.sees("Buy $24")
    await seat.is_held()
    await seat.buy.tap()
    await seat.passes(ECHO_MS)
    other = await shop.drop(stream, 5, price=1100)
    await shop.host.open(other)
    await wire.hears("drop_opened")
    await shop.host.close(drop)  # and this one goes
    await wire.hears("drop_closed")
    await seat.passes(ECHO_MS)
    await expect(seat.card).to_have_attribute("data-drop", drop)
    await seat.sees("Closed")
    await expect(seat.message).to_have_text(TOO_LATE)
    await seat.passes(8_000)  # it has been read
    await expect(seat.card).to_have_attribute("data-drop", other)
    await seat.passes(1_000)
    await seat.sees("Buy $11")
    assert wire.orders() == []


async def test_a_guest_comes_back_from_signing_in_to_the_very_drop_and_choice(shop: Shop, browser: Browser) -> None:
    stream = await shop.live_stream()
    (shoes,) = [one for one in await shop.host.products("DEMO-3") if one["sku"] == "DEMO-3"]
    variants = [variant["id"] for variant in shoes["variants"]]
    drop = await shop.host.create_drop(stream, shoes["id"], stock=dict.fromkeys(variants, 5), limit=3)
    await shop.host.open(drop["id"])
    seat = await takes_a_seat(shop, browser, guest=True)
    await watches(seat, stream)
    await seat.page.get_by_role("radio").nth(2).check(force=True)
    await seat.page.get_by_role("button", name="One more").tap()
    await seat.sees("Buy 2 · $48")
    await seat.buy.tap()
    await seat.page.wait_for_url("**/login?next=*")
    await shop.host.open(await shop.drop(stream, 5, price=1100))
    await fill_in(seat.page, "viewer@example.com")
    await seat.page.wait_for_url(f"**/s/{stream}")
    await expect(seat.card).to_have_attribute("data-drop", drop["id"])
    await seat.sees("Buy 2 · $48")
    await expect(seat.page.get_by_role("radio").nth(2)).to_be_checked()
    await seat.confirms()
    bought = await shop.rows("SELECT variant_id, quantity FROM orders WHERE drop_id = :d", d=drop["id"])
    assert [tuple(row) for row in bought] == [(variants[2], 2)]
