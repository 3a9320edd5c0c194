from __future__ import annotations

import pytest

from server.domain.errors import ProtocolViolation
from server.protocol import frames
from server.protocol.codes import CloseCode
from server.protocol.session import ClientSession, SessionState

HELLO = '{"type":"hello","v":1}'
ORDER = '{"type":"order","ref":"r1","drop":"d1","quantity":1}'


def refused(session: ClientSession, text: str) -> str:
    with pytest.raises(ProtocolViolation) as violation:
        session.receive(text)
    assert violation.value.code == CloseCode.BAD_FRAME
    assert session.state is SessionState.OVER
    return violation.value.detail


def test_a_session_is_one_hello_then_orders():
    session = ClientSession()
    assert session.state is SessionState.AWAITING_HELLO
    assert session.receive(HELLO) == frames.Hello(1)
    assert session.state is SessionState.LIVE
    assert session.receive(ORDER) == session.receive(ORDER) == frames.PlaceOrder("r1", "d1", 1)


def test_a_hello_may_say_who_and_where():
    said = ClientSession().receive('{"type":"hello","v":1,"ticket":"t1","position":{"epoch":"e7f2","seq":41}}')
    assert said == frames.Hello(1, "t1", frames.Position("e7f2", 41))


def test_a_first_frame_that_is_not_hello_is_told_what_hello_is():
    assert refused(ClientSession(), ORDER) == 'the first frame must be hello: {"type": "hello", "v": 1}'


def test_a_second_hello_is_refused():
    session = ClientSession()
    session.receive(HELLO)
    assert refused(session, HELLO).startswith("hello: ")


def test_a_hello_of_another_version_is_refused():
    assert refused(ClientSession(), '{"type":"hello","v":2}').startswith("hello.v: ")


def test_a_frame_that_cannot_be_read_ends_the_session():
    session = ClientSession()
    session.receive(HELLO)
    assert refused(session, "{nope").startswith("the frame is not one JSON object")


@pytest.mark.parametrize("more", [HELLO, ORDER, "{nope"])
def test_nothing_is_taken_after_a_violation(more):
    session = ClientSession()
    refused(session, ORDER)
    assert refused(session, more) == "the session is over"
