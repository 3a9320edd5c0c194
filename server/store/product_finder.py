"""Finding products in the index: the few that share most with a query, to be looked at more closely."""

from __future__ import annotations

import time
from collections.abc import Sequence

from sqlalchemy import ColumnElement, bindparam, case, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.product import Candidate
from server.store.engine import Database
from server.store.tables import product_grams, product_index

ROWS_MAX = 15_000
"""Most rows one search adds up, but for a query whose every gram is hotter: about 10 ms of the server's."""

COUNTS_KEPT_MAX = 20_000
"""Counts of grams that are remembered; when full, all are forgotten and counted anew."""

COUNTS_LAST_S = 600.0
"""An old count costs a slower search, never a wrong one."""

BEGINNINGS_MAX = 50
"""Products that come in because their title begins with the query."""

_LAST = "\U0010ffff"


class ProductFinder:
    """Searches in the index. Remembers how common grams are, which is all it keeps."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._counts: dict[str, tuple[int, float]] = {}

    async def near(self, grams: Sequence[str], beginning: str, limit: int) -> list[Candidate]:
        """The products that share most with these grams, best first, behind those whose title begins like this.

        Rare grams count more than common ones, and the commonest are not asked for at all. Raises `Unavailable`.
        """
        async with self._database.reading() as connection:
            counts = await self._count(connection, grams)
            beginning_ends = {"beginning": beginning, "end": beginning + _LAST}
            begun = (await connection.execute(_BEGINNING, beginning_ends)).all()
            shared = (await connection.execute(_SHARING, {**_by_rarity(counts), "best": limit})).all()
        found = {row.product_id: Candidate(*row) for row in (*begun, *shared)}
        return list(found.values())

    async def _count(self, connection: AsyncConnection, grams: Sequence[str]) -> dict[str, int]:
        now = time.monotonic()
        unknown = [gram for gram in grams if self._counts.get(gram, (0, 0.0))[1] < now]
        if unknown:
            rows = (await connection.execute(_COUNTS, {"unknown": unknown})).all()
            if len(self._counts) + len(unknown) > COUNTS_KEPT_MAX:
                self._counts.clear()
            self._counts |= dict.fromkeys(unknown, (0, now + COUNTS_LAST_S))
            self._counts |= {gram: (count, now + COUNTS_LAST_S) for gram, count in rows}
        return {gram: self._counts[gram][0] for gram in grams if gram in self._counts}


def _by_rarity(counts: dict[str, int]) -> dict[str, list[str]]:
    """The grams to ask for: all that are rare, and of the others as many as `ROWS_MAX` allows."""
    chosen: dict[str, list[str]] = {name: [_NONE] for name, _, _ in _RARITIES}
    rows = 0
    for gram in sorted(counts, key=lambda gram: counts[gram]):
        if rows and rows + counts[gram] > ROWS_MAX:
            break
        rows += counts[gram]
        chosen[next(name for name, most, _ in _RARITIES if counts[gram] <= most)].append(gram)
    return chosen


_RARITIES = (("rarest", 30, 10), ("rare", 250, 6), ("usual", 1_500, 3), ("common", 10**9, 1))
"""What a gram says about a product that has it, by the number of products that do: name, most products, boost."""

_NONE = ""  # no gram: a list in SQL must not be empty
_COMPARED = (product_index.c.product_id, product_index.c.title, product_index.c.also, product_index.c.description)


def _among(name: str) -> ColumnElement[bool]:
    return product_grams.c.gram.in_(bindparam(name, expanding=True))


# built once: to put a statement together takes longer than to wait for its answer
_COUNTS = select(product_grams.c.gram, func.count()).where(_among("unknown")).group_by(product_grams.c.gram)
_BEGINNING = (
    select(*_COMPARED)
    .where(product_index.c.title >= bindparam("beginning"), product_index.c.title < bindparam("end"))
    .order_by(product_index.c.title)
    .limit(BEGINNINGS_MAX)
)
_POINTS = func.sum(
    product_grams.c.weight * case(*((_among(name), boost) for name, _, boost in _RARITIES), else_=0)
).label("points")
_BEST = (
    select(product_grams.c.number, _POINTS)
    .where(or_(*(_among(name) for name, _, _ in _RARITIES)))
    .group_by(product_grams.c.number)
    .order_by(_POINTS.desc(), product_grams.c.number.desc())
    .limit(bindparam("best"))
    .subquery()
)
_SHARING = (
    select(*_COMPARED)
    .join_from(_BEST, product_index, product_index.c.number == _BEST.c.number)
    .order_by(_BEST.c.points.desc(), _BEST.c.number.desc())
)
