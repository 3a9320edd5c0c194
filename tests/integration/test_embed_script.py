"""The element's script: a page of any site loads it by a name that stays, and gets it from where it is."""

from __future__ import annotations

from pathlib import Path

import httpx
import pytest

import server.app
from server import commands
from server.app import CLIENT_DIR, opened
from server.settings import read


@pytest.mark.parametrize("there", [True, False], ids=["built", "not built"])
async def test_a_page_of_any_site_loads_the_script_by_a_name_that_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, there: bool
) -> None:
    client_dir = tmp_path / "client"
    (client_dir / "embed").mkdir(parents=True)
    for part in ("viewer", "host", "shared"):
        (client_dir / part).symlink_to(CLIENT_DIR / part)
    if there:
        (client_dir / "embed" / "embed.js").write_text("export const here = 1;\n", "utf-8")
    monkeypatch.setattr(server.app, "CLIENT_DIR", client_dir)
    settings = read({"DROPCAST_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/shop.db"})
    await commands.init_db(settings)
    async with (
        opened(settings) as house,
        httpx.AsyncClient(transport=httpx.ASGITransport(house.asgi), base_url="https://shop.test") as page,
    ):
        headers = {"Origin": "https://partner.example"}
        answer = await page.get("/embed.js", headers=headers, follow_redirects=True)
        assert answer.url.path == "/static/embed/embed.js"  # from here its imports start
        assert answer.status_code == (200 if there else 404)
        for one in (*answer.history, answer):
            assert one.headers["access-control-allow-origin"] == "*"
            assert one.headers["cross-origin-resource-policy"] == "cross-origin"
        if there:
            assert "export const here = 1;" in answer.text
            assert answer.headers["content-type"].startswith("text/javascript")
