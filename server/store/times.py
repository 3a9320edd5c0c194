"""Drops that open and close by themselves: which are due, and the turn itself."""

from __future__ import annotations

from collections.abc import Collection

from sqlalchemy import select, union_all
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.drop import DropStatus, turn_of
from server.domain.news import News
from server.store import turns
from server.store.engine import Database
from server.store.tables import drops

_NOT_CLOSED = [DropStatus.SCHEDULED, DropStatus.OPEN, DropStatus.SOLD_OUT]


class Times:
    """The run sheets' times, by the database's clock."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def due(self, within_ms: int, limit: int, *, without: Collection[str] = ()) -> list[tuple[str, int]]:
        """The next `limit` drops whose time is past or comes within so many ms: (id, ms until then), soonest first.

        Not all of them have a turn to make: `turn` decides that under the lock. Two ranges of two indexes, so that
        closed drops, however many, are not looked at. Raises `Unavailable`.
        """
        async with self._database.reading() as connection:
            now = await self._database.now_ms(connection)
            opening = select(drops.c.id, drops.c.opens_at.label("at")).where(
                drops.c.status == DropStatus.SCHEDULED, drops.c.opens_at <= now + within_ms
            )
            closing = select(drops.c.id, drops.c.closes_at.label("at")).where(
                drops.c.status.in_(_NOT_CLOSED), drops.c.closes_at <= now + within_ms
            )
            both = union_all(
                *(
                    select(some.where(drops.c.id.not_in(without)).order_by("at", drops.c.id).limit(limit).subquery())
                    for some in (opening, closing)
                )
            ).subquery()
            rows = await connection.execute(select(both.c.id, both.c.at).order_by(both.c.at, both.c.id).limit(limit))
            return [(drop, at - now) for drop, at in rows.all()]

    async def turn(self, drop_id: str) -> News | None:
        """Opens or closes a drop whose time has come; None when it has no turn to make, or no longer.

        Any number of replicas may ask at once: the first to hold the stock rows does it, the others then read a
        status that has no turn left. Raises `Refused` (the stream ended just now, no such drop), `Unavailable`:
        outcome unknown, and asking again is safe.
        """

        async def work(connection: AsyncConnection) -> News | None:
            found = await self._found(connection, drop_id)
            drop, now = found.drop, await self._database.now_ms(connection)
            match turn_of(drop, over=found.over, now_ms=now):
                case DropStatus.OPEN:
                    _, news = await turns.opened(connection, None, found, now, opens_at=drop.opens_at)
                    return news
                case DropStatus.CLOSED:
                    planned = drop.closes_at is not None and drop.closes_at <= now
                    closes_at = drop.closes_at if planned else now
                    _, news = await turns.closed(connection, None, found, now, closes_at=closes_at)
                    return news
            return None

        return await self._database.run(work)

    async def _found(self, connection: AsyncConnection, drop_id: str) -> turns.Found:
        return await turns.locked(connection, drop_id)
