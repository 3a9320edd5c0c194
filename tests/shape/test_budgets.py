"""What the viewer's page may cost on the wire: style.md's budgets, of the files as they are served."""

from __future__ import annotations

import gzip
import re
from pathlib import Path

from server.web import modules
from server.web.assets import Assets

CLIENT = Path(__file__).resolve().parents[2] / "client"
ENTRY, PAGE = "viewer/stream.js", CLIENT / "viewer/stream.html"
SCRIPTS_MAX_BYTES, STYLES_MAX_BYTES = 20_000, 6_000


def packed(assets: Assets, path: str) -> int:
    asset = assets.asset(path)
    return len(asset.packed or gzip.compress(asset.plain, 9))


def test_the_viewers_page_keeps_its_budget_of_scripts() -> None:
    assets = Assets(CLIENT)
    costs = {path: packed(assets, path) for path in modules.imported(ENTRY, assets.scripts)}
    assert "overlay/card.js" in costs  # a control: the whole tree is counted
    assert sum(costs.values()) <= SCRIPTS_MAX_BYTES, costs


def test_the_viewers_page_keeps_its_budget_of_styles() -> None:
    assets = Assets(CLIENT)
    named = set(re.findall(r'"/static/([^"]+\.css)"', PAGE.read_text())) | {"overlay/overlay.css"}
    costs = {path: packed(assets, path) for path in sorted(named)}
    assert {"shared/tokens.css", "viewer/stream.css"} <= costs.keys()
    assert sum(costs.values()) <= STYLES_MAX_BYTES, costs


def test_the_viewers_page_names_no_other_origin() -> None:
    assets = Assets(CLIENT)
    for path in modules.imported(ENTRY, assets.scripts):
        found = set(re.findall(r"https?://[\w.-]+", assets.scripts[path]))
        assert found <= {"http://www.w3.org", "https://any.example"}, path  # a namespace, and a base to parse by
