"""What a host commands: streams and the drops on them."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote

import msgspec

from dropcast.calls import Calls
from dropcast.shapes import Drop, Stream


class _Streams(msgspec.Struct, frozen=True):
    streams: tuple[Stream, ...]
    next: str | None


class _TheStream(msgspec.Struct, frozen=True):
    stream: Stream


class _TheDrop(msgspec.Struct, frozen=True):
    drop: Drop


class Host:
    """The commands of a signed-in host, for streams of their own. Raises as `Calls` does."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    async def streams(self) -> AsyncIterator[Stream]:
        """One's own, newest first, page after page as they are taken."""
        cursor: str | None = None
        while True:
            page = await self._calls.get("/api/host/streams", _Streams, cursor=cursor)
            for stream in page.streams:
                yield stream
            if (cursor := page.next) is None:
                return

    async def create_stream(
        self, slug: str, title: str, *, starts_at: int | None = None, video: str | None = None
    ) -> Stream:
        """A stream to come. `starts_at` in ms since the epoch; `video` is an address."""
        body = {"slug": slug, "title": title, "starts_at": starts_at, "video": video}
        return (await self._calls.post("/api/host/streams", _TheStream, body)).stream

    async def start(self, stream: str) -> Stream:
        """The stream goes live."""
        return (await self._calls.post(f"/api/host/streams/{quote(stream, safe='')}/start", _TheStream)).stream

    async def end(self, stream: str) -> Stream:
        """The stream is over, for good; every drop closes."""
        return (await self._calls.post(f"/api/host/streams/{quote(stream, safe='')}/end", _TheStream)).stream

    async def schedule(
        self,
        stream: str,
        *,
        product: str,
        price: int,
        currency: str,
        stock: Mapping[str, int],
        limit: int,
        opens_at: int | None = None,
        closes_at: int | None = None,
    ) -> Drop:
        """Puts a drop on the run sheet, and its units off the shelf.

        `product` is an id or a SKU, `price` in minor units, `stock` the units by variant id, `limit` what one viewer
        may have. At `opens_at` it opens by itself, at `closes_at` it closes (ms since the epoch).
        """
        body = {
            "product": product,
            "price": price,
            "currency": currency,
            "stock": [{"variant": variant, "quantity": quantity} for variant, quantity in stock.items()],
            "limit": limit,
            "opens_at": opens_at,
            "closes_at": closes_at,
        }
        return (await self._calls.post(f"/api/host/streams/{quote(stream, safe='')}/drops", _TheDrop, body)).drop

    async def open(self, drop: Drop | str) -> Drop:
        """The drop is on sale. Safe to repeat."""
        return (await self._calls.post(f"/api/host/drops/{_id(drop)}/open", _TheDrop)).drop

    async def close(self, drop: Drop | str) -> Drop:
        """The drop is over; what is left goes back to the shelf. Safe to repeat."""
        return (await self._calls.post(f"/api/host/drops/{_id(drop)}/close", _TheDrop)).drop

    async def restock(self, drop: Drop | str, variant: str, quantity: int, *, ref: str | None = None) -> Drop:
        """Adds units. The same call with the same `ref` adds nothing: name one if you may have to repeat it."""
        body = {"variant": variant, "quantity": quantity, "ref": ref or secrets.token_hex(8)}
        return (await self._calls.post(f"/api/host/drops/{_id(drop)}/restock", _TheDrop, body)).drop


def _id(drop: Drop | str) -> str:
    return quote(drop if isinstance(drop, str) else drop.id, safe="")
