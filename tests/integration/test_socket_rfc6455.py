"""RFC 6455 after the hand-over, in bytes, against a running replica; and what comes before it."""

from __future__ import annotations

import asyncio
import json
import re
import secrets
import socket
import urllib.request
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from server.live import socket as live_socket
from server.live.socket import LiveWSProtocol, handover_of
from tests.client import Api, LiveClient
from tests.journeys.conftest import PASSWORD, furnish
from tests.raw import BINARY, CLOSE, CONT, PING, PONG, TEXT, Ended, RawClient, Said, close, frame, upgrade
from tests.services.process import eventually
from tests.services.replica import Replica, shared_settings

STREAM = "show"
LARGEST = 16 * 1024
HELLO = '{"type":"hello","v":1}'


def order(ref: str, pad: int = 0) -> str:
    """A good order; a guest's is answered with `login_required`. `pad` fills it up to so many bytes."""
    return json.dumps({"type": "order", "ref": ref, "drop": "f" * 32, "quantity": 1}).ljust(pad)


@dataclass
class Stage:
    """A replica with a live stream and nobody in it."""

    replica: Replica

    @asynccontextmanager
    async def joined(self) -> AsyncIterator[RawClient]:
        """Somebody who was handed over."""
        async with await RawClient.upgrade(self.replica.port, f"/ws/{STREAM}") as client:
            await client.send(frame(TEXT, HELLO))
            welcome = await client.said()
            assert b'"type":"welcome"' in welcome.payload
            yield client

    def sockets(self) -> int:
        """How many the replica counts."""
        with urllib.request.urlopen(f"{self.replica.url}/metrics", timeout=5) as answer:
            found = re.search(rb"^dropcast_sockets (\S+)$", answer.read(), re.MULTILINE)
        assert found is not None
        return int(float(found.group(1)))


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    """One replica over SQLite for all cases."""
    settings = {
        **shared_settings(f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('rfc')}/shop.db", "memory://"),
        "DROPCAST_RATE_LIMITS": "off",
    }
    asyncio.run(furnish(settings))

    async def go_live(url: str) -> None:
        async with Api(url) as host:
            await host.login("host@example.com", PASSWORD)
            await host.create_stream(STREAM)
            await host.start(STREAM)

    with Replica(settings) as replica:
        asyncio.run(go_live(replica.url))
        yield Stage(replica)


@pytest.fixture(autouse=True)
def _nobody_stays_and_nothing_is_an_error(request: pytest.FixtureRequest) -> Iterator[None]:
    if "stage" not in request.fixturenames:
        yield
        return
    stage: Stage = request.getfixturevalue("stage")
    before = len(stage.replica.log_text())
    yield
    assert eventually(lambda: stage.sockets() == 0, within_s=5), f"{stage.sockets()} sockets are left"
    log = stage.replica.log_text()[before:]
    assert '"level": "error"' not in log, log
    assert "Traceback" not in log, log


def receipt_of(said: Said) -> str | None:
    """The ref a frame answers."""
    return json.loads(said.payload).get("ref") if said.opcode == TEXT else None


# What the connection survives

GOES_ON: dict[str, tuple[list[bytes], list[Said]]] = {
    "a ping without payload": ([frame(PING)], [Said(PONG, b"")]),
    "a ping with a payload": ([frame(PING, b"\x00\xff\xfe\xfd")], [Said(PONG, b"\x00\xff\xfe\xfd")]),
    "a ping of 125 bytes": ([frame(PING, b"x" * 125)], [Said(PONG, b"x" * 125)]),
    "a ping of 125 bytes, byte by byte": (
        [bytes([byte]) for byte in frame(PING, b"y" * 125)],
        [Said(PONG, b"y" * 125)],
    ),
    "ten pings in one segment": (
        [b"".join(frame(PING, str(n)) for n in range(10))],
        [Said(PONG, str(n).encode()) for n in range(10)],
    ),
    "a ping whose size is written longer than it need be": ([frame(PING, b"p", size_bytes=8)], [Said(PONG, b"p")]),
    "a pong nobody asked for": ([frame(PONG), frame(PONG, b"x" * 125)], []),
    "a pong nobody asked for, then a ping": ([frame(PONG, b"no") + frame(PING, b"yes")], [Said(PONG, b"yes")]),
    "a mask of zeros": ([frame(PING, b"p", mask=b"\0\0\0\0")], [Said(PONG, b"p")]),
}


@pytest.mark.parametrize(("chunks", "answers"), GOES_ON.values(), ids=GOES_ON.keys())
async def test_what_the_connection_survives(stage: Stage, chunks: list[bytes], answers: list[Said]) -> None:
    async with stage.joined() as client:
        await client.send(*chunks, frame(TEXT, order("still-here")))
        *heard, receipt = await client.until(lambda said: receipt_of(said) is not None)
        assert heard == answers
        assert receipt_of(receipt) == "still-here"


# How an order may come

WHOLE = order("ref").encode()
ACCENTED = order("ref").replace("f" * 32, "né€🛍").encode()
CUTS = [at for at in range(1, len(ACCENTED)) if ACCENTED[at] & 0xC0 == 0x80]  # within a code point


def in_fragments(text: bytes, size: int, between: bytes = b"") -> list[bytes]:
    parts = [text[at : at + size] for at in range(0, len(text), size)]
    said = []
    for number, part in enumerate(parts):
        said.append(frame(CONT if number else TEXT, part, fin=number == len(parts) - 1))
        said.append(between)
    return [chunk for chunk in said[:-1] if chunk]


READ: dict[str, list[bytes]] = {
    "whole": [frame(TEXT, WHOLE)],
    "byte by byte": [bytes([byte]) for byte in frame(TEXT, WHOLE)],
    "in two fragments": in_fragments(WHOLE, len(WHOLE) // 2 + 1),
    "in three fragments": in_fragments(WHOLE, len(WHOLE) // 3 + 1),
    "in two fragments in one segment": [b"".join(in_fragments(WHOLE, len(WHOLE) // 2 + 1))],
    "in fragments of one byte": [b"".join(in_fragments(WHOLE, 1))],
    "in fragments of one byte, byte by byte": [bytes([byte]) for byte in b"".join(in_fragments(WHOLE, 1))],
    "with pings and pongs between fragments": [b"".join(in_fragments(WHOLE, 5, frame(PING, b"p") + frame(PONG)))],
    "with empty fragments": [
        frame(TEXT, fin=False) + frame(CONT, fin=False) + frame(CONT, WHOLE, fin=False) + frame(CONT)
    ],
    "with a size written in two bytes": [frame(TEXT, WHOLE, size_bytes=2)],
    "with a size written in eight bytes": [frame(TEXT, WHOLE, size_bytes=8)],
    "of 125 bytes": [frame(TEXT, order("ref", 125))],
    "of 126 bytes": [frame(TEXT, order("ref", 126))],
    "of 127 bytes": [frame(TEXT, order("ref", 127))],
    "of 128 bytes": [frame(TEXT, order("ref", 128))],
    "of 16 KiB exactly": [frame(TEXT, order("ref", LARGEST))],
    "of 16 KiB exactly in fragments": [b"".join(in_fragments(order("ref", LARGEST).encode(), 1000))],
    "of more than ASCII": [frame(TEXT, ACCENTED)],
    **{
        f"cut within a code point at {at}, in one frame": [
            frame(TEXT, ACCENTED)[: 6 + at],
            frame(TEXT, ACCENTED)[6 + at :],
        ]
        for at in CUTS
    },
    **{
        f"cut within a code point at {at}, in two fragments": [
            frame(TEXT, ACCENTED[:at], fin=False),
            frame(CONT, ACCENTED[at:]),
        ]
        for at in CUTS
    },
}


@pytest.mark.parametrize("chunks", READ.values(), ids=READ.keys())
async def test_an_order_is_read_however_it_comes(stage: Stage, chunks: list[bytes]) -> None:
    async with stage.joined() as client:
        await client.send(*chunks)
        heard = await client.until(lambda said: receipt_of(said) is not None)
        assert receipt_of(heard[-1]) == "ref"
        assert {said.opcode for said in heard[:-1]} <= {PONG}


async def test_two_orders_in_one_segment_are_both_answered(stage: Stage) -> None:
    async with stage.joined() as client:
        await client.send(frame(TEXT, order("one")) + frame(TEXT, order("two")))
        assert [receipt_of(await client.said()), receipt_of(await client.said())] == ["one", "two"]


async def test_a_ping_between_two_fragments_is_answered_before_the_message_is_whole(stage: Stage) -> None:
    async with stage.joined() as client:
        await client.send(frame(TEXT, WHOLE[:9], fin=False), frame(PING, b"now"))
        assert await client.said() == Said(PONG, b"now")
        await client.send(frame(CONT, WHOLE[9:]))
        assert receipt_of(await client.said()) == "ref"


# What ends the connection

BROKEN: dict[str, tuple[list[bytes], int]] = {
    "a ping of 126 bytes": ([frame(PING, b"x" * 126)], 1002),
    "a ping in fragments": ([frame(PING, b"x", fin=False), frame(CONT, b"y")], 1002),
    "a pong in fragments": ([frame(PONG, b"x", fin=False)], 1002),
    "a close in fragments": ([frame(CLOSE, b"\x03", fin=False)], 1002),
    **{f"reserved bits {bits:03b}": ([frame(TEXT, WHOLE, reserved=bits)], 1002) for bits in range(1, 8)},
    "reserved bits on a ping": ([frame(PING, b"p", reserved=4)], 1002),
    "reserved bits on a close": ([frame(CLOSE, b"\x03\xe8", reserved=2)], 1002),
    **{f"opcode {opcode}": ([frame(opcode, b"x")], 1002) for opcode in (3, 4, 5, 6, 7, 11, 12, 13, 14, 15)},
    "a text that is not masked": ([frame(TEXT, WHOLE, mask=None)], 1002),
    "a ping that is not masked": ([frame(PING, mask=None)], 1002),
    "a continuation of nothing": ([frame(CONT, WHOLE)], 1002),
    "a continuation of nothing that goes on": ([frame(CONT, WHOLE, fin=False)], 1002),
    "a continuation after a whole text": ([frame(TEXT, order("r")), frame(CONT, b"x")], 1002),
    "a text within a message in fragments": ([frame(TEXT, b"{", fin=False), frame(TEXT, b"}")], 1002),
    "a text within a message, in one segment": ([frame(TEXT, b"{", fin=False) + frame(TEXT, b"}")], 1002),
    "a close within a message in fragments": ([frame(TEXT, b"{", fin=False), close(1000)], 1002),
    "a text that is not UTF-8": ([frame(TEXT, b"\xff")], 1007),
    "a text with a surrogate": ([frame(TEXT, b"\xed\xa0\x80")], 1007),
    "a text with an overlong form": ([frame(TEXT, b"\xc0\xaf")], 1007),
    "a text beyond the last code point": ([frame(TEXT, b"\xf4\x90\x80\x80")], 1007),
    "a text that ends within a code point": ([frame(TEXT, "€".encode()[:2])], 1007),
    "a text not UTF-8, byte by byte": ([bytes([byte]) for byte in frame(TEXT, b"a\xe2\x28\xa1")], 1007),
    "fragments that are not UTF-8": ([frame(TEXT, b"a", fin=False), frame(CONT, b"\xff")], 1007),
    "fragments that break within a code point": ([frame(TEXT, b"\xe2\x82", fin=False), frame(CONT, b"a")], 1007),
    "16 KiB and a byte": ([frame(TEXT, b" " * (LARGEST + 1))], 1009),
    "16 KiB and a byte, announced": ([frame(TEXT, b" " * (LARGEST + 1))[:4]], 1009),
    "the largest size there is, announced": ([b"\x81\xff" + b"\xff" * 8], 1009),
    "16 KiB and a byte in fragments": (
        [frame(TEXT, b" " * 10_000, fin=False), frame(CONT, b" " * (LARGEST - 10_000 + 1))],
        1009,
    ),
    "16 KiB and a byte in small fragments": ([b"".join(in_fragments(b" " * (LARGEST + 1), 512))], 1009),
    "a binary message": ([frame(BINARY, WHOLE)], 4500),
    "a binary message in fragments": ([frame(BINARY, WHOLE, fin=False)], 4500),
    "an empty text": ([frame(TEXT)], 4500),
    "16 KiB of nothing": ([frame(TEXT, b" " * LARGEST)], 4500),
    "a close with half a code": ([frame(CLOSE, b"\x03")], 1002),
    "a close of 126 bytes": ([close(1000, b"x" * 124)], 1002),
    **{
        f"a close with code {code}": ([close(code)], 1002)
        for code in (0, 999, 1004, 1005, 1006, 1015, 1016, 1100, 2000, 2999, 5000, 65535)
    },
    "a close with a reason that is not UTF-8": ([close(1000, b"\xff")], 1007),
    "a close with a reason cut within a code point": ([close(1000, "€".encode()[:2])], 1007),
}


@pytest.mark.parametrize(("chunks", "code"), BROKEN.values(), ids=BROKEN.keys())
async def test_what_ends_the_connection_and_with_which_code(stage: Stage, chunks: list[bytes], code: int) -> None:
    async with stage.joined() as client:
        await client.send(*chunks)
        *before, last = await client.until(lambda said: said.opcode == CLOSE)
        assert last.code == code
        with suppress(ConnectionError):  # what could not be read ends the connection at once
            await client.send(close(code))
        assert await client.until_the_end() == []
        last.payload[2:].decode()
        faults = [json.loads(said.payload) for said in before if receipt_of(said) is None]
        assert [fault["type"] for fault in faults] == (["fault"] if code == 4500 else [])


async def test_a_client_of_ours_is_told_in_words_why_it_was_closed(stage: Stage) -> None:
    async with await LiveClient.join(stage.replica.ws_url(STREAM)) as client:
        await client.send(b"binary")
        assert await client.expect_close() == 4500


REGISTERED = (1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
ECHOED = {
    "no body": close(),
    "a code": close(1000),
    "a code and a reason": close(1000, b"bye"),
    "the longest reason": close(1000, b"x" * 123),
    "a reason of more than ASCII": close(1001, "à bientôt €".encode()),
    **{
        f"code {code}": close(code) for code in (1001, 1002, 1003, 1007, 1008, 1009, 1010, 1011, 3000, 3999, 4000, 4999)
    },
}


@pytest.mark.parametrize("goodbye", ECHOED.values(), ids=ECHOED.keys())
async def test_a_close_is_echoed_then_the_connection_ends(stage: Stage, goodbye: bytes) -> None:
    async with stage.joined() as client:
        await client.send(goodbye)
        (echo,) = await client.until_the_end()
        assert frame(CLOSE, echo.payload) == goodbye


@pytest.mark.parametrize(
    "late", [frame(PING, b"late"), frame(TEXT, order("late")), close(4000), b"\xff" * 50], ids=repr
)
async def test_what_follows_a_close_is_ignored(stage: Stage, late: bytes) -> None:
    async with stage.joined() as client:
        await client.send(close(1000) + late)
        assert await client.until_the_end() == [Said(CLOSE, b"\x03\xe8")]


async def test_what_came_before_a_close_in_the_same_segment_is_answered(stage: Stage) -> None:
    async with stage.joined() as client:
        await client.send(frame(PING, b"p") + close(1000))
        assert await client.until_the_end() == [Said(PONG, b"p"), Said(CLOSE, b"\x03\xe8")]


async def test_what_follows_a_bad_frame_is_ignored_and_its_close_ends_the_connection(stage: Stage) -> None:
    async with stage.joined() as client:
        await client.send(frame(TEXT, "{") + frame(TEXT, order("late")) + frame(PING))
        fault, goodbye = await client.until(lambda said: said.opcode == CLOSE)
        assert (json.loads(fault.payload)["type"], goodbye.code) == ("fault", 4500)
        await client.send(frame(PING, b"late"), close(4500))
        assert await client.until_the_end() == []


async def test_a_client_that_closes_only_its_half_is_let_go(stage: Stage) -> None:
    async with stage.joined() as client:
        client.sock.shutdown(socket.SHUT_WR)
        assert await client.until_the_end() == []


@pytest.mark.parametrize(
    "half",
    [b"", b"\x81", frame(TEXT, WHOLE)[:-1], frame(TEXT, b"{", fin=False), frame(PING, b"p")[:3]],
    ids=["between frames", "in a head", "in a text", "in a message", "in a ping"],
)
async def test_a_client_that_vanishes_anywhere_leaves_nothing_behind(stage: Stage, half: bytes) -> None:
    async with stage.joined() as client:
        await client.send(half)
        client.reset()


# Around the hand-over


@pytest.fixture
async def viewer(stage: Stage) -> AsyncIterator[Api]:
    async with Api(stage.replica.url) as viewer:
        await viewer.login("viewer@example.com", PASSWORD)
        yield viewer


def hello_of(ticket: str) -> bytes:
    return frame(TEXT, json.dumps({"type": "hello", "v": 1, "ticket": ticket}))


@pytest.mark.parametrize("late", [1, 3, 6, 7, 20, 60], ids=lambda late: f"all but {late} bytes")
async def test_an_order_that_comes_half_with_hello_is_answered_after_the_welcome(
    stage: Stage, viewer: Api, late: int
) -> None:
    for hello in (frame(TEXT, HELLO), hello_of(await viewer.ticket(STREAM))):
        async with await RawClient.upgrade(stage.replica.port, f"/ws/{STREAM}") as client:
            said = frame(TEXT, order("early"))
            await client.send(hello + said[:-late])
            welcome = await client.said()
            await client.send(said[-late:] + frame(TEXT, order("next")))
            heard = [welcome, await client.said(), await client.said()]
            assert b'"type":"welcome"' in heard[0].payload
            assert [receipt_of(said) for said in heard[1:]] == ["early", "next"]


WITH_HELLO = {
    "an order": ([frame(TEXT, order("early"))], []),
    "a ping and an order": ([frame(PING, b"p") + frame(TEXT, order("early"))], []),
    "an order in fragments": ([b"".join(in_fragments(order("early").encode(), 20))], []),
    "half an order in fragments": (
        [frame(TEXT, order("early")[:9], fin=False)],
        [frame(CONT, order("early")[9:20], fin=False) + frame(PING, b"p"), frame(CONT, order("early")[20:])],
    ),
    "a fragment and half of the next": (
        [frame(TEXT, order("early")[:9], fin=False) + frame(CONT, order("early")[9:])[:8]],
        [frame(CONT, order("early")[9:])[8:]],
    ),
}


@pytest.mark.parametrize(("with_hello", "after"), WITH_HELLO.values(), ids=WITH_HELLO.keys())
async def test_what_comes_with_hello_is_answered_after_the_welcome(
    stage: Stage, viewer: Api, with_hello: list[bytes], after: list[bytes]
) -> None:
    for hello in (frame(TEXT, HELLO), hello_of(await viewer.ticket(STREAM))):
        async with await RawClient.upgrade(stage.replica.port, f"/ws/{STREAM}") as client:
            await client.send(hello + b"".join(with_hello))
            heard = await client.until(lambda said: b'"type":"welcome"' in said.payload)
            await client.send(*after)
            heard += await client.until(lambda said: receipt_of(said) is not None)
            texts = [said for said in heard if said.opcode == TEXT]
            assert [b'"type":"welcome"' in texts[0].payload, receipt_of(texts[1])] == [True, "early"]
            assert {said.opcode for said in heard} <= {TEXT, PONG}


BAD_WITH_HELLO = {
    "a second hello": (frame(TEXT, HELLO), 4500),
    "a binary message": (frame(BINARY, WHOLE), 4500),
    "half a binary message": (frame(BINARY, WHOLE, fin=False), 4500),
    "a frame that is not masked": (frame(TEXT, WHOLE, mask=None), 1002),
    "a frame too large": (frame(TEXT, b" " * (LARGEST + 1)), 1009),
    "a text that is not UTF-8": (frame(TEXT, b"\xff"), 1007),
    "fragments that are not UTF-8": (frame(TEXT, b"\xe2", fin=False) + frame(CONT, b"\x28"), 1007),
    "a close": (close(1000), 1000),
    "a text that is not UTF-8, and a close": (frame(TEXT, b"\xff") + close(1000), 1000),
}


@pytest.mark.parametrize(("bad", "code"), BAD_WITH_HELLO.values(), ids=BAD_WITH_HELLO.keys())
async def test_what_ends_the_connection_ends_it_also_in_the_segment_of_hello(
    stage: Stage, viewer: Api, bad: bytes, code: int
) -> None:
    for hello in (frame(TEXT, HELLO), hello_of(await viewer.ticket(STREAM))):
        async with await RawClient.upgrade(stage.replica.port, f"/ws/{STREAM}") as client:
            await client.send(hello + bad)
            assert (await client.until(lambda said: said.opcode == CLOSE))[-1].code == code
            with suppress(ConnectionError):
                await client.send(close(code))
            assert await client.until_the_end() == []


@pytest.mark.parametrize(
    ("bad", "code"),
    [(frame(TEXT, b"\xff"), 1007), (frame(3, b""), 1002), (frame(TEXT, b" " * (LARGEST + 1)), 1009)],
    ids=["not UTF-8", "a reserved opcode", "too large"],
)
async def test_a_bad_first_frame_ends_the_connection(stage: Stage, bad: bytes, code: int) -> None:
    async with await RawClient.upgrade(stage.replica.port, f"/ws/{STREAM}") as client:
        await client.send(bad)
        assert [said.code for said in await client.until_the_end()] == [code]


async def test_viewers_who_vanish_between_hello_and_welcome_leave_nothing_behind(stage: Stage) -> None:
    """A position ahead of the replica's makes it ask the database, and meanwhile they are gone."""
    ahead = frame(TEXT, '{"type":"hello","v":1,"position":{"epoch":"e","seq":1000000}}')
    clients = [await RawClient.upgrade(stage.replica.port, f"/ws/{STREAM}") for _ in range(60)]
    for client in clients:
        await client.send(ahead)
    for number, client in enumerate(clients):
        if number % 2:
            client.reset()
        else:
            client.sock.close()
    async with stage.joined() as client:  # the replica has heard of it all when it answers somebody new
        await client.send(frame(TEXT, order("after")))
        assert receipt_of(await client.said()) == "after"


async def test_who_leaves_in_the_middle_of_a_body_is_no_error(stage: Stage) -> None:
    head = f"POST /api/login HTTP/1.1\r\nHost: {stage.replica.host}\r\nContent-Length: 100\r\n\r\n"
    for _ in range(20):
        client = await RawClient.dial(stage.replica.port)
        await client.send(head.encode() + b'{"email":')
        async with stage.joined():  # the call waits for the rest of its body by now
            client.reset()
    async with stage.joined():
        pass


async def test_an_upgrade_on_an_unknown_stream_is_closed_with_4504(stage: Stage) -> None:
    async with await RawClient.upgrade(stage.replica.port, "/ws/no-such-stream") as client:
        goodbye = await client.said()
        assert goodbye.code == 4504


# Before the hand-over

TOO_LARGE = {
    "a header line over 8 KiB": {"Cookie": "c=" + "x" * 9_000},
    "more than 128 headers": {f"X-{number}": "y" for number in range(130)},
}


@pytest.mark.parametrize("headers", TOO_LARGE.values(), ids=TOO_LARGE.keys())
async def test_an_upgrade_with_too_much_of_a_header_is_refused_at_once(stage: Stage, headers: dict[str, str]) -> None:
    async with await RawClient.dial(stage.replica.port) as client, asyncio.timeout(2):
        await client.send(upgrade(f"/ws/{STREAM}", headers))
        assert (await client.head()).startswith(b"HTTP/1.1 431 ")
        with pytest.raises(Ended):
            await client.said()


@pytest.mark.parametrize(
    "garbage", [b"\xff" * 200, b"GET / HTTP/1.1\r\n\r\n", frame(TEXT, HELLO), secrets.token_bytes(70_000)], ids=len
)
async def test_garbage_sent_along_with_the_upgrade_harms_nobody(stage: Stage, garbage: bytes) -> None:
    async with stage.joined() as bystander:
        async with await RawClient.dial(stage.replica.port) as client:
            await client.send(upgrade(f"/ws/{STREAM}") + garbage)
            head = await client.head()
            assert head.split()[1] in (b"101", b"400", b"431")
        await bystander.send(frame(TEXT, order("still-here")))
        assert receipt_of(await bystander.said()) == "still-here"


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncIterator[int]:
    """An app behind the hook, in this process; the port."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        config = uvicorn.Config(
            app, ws=LiveWSProtocol, lifespan="off", log_config=None, ws_per_message_deflate=False, timeout_keep_alive=1
        )
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[listening]))
        try:
            yield listening.getsockname()[1]
        finally:
            server.should_exit = True
            await serving


async def test_an_upgrade_the_app_does_not_answer_is_cut_and_the_app_is_told(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(live_socket, "HANDSHAKE_WITHIN_S", 0.1)
    told: asyncio.Queue[Any] = asyncio.Queue()

    async def never_accepts(scope: Scope, receive: Receive, send: Send) -> None:
        for _ in range(2):
            told.put_nowait(await receive())
        await send({"type": "websocket.close"})

    async with served(never_accepts) as port, await RawClient.dial(port) as client:
        await client.send(upgrade("/"))
        with pytest.raises(Ended):
            await client.head()
        said = [await asyncio.wait_for(told.get(), 2) for _ in range(2)]
        assert [message["type"] for message in said] == ["websocket.connect", "websocket.disconnect"]
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_an_upgrade_as_the_server_ends_is_sent_elsewhere_and_no_error(caplog: pytest.LogCaptureFixture) -> None:
    async def answers_late(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        handover_of(scope).shutdown()
        await send({"type": "websocket.http.response.start", "status": 503, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b"leaving"})

    async with served(answers_late) as port, await RawClient.dial(port) as client:
        await client.send(upgrade("/"))
        assert (await client.head()).startswith(b"HTTP/1.1 503 ")
    assert not [record for record in caplog.records if record.levelname == "ERROR"]


async def test_an_upgrade_in_time_is_not_cut_later(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live_socket, "HANDSHAKE_WITHIN_S", 0.1)
    async with served(echoes()) as port, connect(f"ws://127.0.0.1:{port}/", proxy=None) as client:
        passed = asyncio.get_running_loop().create_future()
        asyncio.get_running_loop().call_later(0.3, passed.set_result, None)
        await passed
        await client.send("here")
        assert await client.recv() == "here"


def echoes() -> Starlette:
    """Routes that do not hand over."""

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept(
            subprotocol=websocket.scope["subprotocols"][0] if websocket.scope["subprotocols"] else None
        )
        with suppress(WebSocketDisconnect):
            while (message := await websocket.receive())["type"] == "websocket.receive":
                if message.get("text") == "bye":
                    await websocket.close(4000, "as asked")
                    return
                if message.get("text") is not None:
                    await websocket.send_text(message["text"])
                else:
                    await websocket.send_bytes(message["bytes"])

    async def refuse(websocket: WebSocket) -> None:
        await websocket.close()

    return Starlette(routes=[WebSocketRoute("/refuse", refuse), WebSocketRoute("/{rest:path}", echo)])


async def test_a_route_that_does_not_hand_over_behaves_as_uvicorns_own(caplog: pytest.LogCaptureFixture) -> None:
    async with served(echoes()) as port:
        url = f"ws://127.0.0.1:{port}/"
        async with connect(url, proxy=None, subprotocols=["one", "two"]) as client:  # type: ignore[list-item]
            assert client.subprotocol == "one"
            for said in ("", "a", "é" * 40_000, b"", b"\x00\xff" * 40_000):
                await client.send(said)
                assert await client.recv() == said
            await client.send(["in ", "frag", "ments"])
            assert await client.recv() == "in fragments"
            await (await client.ping())
            await client.send("bye")
            with pytest.raises(ConnectionClosed):
                await client.recv()
            assert (client.close_code, client.close_reason) == (4000, "as asked")
        async with connect(url, proxy=None) as client:
            await client.close(1001, "leaving")
            assert (client.close_code, client.close_reason) == (1001, "leaving")
        with pytest.raises(InvalidStatus) as refused:
            await connect(url + "refuse", proxy=None)
        assert refused.value.response.status_code == 403
    assert not [record for record in caplog.records if record.levelname == "ERROR"]
