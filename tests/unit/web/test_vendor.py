"""What is served out of the installed packages, and what of `client/` is not served at all."""

from __future__ import annotations

import logging
from pathlib import Path

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from server.app import CLIENT_DIR
from server.web.pages import _Static
from server.web.vendor import VENDORED, vendored


@pytest.fixture
def client_dir(tmp_path: Path) -> Path:
    (tmp_path / "viewer").mkdir()
    (tmp_path / "viewer" / "card.js").write_text("export {};")
    (tmp_path / "package.json").write_text("{}")
    return tmp_path


def install(client_dir: Path) -> None:
    for name in VENDORED.values():
        file = client_dir / "node_modules" / name
        file.parent.mkdir(parents=True)
        file.write_text("export default 1;")


async def get(client_dir: Path, path: str) -> httpx.Response:
    transport = httpx.ASGITransport(Starlette(routes=[Mount("/static", _Static(client_dir))]))
    async with httpx.AsyncClient(transport=transport, base_url="http://shop") as client:
        return await client.get(path)


async def test_hls_js_is_served_as_a_module_from_the_installed_package(client_dir: Path) -> None:
    install(client_dir)
    answer = await get(client_dir, "/static/vendor/hls.js")
    assert (answer.status_code, answer.text) == (200, "export default 1;")
    assert answer.headers["content-type"].startswith("text/javascript")


async def test_what_is_not_installed_answers_404_and_is_warned_of_once(
    client_dir: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assert (await get(client_dir, "/static/vendor/hls.js")).status_code == 404
    (line,) = caplog.messages
    assert line.startswith("vendor/hls.js is not installed and answers 404: run `npm ci")


@pytest.mark.parametrize("path", ["node_modules/hls.js/dist/hls.light.min.mjs", "package.json", "vendor/hls.d.ts"])
async def test_what_only_tools_read_is_not_served(client_dir: Path, path: str) -> None:
    install(client_dir)
    assert (await get(client_dir, f"/static/{path}")).status_code == 404
    assert (await get(client_dir, "/static/viewer/card.js")).status_code == 200


def test_the_installed_package_has_the_file_and_it_is_an_es_module() -> None:
    found = vendored(CLIENT_DIR)
    assert found.keys() == VENDORED.keys()
    assert "export{" in found["vendor/hls.js"].read_text("utf-8")
