"""Files for browsers: their addresses, caching and compression."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from starlette.requests import Request
from starlette.responses import Response

from server.domain.errors import Refused
from server.web.assets import Assets

SCRIPT = "/** why */\nexport const page = 1; // this\n" + "export const more = [" + "1, " * 200 + "];\n"


@pytest.fixture
def client(tmp_path: Path) -> Path:
    for path, text in {
        "viewer/page.js": SCRIPT,
        "viewer/page.html": "<p>",
        "shared/look.css": "/* why */ a { color: red; }",
        "package.json": "{}",
        "node_modules/x/index.js": "1",
    }.items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    return tmp_path


async def get(assets: Assets, path: str, **headers: str) -> Response:
    sent = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return await assets.get(Request({"type": "http", "path_params": {"file": path}, "headers": sent}))


async def test_scripts_and_styles_are_served_without_their_comments(client: Path) -> None:
    assets = Assets(client)
    script, style = await get(assets, "viewer/page.js"), await get(assets, "shared/look.css")
    assert b"why" not in script.body
    assert b"export const page=1;" in bytes(script.body)
    assert script.media_type == "text/javascript"
    assert style.body == b"a{color:red}"


async def test_the_address_with_the_version_is_kept_for_ever_and_changes_with_any_file(client: Path) -> None:
    before = Assets(client)
    mine = await get(before, before.at("viewer/page.js").removeprefix("/static/"))
    assert "immutable" in mine.headers["cache-control"]
    (client / "shared/look.css").write_text("a { color: blue; }")
    after = Assets(client)
    assert after.version != before.version
    older = await get(after, before.at("viewer/page.js").removeprefix("/static/"))
    assert older.headers["cache-control"] == "no-store"
    assert (await get(after, "viewer/page.js")).headers["cache-control"] == "no-cache"


async def test_who_understands_gzip_gets_it_and_who_has_it_gets_nothing(client: Path) -> None:
    assets = Assets(client)
    plain = await get(assets, "viewer/page.js")
    packed = await get(assets, "viewer/page.js", accept_encoding="gzip, br")
    assert packed.headers["content-encoding"] == "gzip"
    assert gzip.decompress(bytes(packed.body)) == plain.body
    assert packed.headers["vary"] == "Accept-Encoding"
    again = await get(assets, "viewer/page.js", if_none_match=plain.headers["etag"])
    assert (again.status_code, again.body) == (304, b"")


@pytest.mark.parametrize("path", ["viewer/page.html", "package.json", "node_modules/x/index.js", "../x", "no/such"])
async def test_what_is_no_asset_is_not_there(client: Path, path: str) -> None:
    with pytest.raises(Refused):
        await get(Assets(client), path)
