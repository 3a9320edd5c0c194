"""The overlay in all shapes: letters twice as large, right to left, a phone on its side, a small player."""

from __future__ import annotations

import base64
from itertools import product
from pathlib import Path

import pytest
from playwright.async_api import Browser, Locator, Page, ViewportSize, expect

from tests.browser.test_buying import DESKTOP, PHONE
from tests.browser.watching import Seat, Wire, takes_a_seat, watches
from tests.journeys.conftest import Shop

LANGUAGES = {"en": "en-US", "es": "es-ES", "zh": "zh-CN"}
SIDEWAYS: ViewportSize = {"width": 844, "height": 390}
PLAYER: ViewportSize = {"width": 360, "height": 240}
SHAPES: dict[str, tuple[ViewportSize, int, str]] = {
    "phone": (PHONE, 16, "ltr"),
    "twice": (PHONE, 32, "ltr"),
    "rtl": (PHONE, 16, "rtl"),
    "rtl-twice": (PHONE, 32, "rtl"),
    "sideways": (SIDEWAYS, 16, "ltr"),
    "player": (PLAYER, 16, "ltr"),
    "desktop": (DESKTOP, 16, "ltr"),
}
"""Size, size of the letters, direction."""
SOME = [
    ("phone", "en"),
    ("twice", "es"),
    ("twice", "zh"),
    ("rtl-twice", "en"),
    ("sideways", "es"),
    ("player", "zh"),
    ("desktop", "es"),
]

_FAULTS = """(overlay) => {
  const found = [];
  const root = overlay.shadowRoot;
  const top = root.getElementById("sheet").hidden ? root : root.getElementById("sheet");
  const name = (one) => one.id || one.className || one.tagName;
  const all = [...top.querySelectorAll("*"), ...(top === root ? overlay.querySelectorAll("*") : [])]
    .filter((one) => one.checkVisibility() && !one.closest(".sr-only, svg, .pips") && !one.matches(".slate-text *"));
  const says = (one) => [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim());
  if (document.scrollingElement.scrollWidth > innerWidth) found.push("the page scrolls sideways");
  for (const one of all) {
    const box = one.getBoundingClientRect();
    const style = getComputedStyle(one);
    if (style.opacity === "0" || !box.width) continue;
    if ((says(one) || one.matches("button, input")) && (box.left < -1 || box.right > innerWidth + 1)) {
      found.push(`${name(one)} runs out at the side`);
    }
    // A strip of many variants may be longer than the card; the stream's title ends in "…".
    const mayRunOn = one.matches(".bar-title, .variants");
    if (style.overflowX !== "visible" && one.scrollWidth > one.clientWidth + 1 && !mayRunOn) {
      found.push(`${name(one)} must be scrolled sideways: ${one.scrollWidth} in ${one.clientWidth}`);
    }
    if (one.matches("button") && one.scrollHeight > one.clientHeight + 1) found.push(`${name(one)} is cut`);
  }
  // What scrolls passes under what stays; where nothing scrolls, nothing may cover anything.
  const dock = root.getElementById("dock");
  const words = all.filter((one) => (says(one) || one.matches("button")) && getComputedStyle(one).opacity !== "0");
  const scrolls = dock.scrollHeight > dock.clientHeight + 1;
  const boxes = words.filter((one) => top !== root || !scrolls || !dock.contains(one)).map((one) => {
    const range = document.createRange();
    range.selectNodeContents(one);
    return [one, (one.matches("button") ? one : range).getBoundingClientRect()];
  });
  for (const [one, a] of top === root ? boxes : []) {
    for (const [other, b] of boxes) {
      if (one.contains(other) || other.contains(one)) continue;
      const wide = Math.min(a.right, b.right) - Math.max(a.left, b.left);
      const high = Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top);
      if (wide > 2 && high > 4) found.push(`${name(one)} and ${name(other)} overlap`);
    }
  }
  const press = root.getElementById(top === root ? "buy" : "close-sheet");
  const { left, right, top: above, bottom } = press.getBoundingClientRect();
  if (left < 0 || above < 0 || right > innerWidth || bottom > innerHeight) found.push(`${press.id} is out of sight`);
  if (bottom - above < 48) found.push(`${press.id} is no more than ${bottom - above} px high`);
  const hit = root.elementFromPoint((left + right) / 2, (above + bottom) / 2);
  if (hit !== press) found.push(`${press.id} is covered by ${hit && name(hit)}`);
  return [...new Set(found)];
}"""


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Every shape in every language with `--all-looks`; else the hardest."""
    if {"shape", "language"} <= set(metafunc.fixturenames):
        every = metafunc.config.getoption("--all-looks")
        metafunc.parametrize(("shape", "language"), list(product(SHAPES, LANGUAGES)) if every else SOME)


async def test_nothing_is_cut_covered_or_out_at_the_side(
    shop: Shop, browser: Browser, artifacts: Path, shape: str, language: str
) -> None:
    size, letters, direction = SHAPES[shape]
    stream, _ = await a_choice_of_drops(shop)
    seat = await takes_a_seat(shop, browser, size=size, locale=LANGUAGES[language])
    wire = await Wire(seat.page).lay()
    await watches(seat, stream)
    await _set_letters(seat.page, letters)
    await seat.page.evaluate("(dir) => { document.documentElement.dir = dir }", direction)
    await seat.page.emulate_media(reduced_motion="reduce")
    await expect(seat.card).to_be_visible()
    await expect(seat.buy).not_to_have_attribute("aria-disabled", "true")
    found: dict[str, list[str]] = {}

    async def looks(state: str) -> None:
        await seat.page.screenshot(path=artifacts / f"{state}.png")
        if faults := await seat.overlay.evaluate(_FAULTS):
            found[state] = faults

    await looks("open")
    await seat.page.locator("#open-drops").click()
    await expect(seat.page.locator("#sheet-list button")).to_have_count(2)
    await looks("drops")
    await seat.page.keyboard.press("Escape")
    await seat.buy.click()
    await expect(seat.back).to_be_visible()
    await looks("confirm")
    await wire.cut()
    await expect(seat.stock).not_to_have_attribute("data-left", "5")
    await looks("lost")
    assert found == {}


async def a_choice_of_drops(shop: Shop) -> tuple[str, str]:
    """A stream with two drops; the open one has variants, and a discount."""
    stream = await shop.live_stream()
    await shop.drop(stream, 5)
    (shoes,) = [one for one in await shop.host.products("DEMO-3") if one["sku"] == "DEMO-3"]
    variants = [variant["id"] for variant in shoes["variants"]]
    drop = await shop.host.create_drop(stream, shoes["id"], stock=dict.fromkeys(variants, 5), limit=3)
    await shop.host.open(drop["id"])
    return stream, str(drop["id"])


async def test_nothing_moves_for_who_asked_for_less_motion(shop: Shop, browser: Browser) -> None:
    for motion, moves in (("no-preference", True), ("reduce", False)):
        stream, _ = await a_choice_of_drops(shop)
        seat = await takes_a_seat(shop, browser, confirmed=True, clocked=True, reduced_motion=motion)
        await Wire(seat.page).lay()
        await watches(seat, stream)
        await expect(seat.buy).to_be_enabled()
        await seat.is_held()
        await seat.buy.tap()
        await seat.passes(0)
        await expect(seat.back).to_be_visible()
        running = "(one) => one.shadowRoot.getAnimations().length + document.getAnimations().length"
        assert (await seat.overlay.evaluate(running) > 0) is moves


@pytest.mark.parametrize("media", [{"forced_colors": "active"}, {"contrast": "more"}])
async def test_every_button_has_an_edge_where_colours_are_few(
    shop: Shop, browser: Browser, artifacts: Path, media: dict[str, str]
) -> None:
    stream, _ = await a_choice_of_drops(shop)
    seat = await takes_a_seat(shop, browser, **media)
    await watches(seat, stream)
    await seat.buy.tap()
    await expect(seat.back).to_be_visible()
    await seat.page.screenshot(path=artifacts / "confirm.png")
    for button in (seat.buy, seat.back, seat.page.locator("#open-orders")):
        width, style = await button.evaluate(
            "(one) => [parseFloat(getComputedStyle(one).borderTopWidth), getComputedStyle(one).borderTopStyle]"
        )
        assert width >= 1, button
        assert style == "solid", button
    chosen, other = seat.page.locator(".variants span").nth(0), seat.page.locator(".variants span").nth(1)
    look = "(one) => getComputedStyle(one).backgroundColor + getComputedStyle(one).color"
    assert await chosen.evaluate(look) != await other.evaluate(look)


async def test_price_and_button_hold_seven_to_one_over_a_white_video(
    shop: Shop, browser: Browser, artifacts: Path
) -> None:
    stream, _ = await a_choice_of_drops(shop)
    seat = await takes_a_seat(shop, browser)
    await watches(seat, stream)
    await expect(seat.buy).to_be_enabled()
    await whiten(seat)
    await seat.page.screenshot(path=artifacts / "white.png")
    for part in ("#price", "#stock", "#limit", "#buy", "#open-orders", "#link-state"):
        ratio = await _contrast(seat.page.locator(part), seat)
        print(f"{part} over white: {ratio:.1f}:1")
        assert ratio >= 7, part


async def whiten(seat: Seat) -> None:
    """A video that shows nothing but white."""
    await seat.page.evaluate(
        """() => {
          document.getElementById("slate").style.cssText = "background: white";
          document.querySelector(".slate-text").style.display = "none";
        }"""
    )


async def _contrast(part: Locator, seat: Seat) -> float:
    """Between the lightest and the darkest of what is painted there, as WCAG reckons it."""
    picture = base64.b64encode(await part.screenshot(animations="disabled")).decode()
    blank = await seat.page.context.new_page()
    try:
        return float(
            await blank.evaluate(
                """async (png) => {
                  const image = new Image();
                  image.src = `data:image/png;base64,${png}`;
                  await image.decode();
                  const canvas = new OffscreenCanvas(image.width, image.height).getContext("2d");
                  canvas.drawImage(image, 0, 0);
                  // without the corners, which are round
                  const [x, y] = [image.width * 0.15, image.height * 0.15].map(Math.floor);
                  const { data } = canvas.getImageData(x, y, image.width - 2 * x, image.height - 2 * y);
                  const part = (byte) => {
                    const value = byte / 255;
                    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
                  };
                  let [dark, light] = [1, 0];
                  for (let at = 0; at < data.length; at += 4) {
                    const [r, g, b] = [...data.slice(at, at + 3)].map(part);
                    const one = 0.2126 * r + 0.7152 * g + 0.0722 * b;
                    [dark, light] = [Math.min(dark, one), Math.max(light, one)];
                  }
                  return (light + 0.05) / (dark + 0.05);
                }""",
                picture,
            )
        )
    finally:
        await blank.close()


async def _set_letters(page: Page, px: int) -> None:
    """As the browser's own setting does: `rem` and media queries follow."""
    debugger = await page.context.new_cdp_session(page)
    await debugger.send("Page.setFontSizes", {"fontSizes": {"standard": px, "fixed": px - 3}})
    await page.wait_for_function(
        "(size) => getComputedStyle(document.documentElement).fontSize === size", arg=f"{px}px"
    )
    await debugger.detach()
