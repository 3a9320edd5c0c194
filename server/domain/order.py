"""Orders and receipts. Structs, for one of each is made per order of a rush: a dataclass takes five times as long."""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct

from server.domain.errors import Reason

REF_MAX = 64
"""Longest `ref` in characters: room for a UUID or a ULID with a prefix."""


class OrderStatus(StrEnum):
    """What became of an order. Refused ones are not stored: their receipt is the answer."""

    ACCEPTED = "accepted"


class OrderRequest(Struct, frozen=True):
    """One viewer's wish. `order` is the id the order gets if it is accepted; `ref` is the viewer's own word for it."""

    order: str
    viewer: str
    ref: str
    drop: str
    variant: str | None
    quantity: int


class Order(Struct, frozen=True):
    """An accepted order: a row in the database. `total` in minor units, `placed_at` in ms since the epoch."""

    id: str
    viewer: str
    ref: str
    stream: str
    drop: str
    product: str
    variant: str
    title: str
    quantity: int
    total: int
    currency: str
    status: OrderStatus
    placed_at: int


class OrderSeen(Struct, frozen=True):
    """An order as its viewer sees it: with its stream's slug and title, and the drop's picture or None."""

    order: Order
    stream: str
    stream_title: str
    image: str | None


class Accepted(Struct, frozen=True):
    """The answer to an order that is in the database."""

    ref: str
    order: str
    quantity: int
    total: int
    currency: str


class Rejected(Struct, frozen=True):
    """The answer to an order that is not, or (`busy`) not yet known to be.

    `retry_in_ms`: when to ask again with the same `ref`, where the house knows.
    """

    ref: str
    reason: Reason
    retry_in_ms: int | None = None


Receipt = Accepted | Rejected


def receipt_of(order: Order) -> Accepted:
    """The receipt an order got, and gets again whenever its `ref` is asked for."""
    return Accepted(order.ref, order.id, order.quantity, order.total, order.currency)
