"""Which other sites may show a stream."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from sqlalchemy import delete, select
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.user import User
from server.store import audit
from server.store.engine import Database
from server.store.rows import owned
from server.store.tables import embed_origins, streams


class EmbedOrigins:
    """The allowed origins of every stream. Every call may raise `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def replace(self, host: User, slug: str, origins: Sequence[str]) -> None:
        """Replaces a stream's list; the same again changes nothing. Raises `Refused`."""

        async def work(connection: AsyncConnection) -> None:
            # the stream's row is the lock: of two lists at the same time one stands, not a mixture
            row = await owned(connection, host, streams.c.slug == slug, lock=True)
            of_stream = embed_origins.c.stream_id == row["id"]
            before = set((await connection.execute(select(embed_origins.c.origin).where(of_stream))).scalars())
            if before == set(origins):
                return
            await connection.execute(delete(embed_origins).where(of_stream))
            await add(connection, row["id"], origins)
            now = await self._database.now_ms(connection)
            await audit.record(connection, now, host, "stream.embed", row["id"], {"origins": sorted(origins)})

        await self._database.run(work)

    async def of_streams(self, slugs: Collection[str]) -> dict[str, frozenset[str]]:
        """The origins of some streams by slug, in one statement; a stream without any is left out."""
        query = (
            select(streams.c.slug, embed_origins.c.origin)
            .join(embed_origins, embed_origins.c.stream_id == streams.c.id)
            .where(streams.c.slug.in_(sorted(slugs)))
        )
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).all()
        found: dict[str, set[str]] = {}
        for slug, origin in rows:
            found.setdefault(slug, set()).add(origin)
        return {slug: frozenset(origins) for slug, origins in found.items()}

    async def embedding(self, origins: Collection[str]) -> dict[str, bool]:
        """Which of some origins may embed anything at all; one that may not is left out."""
        query = select(embed_origins.c.origin).where(embed_origins.c.origin.in_(sorted(origins))).distinct()
        async with self._database.reading() as connection:
            return dict.fromkeys((await connection.execute(query)).scalars(), True)


async def add(connection: AsyncConnection, stream_id: str, origins: Sequence[str]) -> None:
    """Adds origins to a stream's list, in the transaction of who has locked or just made the stream."""
    if origins:
        rows = [{"stream_id": stream_id, "origin": origin} for origin in origins]
        await connection.execute(embed_origins.insert(), rows)
