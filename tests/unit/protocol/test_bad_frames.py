"""What cannot be read, and what its author is told."""

from __future__ import annotations

import pytest

from server.domain.errors import ProtocolViolation
from server.protocol import codec, frames
from server.protocol.codes import CloseCode

ORDER = '{"type":"order","ref":"r1","drop":"d1","quantity":1}'
NOT_JSON = "the frame is not one JSON object"


def order(**fields: str | None) -> str:
    """An order frame with some fields replaced by raw JSON, or left out."""
    body = {"ref": '"r1"', "drop": '"d1"', "quantity": "1"} | fields
    return '{"type":"order",' + ",".join(f'"{name}":{raw}' for name, raw in body.items() if raw is not None) + "}"


def hello(**fields: str) -> str:
    return '{"type":"hello",' + ",".join(f'"{name}":{raw}' for name, raw in ({"v": "1"} | fields).items()) + "}"


def detail_of(text: str | bytes) -> str:
    with pytest.raises(ProtocolViolation) as violation:
        codec.decode_client(text)
    assert violation.value.code == CloseCode.BAD_FRAME
    assert violation.value.reason == "bad_frame"
    return violation.value.detail


def test_the_order_these_examples_break_is_a_good_one():
    assert codec.decode_client(order()) == codec.decode_client(ORDER) == frames.PlaceOrder("r1", "d1", 1)


@pytest.mark.parametrize(
    "text",
    [
        "",
        b"",
        " ",
        "hello",
        "{nope",
        "{'type': 'hello'}",
        ORDER + "x",
        ORDER + ORDER,
        ORDER + "\0",
        "\ufeff" + ORDER,
        order(quantity="01"),
        order(quantity="NaN"),
        order(quantity="Infinity"),
    ],
)
def test_what_is_not_json_is_said_to_be_no_json(text):
    assert detail_of(text).startswith(NOT_JSON)


@pytest.mark.parametrize(
    "text",
    [
        b"\xff\xfe",
        ORDER.encode().replace(b"r1", b"\xff"),
        ORDER.encode().replace(b"d1", b"\xc3"),
        ORDER.encode().replace(b"d1", b"\xed\xa0\x80"),  # a surrogate in UTF-8's clothes
        ORDER.encode().replace(b'"drop"', b'"\xff"'),
        ORDER.replace("d1", "\ud800"),
        ORDER.replace("d1", "\\ud800"),
    ],
)
def test_what_is_not_utf8_is_said_to_be_no_json(text):
    assert detail_of(text).startswith(NOT_JSON)


@pytest.mark.parametrize(("text", "got"), [("[]", "array"), ("null", "null"), ('"x"', "str"), ("7", "int")])
def test_json_that_is_no_object_is_said_to_be_none(text, got):
    assert detail_of(text) == f"frame: Expected object, got {got}"


def test_an_unknown_type_is_named():
    assert detail_of('{"type":"dance"}') == "dance.type: Invalid value 'dance'"


def test_a_missing_type_is_named():
    assert detail_of('{"v":1}').startswith("frame.type: ")


def test_a_type_that_is_no_word_is_named():
    assert detail_of('{"type":3}').startswith("frame.type: ")


def test_an_extra_field_is_named():
    assert detail_of(order(colour='"red"')).startswith("order.colour: ")
    assert detail_of(hello(token='"x"')).startswith("hello.token: ")
    assert detail_of(hello(position='{"epoch":"e","seq":1,"at":2}')).startswith("hello.position.at: ")


@pytest.mark.parametrize("field", ["ref", "drop", "quantity"])
def test_a_missing_field_is_named(field):
    assert detail_of(order(**{field: None})).startswith(f"order.{field}: ")


def test_a_missing_field_within_a_field_is_named():
    assert detail_of(hello(position='{"epoch":"e"}')).startswith("hello.position.seq: ")


def test_a_version_we_do_not_speak_is_named():
    assert detail_of(hello(v="2")).startswith("hello.v: ")
    assert detail_of('{"type":"hello"}').startswith("hello.v: ")
    assert detail_of(hello(v="1.0")).startswith("hello.v: ")
    assert detail_of(hello(v="true")).startswith("hello.v: ")


@pytest.mark.parametrize(
    "quantity",
    ["1e400", "-1e400", "1.0", "1.5", "1e2", '"1"', "true", "null", "[1]", "{}", "9" * 10_000, "-" + "9" * 10_000],
    ids=lambda raw: raw[:8],
)
def test_a_quantity_that_is_no_integer_is_named(quantity):
    assert detail_of(order(quantity=quantity)).startswith("order.quantity: ")


@pytest.mark.parametrize("quantity", [0, -1, 2**63, 2**64, -(2**200)])
def test_an_integer_outside_the_limit_is_no_fault_but_a_matter_for_the_receipt(quantity):
    frame = codec.decode_client(order(quantity=str(quantity)))
    assert isinstance(frame, frames.PlaceOrder)
    assert frame.quantity == quantity


@pytest.mark.parametrize(
    "ref", ['""', '" "', '"a b"', '"r1\\n"', '"r1\\u0000"', '"é"', '"' + "r" * 65 + '"', "null", "7", "[]"]
)
def test_a_ref_that_is_no_word_of_64_printable_characters_is_named(ref):
    assert detail_of(order(ref=ref)).startswith("order.ref: ")


def test_the_longest_ref_is_fine():
    assert codec.decode_client(order(ref='"' + "~" * 64 + '"')).ref == "~" * 64


@pytest.mark.parametrize("field", ["drop", "variant"])
@pytest.mark.parametrize("raw", ['""', '"' + "d" * 65 + '"', "7"])
def test_an_id_that_cannot_be_one_is_named(field, raw):
    assert detail_of(order(**{field: raw})).startswith(f"order.{field}: ")


@pytest.mark.parametrize(
    ("position", "field"),
    [
        ("7", "position"),
        ('{"epoch":"","seq":1}', "position.epoch"),
        ('{"epoch":"e","seq":-1}', "position.seq"),
        ('{"epoch":"e","seq":9007199254740992}', "position.seq"),
        ('{"epoch":"e","seq":1e400}', "position.seq"),
        ('{"epoch":"e","seq":"1"}', "position.seq"),
    ],
)
def test_a_position_that_cannot_be_one_is_named(position, field):
    assert detail_of(hello(position=position)).startswith(f"hello.{field}: ")


@pytest.mark.parametrize("ticket", ['""', '"' + "t" * 257 + '"', "7"])
def test_a_ticket_that_cannot_be_one_is_named(ticket):
    assert detail_of(hello(ticket=ticket)).startswith("hello.ticket: ")


ARRAYS = "[" * 10_000 + "]" * 10_000
OBJECTS = '{"a":' * 10_000 + "1" + "}" * 10_000


@pytest.mark.parametrize("deep", [ARRAYS, OBJECTS], ids=["arrays", "objects"])
def test_a_frame_ten_thousand_deep_is_refused_wherever_it_is_deep(deep):
    assert detail_of(order(quantity=deep)).startswith("order.quantity: ")
    assert detail_of(order(extra=deep)).startswith("order.extra: ")
    assert detail_of(hello(position=deep)).startswith("hello.position")
    assert detail_of('{"type":' + deep + "}")
    assert detail_of(deep)
    assert detail_of(deep[: len(deep) // 2])


def test_a_deep_frame_is_told_that_frames_are_flat():
    assert detail_of(OBJECTS) == "the frame is nested too deeply; frames are flat"


@pytest.mark.parametrize("text", ['{"type":"%s"}', order(ref='"r1"', **{"%s": "1"})])
def test_a_detail_does_not_echo_what_was_made_up_at_any_length(text):
    detail = detail_of(text.replace("%s", "z" * 15_000))
    assert len(detail) <= codec.DETAIL_MAX
    assert "zzz" in detail


def test_the_frame_is_named_though_its_type_comes_last():
    assert detail_of('{"ref":"r1","drop":"d1","quantity":"x","type":"order"}').startswith("order.quantity: ")
