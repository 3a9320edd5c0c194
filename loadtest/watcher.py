"""One viewer of a crowd, by hand: raw frames, a few hundred bytes, a few µs for each read. It audits what it hears.

Every event's `seq` must follow the one before by exactly one, from the welcome on and across reconnects. All viewers of
a stream get the same bytes, so what a read holds is parsed once and then recognised (`Tally.known`): the audit stays
whole, for a read is recognised only when every byte of it is the same.
"""

from __future__ import annotations

import asyncio
from time import time
from typing import Final, Protocol, cast

import msgspec

from loadtest.tally import Tally
from loadtest.wire import CLOSE, PING, PONG, TEXT, Strange, client_frame, whole_frames

LOST = 1006
"""What RFC 6455 calls a connection that ended without a close frame."""

MOVED = 0
"""No close code: the viewer left by itself, because `drain` told it to."""

_HEAD_MAX_BYTES = 16 * 1024  # of an HTTP answer
_CLOSES_WITHIN_S = 3.0


class _Event(msgspec.Struct):
    seq: int
    at: int


class _Position(msgspec.Struct):
    epoch: str
    seq: int


class Welcome(msgspec.Struct, tag_field="type", tag="welcome"):
    """What a welcome says, as far as an audit needs it."""

    position: _Position
    stock: msgspec.Raw = msgspec.Raw(b"[]")
    missed: list[_Event] | None = None


class _TextEvent(_Event, tag_field="type", tag="event"):
    pass


class _Tick(msgspec.Struct, tag_field="type", tag="tick"):
    seq: int


class _Drain(msgspec.Struct, tag_field="type", tag="drain"):
    reconnect_in_ms: int


class _Other(msgspec.Struct):
    type: str


_decoder: Final = msgspec.json.Decoder(Welcome | _TextEvent | _Tick | _Drain)
_other: Final = msgspec.json.Decoder(_Other)
_HEARD: Final = ("welcome", "event", "tick", "drain")


class Company(Protocol):
    """The crowd, as one of its viewers sees it."""

    tally: Tally
    upgrade: bytes

    def ticket(self, watcher: Watcher) -> str | None:
        """A ticket for one connection; None watches as a guest."""
        ...

    def welcomed(self, watcher: Watcher) -> None:
        """The viewer has been welcomed."""
        ...

    def left(self, watcher: Watcher) -> None:
        """A viewer that had been welcomed lost its connection, with `watcher.code`."""
        ...


class Watcher(asyncio.Protocol):
    """One viewer, over any number of connections. Whoever connects it sets `arriving` first."""

    __slots__ = (
        "_company",
        "_due",
        "_tail",
        "_tally",
        "_transport",
        "_upgraded",
        "arriving",
        "attempt",
        "code",
        "epoch",
        "last",
    )

    _transport: asyncio.Transport

    def __init__(self, company: Company) -> None:
        self._company = company
        self._tally = company.tally
        self._tail = b""
        self._due = -1
        self._upgraded = False
        self.arriving: asyncio.Future[str] | None = None
        """Ends with "" at the welcome, or with why there was none."""

        self.attempt = 0
        self.code = LOST
        """What the connection was closed with, or `MOVED`."""

        self.epoch = ""
        self.last = -1

    @property
    def here(self) -> bool:
        """Whether it is connected and welcome."""
        return self._due >= 0

    @property
    def seq(self) -> int:
        """The last event it has; -1 before its first welcome."""
        return self._due - 1 if self._due >= 0 else self.last

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks for the upgrade. Hello waits for the answer: what comes with the request is lost in some servers."""
        self._transport = transport = cast(asyncio.Transport, transport)  # uvloop's is one without being a subclass
        self._tail = b""
        self._upgraded = False
        self.code = LOST
        transport.write(self._company.upgrade)

    def data_received(self, data: bytes) -> None:
        """Hears; the usual case is a read that somebody else had before, byte for byte."""
        if not self._tail:
            batch = self._tally.known.get(data)
            if batch is not None:
                if batch.first == self._due:
                    self._due = batch.last + 1
                    batch.arrivals += 1
                    batch.last_at = time()
                    tally = self._tally
                    tally.progress += batch.count
                    if tally.progress >= tally.target:
                        tally.on_target()
                    if batch.stock:
                        self._take_stock(batch.stock)
                    return
                if not batch.count and self._due >= 0:  # state alone
                    self._take_stock(batch.stock)
                    return
        try:
            if self._upgraded:
                self._hear(self._tail + data)
            else:
                self._shake_hands(self._tail + data)
        except (Strange, msgspec.DecodeError, UnicodeError) as error:
            self._tally.strange[f"{type(error).__name__}: {error}"[:200]] += 1
            self._fail("strange")

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The end of this connection."""
        self._tail = b""
        if self._due < 0:
            self._fail(f"closed with {self.code}" if self.code != LOST else "closed before the welcome")
            return
        self.last, self._due = self._due - 1, -1
        self._company.left(self)

    def abort(self) -> None:
        """Cuts the connection, if there is one."""
        transport: asyncio.Transport | None = getattr(self, "_transport", None)
        if transport is not None:
            transport.abort()

    def close(self) -> None:
        """Says goodbye and waits a little for the answer."""
        self._transport.write(client_frame(CLOSE, b"\x03\xe8"))
        asyncio.get_running_loop().call_later(_CLOSES_WITHIN_S, self._transport.abort)

    # What one who orders does more (`loadtest.clicker`)

    def _take_stock(self, payloads: list[bytes]) -> None:
        """Stock frames of one read; somebody who only watches does not look at them."""

    def _take_receipt(self, payload: bytes, now_s: float) -> None:  # noqa: ARG002
        """A receipt, read at `now_s`. Who has not asked for anything gets none."""
        raise Strange("a receipt for one who did not order")

    # How

    def _shake_hands(self, data: bytes) -> None:
        head, end, rest = data.partition(b"\r\n\r\n")
        if not end:
            if len(head) > _HEAD_MAX_BYTES:
                raise Strange("an HTTP answer without end")
            self._tail = data
            return
        self._tail = b""
        if not head.startswith(b"HTTP/1.1 101"):
            self._fail(head[9:12].decode("ascii", "replace"))
            return
        self._upgraded = True
        hello: dict[str, object] = {"type": "hello", "v": 1}
        ticket = self._company.ticket(self)
        if ticket is not None:
            hello["ticket"] = ticket
        if self.last >= 0:
            hello["position"] = {"epoch": self.epoch, "seq": self.last}
        self._transport.write(client_frame(TEXT, msgspec.json.encode(hello)))
        if rest:
            self._hear(rest)

    def _hear(self, data: bytes) -> None:
        frames, self._tail = whole_frames(data)
        now_s = time()
        events: list[tuple[int, int]] = []
        stock: list[bytes] = []
        plain = True
        for opcode, payload in frames:
            if opcode == TEXT:
                if payload.startswith(b'{"type":"stock"'):
                    stock.append(payload)
                    continue
                event = self._hear_text(payload, now_s)
                if event is not None:
                    events.append(event)
                else:
                    plain = False
            else:
                plain = False
                if opcode == CLOSE:
                    if self.code == LOST:
                        self.code = int.from_bytes(payload[:2], "big") if payload else 1005
                        self._transport.write(client_frame(CLOSE, payload[:2]))
                    self._transport.close()
                elif opcode == PING:
                    self._transport.write(client_frame(PONG, payload))
        if stock:
            self._take_stock(stock)
        if (
            plain
            and not self._tail
            and (not events or [seq for seq, _ in events] == list(range(events[0][0], events[0][0] + len(events))))
        ):
            self._tally.know(data, events, stock)

    def _hear_text(self, payload: bytes, now_s: float) -> tuple[int, int] | None:
        """Takes in one frame that is not stock; an event's (seq, at)."""
        if payload.startswith(b'{"type":"receipt"'):
            self._take_receipt(payload, now_s)
            return None
        try:
            frame = _decoder.decode(payload)
        except msgspec.ValidationError:
            kind = _other.decode(payload).type
            if kind in _HEARD:
                raise
            return None
        match frame:
            case _TextEvent(seq=seq, at=at_ms):
                if self._due < 0:
                    raise Strange("an event before the welcome")
                self._take_event(seq, at_ms, now_s)
                return seq, at_ms
            case Welcome():
                self._take_welcome(frame)
            case _Tick(seq=seq):
                if seq >= self._due:  # ticks follow the events they count: one of them is missing
                    self._tally.gaps += 1
            case _Drain(reconnect_in_ms=wait_ms):
                asyncio.get_running_loop().call_later(wait_ms / 1000, self._move_from, self._transport)
        return None

    def _take_event(self, seq: int, at_ms: int, now_s: float) -> None:
        if seq < self._due:
            self._tally.repeats += 1
            return
        if seq > self._due:
            self._tally.gaps += 1
        self._tally.note(seq, at_ms, now_s)
        by = seq + 1 - self._due
        self._due = seq + 1
        self._tally.advance(by)

    def _take_welcome(self, welcome: Welcome) -> None:
        if self._due >= 0:
            raise Strange("a second welcome")
        reached = welcome.position.seq
        first = self.last < 0
        self._due = reached + 1 if first else self.last + 1
        self.epoch = welcome.position.epoch
        if not first:
            if welcome.missed is None:
                self._tally.snapshots += 1
                by, self._due = reached - self.last, reached + 1
                self._tally.advance(by)
            for event in welcome.missed or ():
                self._take_event(event.seq, event.at, 0.0)
            if self._due != reached + 1 or reached < self.last:
                self._tally.gaps += 1
        if self.arriving is not None and not self.arriving.done():
            self.arriving.set_result("")
        self._company.welcomed(self)

    def _fail(self, why: str) -> None:
        if self.arriving is not None and not self.arriving.done():
            self.arriving.set_result(why)
        self._transport.abort()

    def _move_from(self, transport: asyncio.Transport) -> None:
        if transport is self._transport and self.here and not transport.is_closing() and self.code == LOST:
            self.code = MOVED
            self.close()
