"""Finding products in the index: the few that share most with a query, to be looked at more closely."""

from __future__ import annotations

import time
from collections.abc import Sequence
from math import log2

from sqlalchemy import Select, func, literal, select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.product import Candidate
from server.store.engine import Database
from server.store.tables import product_grams, product_index

ROWS_MAX = 15_000
"""Most rows one search adds up, but for a query whose every gram is hotter: about 10 ms of the server's."""

COUNTED_MAX = 5_000
"""A gram with so many products, or more, is as common as any."""

COUNTS_KEPT_MAX = 20_000
"""Counts of grams that are remembered; when full, all are forgotten and counted anew."""

COUNTS_LAST_S = 300.0
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
            begun = (await connection.execute(_begins(beginning))).all()
            shared = (await connection.execute(_shares(_boosts(counts), limit))).all()
        found = {row.product_id: Candidate(*row) for row in (*begun, *shared)}
        return list(found.values())

    async def _count(self, connection: AsyncConnection, grams: Sequence[str]) -> dict[str, int]:
        now = time.monotonic()
        unknown = [gram for gram in grams if self._counts.get(gram, (0, 0.0))[1] < now]
        if unknown:
            rows = (await connection.execute(union_all(*(_count_of(gram) for gram in unknown)))).all()
            if len(self._counts) + len(rows) > COUNTS_KEPT_MAX:
                self._counts.clear()
            self._counts |= {gram: (count, now + COUNTS_LAST_S) for gram, count in rows}
        return {gram: self._counts[gram][0] for gram in grams if gram in self._counts}


def _boosts(counts: dict[str, int]) -> dict[str, int]:
    """The grams to ask for, rarest first, and what each says about a product that has it."""
    chosen: dict[str, int] = {}
    rows = 0
    for gram in sorted(counts, key=lambda gram: counts[gram]):
        rows += counts[gram]
        if chosen and rows > ROWS_MAX:
            break
        chosen[gram] = 1 + int(log2(COUNTED_MAX / max(1, counts[gram])))
    return chosen


def _count_of(gram: str) -> Select[str, int]:
    some = select(product_grams.c.number).where(product_grams.c.gram == gram).limit(COUNTED_MAX).subquery()
    return select(literal(gram), select(func.count()).select_from(some).scalar_subquery())


def _begins(beginning: str) -> Select[str, str, str, str]:
    title = product_index.c.title
    return select(*_COMPARED).where(title >= beginning, title < beginning + _LAST).order_by(title).limit(BEGINNINGS_MAX)


def _shares(boosts: dict[str, int], limit: int) -> Select[str, str, str, str]:
    hits = union_all(
        *(
            select(product_grams.c.number, (product_grams.c.weight * boost).label("points")).where(
                product_grams.c.gram == gram
            )
            for gram, boost in boosts.items()
        )
    ).subquery()
    points = func.sum(hits.c.points).label("points")
    best = (
        select(hits.c.number, points)
        .group_by(hits.c.number)
        .order_by(points.desc(), hits.c.number.desc())
        .limit(limit)
        .subquery()
    )
    return (
        select(*_COMPARED)
        .join_from(best, product_index, product_index.c.number == best.c.number)
        .order_by(best.c.points.desc(), best.c.number.desc())
    )


_COMPARED = (product_index.c.product_id, product_index.c.title, product_index.c.also, product_index.c.description)
