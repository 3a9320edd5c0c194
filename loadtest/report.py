"""What people and machines are told: calm lines, a progress bar on a terminal, figures as JSON."""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TextIO

_BAR_WIDTH = 30


def say(line: str) -> None:
    """One line on standard output. When nobody reads it any more, it goes nowhere, without a traceback."""
    try:
        print(line, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is buffered would fail again at exit


def percentile(ordered: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile of values in rising order. Raises `ValueError` when there are none."""
    if not ordered:
        raise ValueError("no values")
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def latency(values_ms: Sequence[float]) -> dict[str, float]:
    """The usual percentiles in milliseconds; empty when there are no values."""
    if not values_ms:
        return {}
    ordered = sorted(values_ms)
    named = {f"p{percent}": percentile(ordered, percent) for percent in (50, 90, 99)}
    return {name: round(value, 1) for name, value in {**named, "max": ordered[-1]}.items()}


def write_json(path: str, figures: Mapping[str, object]) -> None:
    """Writes figures to a file; `-` is standard output."""
    text = json.dumps(figures, indent=2) + "\n"
    if path == "-":
        sys.stdout.write(text)
    else:
        Path(path).write_text(text, encoding="utf-8")


class Progress:
    """A bar on a terminal, nothing elsewhere."""

    def __init__(self, label: str, total: int, out: TextIO = sys.stderr) -> None:
        self._label = label
        self._total = max(1, total)
        self._out = out
        self._shown = out.isatty()

    def show(self, done: int) -> None:
        """Draws the bar at `done` of the total."""
        if self._shown:
            full = _BAR_WIDTH * min(done, self._total) // self._total
            self._out.write(f"\r{self._label} {'█' * full}{'·' * (_BAR_WIDTH - full)} {done}/{self._total} ")
            self._out.flush()

    def clear(self) -> None:
        """Takes the bar away."""
        if self._shown:
            self._out.write("\r\x1b[K")
            self._out.flush()
