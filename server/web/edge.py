"""What the routes need: the parts of the house that the edge talks to, put together by `app.py`."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from starlette.requests import HTTPConnection

from server.accounts.door import Door
from server.accounts.passes import Passes
from server.accounts.porter import Porter
from server.accounts.profile import Profile
from server.accounts.registration import Registration
from server.catalog.search import Search
from server.domain.errors import Reason, Refused
from server.domain.order import OrderSeen
from server.domain.session import Caller
from server.domain.stream import StreamState
from server.domain.user import Role, User
from server.domain.views import Stream, StreamStatus
from server.live.embeds import Embeds
from server.live.reception import Reception
from server.live.relay import Relay
from server.live.turnstile import Turnstile
from server.sale.desk import Desk
from server.web.security import session_cookie


class OrderHistory(Protocol):
    """A viewer's orders."""

    async def of_viewer(
        self, viewer: str, *, stream: str | None = None, after: str | None = None, limit: int = 20
    ) -> tuple[list[OrderSeen], str | None]:
        """A page of orders, of one stream or of all, newest first, and the next's cursor."""
        ...


class StreamShelf(Protocol):
    """Streams to read: one, bare or whole, or lists, newest first, each with the next page's cursor."""

    async def whole(self, slug: str) -> StreamState | None:
        """A stream with its drops and stock, all of one moment."""
        ...

    async def named(self, slug: str) -> tuple[str, Stream] | None:
        """A stream with its id."""
        ...

    async def listed(
        self, statuses: Collection[StreamStatus], *, after: str | None = None, limit: int = 50
    ) -> tuple[list[Stream], str | None]:
        """Those of these statuses."""
        ...

    async def of_host(
        self, host: User, *, after: str | None = None, limit: int = 50
    ) -> tuple[list[Stream], str | None]:
        """A host's own."""
        ...


class EmbedOrigins(Protocol):
    """Which other sites may show which streams, as of now."""

    async def of_streams(self, slugs: Collection[str]) -> dict[str, frozenset[str]]:
        """The origins of some streams, by slug; a stream without any is left out."""
        ...


@dataclass(frozen=True, slots=True)
class Edge:
    """The parts the routes talk to."""

    door: Door
    porter: Porter
    registration: Registration
    profile: Profile
    desk: Desk
    relay: Relay
    turnstile: Turnstile
    reception: Reception
    orders: OrderHistory
    streams: StreamShelf
    search: Search
    embeds: Embeds
    embed_origins: EmbedOrigins
    passes: Passes
    surfaces: frozenset[str]
    draining: Callable[[], bool]
    health: Callable[[], Awaitable[dict[str, str]]]
    epoch: str
    client_dir: Path

    async def caller(self, connection: HTTPConnection) -> Caller | None:
        """Who calls, and by which session. Raises `Unavailable`."""
        return await self.door.caller_of(session_cookie(connection))

    async def user(self, connection: HTTPConnection) -> User | None:
        """Who a request's cookie stands for. Raises `Unavailable`."""
        caller = await self.caller(connection)
        return caller.user if caller else None

    async def require_caller(self, connection: HTTPConnection, role: Role = Role.VIEWER) -> Caller:
        """Who calls, who must have at least `role`. Raises `Refused`."""
        caller = await self.caller(connection)
        if caller is None:
            raise Refused(Reason.LOGIN_REQUIRED, "sign in first: POST /api/login")
        if not caller.user.role.includes(role):
            raise Refused(Reason.FORBIDDEN, f"this needs the role {role}; you are signed in as {caller.user.role}")
        return caller

    async def require(self, connection: HTTPConnection, role: Role = Role.VIEWER) -> User:
        """The signed-in user, who must have at least `role`. Raises `Refused`."""
        return (await self.require_caller(connection, role)).user
