"""What is served out of the installed packages."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest
from starlette.requests import Request

from server.app import CLIENT_DIR
from server.domain.errors import Refused
from server.web.assets import Assets
from server.web.vendor import VENDORED, vendored

SCRIPT = "/* as it is */ export default 1;"


def install(client_dir: Path) -> None:
    for name in VENDORED.values():
        file = client_dir / "node_modules" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(SCRIPT)


def asking(path: str) -> Request:
    return Request({"type": "http", "path_params": {"file": path}, "headers": []})


async def test_hls_js_is_served_as_a_module_from_the_installed_package_as_it_is(tmp_path: Path) -> None:
    before = Assets(tmp_path)
    install(tmp_path)
    assets = Assets(tmp_path)
    for path in ("vendor/hls.js", assets.at("vendor/hls.js").removeprefix("/static/")):
        answer = await assets.get(asking(path))
        assert bytes(answer.body).decode() == SCRIPT
        assert answer.media_type == "text/javascript"
    assert assets.version != before.version


async def test_what_is_not_installed_is_not_there_and_is_warned_of_once(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.WARNING):
        assets = Assets(tmp_path)
    (line,) = caplog.messages
    assert line.startswith("not installed, and answering 404: vendor/hls.js, vendor/hls.worker.js: run `npm ci")
    with pytest.raises(Refused):
        await assets.get(asking("vendor/hls.js"))


async def test_types_are_not_served(tmp_path: Path) -> None:
    (tmp_path / "vendor").mkdir()
    (tmp_path / "vendor" / "hls.d.ts").write_text("")
    with pytest.raises(Refused):
        await Assets(tmp_path).get(asking("vendor/hls.d.ts"))


def test_the_installed_package_has_the_file_and_it_is_an_es_module() -> None:
    found = vendored(CLIENT_DIR)
    assert found.keys() == VENDORED.keys()
    assert "export{" in found["vendor/hls.js"].read_text("utf-8")
    assert "import" not in found["vendor/hls.worker.js"].read_text("utf-8")[:200]  # it runs as a script of its own
