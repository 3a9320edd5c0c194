"""Finding products."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Protocol

from server.catalog.ranking import ranked
from server.domain.errors import Reason, Refused
from server.domain.folding import fold
from server.domain.grams import asked
from server.domain.product import Candidate, Product

QUERY_MAX = 100
PAGE = 20

AT_ONCE_MAX = 4
"""Searches of this replica that ask the database at once: most of its connections stay free for orders."""

WAITING_MAX = 100
"""Searches that wait for one of those to end. When full, further ones are refused with `busy`."""

BEST = 200
"""Products that are looked at closely, and so the most that a search finds."""


class ProductBook(Protocol):
    """Where products are kept."""

    async def page(self, *, after: str | None, limit: int) -> tuple[list[Product], str | None]:
        """All products, newest first, and the cursor of the next page."""
        ...

    async def of_ids(self, ids: Sequence[str]) -> list[Product]:
        """These products in this order, without those that are gone."""
        ...


class Finder(Protocol):
    """What products are found by."""

    async def near(self, grams: Sequence[str], beginning: str, limit: int) -> list[Candidate]:
        """The products that share most with these grams, best first, behind those whose title begins like this."""
        ...


class Search:
    """Answers what people type into the search field, slips, missing accents and half words included."""

    def __init__(self, products: ProductBook, finder: Finder) -> None:
        self._products = products
        self._finder = finder
        self._turns = asyncio.Semaphore(AT_ONCE_MAX)
        self._waiting = 0

    async def find(self, query: str, after: str | None = None) -> tuple[list[Product], str | None]:
        """A page of products, the likest first, and the next page's cursor: the last one's id.

        An empty query lists all, newest first; one without a letter or digit finds nothing. Raises `Refused`,
        `Unavailable`.
        """
        if len(query) > QUERY_MAX:
            raise Refused(Reason.BAD_REQUEST, f"q must be at most {QUERY_MAX} characters")
        if not query.strip():
            return await self._products.page(after=after, limit=PAGE)
        folded = fold(query)
        if not folded:
            return [], None
        async with self._turn():
            candidates = await self._finder.near(asked(folded), folded, BEST)
            # in a thread: this process also serves sockets, and they go on every few ms
            found = [one.id for one in await asyncio.to_thread(ranked, folded, candidates)][:BEST]
        begin = 0 if after is None else found.index(after) + 1 if after in found else len(found)
        page = found[begin : begin + PAGE]
        return await self._products.of_ids(page), page[-1] if begin + PAGE < len(found) else None

    @asynccontextmanager
    async def _turn(self) -> AsyncIterator[None]:
        if self._waiting >= WAITING_MAX:
            raise Refused(Reason.BUSY, "too many people search at this moment: try again in a second")
        self._waiting += 1
        try:
            await self._turns.acquire()
        finally:
            self._waiting -= 1
        try:
            yield
        finally:
            self._turns.release()
