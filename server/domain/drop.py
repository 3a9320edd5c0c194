"""A drop: a product offered on a stream for a while, with price, stock and limit."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from server.domain import money
from server.domain.errors import Reason, Refused

LIMIT_MAX = 1_000
"""Largest per-viewer limit a host may set."""

QUANTITY_MAX = 1_000_000_000
"""Largest number of units put into one variant of a drop; fits a signed 32-bit column."""

VARIANTS_MAX = 100
"""Most variants one drop may offer: bounds the event that tells of it."""

TIME_MAX_MS = 4_102_444_800_000
"""Latest time anything is planned for: the year 2100, in ms since the epoch."""


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
    """A drop as every viewer sees it. Prices in minor units; times in ms since the epoch, UTC.

    `list_price` is what the product cost when the drop was put on the run sheet; None where that was in another
    currency, and in what was written before drops had it.
    """

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
    list_price: int | None = None


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


def turn_of(drop: Drop, *, over: bool, now_ms: int) -> DropStatus | None:
    """What a drop's own times make of it now: `OPEN`, `CLOSED`, or None when nothing (yet, or any more).

    A scheduled drop that missed both its times closes without having been open. `over` says that the stream has
    ended: nothing opens there any more, so a drop whose opening time comes closes, and gives its stock back.
    """
    if drop.status is DropStatus.CLOSED:
        return None
    if drop.closes_at is not None and drop.closes_at <= now_ms:
        return DropStatus.CLOSED
    if drop.status is DropStatus.SCHEDULED and drop.opens_at is not None and drop.opens_at <= now_ms:
        return DropStatus.CLOSED if over else DropStatus.OPEN
    return None


@dataclass(frozen=True, slots=True)
class DropPlan:
    """What a host puts on the run sheet. `product` is an id or a SKU; `stock` names variants and units to put in."""

    product: str
    price: int
    currency: str
    stock: tuple[tuple[str, int], ...]
    limit: int
    opens_at: int | None = None
    closes_at: int | None = None

    def check(self) -> None:
        """Raises `Refused` with the first thing that is wrong with the plan."""
        if not (self.product.isascii() and 1 <= len(self.product) <= 64):
            raise _bad("product must be a product's id or SKU")
        if not 0 <= self.price <= money.PRICE_MAX:
            raise _bad(f"price must be 0..{money.PRICE_MAX} minor units")
        if not money.is_currency(self.currency):
            raise _bad("currency must be three capital letters, such as USD")
        if not 1 <= self.limit <= LIMIT_MAX:
            raise _bad(f"limit must be 1..{LIMIT_MAX}")
        if not 1 <= len(self.stock) <= VARIANTS_MAX:
            raise _bad(f"stock must name 1..{VARIANTS_MAX} variants")
        if len({variant for variant, _ in self.stock}) < len(self.stock):
            raise _bad("stock names a variant twice")
        if any(not 1 <= quantity <= QUANTITY_MAX for _, quantity in self.stock):
            raise _bad(f"stock.quantity must be 1..{QUANTITY_MAX}")
        for name, at in (("opens_at", self.opens_at), ("closes_at", self.closes_at)):
            if at is not None and not 0 <= at <= TIME_MAX_MS:
                raise _bad(f"{name} must be ms since the epoch, before the year 2100")
        if self.opens_at is not None and self.closes_at is not None and self.closes_at <= self.opens_at:
            raise _bad("closes_at must be after opens_at")


def _bad(detail: str) -> Refused:
    return Refused(Reason.BAD_REQUEST, detail)
