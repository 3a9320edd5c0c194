"""A scripted shop: every connection to its socket is answered by the next act of a play."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any

from websockets.asyncio.server import Request, Response, ServerConnection, serve
from websockets.datastructures import Headers

import dropcast
from dropcast.comeback import Backoff

QUICK = Backoff(0.001, 0.002)
WITHIN_S = 5.0


class Stage:
    """One connection, seen from the shop."""

    def __init__(self, socket: ServerConnection, hello: dict[str, Any]) -> None:
        self.hello = hello
        self.socket = socket

    async def say(self, *texts: str) -> None:
        for text in texts:
            await self.socket.send(text)

    async def hear(self) -> dict[str, Any]:
        async with asyncio.timeout(WITHIN_S):
            return dict(json.loads(await self.socket.recv()))

    async def close(self, code: int) -> None:
        await self.socket.close(code)

    async def vanish(self) -> None:
        self.socket.transport.abort()

    async def stay(self) -> None:
        await self.socket.wait_closed()


Act = Callable[[Stage], Awaitable[None]]


def refusal(status: int, body: bytes = b"", **headers: str) -> Response:
    """An upgrade answered with an error."""
    named = Headers({name.replace("_", "-"): value for name, value in headers.items()})
    return Response(status, HTTPStatus(status).phrase, named, body)


@asynccontextmanager
async def shop_of(*acts: Act | Response) -> AsyncIterator[dropcast.Shop]:
    """A shop for these connections; one more is closed with 4500. An act that fails, fails the test."""
    play = iter(acts)
    failures: list[Exception] = []

    def answer(_socket: ServerConnection, _request: Request) -> Response | None:
        nonlocal play
        coming = list(play)
        if coming and isinstance(coming[0], Response):
            play = iter(coming[1:])
            return coming[0]
        play = iter(coming)
        return None

    async def receive(socket: ServerConnection) -> None:
        act = next(play, None)
        try:
            hello = json.loads(await socket.recv())
            if act is None:
                await socket.close(4500, "the play is over")
                return
            assert callable(act)
            await act(Stage(socket, hello))
        except Exception as failure:
            failures.append(failure)
            raise

    async with serve(receive, "127.0.0.1", 0, process_request=answer, close_timeout=1) as listening:
        port = next(iter(listening.sockets)).getsockname()[1]
        async with dropcast.Shop(f"http://127.0.0.1:{port}", trust_env=False) as shop:
            yield shop
    unexpected = [failure for failure in failures if not type(failure).__name__.startswith("ConnectionClosed")]
    if unexpected:
        raise ExceptionGroup("the play went wrong", unexpected)
