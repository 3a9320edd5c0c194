"""Thresholds are data (`thresholds.toml`): for each scenario and figure, how much it may or must be.

A count that is off fails the run anywhere. A timing that is off is a warning, for machines differ and are shared;
`--strict` makes it fail as well.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

FILE = Path(__file__).with_name("thresholds.toml")


class Threshold(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a figure is held to. `kind` is `count` or `timing`; below `from_viewers` it says nothing."""

    kind: str
    max: float | None = None
    min: float | None = None
    from_viewers: int = 0

    def holds(self, value: float) -> bool:
        """Whether a figure keeps it."""
        return (self.max is None or value <= self.max) and (self.min is None or value >= self.min)

    def __str__(self) -> str:
        return " ".join(f"{sign} {bound:g}" for sign, bound in (("≤", self.max), ("≥", self.min)) if bound is not None)


@dataclass(frozen=True, slots=True)
class Judged:
    """A figure and its threshold, if there is one for it."""

    name: str
    value: float
    threshold: Threshold | None
    strict: bool

    @property
    def word(self) -> str:
        """`ok`, `warn`, `FAIL`, or nothing without a threshold."""
        if self.threshold is None:
            return ""
        if self.threshold.holds(self.value):
            return "ok"
        return "FAIL" if self.strict or self.threshold.kind == "count" else "warn"


def read(path: Path = FILE) -> dict[str, dict[str, Threshold]]:
    """Thresholds by scenario and figure. Raises `msgspec.ValidationError` for a file that says something else."""
    return msgspec.convert(tomllib.loads(path.read_text("utf-8")), dict[str, dict[str, Threshold]])


def judge(
    scenario: str,
    figures: Mapping[str, float],
    *,
    viewers: int,
    strict: bool,
    thresholds: Mapping[str, Mapping[str, Threshold]] | None = None,
) -> list[Judged]:
    """Every figure with its threshold, in the figures' order."""
    known = (read() if thresholds is None else thresholds).get(scenario, {})

    def of(name: str) -> Threshold | None:
        threshold = known.get(name)
        return threshold if threshold is not None and viewers >= threshold.from_viewers else None

    return [Judged(name, value, of(name), strict) for name, value in figures.items()]
