"""How often the overlay paints: once a frame at most, whatever arrives, and the first card in the first frame.

Counts decide; the times are printed.
"""

from __future__ import annotations

import asyncio

from playwright.async_api import Browser, CDPSession, expect

from tests.browser.test_buying import DESKTOP, PHONE
from tests.browser.watching import Seat, Wire, takes_a_seat, watches
from tests.journeys.conftest import Shop

UPDATES_A_SECOND = 50
BURST = 5
"""Updates that come at once: more than one between two frames, however fast the screen is."""

_COUNT = """(overlay) => {
  const counted = (window.counted = { paints: {}, asked: {}, frames: 0, changes: 0, long: [] });
  const frame = () => document.timeline.currentTime; // the same all through a frame
  const one = (table) => (table[frame()] = (table[frame()] ?? 0) + 1);
  overlay.addEventListener("change", () => counted.changes++);
  new MutationObserver(() => one(counted.paints)).observe(overlay.shadowRoot.querySelector("#card"), {
    subtree: true, childList: true, attributes: true, characterData: true,
  });
  new PerformanceObserver((list) => counted.long.push(...list.getEntries().map((entry) => entry.duration)))
    .observe({ type: "longtask" });
  const ask = requestAnimationFrame.bind(window);
  const tick = () => { counted.frames++; ask(tick); };
  ask(tick);
  window.requestAnimationFrame = (then) => { one(counted.asked); return ask(then); };
}"""

_FIRST_CARD = """() => {
  let frames = 0;
  const tick = () => { frames++; requestAnimationFrame(tick); };
  requestAnimationFrame(tick);
  const Plain = WebSocket;
  window.WebSocket = class extends Plain {
    constructor(...how) {
      super(...how);
      this.addEventListener("message", ({ data }) => {
        if (JSON.parse(data).type !== "welcome") return;
        const overlay = document.querySelector("dropcast-overlay").shadowRoot;
        const [at, styled] = [frames, !overlay.querySelector(".overlay").hidden];
        const card = overlay.getElementById("card");
        const look = () => {
          if (!card.checkVisibility()) return;
          window.first ??= { frames: frames - at, styled };
        };
        new MutationObserver(look).observe(overlay, { subtree: true, attributes: true });
      });
    }
  };
}"""


async def ready_to_count(shop: Shop, browser: Browser, units: int) -> tuple[Seat, Wire, str, str]:
    """A seat at a stream with an open drop, and its paints counted from now on."""
    stream = await shop.live_stream()
    drop = await shop.drop(stream, units, limit=10)
    await shop.host.open(drop)
    seat = await takes_a_seat(shop, browser, size=DESKTOP)
    wire = await Wire(seat.page).lay()
    await watches(seat, stream)
    await seat.sees_left(units)
    await seat.overlay.evaluate(_COUNT)
    return seat, wire, stream, drop


async def test_fifty_updates_a_second_paint_at_most_once_a_frame(shop: Shop, browser: Browser) -> None:
    seat, wire, _, drop = await ready_to_count(shop, browser, 1000)
    debugger = await seat.page.context.new_cdp_session(seat.page)
    await debugger.send("Performance.enable")
    before = await _metrics(debugger)
    left = 1000
    for _ in range(60):
        for _ in range(BURST):
            left -= 1
            line = {"drop": drop, "variant": shop.variant, "left": left, "version": 1_000_000 - left}
            wire.says({"type": "stock", "stock": [line]})
        await asyncio.sleep(BURST / UPDATES_A_SECOND)  # the load's own pace
    await seat.sees_left(left)
    after = await _metrics(debugger)
    counted = await seat.page.evaluate("counted")
    paints = len(counted["paints"])
    assert counted["changes"] >= 60 * BURST
    assert max(counted["paints"].values()) == 1
    assert max(counted["asked"].values()) <= 2  # the overlay's frame and the page's
    assert paints <= counted["frames"]
    spent = {name: after[name] - before[name] for name in before}
    took = spent.pop("Timestamp")
    print(f"\n{counted['changes']} changes, {paints} paints in {counted['frames']} frames of {took:.1f} s")
    print("main thread, ms a paint:", {name: round(1000 * spent[name] / paints, 2) for name in spent})
    print("long tasks, ms:", [round(one) for one in counted["long"]])


async def test_a_crowd_that_buys_is_painted_as_often_as_the_shop_says_so_and_ends_on_the_truth(
    shop: Shop, browser: Browser
) -> None:
    seat, wire, stream, drop = await ready_to_count(shop, browser, 500)
    heard = len(wire.heard)
    tickets = await shop.tickets(stream, 20)
    crowd = [await shop.with_ticket(shop.nginx, stream, ticket) for ticket in tickets]

    async def buys(number: int) -> None:
        for order in range(10):
            receipt = await crowd[number].expect_receipt(await crowd[number].order(drop, ref=f"{number}-{order}"))
            assert receipt.status == "accepted", receipt

    await asyncio.gather(*map(buys, range(len(crowd))))
    await seat.sees_left(300)
    counted = await seat.page.evaluate("counted")
    told = wire.heard[heard:]
    assert max(counted["paints"].values()) == 1
    assert len(counted["paints"]) <= len(told) + 1 < 200  # and one for the entrance of the card
    print(f"\n200 orders, {len(told)} frames, {len(counted['paints'])} paints")


async def test_the_first_card_is_there_in_the_frame_after_the_welcome(shop: Shop, browser: Browser) -> None:
    stream = await shop.live_stream()
    await shop.host.open(await shop.drop(stream, 5))
    for size in (PHONE, DESKTOP):
        seat = await takes_a_seat(shop, browser, size=size)
        await seat.page.context.add_init_script(f"({_FIRST_CARD})()")
        await watches(seat, stream)
        await expect(seat.card).to_be_visible()
        first = await seat.page.evaluate("first")
        print(f"{size['width']} px: {first}")
        assert first["frames"] <= 1


async def _metrics(debugger: CDPSession) -> dict[str, float]:
    """Seconds, since the page began."""
    wanted = ("Timestamp", "TaskDuration", "ScriptDuration", "LayoutDuration", "RecalcStyleDuration")
    metrics = (await debugger.send("Performance.getMetrics"))["metrics"]
    return {one["name"]: one["value"] for one in metrics if one["name"] in wanted}
