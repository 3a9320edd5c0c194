"""What HTTP answers look like, for the API's description; requests have their shapes where they are read."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec

from server.domain.drop import Drop, StockLine
from server.domain.errors import Reason
from server.domain.product import Product
from server.domain.user import User
from server.domain.views import Stream, StreamStatus
from server.protocol.frames import Position


class Nothing(msgspec.Struct, frozen=True):
    """It is done; there is nothing to say."""


class UserAnswer(msgspec.Struct, frozen=True):
    """Who is signed in."""

    user: User


class TicketAnswer(msgspec.Struct, frozen=True):
    """A way in for a client without the cookie."""

    ticket: str


class SessionShown(msgspec.Struct, frozen=True):
    """A session of one's own. Times in ms since the epoch, UTC."""

    id: str
    device: str
    created_at: int
    seen_at: int
    current: bool


class SessionList(msgspec.Struct, frozen=True):
    """All of one's sessions: there is no next."""

    sessions: tuple[SessionShown, ...]
    next: None


class OrderShown(msgspec.Struct, frozen=True):
    """An order of one's own. `image` is its drop's, `total` in minor units, `placed_at` in ms since the epoch, UTC."""

    id: str
    ref: str
    stream: str
    stream_title: str
    drop: str
    product: str
    variant: str
    title: str
    image: str | None
    quantity: int
    total: int
    currency: str
    status: str
    placed_at: int


class OrderList(msgspec.Struct, frozen=True):
    """A page of orders, newest first."""

    orders: tuple[OrderShown, ...]
    next: str | None


class ProductList(msgspec.Struct, frozen=True):
    """A page of products."""

    products: tuple[Product, ...]
    next: str | None


class StreamList(msgspec.Struct, frozen=True):
    """A page of streams, newest first."""

    streams: tuple[Stream, ...]
    next: str | None


class HostStream(msgspec.Struct, frozen=True):
    """A stream as its host sees it: as everybody does, and with the origins of other sites that may embed it."""

    slug: str
    title: str
    host: str
    status: StreamStatus
    starts_at: int | None
    video: str | None
    viewers: int
    embed_origins: tuple[str, ...]


class HostStreamList(msgspec.Struct, frozen=True):
    """A page of a host's streams, newest first."""

    streams: tuple[HostStream, ...]
    next: str | None


class EmbedList(msgspec.Struct, frozen=True):
    """The origins that may embed the stream now."""

    origins: tuple[str, ...]


class PassAnswer(msgspec.Struct, frozen=True, rename={"made": "pass"}):
    """A pass for the page of another site, and when it ends at the latest, in ms since the epoch, UTC."""

    made: str
    expires_at: int


class StreamWhole(msgspec.Struct, frozen=True):
    """A stream with its drops and stock, all of one moment."""

    stream: Stream
    drops: tuple[Drop, ...]
    stock: tuple[StockLine, ...]
    position: Position


CalendarFile = Annotated[str, msgspec.Meta(description="An iCalendar file (RFC 5545) with one event.")]


class StreamAnswer(msgspec.Struct, frozen=True):
    """The stream as it is now."""

    stream: Stream


class DropAnswer(msgspec.Struct, frozen=True):
    """The drop as it is now."""

    drop: Drop


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """Why not. `detail` is a sentence for people; `field` is the part of the body that is wrong."""

    reason: Reason
    detail: str
    field: str | msgspec.UnsetType = msgspec.UNSET


class Refusal(msgspec.Struct, frozen=True):
    """Every answer from 400 on."""

    error: Problem


class OpenApi(msgspec.Struct, frozen=True):
    """The API's own description, OpenAPI 3.1."""

    openapi: str
    info: dict[str, Any]
    paths: dict[str, Any]
    components: dict[str, Any]
