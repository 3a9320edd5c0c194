"""Arguments of scenarios, checked where they are read."""

from __future__ import annotations

import argparse
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


def read_tickets(path: str | None) -> list[str]:
    """The tickets in a file, one a line; none without a file. Raises `CannotGoOn` when it cannot be read."""
    if not path:
        return []
    try:
        return Path(path).read_text("ascii").split()
    except (OSError, UnicodeError) as error:
        raise CannotGoOn(f"--tickets {path} cannot be read: {error}") from None
