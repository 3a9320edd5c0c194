"""Finding products."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from server.domain.errors import Reason, Refused
from server.domain.product import Product

QUERY_MAX = 100
WORDS_MAX = 8
PAGE = 20


class ProductBook(Protocol):
    """Where products are kept."""

    async def find(self, words: Sequence[str], *, after: str | None, limit: int) -> tuple[list[Product], str | None]:
        """Products with every word in title or SKU, and the cursor of the next page."""
        ...


class Search:
    """Answers what people type into the search field."""

    def __init__(self, products: ProductBook) -> None:
        self._products = products

    async def find(self, query: str, after: str | None = None) -> tuple[list[Product], str | None]:
        """A page of products and the next page's cursor; an empty query lists all. Raises `Refused`, `Unavailable`."""
        if len(query) > QUERY_MAX:
            raise Refused(Reason.BAD_REQUEST, f"q must be at most {QUERY_MAX} characters")
        return await self._products.find(query.lower().split()[:WORDS_MAX], after=after, limit=PAGE)
