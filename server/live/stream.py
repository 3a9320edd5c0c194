"""One stream on this replica: its timeline, its state, its viewers."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import replace

import msgspec

from server import metrics
from server.domain import stream as fold
from server.domain.drop import Drop, StockLine, lines_of
from server.domain.errors import Unavailable
from server.domain.events import DropEvent, Position
from server.domain.order import Receipt
from server.domain.stream import StreamState
from server.domain.timeline import MISSED_MAX, Gap, Timeline
from server.domain.views import StreamStatus
from server.live.audience import Audience
from server.live.courier import Courier
from server.live.ports import Log
from server.live.room import Room
from server.live.socket import LiveSocket
from server.live.wire import text_frame
from server.protocol import codec, frames
from server.protocol.codes import CloseCode

log = logging.getLogger(__name__)

_PAGE = 500

STOCK_EVERY_S = 0.1
"""A stream's stock reaches its viewers at most this often …"""

EXACT_BELOW = 10
"""… but at once when no more than this is left of something."""


class LiveStream:
    """Keeps one stream true for its viewers: appends news in order, heals gaps, answers joins."""

    def __init__(
        self,
        slug: str,
        room: Room[LiveSocket],
        log_: Log,
        courier: Courier,
        *,
        replica: str,
        epoch: str,
        tick_ms: int,
        now_ms: Callable[[], int],
    ) -> None:
        self.slug = slug
        self.room = room
        self.audience = Audience(replica, room.people, lambda: now_ms() / 1000)
        self._log = log_
        self._courier = courier
        self._epoch = epoch
        self._tick_ms = tick_ms
        self._now_ms = now_ms
        self._timeline = Timeline(0)
        self._state: StreamState | None = None
        self._snapshot: bytes | None = None
        self._untold: dict[tuple[str, str], StockLine] = {}
        self._stock_next_s = 0.0
        self._stock_timer: asyncio.TimerHandle | None = None
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
        """One message of the bus: event, stock, viewers or receipts of another replica. Raises `Gap` before a hole."""
        try:
            news = codec.decode_news(message)
            match news:
                case frames.EventFrame(seq=seq):
                    self._append(seq, message, news)
                case frames.Stock(stock=lines):
                    self.restock(lines)
                case frames.Present():
                    self.audience.hear(news)
                case frames.Parcels():
                    self._courier.hear(self.slug, self.room, news)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            log.warning("a message on the bus cannot be read", extra={"stream": self.slug}, exc_info=True)

    def restock(self, lines: Iterable[StockLine]) -> None:
        """Takes newer stock and passes it on; older lines are dropped, so stock never goes back.

        Conflated: a stock frame at most every `STOCK_EVERY_S`, whatever the number of replicas and orders, but one at
        once when no more than `EXACT_BELOW` are left, and always a last one with the last value.
        """
        if self._state is None:
            return
        newer = _newer(self._state, lines)
        if newer:
            self._state = fold.with_stock(self._state, newer)
            self._snapshot = None
            self._tell(newer, at_once=any(line.left <= EXACT_BELOW for line in newer))

    def refresh(self, member: LiveSocket) -> None:
        """Tells one viewer, who was too slow for a while, the stock of now."""
        if self._state is not None:
            member.write(codec.encode_stock(fold.stock_of(self._state)))

    async def catch_up(self) -> None:
        """Reads every event not yet here from the log. Raises `Unavailable`."""
        async with self._healing:
            while page := await self._log.events_after(self.slug, self.seq, _PAGE):
                for seq, frame in page:
                    self._append(seq, frame, codec.decode_news(frame))
                if len(page) < _PAGE:
                    return

    def join(self, member: LiveSocket, session: str, viewer: frames.Viewer | None, position: Position | None) -> None:
        """Welcomes a viewer. No await between reading the past and joining the present: nothing falls in between."""
        assert self._state is not None, "joined before load()"
        self.room.add(member)
        missed = self._timeline.since(position.seq) if position and position.epoch == self._epoch else None
        if missed is None and self._snapshot is None:
            self._snapshot = codec.snapshot_of(self.snapshot())
        member.welcome(
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
        if viewer is not None:
            self._courier.tell(self.slug, viewer.id, member)
        metrics.JOINS.labels("snapshot" if missed is None else "missed").inc()
        if self.over:
            member.close(CloseCode.STREAM_OVER)

    def known(self, drop_id: str) -> Drop | None:
        """A drop as this replica knows it; None when the stream has none of that id, or no longer."""
        return self._state.drops.get(drop_id) if self._state is not None else None

    def bring(self, viewer: str, receipt: Receipt, asked_at_s: float | None) -> None:
        """A receipt that could not be given to its socket: `Courier.bring`."""
        self._courier.bring(self.slug, self.room, viewer, receipt.ref, codec.encode_receipt(receipt), asked_at_s)

    def snapshot(self) -> StreamState:
        """The state with the current number of viewers."""
        assert self._state is not None, "asked before load()"
        return replace(self._state, stream=replace(self._state.stream, viewers=self.viewers))

    @property
    def viewers(self) -> int:
        """How many people watch, here and on the replicas heard of lately."""
        return self.audience.count()

    def tick(self) -> None:
        """One frame for all: the time, the last event, the viewers."""
        tick = codec.encode(frames.Tick(self._now_ms(), self.seq, self.viewers))
        self.room.fan_out(text_frame(tick), state=True)

    def _append(self, seq: int, text: str, frame: frames.News) -> None:
        if not isinstance(frame, frames.EventFrame) or not self._timeline.append(seq, text):
            return
        assert self._state is not None, "heard before load()"
        event = codec.read_event(frame)
        newer = _newer(self._state, lines_of(event.drop)) if isinstance(event, DropEvent) else []
        self._state = fold.apply(self._state, event, seq)
        self._snapshot = None
        self.room.fan_out(text_frame(text))
        metrics.FRAMES.labels("event").inc()
        if newer:  # an event may bring newer stock than the bus did: those who only follow stock frames learn it too
            self._tell(newer, at_once=True)
        if self.over:
            self.room.then(self._say_goodbye)

    def _tell(self, lines: Iterable[StockLine], *, at_once: bool) -> None:
        self._untold.update({(line.drop, line.variant): line for line in lines})
        loop = asyncio.get_running_loop()
        if at_once or loop.time() >= self._stock_next_s:
            self._tell_now()
        elif self._stock_timer is None:
            self._stock_timer = loop.call_at(self._stock_next_s, self._tell_now)

    def _tell_now(self) -> None:
        if self._stock_timer is not None:
            self._stock_timer.cancel()
            self._stock_timer = None
        lines, self._untold = self._untold, {}
        self._stock_next_s = asyncio.get_running_loop().time() + STOCK_EVERY_S
        self.room.fan_out(text_frame(codec.encode_stock(lines.values())), state=True)
        metrics.FRAMES.labels("stock").inc()

    def _say_goodbye(self) -> None:
        for member in self.room:
            member.close(CloseCode.STREAM_OVER)

    async def _try_to_catch_up(self) -> None:
        try:
            await self.catch_up()
        except Unavailable:
            log.warning("the log cannot be read; trying again within a second", extra={"stream": self.slug})


def _newer(state: StreamState, lines: Iterable[StockLine]) -> list[StockLine]:
    """The lines of known drops that are newer than what the state has."""
    known = {(line.drop, line.variant): line.version for drop in state.drops.values() for line in lines_of(drop)}
    return [line for line in lines if line.version > known.get((line.drop, line.variant), line.version)]
