"""`dropcast verify`: every invariant of the whole database, checked by reading only."""

from __future__ import annotations

from collections.abc import AsyncIterator
from types import MappingProxyType

import msgspec
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain import stream as fold
from server.domain.drop import Drop, DropStatus
from server.domain.errors import DropcastError
from server.domain.stream import StreamState
from server.domain.views import Stream, StreamStatus
from server.protocol import codec, frames
from server.store.engine import Database
from server.store.invariants import ALL
from server.store.rows import drops_of, stream_of, stream_rows
from server.store.tables import drops, streams

_LOG_PAGE = 500


async def violations(database: Database) -> AsyncIterator[str]:
    """Each violation as a sentence; nothing when all is well. All of it sees one moment, however long it takes.

    For the command: its queries read whole tables, and no deadline ends them. Raises `Unavailable`.
    """
    async with database.apart(unhurried=True) as connection:
        for invariant in ALL:
            for row in (await connection.execute(invariant.everywhere)).all():
                yield invariant.sentence.format(*row)
        slugs = (await connection.execute(streams.select().with_only_columns(streams.c.slug))).scalars().all()
        for slug in slugs:
            async for sentence in _history(connection, slug):
                yield sentence


async def _history(connection: AsyncConnection, slug: str) -> AsyncIterator[str]:
    """Law 3 over real data: the fold of a stream's log says of each drop what its row says."""
    row = (await connection.execute(stream_rows().where(streams.c.slug == slug))).mappings().one()
    rows = {drop.id: drop for drop in await drops_of(connection, drops.c.stream_id == row["id"])}
    stream = stream_of(row)
    blank = Stream(slug, stream.title, stream.host, StreamStatus.SCHEDULED, stream.starts_at, stream.video)
    state = StreamState(blank, MappingProxyType({}), 0)
    try:
        state = await _folded(connection, row["id"], state)
    except (DropcastError, msgspec.DecodeError) as error:
        yield f"stream {slug}: its log cannot be read: {error}"
        return
    if state.stream.status is not stream.status:
        yield f"stream {slug}: its log says {state.stream.status}, its row {stream.status}"
    for drop_id in sorted(rows.keys() | state.drops.keys()):
        told, stored = state.drops.get(drop_id), rows.get(drop_id)
        if told is None and stored is not None and stored.status is DropStatus.CLOSED:
            continue  # an old one that the state no longer holds
        if _essence(told) != _essence(stored):
            yield f"stream {slug}: its log tells of drop {drop_id} {_essence(told)}, its row says {_essence(stored)}"


async def _folded(connection: AsyncConnection, stream_id: str, state: StreamState) -> StreamState:
    query = text("SELECT seq, frame FROM events WHERE stream_id = :id AND seq > :seq ORDER BY seq LIMIT :page")
    while page := (await connection.execute(query, {"id": stream_id, "seq": state.seq, "page": _LOG_PAGE})).all():
        for seq, text_ in page:
            frame = codec.decode_server(text_)
            if not isinstance(frame, frames.EventFrame) or frame.seq != seq:
                raise DropcastError(f"row {seq} holds another frame")
            state = fold.apply(state, codec.read_event(frame), seq)
    return state


def _essence(drop: Drop | None) -> tuple[object, ...] | None:
    """What events tell of a drop; stock is state and moves without events."""
    if drop is None:
        return None
    terms = (drop.price, drop.currency, drop.list_price, drop.limit, drop.opens_at, drop.closes_at)
    return (drop.status, drop.title, *terms)
