"""What a shop says, as the server's own code writes it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from types import MappingProxyType

from server.domain.drop import Drop, DropStatus, DropVariant, StockLine
from server.domain.errors import Reason
from server.domain.events import DropEvent, EventKind, Position
from server.domain.order import Accepted, Rejected
from server.domain.stream import StreamState
from server.domain.views import Stream, StreamStatus
from server.protocol import codec, frames


def drop(left: int = 9, version: int = 1, status: DropStatus = DropStatus.OPEN, id_: str = "d") -> Drop:
    variants = (DropVariant("v", "V", left, version),)
    return Drop(id_, "Lamp", None, 100, "USD", 2, 1, None, variants, status, "p")


def welcome(
    seq: int,
    *drops: Drop,
    missed: Sequence[str] | None = None,
    stock: Sequence[StockLine] = (),
    epoch: str = "e",
    viewer: str | None = None,
    tick_ms: int = 15_000,
) -> str:
    live = Stream("show", "T", "H", StreamStatus.LIVE, None, None)
    state = StreamState(live, MappingProxyType({known.id: known for known in drops}), seq)
    return codec.encode_welcome(
        session="s",
        viewer=frames.Viewer(viewer, viewer) if viewer else None,
        now_ms=1,
        tick_ms=tick_ms,
        position=Position(epoch, seq),
        stock=codec.stock_lines(stock),
        snapshot=codec.snapshot_of(state) if missed is None else None,
        missed=tuple(missed) if missed is not None else None,
    )


def event(seq: int, changed: Drop | None = None, kind: EventKind = EventKind.DROP_OPENED) -> str:
    return codec.encode_event(seq, 1, DropEvent(kind, changed or drop()))


def stock(left: int, version: int, id_: str = "d") -> str:
    return codec.encode_stock([StockLine(id_, "v", left, version)])


def tick(seq: int, viewers: int = 0) -> str:
    return codec.encode(frames.Tick(1, seq, viewers))


def drain(reconnect_in_ms: int) -> str:
    return codec.encode(frames.DrainFrame(reconnect_in_ms))


def accepted(ref: str) -> str:
    return codec.encode_receipt(Accepted(ref, "o", 1, 100, "USD"))


def rejected(ref: str, reason: str, retry_in_ms: int | None = None) -> str:
    return codec.encode_receipt(Rejected(ref, Reason(reason), retry_in_ms))


def later_kind(seq: int) -> str:
    return json.dumps({"type": "event", "seq": seq, "at": 1, "event": {"kind": "fireworks"}})
