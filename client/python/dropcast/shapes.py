"""What the shop speaks of: streams, drops, stock, products, orders. Prices in minor units; times in ms, UTC.

They are this package's own, not the server's, so that it can be installed where no server is; a test compares the two.
"""

from __future__ import annotations

from enum import StrEnum

from msgspec import Struct


class StreamStatus(StrEnum):
    """`scheduled → live → ended`."""

    SCHEDULED = "scheduled"
    LIVE = "live"
    ENDED = "ended"


class Stream(Struct, frozen=True):
    """A stream as every viewer sees it. `host` is the host's name; `slug` is how calls name it."""

    slug: str
    title: str
    host: str
    status: StreamStatus
    starts_at: int | None
    video: str | None
    viewers: int = 0


class DropStatus(StrEnum):
    """`scheduled → open → sold_out | closed`; new stock leads from `sold_out` back to `open`."""

    SCHEDULED = "scheduled"
    OPEN = "open"
    SOLD_OUT = "sold_out"
    CLOSED = "closed"


class DropVariant(Struct, frozen=True):
    """One thing that can be bought of a drop. `version` rises with every change of what is left."""

    id: str
    label: str
    left: int
    version: int


class Drop(Struct, frozen=True):
    """A product offered on a stream for a while. `limit` is how many one viewer may have.

    `list_price` is what the product cost when the drop was put on the run sheet; None where that is not known.
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

    @property
    def left(self) -> int:
        """Units left of all variants."""
        return sum(variant.left for variant in self.variants)


class StockLine(Struct, frozen=True):
    """What is left of a drop's variant. The line with the newest version wins."""

    drop: str
    variant: str
    left: int
    version: int


class Position(Struct, frozen=True):
    """How far a stream has been followed: the log's epoch and the last event seen."""

    epoch: str
    seq: int


class StreamWhole(Struct, frozen=True):
    """A stream with its drops and stock, all of one moment."""

    stream: Stream
    drops: tuple[Drop, ...]
    stock: tuple[StockLine, ...]
    position: Position


class Variant(Struct, frozen=True):
    """What is sold: a size, a colour. `stock` is what can still be put on a drop."""

    id: str
    sku: str
    label: str
    stock: int


class Product(Struct, frozen=True):
    """A product of the catalogue. `price` is its list price."""

    id: str
    sku: str
    title: str
    description: str
    image: str | None
    price: int
    currency: str
    variants: tuple[Variant, ...]


class Order(Struct, frozen=True):
    """An order of one's own that was accepted."""

    id: str
    ref: str
    stream: str
    stream_title: str
    drop: str
    product: str
    variant: str
    title: str
    image: str | None
    quantity: int
    total: int
    currency: str
    status: str
    placed_at: int


class Role(StrEnum):
    """What a user may do; each role may do what the ones before it may."""

    VIEWER = "viewer"
    HOST = "host"
    ADMIN = "admin"


class User(Struct, frozen=True):
    """Who is signed in."""

    id: str
    email: str
    name: str
    role: Role
