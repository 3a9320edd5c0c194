"""Money: whole minor units and an ISO 4217 code, never a float."""

from __future__ import annotations

import re

PRICE_MAX = 10_000_000_00
"""Largest price of one unit, in minor units; times `LIMIT_MAX` it still fits JavaScript's integers."""

_CURRENCY = re.compile(r"[A-Z]{3}")


def is_currency(code: str) -> bool:
    """Whether `code` has the shape of an ISO 4217 code: three capital letters."""
    return _CURRENCY.fullmatch(code) is not None


def total(price: int, quantity: int) -> int:
    """What `quantity` units cost, in minor units."""
    return price * quantity
