"""What is asked of every source file."""

from __future__ import annotations

import ast
import json
import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted(
    path
    for folder in ("server", "admin_ui", "loadtest", "nginx", "client/python")
    for path in (ROOT / folder).rglob("*.py")
)
LINES_MAX = 350


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_file_is_short_or_explains_why_it_is_one(path: Path) -> None:
    source = path.read_text("utf-8")
    if len(source.splitlines()) > LINES_MAX:
        assert "one file" in (ast.get_docstring(ast.parse(source)) or ""), f"{path} is long and does not say why"


def test_no_file_is_called_after_nothing() -> None:
    assert not [path for path in SOURCES if path.stem in ("utils", "helpers", "manager", "common", "misc")]


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_values_reach_sql_only_as_bound_parameters(path: Path) -> None:
    """Texts of SQL may be put together from this module's own upper-case constants, and from nothing else."""
    for call in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(call, ast.Call) and _name(call.func) in ("text", "exec_driver_sql"):
            for part in ast.walk(call.args[0]) if call.args else ():
                if isinstance(part, ast.FormattedValue):
                    assert isinstance(part.value, ast.Name), ast.unparse(call)
                    assert part.value.id.isupper(), ast.unparse(call)
                assert not (isinstance(part, ast.BinOp) and isinstance(part.op, ast.Mod)), ast.unparse(call)
                assert not (isinstance(part, ast.Attribute) and part.attr == "format"), ast.unparse(call)


def test_the_sql_rule_can_fail() -> None:
    call = ast.parse('text(f"SELECT {user_input}")').body[0]
    assert isinstance(call, ast.Expr)
    parts = [part for part in ast.walk(call) if isinstance(part, ast.FormattedValue)]
    assert not all(isinstance(part.value, ast.Name) and part.value.id.isupper() for part in parts)


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_no_query_asks_for_whatever_columns_there_are(path: Path) -> None:
    """In a rolling deploy a table may have more columns than this code knows: it names those it wants."""
    assert not re.search(r"SELECT\s+(DISTINCT\s+)?(\w+\.)?\*", path.read_text("utf-8"), re.IGNORECASE)


def test_lock_files_have_hashes_and_no_addresses() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        text = (ROOT / name).read_text("utf-8")
        assert "://" not in text
        pins = re.findall(r"^[\w.-]+==", text, flags=re.MULTILINE)
        assert len(pins) > 20
        assert text.count("--hash=sha256:") >= len(pins)


def test_the_browsers_lock_file_has_hashes_and_no_addresses_of_packages() -> None:
    text = (ROOT / "client" / "package-lock.json").read_text("utf-8")
    packages = [what for path, what in json.loads(text)["packages"].items() if path]
    assert len(packages) > 20
    for package in packages:
        assert package["integrity"].startswith("sha512-")
        assert "resolved" not in package
        assert "latest" not in package.get("dependencies", {}).values(), "make it with `make lock`"
    funding = re.compile(r'"(url|funding)": "https://(github\.com|opencollective\.com|[\w.]*patreon\.com)/')
    assert not [line for line in text.splitlines() if "://" in line and not funding.search(line)]


def test_each_package_of_the_browsers_side_has_a_bound_and_a_reason() -> None:
    listed = json.loads((ROOT / "client" / "package.json").read_text("utf-8"))
    reasons = (ROOT / "client" / "README.md").read_text("utf-8")
    for name, bound in {**listed["dependencies"], **listed["devDependencies"]}.items():
        assert re.fullmatch(r">=[\d.]+ <[\d.]+", bound), name
        assert f"| `{name}` | " in reasons, name


def test_each_dependency_has_a_bound_and_a_reason() -> None:
    lines = (ROOT / "pyproject.toml").read_text("utf-8").splitlines()
    listed = [line.strip() for line in lines if re.match(r'\s+"[\w.-]+(\[\w+\])?[><=~]', line)]
    assert len(listed) > 15
    for line in listed:
        assert re.search(r"[<=]=?\d", line), line
        assert " # " in line.replace("  #", " #"), line


def test_no_machine_path_is_committed() -> None:
    tracked = subprocess.run(
        ["git", "grep", "-nIE", "/(root|home|work)/[a-z]"], cwd=ROOT, capture_output=True, text=True
    )
    found = [line for line in tracked.stdout.splitlines() if "test_source.py" not in line]
    assert not found


def _name(function: ast.expr) -> str:
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )
