"""A drop: a product offered on a stream for a while, with price, stock and limit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

LIMIT_MAX = 1_000
"""Largest per-viewer limit a host may set."""

QUANTITY_MAX = 1_000_000_000
"""Largest number of units put into one variant of a drop; fits a signed 32-bit column."""

VARIANTS_MAX = 100
"""Most variants one drop may offer: bounds the event that tells of it."""


class DropStatus(StrEnum):
    """`scheduled → open → sold_out | closed`; new stock leads from `sold_out` back to `open`."""

    SCHEDULED = "scheduled"
    OPEN = "open"
    SOLD_OUT = "sold_out"
    CLOSED = "closed"


@dataclass(frozen=True, slots=True)
class DropVariant:
    """One thing that can be bought of a drop. `version` rises with every change of its stock."""

    id: str
    label: str
    left: int
    version: int


@dataclass(frozen=True, slots=True)
class Drop:
    """A drop as every viewer sees it. Price in minor units; times in ms since the epoch, UTC."""

    id: str
    title: str
    image: str | None
    price: int
    currency: str
    limit: int
    opens_at: int | None
    closes_at: int | None
    variants: tuple[DropVariant, ...]
    status: DropStatus
    product: str


@dataclass(frozen=True, slots=True)
class StockLine:
    """What is left of a drop's variant. State, not history: the line with the newest version wins."""

    drop: str
    variant: str
    left: int
    version: int


def lines_of(drop: Drop) -> tuple[StockLine, ...]:
    """The drop's stock as stock lines."""
    return tuple(StockLine(drop.id, v.id, v.left, v.version) for v in drop.variants)
