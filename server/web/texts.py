"""The words of the pages, a table per language, and which of them a reader gets."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import msgspec

DEFAULT = "en"
TAGS = {"en": "en", "es": "es", "zh": "zh-Hans"}
"""The languages there are, and what a page in one says of itself (`lang`, BCP 47)."""

Table = Mapping[str, str]

_RANGES_MAX = 20


def read(directory: Path) -> dict[str, Table]:
    """The tables of `client/texts/`. Raises `ValueError` that names the keys that one has and another lacks."""
    tables = {
        name: msgspec.json.decode((directory / f"{name}.json").read_bytes(), type=dict[str, str]) for name in TAGS
    }
    for name, table in tables.items():
        odd = sorted(table.keys() ^ tables[DEFAULT].keys())
        if odd:
            raise ValueError(f"texts/{name}.json and texts/{DEFAULT}.json do not have the same keys: {', '.join(odd)}")
    return dict(tables)


def language_of(accepted: str) -> str:
    """The language for a reader who sends this `Accept-Language` (RFC 9110, 12.5.4); the default when none fits.

    Chinese is Simplified Chinese whatever its region: who reads the other script reads it rather than English.
    """
    wishes = []
    for place, one in enumerate(accepted.split(",")[:_RANGES_MAX]):
        tag, _, quality = one.partition(";")
        wishes.append((-_quality(quality), place, tag.strip().lower().partition("-")[0]))
    for order, _, name in sorted(wishes):
        if order < 0 and name in TAGS:
            return name
    return DEFAULT


def _quality(parameter: str) -> float:
    name, _, value = parameter.strip().partition("=")
    if name.strip().lower() != "q":
        return 1.0
    try:
        return min(max(float(value), 0.0), 1.0)
    except ValueError:
        return 0.0
