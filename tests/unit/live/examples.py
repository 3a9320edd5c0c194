"""A log in memory, a bus in memory, and the viewers of the examples."""

# ruff: noqa: ARG002  a port is implemented whole, and a log of one stream needs but some of its arguments

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any

import msgspec
from websockets.protocol import Protocol, Side

from server.domain import stream as fold
from server.domain.drop import Drop, DropStatus, DropVariant, StockLine
from server.domain.errors import Unavailable
from server.domain.events import DropEvent, Event, EventKind, StreamEvent
from server.domain.stream import StreamState
from server.domain.views import Stream, StreamStatus
from server.live.courier import Courier
from server.live.room import Room
from server.live.stream import LiveStream
from server.protocol import codec

NOON = 1_767_225_600_000
EPOCH = "e7f2"
SLUG = "friday"
STREAM = Stream(SLUG, "Friday drops", "Mara", StreamStatus.SCHEDULED, None, None)
DROP = Drop(
    id="hoodie",
    title="Hoodie",
    image=None,
    price=2400,
    currency="USD",
    limit=2,
    opens_at=None,
    closes_at=None,
    variants=(DropVariant("S", "Small", 30, 1), DropVariant("M", "Medium", 20, 1)),
    status=DropStatus.SCHEDULED,
    product="p1",
)


@dataclass
class MemoryLog:
    """The database's side: what is committed. `down` makes every call raise `Unavailable`."""

    state: StreamState = field(default_factory=lambda: StreamState(STREAM, MappingProxyType({}), 0))
    frames: list[str] = field(default_factory=list)
    down: bool = False
    reads: int = 0

    def commit(self, event: Event) -> str:
        """Logs an event; the frame, for a test that rings it."""
        seq = self.state.seq + 1
        frame = codec.encode_event(seq, NOON + seq, event)
        self.frames.append(frame)
        self.state = fold.apply(self.state, event, seq)
        return frame

    def start(self) -> str:
        return self.commit(StreamEvent(EventKind.STREAM_STARTED, replace(STREAM, status=StreamStatus.LIVE)))

    def end(self) -> str:
        return self.commit(StreamEvent(EventKind.STREAM_ENDED, replace(STREAM, status=StreamStatus.ENDED)))

    def schedule(self) -> str:
        return self.commit(DropEvent(EventKind.DROP_SCHEDULED, DROP))

    def open(self) -> str:
        return self.commit(DropEvent(EventKind.DROP_OPENED, replace(DROP, status=DropStatus.OPEN)))

    def stock(self, left: int, version: int, variant: str = "S") -> StockLine:
        """Sells: the row changes, the log does not."""
        line = StockLine(DROP.id, variant, left, version)
        self.state = fold.with_stock(self.state, [line])
        return line

    async def whole(self, slug: str) -> StreamState | None:
        self._read()
        return self.state if slug == SLUG else None

    async def events_after(self, slug: str, seq: int, limit: int) -> list[tuple[int, str]]:
        self._read()
        await asyncio.sleep(0)  # as a database would: others get a turn
        return list(enumerate(self.frames, 1))[seq : seq + limit]

    async def heads(self, slugs: list[str]) -> tuple[dict[str, int], dict[str, list[StockLine]]]:
        self._read()
        if SLUG not in slugs:
            return {}, {}
        return {SLUG: self.state.seq}, {SLUG: list(fold.stock_of(self.state))}

    def _read(self) -> None:
        self.reads += 1
        if self.down:
            raise Unavailable("the database does not answer")


class MemoryBell:
    """A bus whose messages a test sends by hand."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, str]] = []
        self.listening: dict[str, asyncio.Queue[str]] = {}
        self.may_leave = asyncio.Event()
        self.may_leave.set()
        self.leaving = asyncio.Event()

    @asynccontextmanager
    async def listen(self, stream: str) -> AsyncIterator[AsyncIterator[str]]:
        inbox = self.listening[stream] = asyncio.Queue()
        inbox.put_nowait("")

        async def messages() -> AsyncIterator[str]:
            while True:
                yield await inbox.get()

        try:
            yield messages()
        finally:
            if self.listening.get(stream) is inbox:
                del self.listening[stream]
            self.leaving.set()
            await self.may_leave.wait()

    async def ring(self, stream: str, message: str) -> None:
        self.rung.append((stream, message))


class AtOnce(asyncio.AbstractEventLoop):
    """A loop that does not wait for its next turn, so that an example reads from top to bottom."""

    def call_soon(self, callback: Callable[..., object], *args: object, context: object = None) -> Any:
        callback(*args)


class Viewer:
    """A socket that keeps what it is sent, read as a page reads it."""

    def __init__(self, person: str = "ann", joined_at_s: float = 0.0) -> None:
        self.person = person
        self.viewer: object = person  # not a guest
        self.joined_at_s = joined_at_s
        self.asked: set[str] = set()
        self.place = -1
        self.skip = 0
        self.texts: list[str] = []
        self.states: list[str] = []
        self.code: int | None = None

    def write_bytes(self, data: bytes) -> None:
        reader = Protocol(Side.CLIENT, max_size=None)
        reader.receive_data(data)
        for frame in reader.events_received():
            self.write(bytes(frame.data).decode())

    write_bounded = write_bytes

    def write(self, text: str) -> bool:
        if self.code is None:
            (self.states if text.startswith('{"type":"stock"') else self.texts).append(text)
        return self.code is None

    def has_asked(self, ref: str) -> bool:
        return ref in self.asked

    welcome = write

    def close(self, code: int) -> None:
        self.code = self.code or code

    @property
    def frames(self) -> list[dict[str, Any]]:
        return [msgspec.json.decode(text) for text in self.texts]

    @property
    def seqs(self) -> list[int]:
        """The numbers of the events seen since the welcome."""
        return [frame["seq"] for frame in self.frames if frame["type"] == "event"]

    @property
    def receipts(self) -> list[str]:
        """The refs of the receipts it got."""
        return [frame["ref"] for frame in self.frames if frame["type"] == "receipt"]

    @property
    def stock(self) -> list[dict[str, Any]]:
        return [line for text in self.states for line in msgspec.json.decode(text)["stock"]]


@dataclass
class Clock:
    ms: int = NOON

    def __call__(self) -> int:
        return self.ms


async def live(log: MemoryLog, clock: Clock | None = None, courier: Courier | None = None) -> LiveStream:
    """A stream loaded from the log."""
    courier = courier or Courier(MemoryBell(), "here")
    clock = clock or Clock()
    stream = LiveStream(SLUG, Room(AtOnce()), log, courier, replica="here", epoch=EPOCH, tick_ms=15_000, now_ms=clock)
    assert await stream.load()
    return stream
