"""The process: uvicorn that drains before it shuts down."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import socket
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from types import FrameType
from typing import Any

import uvicorn
import uvloop
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.middleware.proxy_headers import ProxyHeadersMiddleware

from server import metrics
from server.app import opened
from server.live.drain import Drain
from server.live.socket import LiveWSProtocol, check_uvicorn
from server.protocol.frames import FRAME_MAX_BYTES
from server.settings import Settings

log = logging.getLogger(__name__)

SHUTDOWN_WITHIN_S = 20
"""What everything after the drain may take: whoever supervises the process adds it to the drain's time."""

LAST_CALLS_S = 1.0
"""Of that: how long a proxy may still make a call on a connection it has, while there are no new ones."""

_BACKLOG = 4096
_UNIX = "unix"
_LOOK_EVERY_S = 0.1


class DrainingServer(uvicorn.Server):
    """Drains between the signal and uvicorn's own shutdown, which would close every socket at once (1012).

    During the drain the listening socket stays open, so that probes see 503 and refused sockets see why, but every
    answer ends its connection: a proxy that had sent a POST on one that was just being closed could not know whether
    to send it again. A second signal leaves at once.
    """

    def __init__(self, config: uvicorn.Config, drain: Drain) -> None:
        super().__init__(config)
        self._drain = drain

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:  # noqa: ARG002
        """The first signal asks to leave, the second to leave at once.

        uvicorn's own would raise the signal again at the end, and the parts of the house would not be closed.
        """
        self.force_exit = self.should_exit
        self.should_exit = True

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drains, then closes what is left."""
        self.server_state.default_headers = [*self.server_state.default_headers, (b"connection", b"close")]
        draining = asyncio.create_task(self._drain.run(), name="process: drain")
        while not draining.done() and not self.force_exit:
            await asyncio.wait({draining}, timeout=_LOOK_EVERY_S)
        if self.force_exit:
            log.warning("second signal: leaving at once")
        draining.cancel()
        await asyncio.gather(draining, return_exceptions=True)
        await self._last_calls()
        await super().shutdown(sockets)

    async def _last_calls(self) -> None:
        for server in self.servers:
            await self._close_door(server)
        until_s = time.monotonic() + LAST_CALLS_S
        await asyncio.sleep(_LOOK_EVERY_S)  # whose connection was just taken has not spoken yet
        kind: Any = self.config.http_protocol_class
        while not self.force_exit and time.monotonic() < until_s:
            if not any(isinstance(connection, kind) for connection in self.server_state.connections):
                return
            await asyncio.sleep(_LOOK_EVERY_S)

    async def _close_door(self, server: asyncio.Server) -> None:
        """Takes who waits at the door and closes it: the kernel would reset them, after their call was sent."""
        waiting = []
        for door in server.sockets:
            with suppress(OSError), socket.socket(fileno=os.dup(door.fileno())) as taking:  # nobody, or no files left
                while True:
                    waiting.append(taking.accept()[0])
        server.close()
        loop = asyncio.get_running_loop()
        for connection in waiting:
            await loop.connect_accepted_socket(self._protocol, connection)

    def _protocol(self) -> asyncio.Protocol:
        """As `uvicorn.Server.startup` makes it."""
        kind: Any = self.config.http_protocol_class
        made: asyncio.Protocol = kind(config=self.config, server_state=self.server_state, app_state=self.lifespan.state)
        return made


class _ByTheProxy:
    """Says for calls over a Unix socket that a proxy makes them: there is no address to know it by.

    Who may reach the socket's file is for its folder's permissions.
    """

    def __init__(self, app: ASGIApp, trusted: Sequence[str]) -> None:
        self._app = ProxyHeadersMiddleware(app, [*trusted, _UNIX])  # type: ignore[arg-type]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or socket."""
        await self._app({**scope, "client": (_UNIX, 0)}, receive, send)  # type: ignore[arg-type]


async def _serve(settings: Settings, started: Callable[[], None] | None) -> None:
    async with opened(settings) as house:
        host, _, port = settings.bind.rpartition(":")
        file = port if host == _UNIX else None
        config = uvicorn.Config(
            _ByTheProxy(house.asgi, settings.trusted_proxies) if file else house.asgi,
            host=host.strip("[]"),
            port=0 if file else int(port),
            uds=file,
            lifespan="off",  # the parts are opened around the server, so that a failed start is one clear line
            ws=LiveWSProtocol,
            ws_max_size=FRAME_MAX_BYTES,
            ws_per_message_deflate=False,  # 34 KiB a connection, and frames are small
            access_log=False,
            log_config=None,
            proxy_headers=file is None,
            forwarded_allow_ips=list(settings.trusted_proxies),
            backlog=_BACKLOG,
            server_header=False,
            timeout_graceful_shutdown=int(
                SHUTDOWN_WITHIN_S - LAST_CALLS_S
            ),  # its default waits for ever on a stalled client
        )
        config.load()
        check_uvicorn(config)
        server = DrainingServer(config, house.drain)
        log.info("serving", extra={"bind": settings.bind, "surfaces": settings.surfaces})
        if started is not None:
            asyncio.get_running_loop().call_soon(started)
        _collect_rarely()
        await server.serve()


def _collect_rarely() -> None:
    """Sets Python's cycle collector for a process in which nearly everything is freed by its reference count.

    With the defaults (700, 10, 10) a rush of 6,000 orders in flight was looked through again and again: a quarter of
    the replica's CPU, and stalls of up to 0.36 s, for nothing. Cycles (an exception, a handshake) still count as what
    is not freed, so at most about 10,000 such objects wait for the next collection of the young.
    """
    gc.collect()
    gc.freeze()  # what the start made stays for good
    gc.set_threshold(10_000, 50, 20)
    spent_s = began = 0.0

    def watch(phase: str, _info: object) -> None:
        nonlocal spent_s, began
        if phase == "start":
            began = time.perf_counter()
        else:
            spent_s += time.perf_counter() - began

    gc.callbacks.append(watch)
    metrics.COLLECTOR_SECONDS.set_function(lambda: spent_s)


def serve(settings: Settings, started: Callable[[], None] | None = None) -> None:
    """Runs the shop until a signal. `started` is called once the parts are open. Raises what `app.opened` raises."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(settings, started))
