"""The log: a stream's events, written in the transaction of the fact they tell."""

from __future__ import annotations

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.events import Event
from server.protocol import codec
from server.store.tables import events, streams


async def append(connection: AsyncConnection, stream_id: str, at_ms: int, event: Event) -> str:
    """Numbers the event, logs it and returns its frame: to be announced once the transaction is committed.

    Takes the stream's row lock, so it comes after the locks on stock rows.
    """
    await connection.execute(update(streams).where(streams.c.id == stream_id).values(seq=streams.c.seq + 1))
    seq = (await connection.execute(select(streams.c.seq).where(streams.c.id == stream_id))).scalar_one()
    frame = codec.encode_event(seq, at_ms, event)
    await connection.execute(
        events.insert().values(stream_id=stream_id, seq=seq, kind=event.kind, at=at_ms, frame=frame)
    )
    return frame


async def after(connection: AsyncConnection, slug: str, seq: int, limit: int) -> list[tuple[int, str]]:
    """At most `limit` events after `seq`, in order, as (seq, frame)."""
    rows = await connection.execute(
        select(events.c.seq, events.c.frame)
        .join(streams, streams.c.id == events.c.stream_id)
        .where(streams.c.slug == slug, events.c.seq > seq)
        .order_by(events.c.seq)
        .limit(limit)
    )
    return [(number, frame) for number, frame in rows.all()]
