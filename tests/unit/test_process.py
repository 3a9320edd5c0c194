"""How a replica's server ends, for those who call it by HTTP."""

from __future__ import annotations

import asyncio
import socket
from typing import cast

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from server import process
from server.live.drain import Drain
from server.process import DrainingServer

WITHIN_S = 10.0
CALL = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"


class SlowDrain:
    """Ends when it is told to."""

    def __init__(self) -> None:
        self.began, self.enough = asyncio.Event(), asyncio.Event()

    async def run(self) -> None:
        """As `Drain.run`."""
        self.began.set()
        await self.enough.wait()


def configured() -> uvicorn.Config:
    """An app that answers a POST."""

    async def answer(request: Request) -> Response:
        return Response("ok")

    app = Starlette(routes=[Route("/", answer, methods=["POST"])])
    return uvicorn.Config(app, host="127.0.0.1", port=0, lifespan="off", log_config=None, timeout_keep_alive=60)


class Caller:
    """A proxy's connection that is kept."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer

    async def post(self) -> bytes:
        """The head of the answer; nothing where there is none."""
        self._writer.write(CALL)
        try:
            head = await self._reader.readuntil(b"\r\n\r\n")
            await self._reader.readexactly(2)
        except (OSError, EOFError):
            return b""
        return head

    async def close(self) -> None:
        """Hangs up."""
        self._writer.close()
        await asyncio.gather(self._writer.wait_closed(), return_exceptions=True)


async def test_no_call_falls_between_the_last_answer_and_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(process, "LAST_CALLS_S", 60.0)
    drain = SlowDrain()
    server = DrainingServer(configured(), cast(Drain, drain))
    async with asyncio.timeout(WITHIN_S):
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0.01)
        port = server.servers[0].sockets[0].getsockname()[1]
        used, kept = await called(port), await called(port)
        for caller in (used, kept):
            assert b"connection: close" not in await caller.post()
        server.should_exit = True
        await drain.began.wait()
        assert b"connection: close" in await used.post()
        assert await used.post() == b""
        new = await called(port)  # probes come all the time
        drain.enough.set()
        while await is_there(port):  # noqa: ASYNC110  nor for this
            await asyncio.sleep(0.01)
        for caller in (new, kept):
            head = await caller.post()
            assert head.startswith(b"HTTP/1.1 200 ")
            assert b"connection: close" in head
        for caller in (used, new, kept):
            await caller.close()
        await serving  # and does not wait for its time to be up


class Knocked(DrainingServer):
    """At the very last moment somebody calls who was not let in yet."""

    async def _close_door(self, server: asyncio.Server) -> None:
        where = server.sockets[0].getsockname()
        self.late = [socket.create_connection(where) for _ in range(20)]
        for caller in self.late:
            caller.sendall(CALL)
        await super()._close_door(server)


async def test_who_stands_at_the_door_when_it_closes_is_answered() -> None:
    drain = SlowDrain()
    drain.enough.set()
    server = Knocked(configured(), cast(Drain, drain))
    async with asyncio.timeout(WITHIN_S):
        serving = asyncio.create_task(server.serve())
        while not server.started:  # noqa: ASYNC110  uvicorn has no event for it
            await asyncio.sleep(0.01)
        server.should_exit = True
        await serving
    for caller in server.late:
        with caller:
            assert caller.recv(100).startswith(b"HTTP/1.1 200 ")


async def called(port: int) -> Caller:
    return Caller(*await asyncio.open_connection("127.0.0.1", port))


async def is_there(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
