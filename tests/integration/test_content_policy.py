"""What pages may load and call: everything from the shop alone, but for the video of the stream page."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

from server import commands
from server.app import opened
from server.settings import read


async def policy(folder: Path, at: str, path: str) -> dict[str, str]:
    """The directives of a page's Content-Security-Policy."""
    # one connection, which is there before the house is: none is still being made when it closes a moment later
    settings = read(
        {"DROPCAST_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/shop.db", "DROPCAST_DATABASE_POOL_SIZE": "1"}
    )
    await commands.init_db(settings)
    async with (
        opened(settings) as house,
        httpx.AsyncClient(transport=httpx.ASGITransport(house.asgi), base_url=at) as browser,
    ):
        said = (await browser.get(path)).headers["content-security-policy"]
    return dict(directive.split(" ", 1) for directive in said.split("; "))


async def test_the_stream_page_may_fetch_its_video_from_any_https_address_and_no_script(tmp_path: Path) -> None:
    found = await policy(tmp_path, "https://shop.test", "/s/friday")
    assert found["connect-src"] == "'self' https:"
    assert found["media-src"] == "'self' https: blob:"
    assert found["default-src"] == "'self'"
    assert not {"script-src", "worker-src"} & found.keys()  # they are what default-src says


async def test_without_tls_it_may_be_on_this_machine_too(tmp_path: Path) -> None:
    found = await policy(tmp_path, "http://127.0.0.1:8080", "/s/friday")
    near = " http://localhost:* http://127.0.0.1:*"
    assert found["connect-src"] == "'self' https:" + near
    assert found["media-src"] == "'self' https: blob:" + near


@pytest.mark.parametrize(
    "path", ["/", "/login", "/account", "/host", "/embed/sign-in?stream=friday&origin=https://a.b"]
)
async def test_other_pages_call_nobody_else(tmp_path: Path, path: str) -> None:
    found = await policy(tmp_path, "http://127.0.0.1:8080", path)
    assert found["default-src"] == "'self'"
    assert "connect-src" not in found
