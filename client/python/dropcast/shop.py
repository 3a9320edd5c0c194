"""One shop, and who you are there."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import TracebackType
from typing import Self
from urllib.parse import quote

import msgspec

from dropcast.calls import Calls, Nothing
from dropcast.comeback import Backoff
from dropcast.door import Door, Ticket
from dropcast.errors import Refused
from dropcast.host import Host
from dropcast.shapes import Order, Product, Stream, StreamStatus, StreamWhole, User
from dropcast.watch import OPEN_WITHIN_S, Watch


class _TheUser(msgspec.Struct, frozen=True):
    user: User


class _Ticket(msgspec.Struct, frozen=True):
    ticket: str


class _Streams(msgspec.Struct, frozen=True):
    streams: tuple[Stream, ...]
    next: str | None


class _Products(msgspec.Struct, frozen=True):
    products: tuple[Product, ...]
    next: str | None


class _Orders(msgspec.Struct, frozen=True):
    orders: tuple[Order, ...]
    next: str | None


class Shop:
    """A shop at an address such as `https://shop.example`, for one person or nobody. Use as `async with`.

    Calls raise `Refused` when the shop says no, `Unreachable` when nobody answers within `timeout_s`, and `BadAnswer`.
    `trust_env` False leaves the machine's proxy settings aside. Lists are asked for page by page, as they are taken.
    """

    def __init__(self, url: str, *, timeout_s: float = 10.0, trust_env: bool = True) -> None:
        self._calls = Calls(url, timeout_s=timeout_s, trust_env=trust_env)
        self._trust_env = trust_env
        self.host = Host(self._calls)
        """What a host may command."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._calls.aclose()

    async def sign_in(self, email: str, password: str) -> User:
        """Signs in, for 14 days after the last use. `Refused` with `bad_credentials` when the two do not fit."""
        return (await self._calls.post("/api/login", _TheUser, {"email": email, "password": password})).user

    async def sign_out(self) -> None:
        """Ends the session; its watches end with it."""
        await self._calls.post("/api/logout", Nothing)

    async def me(self) -> User | None:
        """Who is signed in; None when nobody is, or not any more."""
        try:
            return (await self._calls.get("/api/me", _TheUser)).user
        except Refused as refused:
            if refused.status == 401:
                return None
            raise

    async def ticket(self, stream: str) -> str:
        """A ticket for one connection to a stream, within 30 s, for a client that must not have the session."""
        return (await self._calls.post("/api/ticket", _Ticket, {"stream": stream})).ticket

    async def stream(self, slug: str) -> StreamWhole:
        """One stream with its drops."""
        return await self._calls.get(f"/api/streams/{quote(slug, safe='')}", StreamWhole)

    async def streams(self, *statuses: StreamStatus) -> AsyncIterator[Stream]:
        """Live and coming streams, or those of the statuses asked for, newest first."""
        cursor: str | None = None
        while True:
            page = await self._calls.get("/api/streams", _Streams, status=",".join(statuses) or None, cursor=cursor)
            for stream in page.streams:
                yield stream
            if (cursor := page.next) is None:
                return

    async def products(self, query: str = "") -> AsyncIterator[Product]:
        """Products that match, best first; all of them without a query."""
        cursor: str | None = None
        while True:
            page = await self._calls.get("/api/products", _Products, q=query or None, cursor=cursor)
            for product in page.products:
                yield product
            if (cursor := page.next) is None:
                return

    async def orders(self, *, stream: str | None = None) -> AsyncIterator[Order]:
        """One's own accepted orders, newest first; with a slug, those of that stream."""
        cursor: str | None = None
        while True:
            page = await self._calls.get("/api/orders", _Orders, stream=stream, cursor=cursor)
            for order in page.orders:
                yield order
            if (cursor := page.next) is None:
                return

    def watch(
        self,
        stream: str,
        *,
        ticket: Ticket | None = None,
        open_within_s: float = OPEN_WITHIN_S,
        give_up_after_s: float | None = None,
        backoff: Backoff | None = None,
    ) -> Watch:
        """Watches a stream: `async with shop.watch("friday-show") as show`.

        As whoever is signed in at each connection, else as a guest. `ticket` is awaited for each connection instead,
        since a ticket is used once: `ticket=lambda: shop.ticket("friday-show")`, or where your own server keeps the
        session, a call to it. What it raises ends the watch, but `OSError`, `httpx.TransportError`, `Unreachable` and a
        passing `Refused` are tried again.

        Entering raises `Unreachable` after `open_within_s`; a link that was up once comes back for ever, or until
        nobody has answered for `give_up_after_s`.
        """
        path = f"/ws/{quote(stream, safe='')}"
        door = Door(self._calls.origin, path, self._calls.cookie, ticket, trust_env=self._trust_env)
        return Watch(door, open_within_s=open_within_s, give_up_after_s=give_up_after_s, backoff=backoff)
