"""One stream on this replica: its timeline, its state, its viewers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace

import msgspec

from server.domain import stream as fold
from server.domain.drop import StockLine, lines_of
from server.domain.errors import Unavailable
from server.domain.events import DropEvent, Position
from server.domain.stream import StreamState
from server.domain.timeline import MISSED_MAX, Gap, Timeline
from server.domain.views import StreamStatus
from server.live.hub import Room
from server.live.ports import Log, Outlet
from server.protocol import codec, frames
from server.protocol.codes import CloseCode

log = logging.getLogger(__name__)

_PAGE = 500
_PRESENCE_FORGOTTEN_S = 12.0  # four times the announcing interval: one lost message does not shrink the count


class LiveStream:
    """Keeps one stream true for its viewers: appends news in order, heals gaps, answers joins."""

    def __init__(
        self, slug: str, room: Room, log_: Log, *, replica: str, epoch: str, tick_ms: int, now_ms: Callable[[], int]
    ) -> None:
        self.slug = slug
        self._replica = replica
        self.room = room
        self._log = log_
        self._epoch = epoch
        self._tick_ms = tick_ms
        self._now_ms = now_ms
        self._timeline = Timeline(0)
        self._state: StreamState | None = None
        self._snapshot: bytes | None = None
        self._elsewhere: dict[str, tuple[float, int]] = {}
        self._healing = asyncio.Lock()

    @property
    def seq(self) -> int:
        """The last event known here."""
        return self._timeline.seq

    @property
    def over(self) -> bool:
        """Whether the stream has ended."""
        return self._state is not None and self._state.stream.status is StreamStatus.ENDED

    async def load(self) -> bool:
        """Reads the stream from the database; False when there is none. Raises `Unavailable`."""
        state = await self._log.whole(self.slug)
        if state is None:
            return False
        start = max(0, state.seq - MISSED_MAX)
        self._timeline = Timeline(start)
        for seq, frame in await self._log.events_after(self.slug, start, MISSED_MAX):
            if seq <= state.seq:
                self._timeline.append(seq, frame)
        self._state = state
        self._snapshot = None
        return True

    async def listen(self, messages: AsyncIterator[str]) -> None:
        """Takes in news until cancelled."""
        async for message in messages:
            if not message:
                await self._try_to_catch_up()
                continue
            try:
                self.hear(message)
            except Gap:
                await self._try_to_catch_up()  # the rung event is in the log as well, committed before it was rung

    def hear(self, message: str) -> None:
        """One message of the bus: an event, stock, or another replica's viewers. Raises `Gap` before a hole."""
        try:
            news = codec.decode_news(message)
            match news:
                case frames.EventFrame(seq=seq):
                    self._append(seq, message, news)
                case frames.Stock(stock=lines):
                    self.restock(lines)
                case frames.Present(replica=replica, viewers=viewers):
                    if replica != self._replica:
                        self._elsewhere[replica] = (self._now_ms() / 1000, viewers)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            log.warning("a message on the bus cannot be read", extra={"stream": self.slug}, exc_info=True)

    def restock(self, lines: Iterable[StockLine]) -> None:
        """Takes newer stock and passes it on; older lines are dropped, so stock never goes back."""
        if self._state is None:
            return
        newer = _newer(self._state, lines)
        if newer:
            self._state = fold.with_stock(self._state, newer)
            self._snapshot = None
            self.room.fan_out(codec.encode_stock(newer), state=True)

    async def catch_up(self) -> None:
        """Reads every event not yet here from the log. Raises `Unavailable`."""
        async with self._healing:
            while page := await self._log.events_after(self.slug, self.seq, _PAGE):
                for seq, frame in page:
                    self._append(seq, frame, codec.decode_news(frame))
                if len(page) < _PAGE:
                    return

    def join(self, outlet: Outlet, session: str, viewer: frames.Viewer | None, position: Position | None) -> None:
        """Welcomes a viewer. No await between reading the past and joining the present: nothing falls in between."""
        assert self._state is not None, "joined before load()"
        self.room.add(outlet)
        missed = self._timeline.since(position.seq) if position and position.epoch == self._epoch else None
        if missed is None and self._snapshot is None:
            stream = replace(self._state.stream, viewers=self.viewers)
            self._snapshot = codec.snapshot_of(replace(self._state, stream=stream))
        outlet.write(
            codec.encode_welcome(
                session=session,
                viewer=viewer,
                now_ms=self._now_ms(),
                tick_ms=self._tick_ms,
                position=Position(self._epoch, self.seq),
                stock=codec.stock_lines(fold.stock_of(self._state)),
                snapshot=self._snapshot if missed is None else None,
                missed=missed,
            )
        )
        if self.over:
            outlet.close(CloseCode.STREAM_OVER)

    def snapshot(self) -> StreamState:
        """The state with the current number of viewers."""
        assert self._state is not None, "asked before load()"
        return replace(self._state, stream=replace(self._state.stream, viewers=self.viewers))

    @property
    def viewers(self) -> int:
        """How many people watch, here and on the replicas heard of lately."""
        since = self._now_ms() / 1000 - _PRESENCE_FORGOTTEN_S
        self._elsewhere = {replica: said for replica, said in self._elsewhere.items() if said[0] >= since}
        return len(self.room.people) + sum(viewers for _, viewers in self._elsewhere.values())

    def tick(self) -> None:
        """One frame for all: the time, the last event, the viewers."""
        self.room.fan_out(codec.encode(frames.Tick(self._now_ms(), self.seq, self.viewers)))

    def _append(self, seq: int, text: str, frame: frames.News) -> None:
        if not isinstance(frame, frames.EventFrame) or not self._timeline.append(seq, text):
            return
        assert self._state is not None, "heard before load()"
        event = codec.read_event(frame)
        newer = _newer(self._state, lines_of(event.drop)) if isinstance(event, DropEvent) else []
        self._state = fold.apply(self._state, event, seq)
        self._snapshot = None
        self.room.fan_out(text)
        if newer:  # an event may bring newer stock than the bus did: those who only follow stock frames learn it too
            self.room.fan_out(codec.encode_stock(newer), state=True)
        if self.over:
            for outlet in self.room:
                outlet.close(CloseCode.STREAM_OVER)

    async def _try_to_catch_up(self) -> None:
        try:
            await self.catch_up()
        except Unavailable:
            log.warning("the log cannot be read; trying again within a second", extra={"stream": self.slug})


def _newer(state: StreamState, lines: Iterable[StockLine]) -> list[StockLine]:
    """The lines of known drops that are newer than what the state has."""
    known = {(line.drop, line.variant): line.version for drop in state.drops.values() for line in lines_of(drop)}
    return [line for line in lines if line.version > known.get((line.drop, line.variant), line.version)]
