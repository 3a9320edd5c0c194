"""Buying with the keyboard alone, by the names that assistive technology reads, and what it is told meanwhile."""

from __future__ import annotations

from playwright.async_api import Browser, expect

from tests.browser.test_buying import DESKTOP, listen
from tests.browser.watching import Seat, Wire, buys_out, ordered, takes_a_seat, watches
from tests.journeys.conftest import Shop

FOCUS = """() => {
  let one = document.activeElement;
  while (one?.shadowRoot?.activeElement) one = one.shadowRoot.activeElement;
  const ring = one.matches(".variants input") ? one.nextElementSibling : one;
  const { outlineStyle, outlineWidth } = getComputedStyle(ring);
  const seen = one.matches(":focus-visible") && outlineStyle !== "none" && parseFloat(outlineWidth) >= 2;
  return { at: one.id || one.value || one.tagName, seen };
}"""


async def focused(seat: Seat) -> str:
    """Where the focus is; it can be seen there, but for a title, which is read and not pressed."""
    focus = await seat.page.evaluate(FOCUS)
    assert focus["at"] != "BODY", "the focus is lost"
    assert focus["seen"] or focus["at"] == "sheet-title", focus
    return str(focus["at"])


async def goes_to(seat: Seat, wanted: str, key: str = "Tab") -> None:
    """Presses the key until the focus is there."""
    for _ in range(25):
        await seat.page.keyboard.press(key)
        if await focused(seat) == wanted:
            return
    raise AssertionError(f"{key} does not lead to {wanted}")


async def painted(seat: Seat) -> None:
    """The frame after next has begun."""
    await seat.page.evaluate("() => new Promise((then) => requestAnimationFrame(() => requestAnimationFrame(then)))")


async def test_a_whole_purchase_by_keyboard_keeps_the_focus(shop: Shop, browser: Browser) -> None:
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 9, limit=3)
    seat = await takes_a_seat(shop, browser, size=DESKTOP)
    complaints = listen(seat.page)
    await watches(seat, stream)
    await shop.host.open(drop)
    button, press = seat.page.get_by_role, seat.page.keyboard.press
    await expect(button("button", name="Buy $24")).to_be_visible()

    await goes_to(seat, "more")
    await press("Enter")
    await press("Enter")
    await expect(button("button", name="Buy 3 · $72")).to_be_visible()
    await painted(seat)
    assert await focused(seat) == "more"  # although there are no more
    await press("Enter")
    await press("Shift+Tab")
    assert await focused(seat) == "less"
    await press("Space")
    await press("Space")
    await goes_to(seat, "buy")
    await expect(button("button", name="Buy $24")).to_be_enabled()
    await press("Enter")
    await expect(button("button", name="Confirm $24")).to_be_enabled()
    assert await focused(seat) == "buy"
    await press("Escape")
    await expect(button("button", name="Buy $24")).to_be_enabled()
    assert await focused(seat) == "buy"

    await press("Enter")
    await expect(button("button", name="Confirm $24")).to_be_enabled()
    await goes_to(seat, "back", "Shift+Tab")
    await press("Enter")
    await expect(button("button", name="Buy $24")).to_be_enabled()
    await painted(seat)
    assert await focused(seat) == "buy"  # Back is gone
    await press("Enter")
    await expect(button("button", name="Confirm $24")).to_be_enabled()
    await press("Space")
    await expect(button("button", name="Yours ✓")).to_be_visible()
    assert await focused(seat) == "buy"
    assert await ordered(shop, drop) == 1
    assert complaints == []


async def test_the_sheet_takes_the_focus_and_gives_it_back(shop: Shop, browser: Browser) -> None:
    stream = await shop.live_stream()
    first, second = await shop.drop(stream, 5), await shop.drop(stream, 5, price=1100)
    await shop.host.open(first)
    await shop.host.open(second)
    seat = await takes_a_seat(shop, browser, size=DESKTOP)
    await watches(seat, stream)
    await expect(seat.page.get_by_role("button", name="Buy $11")).to_be_visible()
    press = seat.page.keyboard.press

    await goes_to(seat, "open-orders")
    await press("Enter")
    sheet = seat.page.get_by_role("dialog", name="My orders on this stream")
    await expect(sheet).to_be_visible()
    assert await focused(seat) == "sheet-title"
    await press("Escape")
    await expect(sheet).to_be_hidden()
    assert await focused(seat) == "open-orders"

    await goes_to(seat, "open-drops", "Shift+Tab")
    await press("Enter")
    sheet = seat.page.get_by_role("dialog", name="Drops on this stream")
    await expect(sheet.get_by_role("button")).to_have_count(3)
    visited = []
    for _ in range(3):
        await press("Tab")
        visited.append(await focused(seat))
    assert visited[0] == "close-sheet"
    row = sheet.get_by_role("button").filter(has_text="$24")
    await row.focus()
    await press("Enter")
    await expect(sheet).to_be_hidden()
    assert await focused(seat) == "open-drops"
    await expect(seat.page.get_by_role("button", name="Buy $24")).to_be_enabled()


async def test_my_orders_open_before_there_is_a_drop(shop: Shop, browser: Browser) -> None:
    seat = await takes_a_seat(shop, browser, size=DESKTOP)
    await watches(seat, await shop.live_stream())
    await seat.page.get_by_role("button", name="My orders").click()
    await expect(seat.page.get_by_role("dialog")).to_contain_text("No orders on this stream yet.")


async def test_what_had_the_focus_may_go_away_and_the_focus_does_not(shop: Shop, browser: Browser) -> None:
    stream = await shop.live_stream()
    (shoes,) = [one for one in await shop.host.products("DEMO-3") if one["sku"] == "DEMO-3"]
    stock = {variant["id"]: 5 for variant in shoes["variants"]}
    drop = await shop.host.create_drop(stream, shoes["id"], stock=stock, limit=3)
    await shop.host.open(drop["id"])
    seat = await takes_a_seat(shop, browser, size=DESKTOP, clocked=True)
    wire = await Wire(seat.page).lay()
    await watches(seat, stream)
    await seat.sees("Buy $24")
    await goes_to(seat, shoes["variants"][0]["id"])
    await seat.page.keyboard.press("ArrowRight")
    assert await focused(seat) == shoes["variants"][1]["id"]
    await seat.is_held()
    other = await shop.drop(stream, 5, price=1100)
    await shop.host.open(other)
    await wire.hears("drop_opened")
    await seat.passes(5_000)
    await expect(seat.card).to_have_attribute("data-drop", other)  # without variants
    assert await focused(seat) == "buy"


async def test_one_region_says_stock_at_ten_five_three_one_and_sold_out_and_every_receipt(
    shop: Shop, browser: Browser
) -> None:
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 13, limit=2)
    await shop.host.open(drop)
    seat = await takes_a_seat(shop, browser, size=DESKTOP, confirmed=True, clocked=True)
    wire = await Wire(seat.page).lay()
    await watches(seat, stream)
    await expect(seat.status).to_have_count(1)
    assert await seat.overlay.evaluate("(one) => one.shadowRoot.querySelectorAll('[aria-live], output').length") == 1
    await seat.sees("Buy $24")
    await seat.is_held()
    await seat.buy.press("Enter")
    await seat.passes(1_600)
    await wire.hears("receipt")
    await seat.passes(2_000)
    for left in range(11, -1, -1):
        await buys_out(shop, stream, drop, 1)
        await wire.hears("stock" if left else "drop_sold_out")
        await seat.passes(2_000)
    title = await seat.card.get_by_role("heading").text_content()
    assert await seat.said() == [
        f"1 × {title} for $24. Sending in a moment.",
        f"{title}: ordered, it is yours.",
        *("10 left", "5 left", "3 left", "1 left", "Sold out"),
    ]
