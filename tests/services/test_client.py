"""The tests' own viewer finds what it is there to find: every broken promise of order fails the test that uses it."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import InvalidStatus

from server.protocol import frames
from tests.client import ApiError, ClosedError, LiveClient

Frame = dict[str, Any]
Said = Sequence[Frame | str]

STREAM = {"slug": "s", "title": "S", "host": "H", "status": "live", "starts_at": None, "video": None}


def welcome(seq: int, **more: Any) -> Frame:
    base: Frame = {"type": "welcome", "session": "x", "viewer": None, "now": 1, "tick_ms": 15000, "stock": []}
    base["position"] = {"epoch": "e", "seq": seq}
    return {**base, **(more if "missed" in more else {"snapshot": {"stream": STREAM, "drops": []}, **more})}


def event(seq: int, kind: str = "stream_started") -> Frame:
    return {"type": "event", "seq": seq, "at": 1, "event": {"kind": kind, "stream": STREAM}}


def stock(left: int, version: int) -> Frame:
    return {"type": "stock", "stock": [{"drop": "d", "variant": "v", "left": left, "version": version}]}


@asynccontextmanager
async def a_server_that_says(
    *said: Frame | str, later: Frame | None = None, close: int | None = None
) -> AsyncIterator[tuple[str, asyncio.Queue[Frame]]]:
    """Its URL and what it hears. After hello it says these frames, after the next thing it hears `later`."""
    heard: asyncio.Queue[Frame] = asyncio.Queue(maxsize=100)

    async def speak(connection: ServerConnection) -> None:
        heard.put_nowait(json.loads(await connection.recv()))
        for frame in said:
            await connection.send(frame if isinstance(frame, str) else json.dumps(frame))
        if close is not None:
            await connection.close(close, "because")
        async for text in connection:
            heard.put_nowait(json.loads(text))
            if later is not None:
                await connection.send(json.dumps(later))

    async with serve(speak, "127.0.0.1", 0, close_timeout=1) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/s", heard


AT_7 = frames.Position("e", 7)


async def test_a_client_follows_a_stream_and_knows_where_it_is() -> None:
    receipt = {"type": "receipt", "ref": "r", "status": "rejected", "reason": "sold_out", "retry": False}
    said = (welcome(7), event(8), stock(5, 2), event(9, "new_kind"), receipt, stock(3, 3), event(10, "stream_ended"))
    async with a_server_that_says(*said) as (url, heard), await LiveClient.join(url) as client:
        assert await heard.get() == {"type": "hello", "v": 1}
        assert (await client.expect_event("stream_ended")).seq == 10  # taken out of turn: the others stay
        assert (await client.expect_event("stream_started")).seq == 8
        assert (await client.expect_event("new_kind")).event is None
        assert (await client.expect_receipt("r")).reason == "sold_out"
        assert (await client.expect_stock(lambda line: line.left == 3)).version == 3
        assert client.seen == [8, 9, 10]
        assert client.position == frames.Position("e", 10)
        assert client.snapshot is not None
        ref = await client.order("d", 2)
        assert await asyncio.wait_for(heard.get(), 5) == {"type": "order", "ref": ref, "drop": "d", "quantity": 2}


async def test_what_was_missed_is_seen_first() -> None:
    said = (welcome(9, missed=[event(8), event(9)]), event(10))
    async with a_server_that_says(*said) as (url, heard), await LiveClient.join(url, "ticket", AT_7) as client:
        assert await heard.get() == {"type": "hello", "v": 1, "ticket": "ticket", "position": {"epoch": "e", "seq": 7}}
        await client.expect_event("stream_started")
        await client.expect_event("stream_started")
        await client.expect_event("stream_started")
        assert client.seen == [8, 9, 10]


@pytest.mark.parametrize(
    ("said", "why"),
    [
        pytest.param([welcome(7), event(9)], "event 9 came where 8 was due", id="a hole"),
        pytest.param([welcome(7), event(8), event(8)], "event 8 came where 9 was due", id="twice"),
        pytest.param([welcome(7), stock(5, 2), stock(6, 1)], "stock went back", id="older stock"),
        pytest.param([welcome(7), welcome(7)], "a second welcome", id="two welcomes"),
        pytest.param([welcome(7), "{"], "truncated", id="not a frame"),
        pytest.param([event(8), welcome(8)], "before the welcome", id="event first"),
        pytest.param([welcome(9, missed=[event(9)])], "event 9 came where 8 was due", id="missed with a hole"),
        pytest.param([welcome(9, missed=[event(8)])], "missed ends at 8", id="missed too short"),
        pytest.param([welcome(9, missed=[], snapshot={})], "exactly one of", id="both"),
    ],
)
async def test_every_broken_promise_fails_the_test(said: Said, why: str) -> None:
    async with a_server_that_says(*said) as (url, _):
        with pytest.raises(Exception, match=why):
            async with await LiveClient.join(url, position=AT_7) as client:
                await client.expect(frames.Tick)


async def test_a_broken_promise_nobody_waited_for_fails_at_the_end() -> None:
    async with a_server_that_says(welcome(7), later=event(9)) as (url, _):
        client = await LiveClient.join(url)
        await client.order("d")
        assert client._reader is not None
        await client._reader
        with pytest.raises(AssertionError, match="event 9 came where 8 was due"):
            await client.close()


async def test_a_close_ends_every_wait_and_says_why() -> None:
    fault = {"type": "fault", "reason": "bad_frame", "detail": "order.quantity"}
    async with a_server_that_says(welcome(7), fault, close=4500) as (url, _):
        client = await LiveClient.join(url)
        with pytest.raises(ClosedError, match=r"4500 'because' after fault bad_frame: order\.quantity .* event x"):
            await client.expect_event("x")
        assert await client.expect_close() == client.closed == 4500
        await client.close()


async def test_a_start_the_server_refuses_is_a_close_with_its_code() -> None:
    async with a_server_that_says(close=4504) as (url, _):
        with pytest.raises(ClosedError) as refused:
            await LiveClient.join(url)
        assert refused.value.code == 4504


async def test_an_upgrade_the_server_refuses_is_an_invalid_status() -> None:
    async with (
        serve(lambda _: asyncio.sleep(0), "127.0.0.1", 0, process_request=lambda c, _: c.respond(403, "")) as server,
    ):
        with pytest.raises(InvalidStatus):
            await LiveClient.join(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/ws/s", origin="http://evil")


async def test_what_does_not_come_in_time_is_named() -> None:
    async with a_server_that_says(welcome(7)) as (url, _), await LiveClient.join(url) as client:
        with pytest.raises(AssertionError, match=r"no event drop_opened within 0\.05 s"):
            await client.expect_event("drop_opened", within=0.05)


async def test_a_client_that_vanishes_says_no_goodbye() -> None:
    async with a_server_that_says(welcome(7)) as (url, _):
        client = await LiveClient.join(url)
        await client.vanish()
        assert client.closed == 1006


def test_an_api_error_tells_the_servers_detail() -> None:
    request = httpx.Request("POST", "http://shop/api/login")
    answer = {"error": {"reason": "bad_credentials", "detail": "No."}}
    assert str(ApiError(httpx.Response(401, json=answer, request=request))) == (
        "POST /api/login: 401 bad_credentials: No."
    )
    assert "502 : <html>" in str(ApiError(httpx.Response(502, text="<html>", request=request)))
