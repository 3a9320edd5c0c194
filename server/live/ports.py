"""What the live side needs of the rest of the house."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from server.domain.drop import Drop, StockLine
from server.domain.order import Receipt
from server.domain.session import Caller, Revoked
from server.domain.stream import StreamState
from server.domain.user import User
from server.protocol.frames import PlaceOrder


class Log(Protocol):
    """The log of events and the truth about stock: the database. Every call may raise `Unavailable`."""

    async def whole(self, slug: str) -> StreamState | None:
        """A stream as of one moment; None when there is none of that slug."""
        ...

    async def events_after(self, slug: str, seq: int, limit: int) -> list[tuple[int, str]]:
        """At most `limit` events after `seq` as (seq, frame), in order."""
        ...

    async def heads(self, slugs: list[str]) -> tuple[dict[str, int], dict[str, list[StockLine]]]:
        """Where these streams stand, and the stock of their drops on sale."""
        ...


class Doorbell(Protocol):
    """News between replicas."""

    def listen(self, stream: str) -> AbstractAsyncContextManager[AsyncIterator[str]]:
        """Messages about a stream; an empty one means: something may have been missed, catch up from the log."""
        ...

    async def ring(self, stream: str, message: str) -> None:
        """Tells every replica. Raises `Unavailable`."""
        ...


class Disconnected(Exception):
    """The other side is gone."""


class Wire(Protocol):
    """A WebSocket between its upgrade and its hand-over. Raises `Disconnected` when the other side is gone."""

    async def receive(self) -> str:
        """The next message."""
        ...

    async def send(self, text: str) -> None:
        """Sends a text; waits while the socket is full."""
        ...

    async def close(self, code: int) -> None:
        """Closes; harmless when closed already."""
        ...


class Till(Protocol):
    """Where orders are taken."""

    def place(
        self, viewer: User | None, order: PlaceOrder, known: Drop | None, joined_at_s: float
    ) -> asyncio.Future[Receipt]:
        """Takes an order; the receipt comes when it is decided. Cancelling the wait does not undo the order.

        `known` is this replica's view of the drop, None when the stream has none of that id; `joined_at_s` is the
        monotonic second in which the viewer's socket joined.
        """
        ...


class Tickets(Protocol):
    """One-time tickets for clients that cannot send the cookie."""

    async def redeem(self, ticket: str, stream: str, origin: str | None) -> Caller | None:
        """Who a ticket for this stream stands for; None when it is used, expired, or for another stream.

        `origin` is where the socket comes from, for tickets that hold on one site only.
        """
        ...


class Revocations(Protocol):
    """What was revoked, as the database has it."""

    async def revoked_since(self, since_ms: int | None) -> tuple[int, Revoked]:
        """What was revoked since a look, or lately when there was none; and the time to give at the next look.

        May say the same again. Raises `Unavailable`.
        """
        ...


class EmbedList(Protocol):
    """Which other sites may show which streams. Each call may raise `Unavailable`."""

    async def of_streams(self, slugs: Collection[str]) -> dict[str, frozenset[str]]:
        """The origins that may show some streams, by slug; a stream without any may be left out."""
        ...

    async def embedding(self, origins: Collection[str]) -> dict[str, bool]:
        """Which of some origins may show any stream; one that may not may be left out."""
        ...
