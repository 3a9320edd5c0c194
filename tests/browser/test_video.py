"""The stream's video on the stream page: real clips, from a web server on another site. Real Chromium, real shop."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser, BrowserContext, Page, expect

from tests.browser.test_buying import DESKTOP, PHONE, listen
from tests.journeys.conftest import Shop
from tests.services.video import LiveEncoder, VideoHost, make_videos

AS_SAFARI = "window.ManagedMediaSource = class {};"
"""What tells that a browser plays HLS well by itself. This one plays the clips, at least."""

NO_HLS = "HTMLMediaElement.prototype.canPlayType = () => '';"
"""A browser that knows no HLS, as Firefox."""

QUICK = "Math.random = () => 0;"
"""The shortest waits between tries."""

AWAY = "The video cannot be shown here. Drops still arrive."

MASTER = """#EXTM3U
#EXT-X-STREAM-INF:BANDWIDTH=200000,CODECS="{codec}"
landscape.m3u8
"""

PLAYS = "(beyond) => document.getElementById('video').currentTime > beyond"


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("clips")
    make_videos(folder)
    return folder


@pytest.fixture
def videos(clips: Path) -> Iterator[VideoHost]:
    with VideoHost(clips) as host:
        yield host


async def streaming(shop: Shop, video: str) -> str:
    """A live stream with this video."""
    slug = "video-" + secrets.token_hex(4)
    await shop.host.create_stream(slug, "A show", video=video)
    await shop.host.start(slug)
    return slug


async def watching(context: BrowserContext, shop: Shop, stream: str) -> tuple[Page, list[str], list[str]]:
    """The stream's page, what it complains of, and what it asks for."""
    page = await context.new_page()
    complaints, asked = listen(page), list[str]()
    context.on("request", lambda request: asked.append(request.url))
    await page.goto(f"{shop.nginx.url}/s/{stream}")
    return page, complaints, asked


async def plays(page: Page, *, beyond_s: float = 1.0) -> None:
    """The picture moves, and the slate has made way."""
    await page.wait_for_function(PLAYS, arg=beyond_s)
    await expect(page.locator("#slate")).to_be_hidden()


def origins(urls: list[str]) -> set[str]:
    return {f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, urls) if parts.scheme not in ("blob", "data")}


def vendored(urls: list[str]) -> set[str]:
    return {url.rpartition("/")[2] for url in urls if "/vendor/" in url}


@pytest.mark.parametrize(("name", "shape"), [("landscape.mp4", "landscape"), ("portrait.mp4", "portrait")])
async def test_an_mp4_plays_without_sound_until_somebody_wants_it(
    shop: Shop, videos: VideoHost, browser: Browser, artifacts: Path, name: str, shape: str
) -> None:
    stream = await streaming(shop, f"{videos.url}/{name}")
    context = await browser.new_context(viewport=PHONE)
    page, complaints, asked = await watching(context, shop, stream)
    await plays(page)
    video, sound = page.locator("#video"), page.locator("#sound")
    await expect(video).to_have_attribute("data-shape", shape)
    await page.screenshot(path=artifacts / "phone.png")
    assert await video.evaluate("(one) => one.muted")
    await sound.click()
    assert not await video.evaluate("(one) => one.muted")
    await sound.click()
    assert await video.evaluate("(one) => one.muted")
    await page.set_viewport_size(DESKTOP)
    await page.screenshot(path=artifacts / "desktop.png")
    assert origins(asked) == {shop.nginx.url, videos.url}
    assert (complaints, vendored(asked)) == ([], set())


async def test_hls_plays_without_our_help_where_the_browser_plays_it_well(
    shop: Shop, videos: VideoHost, browser: Browser
) -> None:
    stream = await streaming(shop, f"{videos.url}/portrait.m3u8")
    context = await browser.new_context(viewport=PHONE)
    await context.add_init_script(AS_SAFARI)
    page, complaints, asked = await watching(context, shop, stream)
    await plays(page)
    await expect(page.locator("#video")).to_have_attribute("data-shape", "portrait")
    assert await page.locator("#video").get_attribute("src") == f"{videos.url}/portrait.m3u8"
    assert (complaints, vendored(asked)) == ([], set())


@pytest.mark.parametrize("browser_is", ["", NO_HLS], ids=["chrome-says-maybe", "no-hls"])
async def test_hls_plays_by_hls_js_elsewhere(shop: Shop, videos: VideoHost, browser: Browser, browser_is: str) -> None:
    stream = await streaming(shop, f"{videos.url}/landscape.m3u8")
    context = await browser.new_context(viewport=DESKTOP)
    await context.add_init_script(browser_is)
    page, complaints, asked = await watching(context, shop, stream)
    await plays(page)
    await expect(page.locator("#video")).to_have_attribute("data-shape", "landscape")
    assert vendored(asked) == {"hls.js", "hls.worker.js"}
    assert [worker.url.rpartition("/")[2] for worker in page.workers] == ["hls.worker.js"]  # beside the page's thread
    assert origins(asked) == {shop.nginx.url, videos.url}
    assert complaints == []

    await shop.host.end(stream)
    await expect(page.locator("#slate")).to_be_visible()
    assert not await page.locator("#video").get_attribute("src")


async def test_without_hls_js_a_browser_that_may_play_hls_is_let_try(
    shop: Shop, videos: VideoHost, browser: Browser
) -> None:
    stream = await streaming(shop, f"{videos.url}/portrait.m3u8")
    context = await browser.new_context(viewport=PHONE)
    await context.route("**/vendor/hls.js", lambda route: route.fulfill(status=404))
    page, _, _ = await watching(context, shop, stream)
    await plays(page)


async def test_a_live_playlist_goes_on(shop: Shop, browser: Browser, tmp_path: Path) -> None:
    with VideoHost(tmp_path) as videos, LiveEncoder(tmp_path):
        stream = await streaming(shop, f"{videos.url}/live.m3u8")
        context = await browser.new_context(viewport=DESKTOP)
        await context.add_init_script(NO_HLS + QUICK)
        page, _, asked = await watching(context, shop, stream)  # it may be asked for before it is there
        await plays(page, beyond_s=6)  # longer than what the first playlist can have told
        assert vendored(asked) == {"hls.js", "hls.worker.js"}


async def test_a_picture_that_breaks_is_mended_once_and_then_begun_anew(
    shop: Shop, videos: VideoHost, browser: Browser
) -> None:
    stream = await streaming(shop, f"{videos.url}/landscape.m3u8")
    context = await browser.new_context(viewport=DESKTOP)
    await context.add_init_script(NO_HLS + QUICK)
    page, _, _ = await watching(context, shop, stream)
    await plays(page)
    video, slate = page.locator("#video"), page.locator("#slate")
    before = await video.get_attribute("src")
    await video.dispatch_event("error")
    assert await video.get_attribute("src") != before
    await plays(page, beyond_s=2)  # from where it was
    assert videos.asked.count("/landscape.m3u8") == 1
    await video.dispatch_event("error")
    await expect(slate).to_be_visible()
    await plays(page)
    assert videos.asked.count("/landscape.m3u8") == 2


async def test_a_codec_that_the_browser_lacks_is_given_up_and_asked_for_again(
    shop: Shop, clips: Path, browser: Browser, tmp_path: Path
) -> None:
    shutil.copytree(clips, tmp_path, dirs_exist_ok=True)
    master = tmp_path / "master.m3u8"
    master.write_text(MASTER.format(codec="mp4v.20.9"))
    with VideoHost(tmp_path) as videos:
        stream = await streaming(shop, f"{videos.url}/master.m3u8")
        context = await browser.new_context(viewport=DESKTOP)
        await context.add_init_script(NO_HLS + QUICK)
        page, _, _ = await watching(context, shop, stream)
        await expect(page.locator("#slate-note")).to_have_text(AWAY, timeout=15_000)
        master.write_text(MASTER.format(codec="avc1.42c00c,mp4a.40.2"))
        await plays(page)


@pytest.mark.parametrize("name", ["landscape.mp4", "landscape.m3u8"])
async def test_a_video_that_is_away_costs_no_sale_and_is_back_when_it_is_there(
    shop: Shop, videos: VideoHost, browser: Browser, artifacts: Path, name: str
) -> None:
    videos.away = True
    stream = await streaming(shop, f"{videos.url}/{name}")
    context = await browser.new_context(viewport=PHONE)
    await context.add_init_script(QUICK)
    page, _, _ = await watching(context, shop, stream)
    await expect(page.locator("#slate-note")).to_have_text(AWAY)
    await shop.host.open(await shop.drop(stream, 5))
    await expect(page.get_by_test_id("buy")).to_contain_text("$24")
    await expect(page.locator("#slate")).to_be_visible()
    await page.screenshot(path=artifacts / "away.png")
    videos.away = False
    await plays(page)
