"""docs/security.md: every threat has a guard that is there and a test that is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
DOC = (ROOT / "docs" / "security.md").read_text("utf-8")
ROWS = [row for row in re.findall(r"^\| (.+?) \| (.+?) \| (.+) \|$", DOC, flags=re.MULTILINE) if row[0] != "threat"]


def lacks(shown_by: str) -> list[str]:
    """What a cell names and what is not there; a cell that names no test lacks one."""
    named = re.findall(r"`([\w/.]+)::([^`]+)`", shown_by)
    return [f"{file}::{name}" for file, name in named if not _is_there(file, name)] or ([] if named else ["a test"])


def _is_there(file: str, name: str) -> bool:
    path = ROOT / file
    if not path.exists():
        return False
    source = path.read_text("utf-8")
    if path.suffix == ".mjs":
        return f'test("{name}"' in source
    functions = (ast.FunctionDef, ast.AsyncFunctionDef)
    return name in {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, functions)}


@pytest.mark.parametrize(("threat", "guard", "shown_by"), ROWS, ids=[row[0][:50] for row in ROWS])
def test_every_threat_has_a_guard_and_a_test_that_are_there(threat: str, guard: str, shown_by: str) -> None:
    assert lacks(shown_by) == []
    for file in re.findall(r"`((?:server|admin_ui|client|nginx|tests)/[\w/.]+)`", guard):
        assert (ROOT / file).exists(), file


def test_the_table_is_whole() -> None:
    assert len(ROWS) >= 35


@pytest.mark.parametrize(
    "shown_by",
    ["a look", "`tests/hostile/test_gone.py::test_x`", "`tests/shape/test_security_doc.py::test_that_nobody_wrote`"],
)
def test_control_a_test_that_is_not_there_is_missed(shown_by: str) -> None:
    assert lacks(shown_by)
