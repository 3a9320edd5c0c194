"""What is written: the shapes the interface shows, byte for byte where it matters."""

from __future__ import annotations

import json
from dataclasses import replace

import msgspec
import pytest

from server.domain.drop import Drop, DropStatus, DropVariant, StockLine
from server.domain.errors import Reason
from server.domain.events import DropEvent, EventKind, Position, StreamEvent
from server.domain.order import Accepted, Rejected
from server.domain.stream import StreamState
from server.domain.views import Stream, StreamStatus
from server.protocol import codec, frames

STREAM = Stream("friday", "Friday drops", "Mara", StreamStatus.LIVE, None, None, viewers=1284)
DROP = Drop(
    id="d1",
    title="Hoodie",
    image=None,
    price=2400,
    currency="USD",
    limit=2,
    opens_at=None,
    closes_at=1_767_225_900_000,
    variants=(DropVariant("v1", "M", left=100, version=1),),
    status=DropStatus.OPEN,
    product="p1",
    list_price=3200,
)
DROP_JSON = {
    "id": "d1",
    "title": "Hoodie",
    "image": None,
    "price": 2400,
    "currency": "USD",
    "limit": 2,
    "opens_at": None,
    "closes_at": 1_767_225_900_000,
    "variants": [{"id": "v1", "label": "M", "left": 100, "version": 1}],
    "status": "open",
    "product": "p1",
    "list_price": 3200,
}
STREAM_JSON = {
    "slug": "friday",
    "title": "Friday drops",
    "host": "Mara",
    "status": "live",
    "starts_at": None,
    "video": None,
    "viewers": 1284,
}
LINE = StockLine("d1", "v1", left=37, version=91)


def test_an_accepted_receipt():
    assert codec.encode_receipt(Accepted("01JD8", "o1", quantity=1, total=2400, currency="USD")) == (
        '{"type":"receipt","ref":"01JD8","status":"accepted","order":"o1","quantity":1,"total":2400,"currency":"USD"}'
    )


def test_a_rejected_receipt():
    assert codec.encode_receipt(Rejected("01JD9", Reason.SOLD_OUT)) == (
        '{"type":"receipt","ref":"01JD9","status":"rejected","reason":"sold_out","retry":false}'
    )
    assert codec.encode_receipt(Rejected("01JD9", Reason.BUSY, 700)) == (
        '{"type":"receipt","ref":"01JD9","status":"rejected","reason":"busy","retry":true,"retry_in_ms":700}'
    )


@pytest.mark.parametrize("reason", list(Reason))
def test_a_rejected_receipt_always_says_whether_to_try_again(reason):
    receipt = json.loads(codec.encode_receipt(Rejected("r1", reason)))
    assert receipt["retry"] is reason.retry
    assert set(receipt) == {"type", "ref", "status", "reason", "retry"}


def test_a_stock_frame():
    assert codec.encode_stock([LINE]) == (
        '{"type":"stock","stock":[{"drop":"d1","variant":"v1","left":37,"version":91}]}'
    )


def test_a_drops_event():
    text = codec.encode_event(58, 1_767_225_600_456, DropEvent(EventKind.DROP_OPENED, DROP))
    assert text.startswith(
        '{"type":"event","seq":58,"at":1767225600456,"event":{"kind":"drop_opened","drop":{"id":"d1",'
    )
    assert json.loads(text)["event"] == {"kind": "drop_opened", "drop": DROP_JSON}


def test_a_drops_event_of_a_log_that_began_before_there_were_list_prices():
    text = codec.encode_event(58, 1, DropEvent(EventKind.DROP_OPENED, DROP)).replace(',"list_price":3200', "")
    frame = codec.decode_news(text)
    assert isinstance(frame, frames.EventFrame)
    assert codec.read_event(frame) == DropEvent(EventKind.DROP_OPENED, replace(DROP, list_price=None))


def test_a_streams_event():
    text = codec.encode_event(1, 2, StreamEvent(EventKind.STREAM_STARTED, STREAM))
    assert json.loads(text)["event"] == {"kind": "stream_started", "stream": STREAM_JSON}


@pytest.mark.parametrize(
    ("frame", "text"),
    [
        (frames.Tick(now=3, seq=59, viewers=1284), '{"type":"tick","now":3,"seq":59,"viewers":1284}'),
        (frames.DrainFrame(2400), '{"type":"drain","reconnect_in_ms":2400}'),
        (
            frames.Fault("bad_frame", "order.ref: too long"),
            '{"type":"fault","reason":"bad_frame","detail":"order.ref: too long"}',
        ),
    ],
)
def test_frames_about_the_connection(frame, text):
    assert codec.encode(frame) == text


def welcome(**parts) -> dict:
    text = codec.encode_welcome(
        session="s1",
        viewer=frames.Viewer("u1", "Ann"),
        now_ms=1_767_225_600_123,
        tick_ms=15_000,
        position=Position("e7f2", 57),
        stock=codec.stock_lines([LINE]),
        **parts,
    )
    return json.loads(text)


HEAD = {
    "type": "welcome",
    "session": "s1",
    "viewer": {"id": "u1", "name": "Ann"},
    "now": 1_767_225_600_123,
    "tick_ms": 15_000,
    "position": {"epoch": "e7f2", "seq": 57},
    "stock": [{"drop": "d1", "variant": "v1", "left": 37, "version": 91}],
}


def test_a_welcome_with_a_snapshot_has_nothing_missed():
    snapshot = codec.snapshot_of(StreamState(STREAM, {"d1": DROP}, 57))
    assert welcome(snapshot=snapshot) == HEAD | {"snapshot": {"stream": STREAM_JSON, "drops": [DROP_JSON]}}


def test_a_welcome_with_what_was_missed_has_no_snapshot():
    missed = tuple(codec.encode_event(seq, 2, DropEvent(EventKind.DROP_OPENED, DROP)) for seq in (56, 57))
    assert welcome(missed=missed) == HEAD | {"missed": [json.loads(text) for text in missed]}


def test_a_welcome_back_after_missing_nothing_has_an_empty_list():
    assert welcome(missed=()) == HEAD | {"missed": []}


@pytest.mark.parametrize("parts", [{}, {"snapshot": b"{}", "missed": ()}])
def test_a_welcome_has_exactly_one_of_the_two(parts):
    with pytest.raises(ValueError, match="either"):
        welcome(**parts)


def test_a_guest_is_welcomed_as_nobody():
    text = codec.encode_welcome(
        session="s1", viewer=None, now_ms=1, tick_ms=1, position=Position("e", 0), stock=b"[]", missed=()
    )
    assert json.loads(text)["viewer"] is None


def event_frame(event: object) -> frames.EventFrame:
    frame = codec.decode_server(json.dumps({"type": "event", "seq": 1, "at": 2, "event": event}))
    assert isinstance(frame, frames.EventFrame)
    return frame


def test_an_event_of_a_kind_not_known_is_read_as_none():
    assert codec.read_event(event_frame({"kind": "poll_opened", "poll": {"id": "x"}})) is None


def test_an_event_with_more_fields_than_we_know_is_read():
    more = {"kind": "drop_opened", "drop": DROP_JSON | {"colour": "red"}, "by": "Mara"}
    assert codec.read_event(event_frame(more)) == DropEvent(EventKind.DROP_OPENED, DROP)


@pytest.mark.parametrize("event", [{}, [], 7, None, {"kind": 7}, {"kind": "drop_opened"}, {"kind": "stream_ended"}])
def test_an_event_that_cannot_be_read_is_a_validation_error(event):
    with pytest.raises(msgspec.ValidationError):
        codec.read_event(event_frame(event))


def test_news_of_the_bus_are_events_stock_and_presence():
    for frame in (frames.Stock((LINE,)), frames.Present("r1", 7), event_frame({"kind": "drop_opened"})):
        assert codec.decode_news(codec.encode(frame)) == frame


def test_what_a_client_says_is_no_news():
    with pytest.raises(msgspec.ValidationError):
        codec.decode_news('{"type":"hello","v":1}')
