"""Every frame of the socket, as frozen structs: their fields are the wire format.

A frame with `seq` is part of the stream's history, a frame with `ref` answers one viewer, a frame with
neither is about the connection or is state (the latest wins). Times in ms since the epoch, UTC.
"""

from __future__ import annotations

from typing import Annotated, Literal

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from server.domain.drop import Drop, StockLine
from server.domain.order import REF_MAX
from server.domain.views import Stream

PROTOCOL_VERSION = 1
FRAME_MAX_BYTES = 16 * 1024
"""Largest frame a client may send; a larger one is closed with 1009."""

Id = Annotated[str, Meta(min_length=1, max_length=64)]
Ref = Annotated[str, Meta(min_length=1, max_length=REF_MAX, pattern=r"^[\x21-\x7e]+\Z")]
Seq = Annotated[int, Meta(ge=0, le=2**53 - 1)]


class Position(Struct, frozen=True, forbid_unknown_fields=True):
    """How far a client has followed a stream."""

    epoch: Id
    seq: Seq


# Client → server


class Hello(Struct, frozen=True, tag_field="type", tag="hello", forbid_unknown_fields=True):
    """The first frame. `ticket` says who you are where the cookie cannot; `position` asks to resume."""

    v: Literal[1]
    ticket: Annotated[str, Meta(min_length=1, max_length=256)] | None = None
    position: Position | None = None


class PlaceOrder(Struct, frozen=True, tag_field="type", tag="order", forbid_unknown_fields=True):
    """Buy. `ref` is the client's own name for this order; sending it again never buys twice."""

    ref: Ref
    drop: Id
    quantity: int
    variant: Id | None = None


ClientFrame = Hello | PlaceOrder


# Server → client


class Viewer(Struct, frozen=True):
    """Who the server takes you for."""

    id: str
    name: str


class Snapshot(Struct, frozen=True):
    """A stream whole, as of the welcome's position."""

    stream: Stream
    drops: tuple[Drop, ...]


class Welcome(Struct, frozen=True, tag_field="type", tag="welcome"):
    """The answer to `hello`. Exactly one of `snapshot` and `missed` is there; `missed` is complete."""

    session: str
    viewer: Viewer | None
    now: int
    tick_ms: int
    position: Position
    stock: Raw
    snapshot: Raw | UnsetType = UNSET
    missed: Raw | UnsetType = UNSET


class EventFrame(Struct, frozen=True, tag_field="type", tag="event"):
    """A numbered fact. `event` stays raw so that unknown kinds pass through; `codec.read_event` reads it."""

    seq: int
    at: int
    event: Raw


class Stock(Struct, frozen=True, tag_field="type", tag="stock"):
    """What is left, absolute; the newest version of each line wins."""

    stock: tuple[StockLine, ...]


class Receipt(Struct, frozen=True, tag_field="type", tag="receipt", omit_defaults=True):
    """The answer to an order: `accepted` (it is in the database) or `rejected` (with a reason).

    `retry_in_ms`: when to send the same order again, with the same `ref`.
    """

    ref: str
    status: Literal["accepted", "rejected"]
    order: str | None = None
    quantity: int | None = None
    total: int | None = None
    currency: str | None = None
    reason: str | None = None
    retry: bool | None = None
    retry_in_ms: int | None = None


class Tick(Struct, frozen=True, tag_field="type", tag="tick"):
    """Sent every `tick_ms` to everybody: shows gaps (`seq`) and dead links."""

    now: int
    seq: int
    viewers: int


class DrainFrame(Struct, frozen=True, tag_field="type", tag="drain"):
    """Come back after that long: the replica leaves, or has had you long enough."""

    reconnect_in_ms: int


class Fault(Struct, frozen=True, tag_field="type", tag="fault"):
    """You broke the protocol; a close with a 45xx code follows."""

    reason: str
    detail: str


ServerFrame = Welcome | EventFrame | Stock | Receipt | Tick | DrainFrame | Fault


# Replica → replica, on the bus beside event and stock frames


class Present(Struct, frozen=True, tag_field="type", tag="present"):
    """How many people watch a stream on one replica; said every few seconds, forgotten when not repeated.

    `people` names them by digests while they are few, so that nobody is counted on two replicas.
    """

    replica: str
    viewers: int
    people: tuple[int, ...] | None = None


class Parcel(Struct, frozen=True):
    """A receipt whose socket is gone, as its frame's text; without it: the viewer was told, forget it.

    `asked_ms_ago` is how long ago the order was sent: an older socket of this viewer knows nothing of it. None: any.
    """

    viewer: str
    ref: str
    receipt: str | None = None
    asked_ms_ago: int | None = None


class Parcels(Struct, frozen=True, tag_field="type", tag="parcels"):
    """What one replica could not give to viewers of a stream, or has given, in the order it happened."""

    replica: str
    parcels: tuple[Parcel, ...]


News = EventFrame | Stock | Present | Parcels
