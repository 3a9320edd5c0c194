"""Every frame comes back as it went out, and no text breaks the reader."""

from __future__ import annotations

import contextlib
import json

import msgspec
from hypothesis import example, given, settings
from hypothesis import strategies as st
from msgspec import UNSET, Raw

from server.domain.drop import Drop, DropStatus, DropVariant, StockLine
from server.domain.errors import ProtocolViolation, Reason
from server.domain.events import DropEvent, EventKind, StreamEvent
from server.domain.order import Accepted, Rejected
from server.domain.stream import StreamState
from server.domain.views import Stream, StreamStatus
from server.protocol import codec, frames
from server.protocol.session import ClientSession, SessionState

LAW = settings(max_examples=250, deadline=None)

text = st.text(max_size=12)
ids = st.text(min_size=1, max_size=64)
whole = st.integers(0, 2**53 - 1)
moments = st.none() | whole
lines = st.builds(StockLine, drop=text, variant=text, left=whole, version=whole)
streams = st.builds(
    Stream,
    slug=text,
    title=text,
    host=text,
    status=st.sampled_from(StreamStatus),
    starts_at=moments,
    video=st.none() | text,
    viewers=whole,
)
drops = st.builds(
    Drop,
    id=text,
    title=text,
    image=st.none() | text,
    price=whole,
    currency=st.just("USD"),
    limit=whole,
    opens_at=moments,
    closes_at=moments,
    variants=st.lists(st.builds(DropVariant, id=text, label=text, left=whole, version=whole), max_size=3).map(tuple),
    status=st.sampled_from(DropStatus),
    product=text,
    list_price=st.none() | whole,
)
events = st.builds(
    StreamEvent, kind=st.sampled_from([EventKind.STREAM_STARTED, EventKind.STREAM_ENDED]), stream=streams
) | st.builds(DropEvent, kind=st.sampled_from([kind for kind in EventKind if kind.startswith("drop_")]), drop=drops)
positions = st.builds(frames.Position, epoch=ids, seq=whole)
refs = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=64)
client_frames = st.builds(
    frames.Hello,
    v=st.just(1),
    ticket=st.none() | st.text(min_size=1, max_size=256),
    position=st.none() | positions,
) | st.builds(frames.PlaceOrder, ref=refs, drop=ids, quantity=st.integers(), variant=st.none() | ids)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=6,
)
raws = json_values.map(lambda value: Raw(msgspec.json.encode(value)))
welcomes = st.builds(
    frames.Welcome,
    session=text,
    viewer=st.none() | st.builds(frames.Viewer, id=text, name=text),
    now=whole,
    tick_ms=whole,
    position=positions,
    stock=raws,
    snapshot=raws | st.just(UNSET),
    missed=raws | st.just(UNSET),
)
receipts = st.builds(Accepted, ref=refs, order=text, quantity=whole, total=whole, currency=st.just("USD")) | st.builds(
    Rejected, ref=refs, reason=st.sampled_from(Reason), retry_in_ms=st.none() | whole
)
news = st.one_of(
    st.builds(frames.EventFrame, seq=whole, at=whole, event=raws),
    st.builds(frames.Stock, stock=st.lists(lines, max_size=3).map(tuple)),
    st.builds(frames.Present, replica=text, viewers=whole),
)
server_frames = st.one_of(
    welcomes,
    st.builds(frames.EventFrame, seq=whole, at=whole, event=raws),
    st.builds(frames.Stock, stock=st.lists(lines, max_size=3).map(tuple)),
    st.builds(frames.Tick, now=whole, seq=whole, viewers=whole),
    st.builds(frames.DrainFrame, reconnect_in_ms=whole),
    st.builds(frames.Fault, reason=text, detail=text),
)


@LAW
@given(client_frames)
def test_what_a_client_says_is_heard(frame):
    said = codec.encode(frame)
    assert codec.decode_client(said) == codec.decode_client(said.encode()) == frame


@LAW
@given(server_frames)
def test_what_the_server_says_is_heard(frame):
    said = codec.encode(frame)
    assert codec.decode_server(said) == codec.decode_server(said.encode()) == frame
    assert json.loads(said)["type"]


@LAW
@given(news)
def test_what_a_replica_says_is_heard(frame):
    assert codec.decode_news(codec.encode(frame)) == frame


@LAW
@given(whole, whole, events)
def test_an_event_is_read_as_it_was_written(seq, at_ms, event):
    frame = codec.decode_server(codec.encode_event(seq, at_ms, event))
    assert isinstance(frame, frames.EventFrame)
    assert (frame.seq, frame.at, codec.read_event(frame)) == (seq, at_ms, event)


@LAW
@given(receipts)
def test_a_receipt_says_all_its_answer_says(receipt):
    frame = codec.decode_server(codec.encode_receipt(receipt))
    assert isinstance(frame, frames.Receipt)
    if isinstance(receipt, Accepted):
        assert frame.status == "accepted"
        assert Accepted(frame.ref, frame.order, frame.quantity, frame.total, frame.currency) == receipt
        assert (frame.reason, frame.retry) == (None, None)
    else:
        assert (frame.ref, frame.status, frame.reason) == (receipt.ref, "rejected", receipt.reason)
        assert (frame.retry, frame.retry_in_ms) == (receipt.reason.retry, receipt.retry_in_ms)


@LAW
@given(streams, st.lists(drops, max_size=3, unique_by=lambda drop: drop.id), whole)
def test_a_snapshot_is_read_as_it_was_written(stream, drops, seq):
    text = codec.snapshot_of(StreamState(stream, {drop.id: drop for drop in drops}, seq))
    assert msgspec.json.decode(text, type=frames.Snapshot) == frames.Snapshot(stream, tuple(drops))


# Whatever a client sends, it gets a frame or a fault

FIELDS = ["type", "v", "ticket", "position", "ref", "drop", "variant", "quantity", "epoch", "seq", "extra"]
NASTY = st.sampled_from(
    ["hello", "order", 1, 0, -1, 2**63, 2**70, 1.0, 1e308, "1", True, None, "", "a b", "\0", {}, []]
)
nearly_frames = st.dictionaries(st.sampled_from(FIELDS), NASTY | json_values | text, max_size=7).map(json.dumps)


@st.composite
def spoilt_frames(draw: st.DrawFn) -> bytes:
    """A good frame with one stretch of its bytes replaced."""
    good = codec.encode(draw(client_frames)).encode()
    start = draw(st.integers(0, len(good)))
    end = draw(st.integers(start, min(len(good), start + 4)))
    return good[:start] + draw(st.binary(max_size=4)) + good[end:]


any_text = st.one_of(
    st.text(),
    st.text(st.characters(codec=None)),  # lone surrogates too
    st.binary(),
    nearly_frames,
    spoilt_frames(),
    spoilt_frames().map(lambda raw: raw.decode("utf-8", "surrogateescape")),
    st.tuples(st.sampled_from(["[", '{"type":', '{"a":', '{"type":"order","ref":']), st.integers(0, 5_000)).map(
        lambda part: part[0] * part[1]
    ),
)


@settings(max_examples=1_000, deadline=None)
@given(any_text)
@example("\ud800")
@example('{"type":"order","ref":"r","drop":"d","quantity":' + "9" * 5_000 + "}")
@example('{"type":"hello","v":1,"' + "z" * 16_000 + '":1}')
def test_any_text_is_a_frame_or_a_violation_that_says_what_is_wrong(said):
    frame, violation = read(said)
    if frame is not None:
        assert codec.decode_client(codec.encode(frame)) == frame
    else:
        assert violation is not None
        assert violation.code == 4500
        assert 0 < len(violation.detail) <= codec.DETAIL_MAX
        fault = frames.Fault(violation.reason, violation.detail)
        assert codec.decode_server(codec.encode(fault)) == fault


def read(said: str | bytes) -> tuple[frames.ClientFrame | None, ProtocolViolation | None]:
    try:
        return codec.decode_client(said), None
    except ProtocolViolation as violation:
        return None, violation


@LAW
@given(st.lists(client_frames.map(codec.encode) | any_text, max_size=6))
def test_a_session_takes_one_hello_then_orders_and_nothing_after_a_violation(said):
    session = ClientSession()
    taken = []
    for text in said:
        was_over = session.state is SessionState.OVER
        try:
            taken.append(session.receive(text))
        except ProtocolViolation:
            assert session.state is SessionState.OVER
        else:
            assert not was_over
            assert session.state is SessionState.LIVE
    assert [type(frame) for frame in taken] == [frames.Hello, *[frames.PlaceOrder] * (len(taken) - 1)][: len(taken)]


@LAW
@given(any_text)
def test_what_comes_over_the_bus_is_news_or_an_error_the_relay_knows(said):
    with contextlib.suppress(msgspec.DecodeError, UnicodeError, RecursionError):
        codec.decode_news(said)
