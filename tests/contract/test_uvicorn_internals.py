"""What the hand-over needs of uvicorn and websockets is there, and is missed at the start when it is not."""

from __future__ import annotations

from collections.abc import Generator
from typing import Any

import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import OPEN, Protocol, Side
from websockets.server import ServerProtocol
from websockets.streams import StreamReader

from server.live.socket import Incompatible, LiveWSProtocol, _between_frames, check_uvicorn
from tests.raw import CONT, PING, TEXT, frame, upgrade

UVICORN_METHODS = [
    "handle_connect",
    "handle_events",
    "handle_parser_exception",
    "run_asgi",
    "send",
    "send_receive_event_to_app",
    "shutdown",
    "stop_keepalive",
]
UVICORN_STATE = [
    "close_sent",
    "conn",
    "connections",
    "curr_msg_data_type",
    "disconnected",
    "frames",
    "handshake_complete",
    "handshake_initiated",
    "loop",
    "queue",
    "transport",
]
WEBSOCKETS_STATE = ["current_size", "handshake_exc", "parser", "parser_exc"]


@pytest.fixture
def config() -> uvicorn.Config:
    async def app(scope: Scope, receive: Receive, send: Send) -> None: ...

    config = uvicorn.Config(app, ws=LiveWSProtocol, log_config=None, ws_per_message_deflate=False)
    config.load()
    return config


async def test_the_installed_versions_have_all_that_is_needed(config: uvicorn.Config) -> None:
    check_uvicorn(config)


@pytest.mark.parametrize("name", UVICORN_METHODS)
async def test_a_method_uvicorn_has_no_more_is_named_at_the_start(
    config: uvicorn.Config, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.delattr(WebSocketsSansIOProtocol, name)
    with pytest.raises(Incompatible, match=rf"uvicorn.* no {name} .*requirements\.lock"):
        check_uvicorn(config)


@pytest.mark.parametrize("name", UVICORN_STATE)
async def test_an_attribute_uvicorn_has_no_more_is_named_at_the_start(
    config: uvicorn.Config, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(LiveWSProtocol, "__init__", _without(LiveWSProtocol, name))
    with pytest.raises(Incompatible, match=rf"uvicorn.* no {name} .*requirements\.lock"):
        check_uvicorn(config)


@pytest.mark.parametrize("name", WEBSOCKETS_STATE)
async def test_an_attribute_websockets_has_no_more_is_named_at_the_start(
    config: uvicorn.Config, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr(ServerProtocol, "__init__", _without(ServerProtocol, name))
    with pytest.raises(Incompatible, match=rf"websockets.* no {name} .*requirements\.lock"):
        check_uvicorn(config)


async def test_a_parser_that_waits_elsewhere_between_frames_is_noticed_at_the_start(
    config: uvicorn.Config, monkeypatch: pytest.MonkeyPatch
) -> None:
    def at_eof(self: StreamReader) -> Generator[None, None, bool]:
        while not self.buffer:
            yield
        return False

    monkeypatch.setattr(StreamReader, "at_eof", at_eof)
    with pytest.raises(Incompatible, match="parser waits elsewhere"):
        check_uvicorn(config)


def _without(owner: type, name: str) -> Any:
    """The owner's `__init__`, after which an attribute is gone."""
    made = owner.__init__  # type: ignore[misc]

    def init(self: object, *args: Any, **options: Any) -> None:
        made(self, *args, **options)
        delattr(self, name)

    return init


# What is known of the parser: a frame is whole exactly when it waits for the first byte of the next


@pytest.mark.parametrize("payload", [b"", b"x", b"x" * 126, b"x" * 70_000], ids=len)
def test_the_parser_is_between_frames_after_a_whole_frame_and_at_no_byte_before(payload: bytes) -> None:
    said = frame(TEXT, payload)
    parser = Protocol(Side.SERVER, state=OPEN)
    heads = range(1, min(20, len(said)))
    for at, end in [*((at, at + 1) for at in range(len(heads))), (len(heads), len(said) - 1)]:
        if at < end:
            parser.receive_data(said[at:end])
            assert not _between_frames(parser)
    parser.receive_data(said[max(len(heads), len(said) - 1) :])
    assert _between_frames(parser)
    assert [bytes(event.data) for event in parser.events_received()] == [payload]


def test_the_parser_is_between_frames_within_a_message_whose_size_says_so() -> None:
    parser = Protocol(Side.SERVER, state=OPEN)
    parser.receive_data(frame(TEXT, b"{", fin=False))
    assert _between_frames(parser)
    assert parser.current_size == 1
    parser.receive_data(frame(CONT, b"}"))
    assert parser.current_size is None


def test_a_servers_parser_is_between_frames_after_the_upgrade_and_after_a_close() -> None:
    parser = ServerProtocol()
    parser.receive_data(upgrade("/"))
    (request,) = parser.events_received()
    assert isinstance(request, Request)
    parser.send_response(parser.accept(request))
    parser.receive_data(frame(TEXT, b"hello") + frame(TEXT, b"half")[:-1])
    assert not _between_frames(parser)
    parser.receive_data(frame(TEXT, b"half")[-1:])
    assert _between_frames(parser)


def test_each_ping_is_answered_by_one_piece_of_what_there_is_to_send() -> None:
    """`LiveSocket.data_received` pairs them, so that a pong keeps its place among the answers."""
    parser = Protocol(Side.SERVER, state=OPEN)
    parser.receive_data(frame(PING, b"1") + frame(TEXT, b"{}") + frame(PING, b"2") + frame(3))
    assert [event.opcode for event in parser.events_received()] == [PING, TEXT, PING]
    one, two, *last = parser.data_to_send()
    assert (one, two) == (b"\x8a\x011", b"\x8a\x012")
    assert b"".join(last).startswith(b"\x88")
    assert parser.close_expected()
