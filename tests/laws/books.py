"""The store's contract in the plainest words there are: what a bookkeeper would write down, order by order.

Kept without `server.domain.stock`: what it says is what the store has to say on every database.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from server.domain.drop import Drop, DropStatus
from server.domain.errors import Reason
from server.domain.order import Accepted, OrderRequest, Receipt, Rejected

Refusal = Reason | None
"""Why a host's command is refused; None when it is done."""


@dataclass
class Line:
    """A drop's variant: every unit put in is in exactly one place."""

    put_in: int
    left: int
    sold: int = 0
    given_back: int = 0
    version: int = 1


@dataclass
class Page:
    """A drop."""

    price: int
    currency: str
    limit: int
    closes_at: int | None
    lines: dict[str, Line]
    status: DropStatus = DropStatus.SCHEDULED

    @property
    def left(self) -> int:
        return sum(line.left for line in self.lines.values())


@dataclass
class Books:
    """Every drop, the shelf and every receipt, and the kinds of the events that were told."""

    now_ms: int
    shelf: dict[str, int] = field(default_factory=dict)
    pages: dict[str, Page] = field(default_factory=dict)
    receipts: dict[tuple[str, str], tuple[OrderRequest, Accepted]] = field(default_factory=dict)
    deliveries: dict[str, tuple[str, str, int]] = field(default_factory=dict)
    told: list[str] = field(default_factory=list)

    def schedule(self, drop: Drop, shelf: int) -> None:
        """The drop is on the run sheet, and so many units of each variant stayed on the shelf."""
        lines = {variant.id: Line(variant.left, variant.left) for variant in drop.variants}
        self.pages[drop.id] = Page(drop.price, drop.currency, drop.limit, drop.closes_at, lines)
        self.shelf |= dict.fromkeys(lines, shelf)
        self.told.append("drop_scheduled")

    def open(self, drop: str) -> Refusal:
        page = self.pages[drop]
        if page.status is DropStatus.CLOSED:
            return Reason.CONFLICT
        if page.status is DropStatus.SCHEDULED:
            if page.closes_at is not None and page.closes_at <= self.now_ms:
                return Reason.CONFLICT
            page.status = DropStatus.OPEN
            self.told.append("drop_opened")
        return None

    def close(self, drop: str) -> Refusal:
        page = self.pages[drop]
        if page.status is not DropStatus.CLOSED:
            page.status = DropStatus.CLOSED
            self.told.append("drop_closed")
            for variant, line in page.lines.items():
                self.shelf[variant] += line.left
                line.given_back, line.left = line.left, 0
                line.version += 1
        return None

    def restock(self, drop: str, variant: str, quantity: int, ref: str | None) -> Refusal:
        page, delivery = self.pages[drop], (drop, variant, quantity)
        if ref in self.deliveries:
            return None if self.deliveries[ref] == delivery else Reason.CONFLICT
        if page.status is DropStatus.CLOSED:
            return Reason.CONFLICT
        if self.shelf[variant] < quantity:
            return Reason.NO_STOCK
        if ref is not None:
            self.deliveries[ref] = delivery
        self.shelf[variant] -= quantity
        line = page.lines[variant]
        line.put_in += quantity
        line.left += quantity
        line.version += 1
        if page.status is DropStatus.SOLD_OUT:
            page.status = DropStatus.OPEN
            self.told.append("drop_opened")
        return None

    def order(self, batch: list[OrderRequest]) -> tuple[Receipt, ...]:
        """One after the other, as if each had come alone; a version counts batches, not orders."""
        before = {(drop, v): line.sold for drop, page in self.pages.items() for v, line in page.lines.items()}
        receipts = tuple(self._answer(request) for request in batch)
        for drop, page in self.pages.items():
            sold = [v for v, line in page.lines.items() if line.sold > before[drop, v]]
            for variant in sold:
                page.lines[variant].version += 1
            if sold and not page.left:
                page.status = DropStatus.SOLD_OUT
                self.told.append("drop_sold_out")
        return receipts

    def _answer(self, wish: OrderRequest) -> Receipt:
        if (known := self.receipts.get((wish.viewer, wish.ref))) is not None:
            asked, receipt = known
            the_same = (asked.drop, asked.quantity) == (wish.drop, wish.quantity)
            if the_same and wish.variant in (None, asked.variant):
                return receipt
            return Rejected(wish.ref, Reason.CONFLICT)
        page = self.pages[wish.drop]
        variant = wish.variant or (next(iter(page.lines)) if len(page.lines) == 1 else "")
        if variant not in page.lines:
            return Rejected(wish.ref, Reason.UNKNOWN_DROP)
        line = page.lines[variant]
        if not 1 <= wish.quantity <= page.limit:
            return Rejected(wish.ref, Reason.BAD_QUANTITY)
        if page.status is DropStatus.SCHEDULED:
            return Rejected(wish.ref, Reason.NOT_OPEN)
        if page.status is DropStatus.CLOSED or (page.closes_at is not None and page.closes_at <= self.now_ms):
            return Rejected(wish.ref, Reason.DROP_CLOSED)
        if self.bought(wish.viewer, wish.drop) + wish.quantity > page.limit:
            return Rejected(wish.ref, Reason.LIMIT_REACHED)
        if line.left < wish.quantity:
            return Rejected(wish.ref, Reason.SOLD_OUT)
        line.left -= wish.quantity
        line.sold += wish.quantity
        receipt = Accepted(wish.ref, wish.order, wish.quantity, page.price * wish.quantity, page.currency)
        asked = OrderRequest(wish.order, wish.viewer, wish.ref, wish.drop, variant, wish.quantity)
        self.receipts[wish.viewer, wish.ref] = asked, receipt
        return receipt

    def bought(self, viewer: str, drop: str) -> int:
        """The units of a drop a viewer has."""
        asked = (asked for asked, _ in self.receipts.values())
        return sum(one.quantity for one in asked if (one.viewer, one.drop) == (viewer, drop))
