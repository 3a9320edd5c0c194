"""The way to a stream's socket: its address, who comes, and what a refused upgrade means."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import InvalidStatus
from websockets.typing import Origin

from dropcast import frames
from dropcast.calls import refused
from dropcast.shapes import Position

FRAME_MAX_BYTES = 16 * 1024 * 1024
"""Largest frame taken from a shop: a welcome with a thousand missed events has about one."""

_OPEN_WITHIN_S = 10.0
_CLOSE_WITHIN_S = 2.0

_quiet = logging.getLogger("dropcast.socket")
_quiet.setLevel(logging.WARNING)  # what websockets says below that shows cookies and tickets

Ticket = Callable[[], Awaitable[str]]


class _Connect(connect):
    """Follows no redirect: a ticket is for the shop it was asked of."""

    def process_redirect(self, exc: Exception) -> Exception:
        return exc


class Door:
    """How to get in, again and again."""

    def __init__(
        self, origin: str, path: str, cookie: Callable[[], str | None], ticket: Ticket | None, *, trust_env: bool
    ) -> None:
        self._origin = origin
        self._address = f"ws{origin.removeprefix('http')}{path}"
        self._cookie = cookie
        self._ticket = ticket
        self._trust_env = trust_env

    @property
    def has_tickets(self) -> bool:
        """Whether each connection brings a ticket of its own."""
        return self._ticket is not None

    async def enter(self, position: Position | None) -> ClientConnection:
        """Connects and says hello.

        Raises `Refused` for an upgrade that was answered with an error, what the ticket's callable raises, and
        `OSError`, `TimeoutError` or a `WebSocketException` when there was no answer.
        """
        ticket = await self._ticket() if self._ticket is not None else None
        cookie = self._cookie() if self._ticket is None else None
        try:
            socket = await _Connect(
                self._address,
                origin=Origin(self._origin) if self._ticket is None else None,  # a cookie counts only with an Origin
                additional_headers={"Cookie": cookie} if cookie else None,
                compression=None,
                proxy=True if self._trust_env else None,
                ping_interval=None,  # ticks show a dead link
                open_timeout=_OPEN_WITHIN_S,
                close_timeout=_CLOSE_WITHIN_S,
                max_size=FRAME_MAX_BYTES,
                logger=_quiet,
            )
        except InvalidStatus as answered:
            no = answered.response
            wait = no.headers.get("Retry-After")
            raise refused("the socket", no.status_code, no.reason_phrase, bytes(no.body), wait) from None
        try:
            await socket.send(frames.encode(frames.Hello(1, ticket, position)))
        except BaseException:
            socket.transport.abort()
            raise
        return socket
