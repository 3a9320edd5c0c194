"""A host lets other sites show a stream, on the host page. Real Chromium, real shop."""

from __future__ import annotations

from pathlib import Path

from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.browser.test_buying import DESKTOP, listen, signed_in
from tests.journeys.conftest import Shop

PARTNER = "https://partner.example"


async def at_the_desk(context: BrowserContext, stream: str) -> Page:
    """The host's page, turned to this stream."""
    page = await signed_in(context, "host@example.com", "/orders")
    await page.goto(f"/host#{stream}")
    await expect(page.locator("#show-link")).to_have_text(f"/s/{stream}")
    return page


async def listed(shop: Shop, stream: str) -> list[str]:
    """The origins that may embed the stream."""
    (found,) = [one for one in (await shop.host.get("/api/host/streams"))["streams"] if one["slug"] == stream]
    origins: list[str] = found["embed_origins"]
    return origins


async def test_a_host_says_which_sites_may_show_a_stream(shop: Shop, browser: Browser, artifacts: Path) -> None:
    stream, another = await shop.live_stream(), await shop.live_stream()
    context = await browser.new_context(base_url=shop.nginx.url, viewport=DESKTOP)
    page = await at_the_desk(context, stream)
    complaints = listen(page)
    origins, save = page.get_by_test_id("embed-origins"), page.get_by_test_id("save-embed")
    await expect(origins).to_have_value("")
    await origins.fill(f"{PARTNER}/magazine?issue=3\nhttps://*.partner.example")
    await save.click()
    await expect(page.locator("#embed-error")).to_contain_text("no wildcards")
    assert await listed(shop, stream) == []
    await page.screenshot(path=artifacts / "refused.png", full_page=True)
    assert len(complaints) == 1  # the browser's own word on an answer of 400
    assert "400" in complaints.pop()

    await origins.fill(f"{PARTNER}/magazine?issue=3\nhttp://localhost:9000")
    await save.click()
    await expect(page.get_by_test_id("embed-note")).to_have_text(f"Saved: http://localhost:9000, {PARTNER}")
    await expect(page.locator("#embed-error")).to_be_empty()
    await expect(origins).to_have_value(f"http://localhost:9000\n{PARTNER}")
    assert await listed(shop, stream) == ["http://localhost:9000", PARTNER]
    await page.screenshot(path=artifacts / "saved.png", full_page=True)

    await page.locator(f'[data-slug="{another}"]').click()
    await expect(origins).to_have_value("")
    await page.locator(f'[data-slug="{stream}"]').click()
    await expect(origins).to_have_value(f"http://localhost:9000\n{PARTNER}")
    await page.reload()
    await expect(origins).to_have_value(f"http://localhost:9000\n{PARTNER}")
    await origins.fill("")
    await save.click()
    await expect(page.get_by_test_id("embed-note")).to_contain_text("no other site")
    assert await listed(shop, stream) == []
    assert complaints == []


async def test_the_list_outlives_what_the_stream_tells(shop: Shop, browser: Browser) -> None:
    """The stream's own events know nothing of its list."""
    slug = "quiet-" + (await shop.live_stream())
    await shop.host.create_stream(slug, "A quiet show", embed_origins=[PARTNER])
    other = await shop.live_stream()
    context = await browser.new_context(base_url=shop.nginx.url, viewport=DESKTOP)
    page = await at_the_desk(context, slug)
    await page.get_by_test_id("start-stream").click()
    await expect(page.get_by_test_id("stream-status")).to_have_text("LIVE")
    await page.locator(f'[data-slug="{other}"]').click()
    await page.locator(f'[data-slug="{slug}"]').click()
    await expect(page.get_by_test_id("embed-origins")).to_have_value(PARTNER)


async def test_the_code_to_paste_is_copied_or_selected(shop: Shop, browser: Browser) -> None:
    stream = await shop.live_stream()
    context = await browser.new_context(base_url=shop.nginx.url, viewport=DESKTOP)
    page = await at_the_desk(context, stream)
    code = page.get_by_test_id("embed-code")
    await expect(code).to_contain_text(f'<script type="module" src="{shop.nginx.url}/embed.js"></script>')
    await expect(code).to_contain_text(f'<dropcast-overlay stream="{stream}"></dropcast-overlay>')
    await context.grant_permissions(["clipboard-read", "clipboard-write"])
    await page.get_by_test_id("copy-embed").click()
    await expect(page.get_by_test_id("copy-note")).to_have_text("Copied.")
    assert await page.evaluate("navigator.clipboard.readText()") == await code.text_content()
    await page.evaluate("() => { navigator.clipboard.writeText = async () => { throw new Error('not here') } }")
    await page.get_by_test_id("copy-embed").click()
    await expect(page.get_by_test_id("copy-note")).to_contain_text("copy it by hand")
    assert "dropcast-overlay" in await page.evaluate("getSelection().toString()")


async def test_a_video_that_browsers_would_not_play_is_refused_where_it_was_given(shop: Shop, browser: Browser) -> None:
    context = await browser.new_context(base_url=shop.nginx.url, viewport=DESKTOP)
    page = await signed_in(context, "host@example.com", "/host")
    stream = "made-" + (await shop.live_stream())
    new = page.locator("#new-stream")
    if await new.get_attribute("open") is None:
        await new.locator("summary").click()
    await page.get_by_test_id("stream-title").fill("With a video")
    await page.get_by_test_id("stream-slug").fill(stream)
    await page.get_by_test_id("stream-video").fill("http://video.example/show.m3u8")
    await page.get_by_test_id("create-stream").click()
    await expect(page.locator("#create-error")).to_contain_text("Video must be an https:// address")
    await page.get_by_test_id("stream-video").fill("https://video.example/show.m3u8")
    await page.get_by_test_id("create-stream").click()
    await expect(page.locator("#show-title")).to_have_text("With a video")
    assert (await shop.host.stream(stream))["stream"]["video"] == "https://video.example/show.m3u8"
