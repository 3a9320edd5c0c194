"""Every frame of the socket, and the only place that reads and writes its JSON. Fields not known are ignored."""

from __future__ import annotations

from typing import Literal

import msgspec
from msgspec import Struct

from dropcast.shapes import Drop, Position, StockLine, Stream


class Hello(Struct, frozen=True, tag_field="type", tag="hello", omit_defaults=True):
    """The first frame of a client."""

    v: int
    ticket: str | None = None
    position: Position | None = None


class PlaceOrder(Struct, frozen=True, tag_field="type", tag="order", omit_defaults=True):
    """Buy. `ref` is the client's own name for this order."""

    ref: str
    drop: str
    quantity: int
    variant: str | None = None


class Viewer(Struct, frozen=True):
    """Who the shop takes this link for."""

    id: str
    name: str


class Snapshot(Struct, frozen=True):
    """A stream whole."""

    stream: Stream
    drops: tuple[Drop, ...]


class EventFrame(Struct, frozen=True, tag_field="type", tag="event"):
    """A numbered fact; what it tells is read by `read_event`, for later versions bring kinds not known here."""

    seq: int
    at: int
    event: msgspec.Raw


class Welcome(Struct, frozen=True, tag_field="type", tag="welcome"):
    """The answer to `hello`, with exactly one of `snapshot` and `missed`."""

    viewer: Viewer | None
    tick_ms: int
    position: Position
    stock: tuple[StockLine, ...]
    snapshot: Snapshot | None = None
    missed: tuple[EventFrame, ...] | None = None


class Stock(Struct, frozen=True, tag_field="type", tag="stock"):
    """What is left, absolute."""

    stock: tuple[StockLine, ...]


class Receipt(Struct, frozen=True, tag_field="type", tag="receipt"):
    """The answer to an order. `accepted` means that it is in the shop's database; `total` is in minor units."""

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
    """Comes every `tick_ms`: shows gaps and dead links."""

    seq: int
    viewers: int


class Drain(Struct, frozen=True, tag_field="type", tag="drain"):
    """Come back after that long: the replica leaves, or has had you long enough."""

    reconnect_in_ms: int


class Fault(Struct, frozen=True, tag_field="type", tag="fault"):
    """What the client did wrong; a close follows."""

    reason: str
    detail: str


ServerFrame = Welcome | EventFrame | Stock | Receipt | Tick | Drain | Fault


class _DropEvent(Struct, frozen=True):
    drop: Drop


class _StreamEvent(Struct, frozen=True):
    stream: Stream


class _Kind(Struct, frozen=True):
    kind: str


class _Type(Struct, frozen=True):
    type: str


STREAM_KINDS = frozenset({"stream_started", "stream_ended"})
DROP_KINDS = frozenset({"drop_scheduled", "drop_opened", "drop_sold_out", "drop_closed"})

_frame: msgspec.json.Decoder[ServerFrame] = msgspec.json.Decoder(ServerFrame)
_type = msgspec.json.Decoder(_Type)
_kind = msgspec.json.Decoder(_Kind)
_drop_event = msgspec.json.Decoder(_DropEvent)
_stream_event = msgspec.json.Decoder(_StreamEvent)
_encoder = msgspec.json.Encoder()
_TYPES = frozenset({"welcome", "event", "stock", "receipt", "tick", "drain", "fault"})


def encode(frame: Hello | PlaceOrder) -> str:
    """A frame as its text."""
    return _encoder.encode(frame).decode()


def decode(text: str | bytes) -> ServerFrame | None:
    """What the shop said; None for a type of frame not known here. Raises `msgspec.DecodeError`, `UnicodeError`."""
    try:
        return _frame.decode(text)
    except msgspec.ValidationError:
        if _type.decode(text).type in _TYPES:
            raise
        return None


def read_event(frame: EventFrame) -> tuple[str, Drop | None, Stream | None]:
    """The kind, and the drop or the stream it is about; neither for a kind not known here."""
    kind = _kind.decode(frame.event).kind
    if kind in DROP_KINDS:
        return kind, _drop_event.decode(frame.event).drop, None
    if kind in STREAM_KINDS:
        return kind, None, _stream_event.decode(frame.event).stream
    return kind, None, None
