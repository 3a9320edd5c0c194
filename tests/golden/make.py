"""Writes `reduce.json`: the cases that `server.domain.stream` and the browser's `reduce.js` must both reproduce.

    python -m tests.golden.make

Each case is a start, the frames heard since, and the end; the end is what `server.domain` makes of them, so
read a changed end in the diff before you believe it.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import msgspec

from server.domain.drop import Drop, DropStatus, DropVariant, StockLine
from server.domain.events import DropEvent, EventKind, StreamEvent
from server.domain.stream import CLOSED_KEPT, StreamState, apply, with_stock
from server.domain.views import Stream, StreamStatus
from server.protocol import codec, frames

REDUCE = Path(__file__).with_name("reduce.json")
NOON = 1_767_225_600_000

SCHEDULED = Stream("friday", "Friday drops", "Mara", StreamStatus.SCHEDULED, NOON, None, viewers=37)
LIVE = replace(SCHEDULED, status=StreamStatus.LIVE, video="/video/friday.m3u8")
ENDED = replace(LIVE, status=StreamStatus.ENDED)

MUG = Drop(
    id="mug",
    title="Mug",
    image=None,
    price=900,
    currency="USD",
    limit=1,
    opens_at=None,
    closes_at=None,
    variants=(DropVariant("one", "One size", left=5, version=1),),
    status=DropStatus.SCHEDULED,
    product="p-mug",
)
HOODIE = Drop(
    id="hoodie",
    title="Hoodie “Drop № 1”",
    image="/pictures/hoodie.jpg",
    price=2400,
    currency="EUR",
    limit=2,
    opens_at=NOON,
    closes_at=NOON + 600_000,
    variants=(
        DropVariant("s", "S", left=3, version=1),
        DropVariant("m", "M", left=2, version=1),
        DropVariant("l", "L", left=0, version=1),
    ),
    status=DropStatus.SCHEDULED,
    product="p-hoodie",
    list_price=3200,
)


@dataclass(frozen=True)
class Case:
    """What a page has, and what it hears."""

    name: str
    start: StreamState
    heard: tuple[str, ...]


def page(stream: Stream = LIVE, *drops: Drop, seq: int = 10) -> StreamState:
    return StreamState(stream, {drop.id: drop for drop in drops}, seq)


def stream_event(seq: int, kind: EventKind, stream: Stream) -> str:
    return codec.encode_event(seq, NOON + seq, StreamEvent(kind, stream))


def drop_event(seq: int, kind: EventKind, drop: Drop) -> str:
    return codec.encode_event(seq, NOON + seq, DropEvent(kind, drop))


def scheduled(seq: int, drop: Drop) -> str:
    return drop_event(seq, EventKind.DROP_SCHEDULED, replace(drop, status=DropStatus.SCHEDULED))


def opened(seq: int, drop: Drop) -> str:
    return drop_event(seq, EventKind.DROP_OPENED, is_open(drop))


def sold_out(seq: int, drop: Drop) -> str:
    return drop_event(seq, EventKind.DROP_SOLD_OUT, is_sold_out(drop))


def closed(seq: int, drop: Drop) -> str:
    return drop_event(seq, EventKind.DROP_CLOSED, is_closed(drop))


def of_before(text: str) -> str:
    """An event as it stands in a log that began before drops had a list price."""
    frame = json.loads(text)
    del frame["event"]["drop"]["list_price"]
    return json.dumps(frame)


def unknown(seq: int, kind: str = "poll_opened", **about: Any) -> str:
    """An event of a kind that comes with a later version."""
    return json.dumps({"type": "event", "seq": seq, "at": NOON + seq, "event": {"kind": kind, **about}})


def stock(*lines: tuple[str, str, int, int]) -> str:
    """A stock frame of (drop, variant, left, version)."""
    return codec.encode_stock(StockLine(*line) for line in lines)


def is_open(drop: Drop) -> Drop:
    return replace(drop, status=DropStatus.OPEN)


def is_sold_out(drop: Drop) -> Drop:
    return replace(drop, status=DropStatus.SOLD_OUT)


def is_closed(drop: Drop) -> Drop:
    return replace(drop, status=DropStatus.CLOSED)


def holding(drop: Drop, **left_and_version: tuple[int, int]) -> Drop:
    """The drop with some variants at (left, version)."""
    return replace(
        drop,
        variants=tuple(
            replace(v, left=left_and_version[v.id][0], version=left_and_version[v.id][1])
            if v.id in left_and_version
            else v
            for v in drop.variants
        ),
    )


EMPTY_MUG = holding(MUG, one=(0, 6))
LIVE_BEFORE = replace(LIVE, viewers=2)
"""The stream as an event tells of it: the viewer count of back then, not of now."""

CASES = (
    Case("nothing heard, nothing changed", page(LIVE, MUG), ()),
    Case(
        "the stream starts and keeps the viewer count of now",
        page(SCHEDULED, MUG),
        (stream_event(11, EventKind.STREAM_STARTED, LIVE_BEFORE),),
    ),
    Case(
        "the stream ends and keeps the viewer count of now",
        page(LIVE, is_open(MUG)),
        (stream_event(11, EventKind.STREAM_ENDED, replace(ENDED, viewers=0)),),
    ),
    Case("a drop is scheduled", page(LIVE), (scheduled(11, MUG),)),
    Case("a drop is scheduled behind the others", page(LIVE, HOODIE), (scheduled(11, MUG),)),
    Case("a scheduled drop opens in its place", page(LIVE, MUG, HOODIE), (opened(11, MUG),)),
    Case("a drop nobody scheduled opens", page(LIVE, HOODIE), (opened(11, MUG),)),
    Case("an open drop sells out", page(LIVE, is_open(MUG)), (sold_out(11, EMPTY_MUG),)),
    Case(
        "a sold out drop is restocked and opens again",
        page(LIVE, is_sold_out(EMPTY_MUG)),
        (opened(11, holding(MUG, one=(20, 7))),),
    ),
    Case("an open drop closes", page(LIVE, is_open(MUG)), (closed(11, holding(MUG, one=(0, 2))),)),
    Case("a scheduled drop closes without ever opening", page(LIVE, MUG), (closed(11, MUG),)),
    Case(
        "a drop's whole life",
        page(SCHEDULED, seq=0),
        (
            scheduled(1, MUG),
            stream_event(2, EventKind.STREAM_STARTED, LIVE_BEFORE),
            opened(3, MUG),
            stock(("mug", "one", 4, 2)),
            stock(("mug", "one", 1, 5)),
            sold_out(4, EMPTY_MUG),
            stock(("mug", "one", 0, 6)),
            opened(5, holding(MUG, one=(3, 7))),
            stock(("mug", "one", 2, 8)),
            closed(6, holding(MUG, one=(0, 9))),
            stream_event(7, EventKind.STREAM_ENDED, ENDED),
        ),
    ),
    Case(
        "an event of before drops had a list price tells of none",
        page(LIVE, HOODIE),
        (of_before(opened(11, HOODIE)), of_before(scheduled(12, MUG))),
    ),
    Case("an event heard twice changes nothing", page(LIVE), (scheduled(11, MUG), scheduled(11, MUG))),
    Case(
        "an event heard late changes nothing",
        page(LIVE, MUG),
        (opened(11, MUG), closed(12, MUG), opened(11, MUG), scheduled(3, HOODIE)),
    ),
    Case(
        "events heard again after a reconnect change nothing",
        page(LIVE, MUG),
        (opened(11, MUG), sold_out(12, EMPTY_MUG), opened(11, MUG), sold_out(12, EMPTY_MUG), scheduled(13, HOODIE)),
    ),
    Case("newer stock wins", page(LIVE, is_open(MUG)), (stock(("mug", "one", 4, 2)), stock(("mug", "one", 3, 3)))),
    Case("older stock changes nothing", page(LIVE, is_open(holding(MUG, one=(2, 4)))), (stock(("mug", "one", 4, 2)),)),
    Case("stock of the same version changes nothing", page(LIVE, is_open(MUG)), (stock(("mug", "one", 4, 1)),)),
    Case(
        "stock heard in the wrong order ends at the newest",
        page(LIVE, is_open(MUG)),
        (stock(("mug", "one", 1, 5)), stock(("mug", "one", 3, 3)), stock(("mug", "one", 1, 5))),
    ),
    Case(
        "of two lines of a variant in one frame the newer wins though it stands first",
        page(LIVE, is_open(MUG)),
        (stock(("mug", "one", 1, 5), ("mug", "one", 3, 3)),),
    ),
    Case("stock may grow: a restock", page(LIVE, is_open(MUG)), (stock(("mug", "one", 50, 2)),)),
    Case("versions may be skipped", page(LIVE, is_open(MUG)), (stock(("mug", "one", 1, 900)),)),
    Case(
        "an event's older stock does not turn newer stock back",
        page(LIVE, MUG),
        (stock(("mug", "one", 2, 4)), opened(11, holding(MUG, one=(4, 2)))),
    ),
    Case(
        "an event's newer stock replaces older stock, and older lines after it change nothing",
        page(LIVE, is_open(MUG)),
        (sold_out(11, EMPTY_MUG), stock(("mug", "one", 1, 5))),
    ),
    Case(
        "the restock is heard before its event",
        page(LIVE, is_sold_out(EMPTY_MUG)),
        (stock(("mug", "one", 20, 7)), stock(("mug", "one", 19, 8)), opened(11, holding(MUG, one=(20, 7)))),
    ),
    Case(
        "stock of several variants of several drops in one frame",
        page(LIVE, is_open(HOODIE), is_open(MUG)),
        (stock(("hoodie", "s", 2, 2), ("mug", "one", 4, 2), ("hoodie", "l", 1, 2)),),
    ),
    Case(
        "each variant has its own version",
        page(LIVE, is_open(holding(HOODIE, s=(1, 8)))),
        (stock(("hoodie", "s", 2, 7), ("hoodie", "m", 1, 2)),),
    ),
    Case(
        "in an event each variant takes the newer of the two",
        page(LIVE, is_open(holding(HOODIE, s=(1, 8), m=(2, 1)))),
        (closed(11, holding(HOODIE, s=(2, 7), m=(1, 2))),),
    ),
    Case(
        "a variant added by an event is there, and one that is gone is gone",
        page(LIVE, is_open(HOODIE)),
        (opened(11, replace(HOODIE, variants=(*HOODIE.variants[1:], DropVariant("xl", "XL", left=9, version=1)))),),
    ),
    Case("stock of a drop not known changes nothing", page(LIVE, MUG), (stock(("scarf", "one", 9, 9)),)),
    Case(
        "stock of a drop not yet known is not remembered", page(LIVE), (stock(("mug", "one", 2, 4)), scheduled(11, MUG))
    ),
    Case(
        "stock of a variant not known changes nothing",
        page(LIVE, is_open(MUG)),
        (stock(("mug", "two", 9, 9), ("mug", "one", 4, 2)),),
    ),
    Case("an empty stock frame changes nothing", page(LIVE, MUG), (stock(),)),
    Case("an event of a kind not known is ignored but counted", page(LIVE, MUG), (unknown(11, poll={"id": "x"}),)),
    Case(
        "an unknown kind is ignored though it carries a drop and a stream",
        page(LIVE, MUG),
        (
            unknown(11, "drop_renamed", drop=msgspec.to_builtins(replace(MUG, title="Cup"))),
            unknown(12, "stream_paused", stream=msgspec.to_builtins(replace(LIVE, title="Paused"))),
        ),
    ),
    Case(
        "what follows an unknown kind is applied, and it is not heard twice",
        page(LIVE, MUG),
        (unknown(11), opened(12, MUG), unknown(11), opened(12, MUG), closed(13, MUG)),
    ),
    Case(
        "of many closed drops the oldest are let go, an open one never, whatever the order of closing",
        page(LIVE, is_open(MUG), *(replace(MUG, id=f"{n:02}", status=DropStatus.OPEN) for n in range(CLOSED_KEPT + 2))),
        tuple(closed(11 + n, replace(MUG, id=f"{CLOSED_KEPT + 1 - n:02}")) for n in range(CLOSED_KEPT + 2)),
    ),
)


def fold(state: StreamState, heard: Iterable[str]) -> StreamState:
    """What a page makes of the frames it hears, by `server.domain`."""
    for text in heard:
        match codec.decode_server(text):
            case frames.EventFrame() as frame:
                state = apply(state, codec.read_event(frame), frame.seq)
            case frames.Stock(stock=lines):
                state = with_stock(state, lines)
            case other:
                raise ValueError(f"a page does not fold {other}")
    return state


def golden() -> str:
    """The file's text."""
    cases = [
        {
            "name": case.name,
            "start": written(case.start),
            "frames": [json.loads(text) for text in case.heard],
            "end": written(fold(case.start, case.heard)),
        }
        for case in CASES
    ]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False, indent=1) for case in cases)
    return '{"cases": [\n' + lines + "\n]}\n"


def written(state: StreamState) -> dict[str, Any]:
    return {**json.loads(codec.snapshot_of(state)), "seq": state.seq}


def read(state: Mapping[str, Any]) -> StreamState:
    drops = msgspec.convert(state["drops"], list[Drop])
    return StreamState(msgspec.convert(state["stream"], Stream), {drop.id: drop for drop in drops}, state["seq"])


if __name__ == "__main__":
    REDUCE.write_text(golden(), encoding="utf-8")
    print(f"{REDUCE}: {len(CASES)} cases")
