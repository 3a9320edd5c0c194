"""What one watcher knows of a stream, and what each frame makes of it: the whole of resume, without I/O."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from dropcast import fold, frames
from dropcast.errors import BadAnswer
from dropcast.fold import State
from dropcast.news import Event, News, Stock, Viewers, Whole
from dropcast.shapes import Position, StockLine


class Gap(Exception):
    """Something is missing between what is known and what was heard: come back for it."""


class Following:
    """Hands on each event once and in order, over any number of connections.

    A first gap makes the next `hello` ask for what is missing; a second one in a row asks for the stream whole.
    """

    def __init__(self) -> None:
        self._state: State | None = None
        self._epoch = ""
        self._gaps = 0
        self._promised_seq = 0
        self.viewer: frames.Viewer | None = None
        """Who the last welcome took this link for; None is a guest."""
        self.tick_s = 15.0

    @property
    def state(self) -> State | None:
        """The stream; None before the first welcome. It stays while the link is down."""
        return self._state

    @property
    def position(self) -> Position | None:
        """What the next `hello` asks to resume from; None asks for the stream whole."""
        return None if self._state is None or self._gaps > 1 else Position(self._epoch, self._state.seq)

    @property
    def behind(self) -> bool:
        """Whether a tick told of events that have not come yet."""
        return self._state is not None and self._promised_seq > self._state.seq

    def gap(self) -> Gap:
        """Notes a gap, as the error to raise."""
        self._gaps += 1
        return Gap(f"something is missing after {self._state.seq if self._state else 'the start'}")

    def read(self, text: str | bytes) -> frames.ServerFrame | None:
        """A frame; None for a type that a later version brings. Raises `BadAnswer`."""
        try:
            return frames.decode(text)
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            raise BadAnswer(f"a frame cannot be read, by this version of the client at least: {error}") from None

    def hear(self, frame: frames.ServerFrame) -> list[News]:
        """What is new in a frame. Raises `Gap`, after which nothing more may be heard on this connection."""
        match frame:
            case frames.Welcome():
                return self._welcome(frame)
            case frames.EventFrame():
                news = self._event(frame)
                self._gaps = 0
                return news
            case frames.Stock(stock=lines):
                return self._stock(lines)
            case frames.Tick(seq=seq, viewers=viewers):
                return self._tick(seq, viewers)
            case frames.Receipt():
                return [frame]
            case frames.Drain() | frames.Fault():
                return []

    def _welcome(self, welcome: frames.Welcome) -> list[News]:
        news = self._whole(welcome, welcome.snapshot) if welcome.snapshot is not None else self._missed(welcome)
        self._promised_seq = 0
        self.viewer = welcome.viewer
        self.tick_s = welcome.tick_ms / 1000
        return news + self._stock(welcome.stock)

    def _whole(self, welcome: frames.Welcome, snapshot: frames.Snapshot) -> list[News]:
        epoch, seq = welcome.position.epoch, welcome.position.seq
        known = self._state if epoch == self._epoch else None
        self._epoch = epoch
        self._gaps = 0
        if known is not None and known.seq >= seq:
            return []  # this replica lags behind the one we came from: what it tells next is known already
        fresh = fold.whole(snapshot.stream, snapshot.drops, seq)
        newest = [line for drop in (known.drops.values() if known else ()) for line in fold.lines_of(drop)]
        self._state = fold.with_stock(fold.with_stock(fresh, newest), welcome.stock)
        return [Whole(self._state)]

    def _missed(self, welcome: frames.Welcome) -> list[News]:
        if self._state is None or welcome.position.epoch != self._epoch or welcome.missed is None:
            raise self.gap()
        last = self._state.seq
        for frame in welcome.missed:  # all of it is looked at first: nothing of a hole may be taken for whole
            if frame.seq > last + 1:
                raise self.gap()
            last = max(last, frame.seq)
        if last < welcome.position.seq:
            raise self.gap()
        news = [item for frame in welcome.missed for item in self._event(frame)]
        if news:
            self._gaps = 0
        return news

    def _event(self, frame: frames.EventFrame) -> list[News]:
        state = self._known()
        if frame.seq <= state.seq:
            return []
        if frame.seq > state.seq + 1:
            raise self.gap()
        try:
            kind, drop, stream = frames.read_event(frame)
        except msgspec.DecodeError as error:
            raise BadAnswer(f"event {frame.seq} cannot be read: {error}") from None
        self._state = fold.apply(state, frame.seq, drop, stream)
        return [Event(frame.seq, frame.at, kind, drop, stream)]

    def _stock(self, lines: Iterable[StockLine]) -> list[News]:
        state = self._known()
        newer = fold.news_in(state, lines)
        if not newer:
            return []
        self._state = fold.with_stock(state, newer)
        return [Stock(newer)]

    def _tick(self, seq: int, viewers: int) -> list[News]:
        state = self._known()
        self._promised_seq = max(self._promised_seq, seq)
        if viewers == state.stream.viewers:
            return []
        self._state = fold.with_viewers(state, viewers)
        return [Viewers(viewers)]

    def _known(self) -> State:
        if self._state is None:
            raise self.gap()
        return self._state
