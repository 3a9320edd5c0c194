"""What the sale needs of the rest of the house."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

from server.domain.drop import Drop, DropPlan
from server.domain.news import News
from server.domain.order import OrderRequest, Receipt
from server.domain.stream import StreamState
from server.domain.user import User
from server.domain.views import Stream, StreamStatus


class OrderBook(Protocol):
    """Where orders are decided and kept."""

    async def commit(self, drop_id: str, batch: Sequence[OrderRequest]) -> tuple[tuple[Receipt, ...], News | None]:
        """Decides and commits a batch for one drop; repeating it is safe. Raises `Unavailable`: outcome unknown."""
        ...

    async def look_up(self, drop_id: str, batch: Sequence[OrderRequest]) -> tuple[Receipt | None, ...]:
        """What an earlier `commit` of unknown outcome came to; None: it took nothing of this, and never will.

        Raises `Unavailable`: still unknown.
        """
        ...

    async def ping(self) -> None:
        """Returns when the book can be asked. Raises `Unavailable`."""
        ...


class BuyersBook(OrderBook, Protocol):
    """An `OrderBook` that tells who is in it."""

    async def buyers(self, drop_id: str, most: int) -> frozenset[str] | None:
        """The ids of all viewers with an accepted order of a drop; None when more than `most`. Raises `Unavailable`."""
        ...


class DropBook(Protocol):
    """Where drops are kept. Each call is one transaction, event included; each may raise `Refused`, `Unavailable`."""

    async def schedule(self, host: User, slug: str, plan: DropPlan) -> tuple[Drop, News]:
        """Puts a drop on the run sheet."""
        ...

    async def open(self, host: User, drop_id: str) -> tuple[Drop, News]:
        """Opens a drop."""
        ...

    async def close(self, host: User, drop_id: str) -> tuple[Drop, News]:
        """Closes a drop."""
        ...

    async def restock(
        self, host: User, drop_id: str, variant: str, quantity: int, ref: str | None
    ) -> tuple[Drop, News]:
        """Puts more in."""
        ...


class TimeBook(Protocol):
    """Where the times of drops are kept, by one clock for all replicas. Each call may raise `Unavailable`."""

    async def due(self, within_ms: int, limit: int, *, without: Collection[str] = ()) -> Sequence[tuple[str, int]]:
        """Drops whose time is past or comes within so many ms: (id, ms until then), soonest first."""
        ...

    async def turn(self, drop_id: str) -> News | None:
        """Opens or closes a drop whose time has come, once over all replicas; None when there is nothing to do.

        May raise `Refused`.
        """
        ...


class StreamBook(Protocol):
    """Where streams are kept."""

    async def create(
        self,
        host: User,
        *,
        slug: str,
        title: str,
        starts_at: int | None,
        video: str | None,
        embed_origins: Sequence[str] = (),
    ) -> Stream:
        """Creates a stream."""
        ...

    async def change_status(self, host: User, slug: str, status: StreamStatus) -> tuple[Stream, News]:
        """Starts or ends a stream."""
        ...

    async def whole(self, slug: str) -> StreamState | None:
        """A stream with its drops."""
        ...


class EmbedBook(Protocol):
    """Where the origins are kept that may embed a stream."""

    async def replace(self, host: User, slug: str, origins: Sequence[str]) -> None:
        """Replaces a stream's list. Raises `Refused`, `Unavailable`."""
        ...


class Bell(Protocol):
    """The way to every replica."""

    async def ring(self, stream: str, message: str) -> None:
        """Tells every replica. Raises `Unavailable`."""
        ...
