"""Where a client's bytes are cut changes nothing: not what is heard, nor what is answered, nor what is kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import msgspec
import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from websockets.protocol import Protocol, Side

from server.domain.errors import Reason
from server.domain.order import Receipt, Rejected
from server.domain.user import User
from server.live.room import Room
from server.live.socket import LiveSocket, _new_parser, _spare
from server.protocol import frames
from server.protocol.session import ClientSession
from tests.raw import BINARY, CLOSE, CONT, PING, PONG, TEXT, frame

LAW = settings(max_examples=150, deadline=None)


class Wire:
    """A transport in memory: what was written, and whether it still reads."""

    def __init__(self) -> None:
        self.written = b""
        self.closing = False

    def write(self, data: bytes) -> None:
        assert not self.closing, "written to a transport that was closed"
        self.written += data

    def close(self) -> None:
        self.closing = True

    abort = close

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 0

    def set_write_buffer_limits(self, high: int, low: int) -> None: ...

    def resume_reading(self) -> None: ...


@dataclass
class Till:
    """Refuses every order at once."""

    heard: list[frames.PlaceOrder] = field(default_factory=list)

    def place(
        self,
        viewer: User | None,  # noqa: ARG002
        order: frames.PlaceOrder,
        known: None,  # noqa: ARG002
        joined_at_s: float,  # noqa: ARG002
    ) -> asyncio.Future[Receipt]:
        self.heard.append(order)
        receipt: asyncio.Future[Receipt] = asyncio.get_running_loop().create_future()
        receipt.set_result(Rejected(order.ref, Reason.SOLD_OUT))
        return receipt


class Show:
    def __init__(self) -> None:
        self.room: Room[Any] = Room()

    def refresh(self, member: object) -> None: ...

    def known(self, drop: str) -> None:
        """Nothing is known of any drop."""


@dataclass
class Outcome:
    """All that can be told from outside."""

    heard: list[frames.PlaceOrder]
    written: bytes
    closing: bool
    in_the_room: int
    parser_kept: bool


def hear(chunks: Iterable[bytes], kind: type[LiveSocket] = LiveSocket) -> Outcome:
    """What a socket makes of a client's bytes, cut like this. The receipts come when everything was said."""

    async def session() -> Outcome:
        wire, till, show = Wire(), Till(), Show()
        said_hello = ClientSession()
        said_hello.receive('{"type":"hello","v":1}')
        socket = kind(show, None, "ann", said_hello, till, lambda: None)
        socket.take(wire, set(), Protocol(Side.SERVER), None)  # type: ignore[arg-type]
        show.room.add(socket)
        socket.begin([])
        for chunk in chunks:
            if not wire.closing:
                socket.data_received(chunk)
        kept = socket._parser is not None
        await asyncio.sleep(0)
        left = len(show.room)
        wire.closing = True
        socket.connection_lost(None)
        return Outcome(till.heard, wire.written, wire.closing, left, kept)

    return asyncio.run(session())


def cut(whole: bytes, places: Iterable[int]) -> list[bytes]:
    edges = [0, *sorted(places), len(whole)]
    return [whole[start:end] for start, end in pairwise(edges) if start < end]


# What clients may say

masks = st.one_of(st.just(b"\0\0\0\0"), st.binary(min_size=4, max_size=4))
sizes = st.sampled_from([0, 0, 2, 8])
orders = st.builds(
    lambda ref, drop, quantity, pad: msgspec.json.encode(frames.PlaceOrder(ref, drop, quantity)) + b" " * pad,
    ref=st.text("abc123", min_size=1, max_size=8),
    drop=st.text(min_size=1, max_size=6).filter(lambda text: not any(0xD800 <= ord(c) < 0xE000 for c in text)),
    quantity=st.integers(-5, 2**40),
    pad=st.sampled_from([0, 0, 0, 30, 200, 15_000]),
)
controls = st.builds(
    lambda opcode, payload, mask: frame(opcode, payload, mask=mask),
    st.sampled_from([PING, PING, PONG]),
    st.one_of(st.binary(max_size=8), st.just(b"x" * 125)),
    masks,
)


@st.composite
def messages(draw: st.DrawFn) -> bytes:
    """One order, whole or in fragments (empty ones too), with pings and pongs in between."""
    text = draw(orders)
    places = draw(st.lists(st.integers(0, len(text)), max_size=5))
    edges = [0, *sorted(places), len(text)]
    parts = [text[start:end] for start, end in pairwise(edges)]
    said = b""
    for number, part in enumerate(parts):
        if number:
            said += b"".join(draw(st.lists(controls, max_size=2)))
        opcode = TEXT if number == 0 else CONT
        said += frame(opcode, part, fin=number == len(parts) - 1, mask=draw(masks), size_bytes=draw(sizes))
    return said


endings = st.sampled_from(
    [
        b"",
        b"",
        frame(CLOSE, b""),
        frame(CLOSE, b"\x03\xe8bye") + frame(PING, b"late"),
        frame(CLOSE, b"\x00\x01"),
        frame(PING, b"first") + frame(TEXT, b"{") + frame(PING, b"late"),
        frame(PING, b"first") + frame(TEXT, b"\xff"),
        frame(TEXT, b"a", fin=False) + frame(PING, b"within") + frame(TEXT, b"b"),
        frame(TEXT, b"{", fin=False) + frame(CONT, b"\xe2\x82", fin=False) + frame(CONT, b"\xac"),
        frame(PING, b"first") + frame(BINARY, b"binary"),
        frame(BINARY, b"binary", fin=False) + frame(CONT, b"more"),
        frame(BINARY, b"binary", fin=False),
        frame(TEXT, b"{") + frame(TEXT, b"late", fin=False),
        frame(TEXT, b" " * 16_384) + frame(PING, b"late"),
        frame(TEXT, b" " * 16_385)[:8],
        frame(TEXT, b" " * 16_000, fin=False) + frame(CONT, b" " * 385),
        frame(3, b""),
        frame(PING, b"x" * 126),
        frame(TEXT, b"not masked", mask=None),
    ]
)


@st.composite
def talks(draw: st.DrawFn) -> bytes:
    return b"".join(draw(st.lists(st.one_of(messages(), controls), max_size=6))) + draw(endings)


def any_cut_is_heard_as_one_piece(data: st.DataObject, kind: type[LiveSocket] = LiveSocket) -> None:
    said = data.draw(talks())
    places = data.draw(st.lists(st.integers(0, len(said)), max_size=12))
    assert hear(cut(said, places), kind) == hear([said])


@LAW
@given(st.data())
def test_however_a_talk_is_cut_it_is_heard_and_answered_the_same(data):
    any_cut_is_heard_as_one_piece(data)


@settings(LAW, max_examples=30)
@given(talks().filter(lambda said: len(said) < 3_000))
def test_a_talk_byte_by_byte_is_heard_and_answered_the_same(said):
    assert hear(said[at : at + 1] for at in range(len(said))) == hear([said])


def asked_for(orders: list[frames.PlaceOrder]) -> list[frames.PlaceOrder]:
    """Without the double clicks: the very order again is answered with the first one's receipt."""
    first: dict[str, frames.PlaceOrder] = {}
    return [order for order in orders if first.setdefault(order.ref, order) is order or first[order.ref] != order]


@LAW
@given(st.lists(st.one_of(messages(), controls), max_size=6))
def test_every_order_is_heard_and_after_whole_messages_no_parser_is_kept(said):
    together = hear([b"".join(said)])
    apart = hear(said)
    assert together == apart
    assert not together.parser_kept
    assert together.in_the_room == 1
    assert together.heard == asked_for([order for each in said for order in hear([each]).heard])


@given(messages(), st.data())
@LAW
def test_in_the_middle_of_a_message_the_parser_is_kept(said, data):
    at = data.draw(st.integers(1, len(said) - 1))
    assert hear([said[:at]]).parser_kept
    assert not hear([said[:at], said[at:]]).parser_kept


def nothing_of_another_client_is_left(data: st.DataObject, kind: type[LiveSocket] = LiveSocket) -> None:
    """Parsers go from one client to the next."""
    said, anothers = data.draw(talks()), data.draw(talks())
    places = data.draw(st.lists(st.integers(0, len(anothers)), max_size=3))
    _spare.clear()
    alone = hear([said])
    _spare.clear()
    hear(cut(anothers, places), kind)
    assert hear([said]) == alone


@LAW
@given(st.data())
def test_what_a_client_says_is_heard_the_same_whatever_another_said_before(data):
    nothing_of_another_client_is_left(data)


class KeepsAnyParser(LiveSocket):
    """Hands on its parser, whatever state that is in."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        parser = self._parser = self._parser or (_spare.pop() if _spare else _new_parser())
        super().data_received(data)
        _spare[:] = [parser]


class ForgetsHalfAFrame(LiveSocket):
    """Keeps no parser, whatever was cut in half."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._parser = None


class AnswersLast(LiveSocket):
    """Answers pings only after everything in the same bytes was heard."""

    __slots__ = ()

    def data_received(self, data: bytes) -> None:
        later, write = [], self.write_bytes

        def hold(frame: bytes) -> None:
            (later.append if frame[0] == 0x8A else write)(frame)

        self.write_bytes = hold
        super().data_received(data)
        self.write_bytes = write
        if not self._transport.is_closing():
            for pong in later:
                write(pong)


@pytest.mark.parametrize(
    ("law", "broken"),
    [
        (any_cut_is_heard_as_one_piece, ForgetsHalfAFrame),
        (any_cut_is_heard_as_one_piece, AnswersLast),
        (nothing_of_another_client_is_left, KeepsAnyParser),
    ],
)
def test_the_law_can_fail(law: Callable[[st.DataObject, type[LiveSocket]], None], broken: type[LiveSocket]) -> None:
    @settings(LAW, max_examples=2_000, phases=[Phase.generate], database=None)
    @given(st.data())
    def broken_law(data: st.DataObject) -> None:
        law(data, broken)

    failing: Callable[[], None] = broken_law
    try:
        with pytest.raises((AssertionError, ExceptionGroup)):
            failing()
    finally:
        _spare.clear()
