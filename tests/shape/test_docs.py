"""The docs say what the code does."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from server.settings import PREFIX, Settings

ROOT = Path(__file__).resolve().parents[2]
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text("utf-8")
SIGNPOSTS = sorted(set(re.findall(r"`([\w/.]+\.(?:py|js)):(\w+)`", ARCHITECTURE)))


def test_there_are_signposts_for_every_road() -> None:
    assert len(SIGNPOSTS) > 25
    assert all(f"**{road}. " in ARCHITECTURE for road in "1234")


@pytest.mark.parametrize(("file", "name"), SIGNPOSTS)
def test_every_signpost_leads_to_something_of_that_name(file: str, name: str) -> None:
    source = (ROOT / file).read_text("utf-8")
    if file.endswith(".js"):
        assert re.search(rf"\b(?:function|class) {name}\b", source)
        return
    definitions = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
    assert name in {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, definitions)}


def test_every_file_the_docs_name_is_there() -> None:
    for page in (ROOT / "README.md", ROOT / "ARCHITECTURE.md", *(ROOT / "docs").rglob("*.md")):
        text = page.read_text("utf-8")
        for target in re.findall(r"\]\(([^)#:]+)\)", text):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
        for target in re.findall(r"`((?:server|tests|client|loadtest|nginx|admin_ui|docs)/[\w/.-]+\.\w+)`", text):
            assert (ROOT / target).exists(), f"{page.name}: {target}"


def test_every_setting_stands_in_the_table_with_its_default() -> None:
    table = (ROOT / "docs" / "settings.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `(DROPCAST_\w+)` \| (?:`([^`]*)`)? ?\|", table, flags=re.MULTILINE))
    defaults = {PREFIX + name.upper(): field.default for name, field in Settings.model_fields.items()}
    assert rows.keys() == defaults.keys()
    for name, default in defaults.items():
        said = ",".join(default) if isinstance(default, tuple) else "" if default is None else str(default)
        assert rows[name] == said, name


def test_the_readme_is_one_screen() -> None:
    assert len((ROOT / "README.md").read_text("utf-8").splitlines()) <= 60
