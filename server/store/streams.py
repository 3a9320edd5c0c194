"""Streams: the host's own, everybody's list, and one stream whole."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from types import MappingProxyType
from typing import Any

from sqlalchemy import ColumnElement, Select, and_, or_, select, union_all, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.drop import DropStatus, StockLine
from server.domain.errors import Reason, Refused
from server.domain.events import EventKind, StreamEvent
from server.domain.ids import new_id
from server.domain.news import News
from server.domain.stream import CLOSED_KEPT, StreamState
from server.domain.user import User
from server.domain.views import Stream, StreamStatus
from server.store import audit, embeds, events
from server.store.engine import Database, is_duplicate
from server.store.rows import drops_of, owned, stream_of, stream_rows
from server.store.tables import deployment, drop_stock, drops, streams

PAGE_MAX = 100


class Streams:
    """Everything that reads or changes streams as such."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def epoch(self) -> str:
        """The epoch of this database's log. Raises `Unavailable`, or `LookupError` without a schema."""
        async with self._database.reading() as connection:
            epoch = (await connection.execute(select(deployment.c.epoch))).scalar_one_or_none()
        if epoch is None:
            raise LookupError("the database has no deployment row: run `dropcast init-db`")
        return str(epoch)

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
        """Creates a stream. Raises `Refused` when the slug is taken by another; the host's own is given back as is."""
        try:
            async with self._database.transaction() as connection:
                now = await self._database.now_ms(connection)
                stream_id = new_id()
                await connection.execute(
                    streams.insert().values(
                        id=stream_id,
                        slug=slug,
                        host_id=host.id,
                        title=title,
                        status=StreamStatus.SCHEDULED,
                        starts_at=starts_at,
                        video=video,
                        seq=0,
                        created_at=now,
                    )
                )
                await embeds.add(connection, stream_id, embed_origins)
                said = {"slug": slug, "embed_origins": list(embed_origins)} if embed_origins else {"slug": slug}
                await audit.record(connection, now, host, "stream.create", stream_id, said)
        except IntegrityError as error:
            if not is_duplicate(error):
                raise
            async with self._database.reading() as connection:
                row = (await connection.execute(stream_rows().where(streams.c.slug == slug))).mappings().one()
            if row["host_id"] != host.id or row["title"] != title:
                raise Refused(Reason.CONFLICT, f"the slug {slug!r} is taken: choose another") from None
            return stream_of(row)
        return Stream(slug, title, host.name, StreamStatus.SCHEDULED, starts_at, video)

    async def change_status(self, host: User, slug: str, status: StreamStatus) -> tuple[Stream, News]:
        """Starts or ends a stream and logs the event; repeating it changes nothing. Raises `Refused`."""

        async def work(connection: AsyncConnection) -> tuple[Stream, News]:
            row = await owned(connection, host, streams.c.slug == slug, lock=True)
            before, stream = StreamStatus(row["status"]), stream_of(row)
            if before is status:
                return stream, News(slug)
            if before is StreamStatus.ENDED:
                raise Refused(Reason.CONFLICT, "the stream is over: create another")
            if status is StreamStatus.ENDED and await _has_open_drop(connection, row["id"]):
                raise Refused(Reason.CONFLICT, "a drop is still open: close it first")
            now = await self._database.now_ms(connection)
            stream = Stream(slug, stream.title, stream.host, status, stream.starts_at, stream.video)
            await connection.execute(update(streams).where(streams.c.id == row["id"]).values(status=status))
            started = status is StreamStatus.LIVE
            kind = EventKind.STREAM_STARTED if started else EventKind.STREAM_ENDED
            frame = await events.append(connection, row["id"], now, StreamEvent(kind, stream))
            await audit.record(connection, now, host, "stream.start" if started else "stream.end", row["id"], {})
            return stream, News(slug, (frame,))

        return await self._database.run(work)

    async def listed(
        self, statuses: Collection[StreamStatus], *, after: str | None = None, limit: int = 50
    ) -> tuple[list[Stream], str | None]:
        """The streams of these statuses, newest first, and the cursor of the next page.

        A page of each status is read from the index, and the newest of those are taken: who asks for the streams of
        all years does not sort them.
        """
        limit = min(limit, PAGE_MAX)
        before = [] if after is None else [streams.c.id < after]
        newest = (
            select(streams.c.id)
            .where(streams.c.status == status, *before)
            .order_by(streams.c.id.desc())
            .limit(limit + 1)
            for status in statuses
        )
        page = union_all(*(select(some.subquery()) for some in newest)).subquery()
        return await self._page(stream_rows().join(page, page.c.id == streams.c.id), None, limit)

    async def of_host(
        self, host: User, *, after: str | None = None, limit: int = 50
    ) -> tuple[list[Stream], str | None]:
        """A host's own streams, newest first, and the cursor of the next page."""
        return await self._page(stream_rows().where(streams.c.host_id == host.id), after, limit)

    async def named(self, slug: str) -> tuple[str, Stream] | None:
        """A stream with its id; None when there is none of that slug."""
        async with self._database.reading() as connection:
            row = (await connection.execute(stream_rows().where(streams.c.slug == slug))).mappings().one_or_none()
        return None if row is None else (row["id"], stream_of(row))

    async def whole(self, slug: str) -> StreamState | None:
        """A stream with its drops and stock, all of one moment; None when there is none of that slug."""
        async with self._database.reading(one_moment=True) as connection:
            row = (await connection.execute(stream_rows().where(streams.c.slug == slug))).mappings().one_or_none()
            if row is None:
                return None
            found = await drops_of(connection, await _in_state(connection, row["id"]))
            return StreamState(stream_of(row), MappingProxyType({drop.id: drop for drop in found}), row["seq"])

    async def heads(self, slugs: list[str]) -> tuple[dict[str, int], dict[str, list[StockLine]]]:
        """Where these streams stand, and the stock of their drops on sale: what a relay asks once a second."""
        async with self._database.reading() as connection:
            seqs = (
                await connection.execute(select(streams.c.slug, streams.c.seq).where(streams.c.slug.in_(slugs)))
            ).all()
            lines = (
                await connection.execute(
                    select(
                        streams.c.slug,
                        drop_stock.c.drop_id,
                        drop_stock.c.variant_id,
                        drop_stock.c.left,
                        drop_stock.c.version,
                    )
                    .select_from(streams.join(drops, drops.c.stream_id == streams.c.id).join(drop_stock))
                    .where(streams.c.slug.in_(slugs), drops.c.status.in_([DropStatus.OPEN, DropStatus.SOLD_OUT]))
                )
            ).all()
        stock: dict[str, list[StockLine]] = {}
        for slug, drop, variant, left, version in lines:
            stock.setdefault(slug, []).append(StockLine(drop, variant, left, version))
        return {row.slug: row.seq for row in seqs}, stock

    async def events_after(self, slug: str, seq: int, limit: int) -> list[tuple[int, str]]:
        """The log: at most `limit` events after `seq` with their frames, in order."""
        async with self._database.reading() as connection:
            return await events.after(connection, slug, seq, limit)

    async def _page(self, query: Select[Any], after: str | None, limit: int) -> tuple[list[Stream], str | None]:
        limit = min(limit, PAGE_MAX)
        if after is not None:
            query = query.where(streams.c.id < after)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query.order_by(streams.c.id.desc()).limit(limit + 1))).mappings().all()
        return [stream_of(row) for row in rows[:limit]], rows[limit - 1]["id"] if len(rows) > limit else None


async def _in_state(connection: AsyncConnection, stream_id: str) -> ColumnElement[bool]:
    """The drops a state holds: all that are not closed, and the newest closed ones."""
    of_stream = drops.c.stream_id == stream_id
    closed = select(drops.c.id).where(of_stream, drops.c.status == DropStatus.CLOSED).order_by(drops.c.id.desc())
    oldest = (await connection.execute(closed.limit(1).offset(CLOSED_KEPT - 1))).scalar()
    return and_(of_stream, or_(drops.c.status != DropStatus.CLOSED, drops.c.id >= (oldest or "")))


async def _has_open_drop(connection: AsyncConnection, stream_id: str) -> bool:
    query = select(drops.c.id).where(
        and_(drops.c.stream_id == stream_id, drops.c.status.in_([DropStatus.OPEN, DropStatus.SOLD_OUT]))
    )
    return (await connection.execute(query.limit(1))).first() is not None
