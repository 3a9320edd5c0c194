"""compose.yaml as an engine would read it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml  # type: ignore[import-untyped,unused-ignore]

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "compose.yaml").read_text("utf-8")
_VARIABLE = re.compile(r"\$\{(\w+)(?::([-?])([^}]*))?\}")
SECRETS = {name: f"{name.lower():x<40}" for name, kind, _ in _VARIABLE.findall(TEXT) if kind == "?"}
"""A value for each variable that has no default."""


class MissingVariableError(Exception):
    """A variable that must be set is not."""


def services(environment: Mapping[str, str]) -> dict[str, dict[str, Any]]:
    """Every service, its variables filled in. Raises `MissingVariableError`."""

    def value(found: re.Match[str]) -> str:
        name, kind, words = found.groups()
        if environment.get(name):
            return environment[name]
        if kind != "-":
            raise MissingVariableError(f"{name}: {words}")
        return str(words)

    read: dict[str, dict[str, Any]] = yaml.safe_load(_VARIABLE.sub(value, TEXT))["services"]
    return read
