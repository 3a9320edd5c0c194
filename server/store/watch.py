"""The watch: every invariant of the rows, the stock equation first, checked all the time by one replica at a time."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection

from server import metrics, tasks
from server.domain.errors import Unavailable
from server.store import invariants
from server.store.engine import Database

log = logging.getLogger(__name__)

PASS_EVERY_S = 30.0
"""Between two passes: what is on sale is checked about twice a minute, which is soon enough to stop a sale by hand."""

OLD_S = 2.0
"""Time of checking that a pass gives to what is not on sale, from where the last pass stopped."""

REST = 9
"""After each query the watch rests so many times as long: it takes at most a tenth of one of the server's cores."""

ORDERS_PAGE = 5_000
"""Orders of one query, about: tens of ms each (measured, docs/operations.md)."""

FOUND_MAX = 1_000
"""Broken drops, streams and variants that are kept and counted. When full, further ones are only logged."""

SENTENCES_MAX = 20
"""Most sentences about one of them."""

_QUERY_S = 5.0
_LAST = "~"  # after every id
_LOCK = text("SELECT GET_LOCK(CONCAT('dropcast watch ', MD5(DATABASE())), 0)")


class Watch:
    """Logs each violation when it is found, and counts in `dropcast_violations` those that are still there.

    A pass first checks what was found broken before, then the stock equation of what is on sale (open and sold-out
    drops, their variants, live streams), then goes on with every invariant through all there is, for `OLD_S`. Who
    watches keeps a connection of its own, beside the
    pool's, with the server's named lock on it: when the replica or the connection dies, another takes over within
    `PASS_EVERY_S`. Owns one task, which runs until `close()`.
    """

    def __init__(self, database: Database, *, sleep: Callable[[float], Awaitable[object]] = asyncio.sleep) -> None:
        self._database = database
        self._sleep = sleep
        self._found: dict[tuple[_Kind, str], list[str]] = {}
        self._reached = dict.fromkeys(_KINDS, "")  # the last id of each kind on the way through the rest
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts to watch."""
        self._task = tasks.start(self._run(), "watch")

    async def close(self) -> None:
        """Ends, in the middle of a pass too; another replica takes over."""
        await tasks.stop(self._task)

    async def passes(self) -> AsyncGenerator[None, None]:
        """Yields after each pass; ends at once when another replica watches. Closing it lets another one watch.

        What was found is forgotten at the end, so that a replica that does not watch reports nothing. Raises
        `Unavailable`.
        """
        async with self._database.apart() as connection:
            if not self._database.is_sqlite:  # one replica anyway
                async with connection.begin():
                    if (await connection.execute(_LOCK)).scalar() != 1:
                        return
            try:
                while True:
                    await self._pass(_Reader(connection, self._sleep))
                    metrics.VERIFIED.set_to_current_time()
                    yield
            finally:
                self._found.clear()
                metrics.VIOLATIONS.set(0)

    async def _run(self) -> None:
        while True:
            try:
                async with aclosing(self.passes()) as passes:
                    async for _ in passes:
                        await self._sleep(PASS_EVERY_S)
            except Unavailable as error:
                log.warning("the watch is put off", extra={"error": str(error)})
            except Exception:
                metrics.BUGS.labels("watch").inc()
                log.exception("the watch cannot go on")
            await self._sleep(PASS_EVERY_S)

    async def _pass(self, reader: _Reader) -> None:
        broken = tuple(self._found)
        for kind, subject in broken:
            await self._check(reader, kind, subject, whole=True)
        for kind in _KINDS:
            for (subject,) in await reader.moment(kind.hot):
                if (kind, subject) not in broken:
                    await self._check(reader, kind, subject, whole=False)
        enough = reader.spent_s + OLD_S
        on_the_way = list(_KINDS)
        while on_the_way and reader.spent_s < enough:
            for kind in tuple(on_the_way):
                ((subject,),) = await reader.moment(kind.next, after=self._reached[kind])
                self._reached[kind] = subject or ""  # before the check: what cannot be checked is not met for ever
                if subject is None:
                    on_the_way.remove(kind)  # once through is enough for one pass
                else:
                    await self._check(reader, kind, subject, whole=True)

    async def _check(self, reader: _Reader, kind: _Kind, subject: str, *, whole: bool) -> None:
        async with reader.connection.begin():
            found = [sentence async for sentence in kind.check(reader, subject, whole)][:SENTENCES_MAX]
        known = self._found.pop((kind, subject), [])
        for sentence in found:
            if sentence not in known:
                log.error("an invariant is violated: %s", sentence)
        if found and len(self._found) < FOUND_MAX:
            self._found[kind, subject] = found
        elif known:
            log.info("an invariant holds again", extra={kind.name: subject})
        metrics.VIOLATIONS.set(sum(map(len, self._found.values())))


class _Reader:
    """Asks one short query at a time, and rests after each."""

    def __init__(self, connection: AsyncConnection, sleep: Callable[[float], Awaitable[object]]) -> None:
        self.connection = connection
        self.spent_s = 0.0
        self._sleep = sleep

    async def moment(self, query: TextClause, **values: Any) -> Sequence[Row[Any]]:
        """What a transaction of one query reads."""
        async with self.connection.begin():
            return await self.rows(query, **values)

    async def rows(self, query: TextClause, **values: Any) -> Sequence[Row[Any]]:
        """What a query reads; a server that does not answer it in time is as good as gone."""
        began = time.perf_counter()
        async with asyncio.timeout(_QUERY_S):
            rows = (await self.connection.execute(query, values)).all()
        took_s = time.perf_counter() - began
        self.spent_s += took_s
        await self._sleep(took_s * REST)
        return rows

    async def violations(self, some: Sequence[invariants.Invariant], **values: Any) -> AsyncIterator[str]:
        """Sentences about what the values leave in."""
        for invariant in some:
            for row in await self.rows(invariant.bite, **values):
                yield invariant.sentence.format(*row)


async def _of_drop(reader: _Reader, drop: str, whole: bool) -> AsyncIterator[str]:
    """The drop, and its orders added up; each of its orders by itself only when it is the `whole` check."""
    async for sentence in reader.violations(invariants.OF_DROP, drop=drop):
        yield sentence
    units: dict[str, int] = {}
    after = ""
    while after != _LAST:
        end = await reader.rows(invariants.PAGE_END, drop=drop, after=after, page=ORDERS_PAGE - 1)
        page = {"drop": drop, "after": after, "upto": end[0][0] if end else _LAST}
        sold = await reader.rows(invariants.UNITS, **page)
        for row in sold:
            units[row.variant_id] = units.get(row.variant_id, 0) + int(row.units)
        if sold and whole:
            async for sentence in reader.violations(invariants.OF_ORDERS, **page):
                yield sentence
        after = page["upto"]
    for row in await reader.rows(invariants.STOCK, drop=drop):
        if row.sold != units.get(row.variant_id, 0):
            yield invariants.SOLD.sentence.format(drop, row.variant_id, row.sold, units.get(row.variant_id, 0))


async def _of_stream(reader: _Reader, stream: str, _whole: bool) -> AsyncIterator[str]:
    async for sentence in reader.violations(invariants.OF_STREAM, stream=stream):
        yield sentence


async def _of_variant(reader: _Reader, variant: str, _whole: bool) -> AsyncIterator[str]:
    async for sentence in reader.violations(invariants.OF_VARIANT, variant=variant):
        yield sentence


@dataclass(frozen=True, slots=True)
class _Kind:
    """Something that is checked by itself: which of them move now, which comes after which, and how: whole or not."""

    name: str
    hot: TextClause
    next: TextClause
    check: Callable[[_Reader, str, bool], AsyncIterator[str]]


_KINDS = (
    _Kind("drop", invariants.HOT_DROPS, invariants.NEXT_DROP, _of_drop),
    _Kind("stream", invariants.HOT_STREAMS, invariants.NEXT_STREAM, _of_stream),
    _Kind("variant", invariants.HOT_VARIANTS, invariants.NEXT_VARIANT, _of_variant),
)
