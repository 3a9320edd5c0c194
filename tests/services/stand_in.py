"""What nginx is tried with: stand-ins for replicas, and clients that say what nginx answered."""

from __future__ import annotations

import json
from collections.abc import Mapping

import httpx
from websockets.asyncio.client import connect
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from tests.services import tls
from tests.services.nginx import Nginx


class StandIn:
    """A replica as nginx sees it: greets every socket, refuses every upgrade while it drains, answers GET.

    `headers` are what its answers to paths carry; a path that is not there is just a page.
    """

    def __init__(self) -> None:
        self.draining = False
        self.asked: list[Request] = []
        self.headers: dict[str, dict[str, str]] = {}
        self.opened = 0
        self.port = 0

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self.port}"

    async def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.asked.append(request)
        if self.draining:
            return connection.respond(503, "draining")
        if request.headers.get("Upgrade") is None:
            answer = connection.respond(200, "a page")
            answer.headers.update(Headers(self.headers.get(request.path, {})))
            return answer
        return None

    async def greet(self, connection: ServerConnection) -> None:
        self.opened += 1
        await connection.send(f"hello from {self.port}")
        async for said in connection:
            await connection.send(said)


async def start_stand_in(stand_in: StandIn) -> Server:
    server = await serve(stand_in.greet, "127.0.0.1", 0, process_request=stand_in.admit, close_timeout=1)
    stand_in.port = server.sockets[0].getsockname()[1]
    return server


def watch(nginx: Nginx, headers: Mapping[str, str] | None = None, query: str = "") -> connect:
    url = nginx.ws_url("live") + query
    trusting = tls.trusting() if url.startswith("wss://") else None
    return connect(url, additional_headers=headers, proxy=None, open_timeout=10, ssl=trusting)


def http(nginx: Nginx, *, http2: bool = False) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=nginx.url, trust_env=False, timeout=10, verify=tls.verify(nginx.url), http2=http2)


def error_of(body: bytes) -> dict[str, str]:
    error = json.loads(body)["error"]
    assert set(error) == {"reason", "detail"}
    return dict(error)
