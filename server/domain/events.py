"""Events: the numbered facts of a stream's history.

Every event carries the whole of what it is about (the stream, or the drop as it is now), so that applying
one never needs anything the client might lack, and applying it twice changes nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from server.domain.drop import Drop
from server.domain.views import Stream


class EventKind(StrEnum):
    """Kinds of events; clients ignore kinds they do not know."""

    STREAM_STARTED = "stream_started"
    STREAM_ENDED = "stream_ended"
    DROP_SCHEDULED = "drop_scheduled"
    DROP_OPENED = "drop_opened"
    DROP_SOLD_OUT = "drop_sold_out"
    DROP_CLOSED = "drop_closed"


@dataclass(frozen=True, slots=True)
class StreamEvent:
    """The stream itself changed: `stream_started`, `stream_ended`."""

    kind: EventKind
    stream: Stream


@dataclass(frozen=True, slots=True)
class DropEvent:
    """A drop changed: `drop_scheduled`, `drop_opened` (again after a restock), `drop_sold_out`, `drop_closed`."""

    kind: EventKind
    drop: Drop


type_of_kind: dict[EventKind, type[StreamEvent] | type[DropEvent]] = {
    kind: StreamEvent if kind.startswith("stream_") else DropEvent for kind in EventKind
}

Event = StreamEvent | DropEvent


@dataclass(frozen=True, slots=True)
class Position:
    """How far a viewer has followed a stream: the log's epoch and the last event seen."""

    epoch: str
    seq: int
