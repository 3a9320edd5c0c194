"""A host and its book: histories as a valid stream would produce them.

The book is kept without `server.domain.stream`: what it says after event m is what the fold has to reach.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from hypothesis import strategies as st

from server.domain.drop import Drop, DropStatus, DropVariant, StockLine
from server.domain.events import DropEvent, Event, EventKind, StreamEvent
from server.domain.stream import StreamState
from server.domain.views import Stream, StreamStatus
from server.protocol import codec

NOON = 1_767_225_600_000
EPOCH = "e7f2"
UNKNOWN_EVENT = '{"type":"event","seq":%d,"at":%d,"event":{"kind":"poll_opened","poll":{"id":"x"}}}'


STREAM = Stream("friday", "Friday drops", "Mara", StreamStatus.SCHEDULED, NOON, None)


@dataclass(frozen=True)
class Page:
    """The book after one commit: what a snapshot taken now says, and what was announced to get here."""

    stream: Stream
    drops: tuple[Drop, ...]
    seq: int
    frames: tuple[str, ...] = ()
    lines: tuple[StockLine, ...] = ()

    @property
    def state(self) -> StreamState:
        return StreamState(self.stream, {drop.id: drop for drop in self.drops}, self.seq)


@dataclass
class Host:
    """Obeys the rules of a stream; a command that is not possible now does nothing."""

    stream: Stream = STREAM
    drops: dict[str, Drop] = field(default_factory=dict)
    seq: int = 0
    pages: list[Page] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._turn_page([], [])

    def start(self, *_: int) -> None:
        if self.stream.status is StreamStatus.SCHEDULED:
            self.stream = replace(self.stream, status=StreamStatus.LIVE, video="/video/friday.m3u8")
            self._turn_page([StreamEvent(EventKind.STREAM_STARTED, self.stream)], [])

    def end(self, *_: int) -> None:
        if self.stream.status is StreamStatus.LIVE:
            self.stream = replace(self.stream, status=StreamStatus.ENDED)
            self._turn_page([StreamEvent(EventKind.STREAM_ENDED, self.stream)], [])

    def viewers_come(self, _: int, viewers: int, __: int) -> None:
        self.stream = replace(self.stream, viewers=viewers)
        self._turn_page([], [])

    def schedule(self, _: int, variants: int, units: int) -> None:
        drop = Drop(
            id=f"d{len(self.drops)}",
            title="Hoodie",
            image=None,
            price=2400,
            currency="USD",
            limit=2,
            opens_at=None,
            closes_at=None,
            variants=tuple(DropVariant(f"v{n}", "SML"[n], units, 1) for n in range(1 + variants % 3)),
            status=DropStatus.SCHEDULED,
            product="p1",
        )
        self._tell(EventKind.DROP_SCHEDULED, drop)

    def open(self, drop: int, _: int, __: int) -> None:
        if (chosen := self._drop(drop, DropStatus.SCHEDULED)) is not None:
            self._tell(EventKind.DROP_OPENED, replace(chosen, status=DropStatus.OPEN))

    def sell(self, drop: int, variant: int, units: int) -> None:
        if (chosen := self._drop(drop, DropStatus.OPEN)) is None:
            return
        at = variant % len(chosen.variants)
        sold = _stocked(chosen, at, -min(units, chosen.variants[at].left))
        if sold == chosen:
            return
        if any(each.left for each in sold.variants):
            self._restate(sold, at)
        else:
            self._tell(EventKind.DROP_SOLD_OUT, replace(sold, status=DropStatus.SOLD_OUT), at)

    def restock(self, drop: int, variant: int, units: int) -> None:
        if (chosen := self._drop(drop, DropStatus.SCHEDULED, DropStatus.OPEN, DropStatus.SOLD_OUT)) is None:
            return
        at = variant % len(chosen.variants)
        more = _stocked(chosen, at, units)
        if chosen.status is DropStatus.SOLD_OUT:
            self._tell(EventKind.DROP_OPENED, replace(more, status=DropStatus.OPEN), at)
        else:
            self._restate(more, at)

    def close(self, drop: int, _: int, __: int) -> None:
        """What is left is given back, variant by variant."""
        if (chosen := self._drop(drop, DropStatus.SCHEDULED, DropStatus.OPEN, DropStatus.SOLD_OUT)) is None:
            return
        for at, variant in enumerate(chosen.variants):
            chosen = _stocked(chosen, at, -variant.left)
        self._tell(EventKind.DROP_CLOSED, replace(chosen, status=DropStatus.CLOSED), *range(len(chosen.variants)))

    def do_what_this_version_does_not_know(self, *_: int) -> None:
        self._turn_page([None], [])

    def _drop(self, number: int, *allowed: DropStatus) -> Drop | None:
        able = [drop for drop in self.drops.values() if drop.status in allowed]
        return able[number % len(able)] if able else None

    def _tell(self, kind: EventKind, drop: Drop, *changed: int) -> None:
        self.drops[drop.id] = drop
        self._turn_page([DropEvent(kind, drop)], [_line(drop, at) for at in changed])

    def _restate(self, drop: Drop, changed: int) -> None:
        self.drops[drop.id] = drop
        self._turn_page([], [_line(drop, changed)])

    def _turn_page(self, events: list[Event | None], lines: list[StockLine]) -> None:
        frames = []
        for event in events:
            self.seq += 1
            at_ms = NOON + self.seq
            frames.append(
                UNKNOWN_EVENT % (self.seq, at_ms) if event is None else codec.encode_event(self.seq, at_ms, event)
            )
        self.pages.append(Page(self.stream, tuple(self.drops.values()), self.seq, tuple(frames), tuple(lines)))


def _stocked(drop: Drop, at: int, units: int) -> Drop:
    if not units:
        return drop
    variants = list(drop.variants)
    variants[at] = replace(variants[at], left=variants[at].left + units, version=variants[at].version + 1)
    return replace(drop, variants=tuple(variants))


def _line(drop: Drop, at: int) -> StockLine:
    variant = drop.variants[at]
    return StockLine(drop.id, variant.id, variant.left, variant.version)


_COMMANDS: list[Callable[[Host, int, int, int], None]] = [
    Host.schedule,
    Host.schedule,
    Host.open,
    Host.open,
    *[Host.sell] * 6,
    Host.restock,
    Host.restock,
    Host.close,
    Host.start,
    Host.end,
    Host.viewers_come,
    Host.do_what_this_version_does_not_know,
]


@st.composite
def books(draw: st.DrawFn) -> tuple[Page, ...]:
    """A stream's history as its pages; the first is the stream before anything happened."""
    host = Host()
    host.schedule(0, draw(st.integers(0, 2)), draw(st.integers(1, 3)))
    number = st.integers(0, 4)
    commands = st.tuples(st.sampled_from(range(len(_COMMANDS))), number, number, st.integers(1, 3))
    for command, drop, variant, units in draw(st.lists(commands, min_size=5, max_size=25)):
        _COMMANDS[command](host, drop, variant, units)
    return tuple(host.pages)
