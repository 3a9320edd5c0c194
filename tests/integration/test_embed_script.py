"""The element's script: a page of any site loads it by a name that stays, and gets the version that is there now."""

from __future__ import annotations

import re
from pathlib import Path

import httpx

from server import commands
from server.app import opened
from server.settings import read


async def test_a_page_of_any_site_loads_the_script_by_a_name_that_stays(tmp_path: Path) -> None:
    settings = read({"DROPCAST_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/shop.db"})
    await commands.init_db(settings)
    async with (
        opened(settings) as house,
        httpx.AsyncClient(transport=httpx.ASGITransport(house.asgi), base_url="https://shop.test") as page,
    ):
        answer = await page.get("/embed.js", headers={"Origin": "https://partner.example"}, follow_redirects=True)
        # from here its imports start: all of one version, kept for ever
        assert re.fullmatch(r"/static/[0-9a-f]{12}/embed/embed\.js", answer.url.path)
        assert "immutable" in answer.headers["cache-control"]
        assert answer.headers["content-type"].startswith("text/javascript")
        for one in (*answer.history, answer):
            assert one.headers["access-control-allow-origin"] == "*"
            assert one.headers["cross-origin-resource-policy"] == "cross-origin"
