"""Arguments of scenarios, checked where they are read."""

from __future__ import annotations

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from loadtest.errors import CannotGoOn


def within(least: int, most: int) -> Callable[[str], int]:
    """An argparse type: an integer in a range."""

    def integer(text: str) -> int:
        number = int(text) if text.isascii() and text.removeprefix("-").isdigit() else None
        if number is None or not least <= number <= most:
            raise argparse.ArgumentTypeError(f"{text!r} must be an integer {least}..{most}")
        return number

    return integer


def between(least: float, most: float) -> Callable[[str], float]:
    """An argparse type: a number in a range."""

    def number(text: str) -> float:
        try:
            found = float(text)
        except ValueError:
            found = math.nan
        if not least <= found <= most:
            raise argparse.ArgumentTypeError(f"{text!r} must be a number {least:g}..{most:g}")
        return found

    return number


def read_tickets(path: str | None) -> list[str]:
    """The tickets in a file, one a line; none without a file. Raises `CannotGoOn` when it cannot be read."""
    if not path:
        return []
    try:
        return Path(path).read_text("ascii").split()
    except (OSError, UnicodeError) as error:
        raise CannotGoOn(f"--tickets {path} cannot be read: {error}") from None
