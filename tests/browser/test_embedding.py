"""A partner's page on another site: somebody watches there, allows it on our pop-up, and buys. Real Chromium.

The page here is the least that an embed does. The shop is at 127.0.0.1, the partner at localhost: two sites.
"""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from playwright.async_api import Browser, Page, expect
from playwright.async_api import Error as PlaywrightError

from tests.browser.test_buying import PHONE, fill_in, listen, signed_in
from tests.journeys.conftest import Shop

PAGE = """<!doctype html><title>Partner</title>
<p id="who"></p><button id="buy">Buy</button><p id="receipt"></p>
<script type="module">
const [shop, stream, drop] = %s;
const say = (id, words) => (document.getElementById(id).textContent = words);
let socket;
function join(ticket) {
  socket?.close();
  socket = new WebSocket(`${shop.replace("http", "ws")}/ws/${stream}`);
  socket.onopen = () => socket.send(JSON.stringify({ type: "hello", v: 1, ...(ticket && { ticket }) }));
  socket.onclose = (event) => say("who", `closed ${event.code}`);
  socket.onmessage = ({ data }) => {
    const frame = JSON.parse(data);
    if (frame.type === "welcome") say("who", frame.viewer ? `you are ${frame.viewer.name}` : "you are a guest");
    if (frame.type === "receipt") say("receipt", frame.status);
    if (frame.type === "welcome" && frame.viewer) {
      socket.send(JSON.stringify({ type: "order", ref: "from-partner", drop, quantity: 1 }));
    }
  };
}
document.getElementById("buy").onclick = () => {
  const query = new URLSearchParams({ stream, origin: location.origin });
  open(`${shop}/embed/sign-in?${query}`, "dropcast", "popup,width=420,height=640");
};
addEventListener("message", async ({ origin, data }) => {
  if (origin !== shop || data.type !== "dropcast-pass" || data.stream !== stream) return;
  const answer = await fetch(`${shop}/api/ticket`, {
    method: "POST",
    headers: { "Content-Type": "application/json" },
    body: JSON.stringify({ stream, pass: data.pass }),
  });
  join((await answer.json()).ticket);
});
const shown = await (await fetch(`${shop}/api/streams/${stream}`)).json();
document.title = shown.stream.title;
join(null);
</script>"""


WATCH = """
window.seen = {};
new MutationObserver(() => {
  const [ask, allow] = ["ask", "allow"].map((id) => document.getElementById(id));
  if (ask && !ask.hidden) seen.asked ??= performance.now();
  if (allow && !allow.disabled) seen.armed ??= performance.now();
}).observe(document, { subtree: true, childList: true, attributes: true });
"""


@dataclass
class Partner:
    """A web server on another site."""

    url: str = ""
    page: str = ""
    headers: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def partner() -> Iterator[Partner]:
    partner = Partner()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            for name, value in {"Content-Type": "text/html; charset=utf-8", **partner.headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(partner.page.encode())

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        partner.url = f"http://localhost:{server.server_port}"
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield partner
        server.shutdown()
        thread.join()


async def shown(shop: Shop, partner: Partner, *origins: str) -> tuple[str, str]:
    """A stream with an open drop on the partner's page: both their ids."""
    stream = await shop.live_stream()
    await shop.host.post(f"/api/host/streams/{stream}/embed", {"origins": list(origins) or [partner.url]})
    drop = await shop.drop(stream, 5)
    await shop.host.open(drop)
    partner.page = PAGE % json.dumps([shop.nginx.url, stream, drop])
    return stream, drop


async def answer_and_close(popup: Page, button: str) -> None:
    """A tap that closes its window; Playwright may find it gone before the tap is over."""
    async with popup.expect_event("close"):
        with suppress(PlaywrightError):
            await popup.get_by_test_id(button).click()


async def tap_buy(page: Page) -> Page:
    async with page.expect_popup() as opened_:
        await page.locator("#buy").click()
    return await opened_.value


async def test_somebody_signs_in_on_the_pop_up_allows_it_and_buys_on_the_partners_page(
    shop: Shop, partner: Partner, browser: Browser, artifacts: Path
) -> None:
    stream, drop = await shown(shop, partner)
    context = await browser.new_context(viewport=PHONE)
    await context.add_init_script(WATCH)
    page = await context.new_page()
    complaints = listen(page)
    await page.goto(partner.url)
    await expect(page).to_have_title("A show")  # read across origins
    await expect(page.locator("#who")).to_have_text("you are a guest")

    popup = await tap_buy(page)
    heard = listen(popup)
    await popup.wait_for_url("**/login?next=*")
    await fill_in(popup, "viewer@example.com")
    await popup.wait_for_url("**/embed/sign-in?*")
    allow = popup.get_by_test_id("allow")
    await expect(popup.get_by_role("heading")).to_have_text(f"Buy on {partner.url.removeprefix('http://')} as viewer?")
    await expect(allow).to_be_enabled()
    await popup.screenshot(path=artifacts / "allow.png")
    seen = await popup.evaluate("seen")
    assert seen["armed"] - seen["asked"] > 600  # a second tap that was meant for the page below does nothing
    await answer_and_close(popup, "allow")
    await expect(page.locator("#who")).to_have_text("you are viewer")
    await expect(page.locator("#receipt")).to_have_text("accepted")
    assert len(await shop.rows("SELECT id FROM orders WHERE drop_id = :d", d=drop)) == 1
    assert (complaints, heard) == ([], [])

    # signed in on our site, whose cookie the partner's page still does not have
    another = await context.new_page()
    await another.goto(partner.url)
    await expect(another.locator("#who")).to_have_text("you are a guest")

    # the host thinks better of it
    await shop.host.post(f"/api/host/streams/{stream}/embed", {"origins": []})
    await expect(page.locator("#who")).to_have_text("closed 4501")


async def test_who_says_not_now_has_allowed_nothing(shop: Shop, partner: Partner, browser: Browser) -> None:
    await shown(shop, partner)
    context = await browser.new_context(viewport=PHONE)
    page = await context.new_page()
    await page.goto(partner.url)
    popup = await tap_buy(page)
    await fill_in(popup, "viewer@example.com")
    await answer_and_close(popup, "not-now")
    await expect(page.locator("#who")).to_have_text("you are a guest")


async def test_a_page_that_is_not_on_the_list_gets_nothing_and_its_pop_up_says_so(
    shop: Shop, partner: Partner, browser: Browser, artifacts: Path
) -> None:
    await shown(shop, partner, "https://partner.example")
    page = await (await browser.new_context(viewport=PHONE)).new_page()
    complaints = listen(page)
    await page.goto(partner.url)
    popup = await tap_buy(page)
    await expect(popup.get_by_test_id("refused")).to_contain_text("has not allowed the site")
    await popup.screenshot(path=artifacts / "refused.png")
    assert await page.title() == "Partner"
    assert any("CORS" in words for words in complaints)


async def test_the_question_needs_the_page_that_asked_and_no_frame_shows_it(
    shop: Shop, partner: Partner, browser: Browser, artifacts: Path
) -> None:
    stream, _ = await shown(shop, partner)
    asked = f"{shop.nginx.url}/embed/sign-in?stream={stream}&origin={partner.url}"
    context = await browser.new_context(base_url=shop.nginx.url, viewport=PHONE)
    page = await signed_in(context, "viewer@example.com", "/orders")
    await page.goto(asked)  # by hand, or from a mail
    await expect(page.get_by_test_id("alone")).to_be_visible()
    await expect(page.get_by_test_id("allow")).to_be_hidden()
    await page.screenshot(path=artifacts / "alone.png")

    # a partner's page that cuts itself off from what it opens
    partner.headers = {"Cross-Origin-Opener-Policy": "same-origin"}
    await page.goto(partner.url)
    async with context.expect_page() as cut_off:
        await page.locator("#buy").click()
    await expect((await cut_off.value).get_by_test_id("alone")).to_be_visible()

    partner.page = f'<iframe src="{asked}"></iframe>'
    async with page.expect_console_message(lambda said: "frame-ancestors" in said.text):
        await page.goto(partner.url)
