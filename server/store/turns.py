"""A drop's turns, open and closed: one transaction each, whoever asks for it, the host or the clock."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.drop import Drop, DropStatus, lines_of
from server.domain.errors import Reason, Refused
from server.domain.events import DropEvent, EventKind
from server.domain.news import News
from server.domain.user import User
from server.domain.views import StreamStatus
from server.store import audit, events
from server.store.rows import drops_of, lock_stock
from server.store.tables import drop_stock, drops, streams, variants

_ACTIONS = {EventKind.DROP_OPENED: "drop.open", EventKind.DROP_CLOSED: "drop.close"}


@dataclass(frozen=True, slots=True)
class Found:
    """A drop under the lock of its stock rows: neither its stock nor its status moves before COMMIT."""

    drop: Drop
    stream_id: str
    slug: str
    over: bool
    """Whether its stream has ended, which is for ever. When not, it may yet end before the stream's row is locked."""


async def locked(connection: AsyncConnection, drop_id: str) -> Found:
    """Locks a drop's stock rows, then reads it. Raises `Refused` when there is no such drop."""
    await lock_stock(connection, drop_id)
    return await read(connection, drop_id)


async def read(connection: AsyncConnection, drop_id: str) -> Found:
    """A drop as it is; true until COMMIT only under the lock. Raises `Refused` when there is no such drop."""
    found = await drops_of(connection, drops.c.id == drop_id)
    if not found:
        raise Refused(Reason.NOT_FOUND, "there is no such drop")
    stream = (
        await connection.execute(
            select(streams.c.id, streams.c.slug, streams.c.status)
            .join(drops, drops.c.stream_id == streams.c.id)
            .where(drops.c.id == drop_id)
        )
    ).one()
    return Found(found[0], stream.id, stream.slug, stream.status == StreamStatus.ENDED)


async def opened(
    connection: AsyncConnection, actor: User | None, found: Found, now: int, *, opens_at: int | None
) -> tuple[Drop, News]:
    """Opens a scheduled drop. `actor` None is the clock. Raises `Refused` when the stream is over."""
    # locked, so that the stream cannot end between this look and the event
    query = select(streams.c.status).where(streams.c.id == found.stream_id).with_for_update()
    if (await connection.execute(query)).scalar_one() == StreamStatus.ENDED:
        raise Refused(Reason.CONFLICT, "the stream is over: create another")
    drop = replace(found.drop, status=DropStatus.OPEN, opens_at=opens_at)
    return await changed(connection, actor, found, drop, EventKind.DROP_OPENED, now)


async def closed(
    connection: AsyncConnection, actor: User | None, found: Found, now: int, *, closes_at: int | None
) -> tuple[Drop, News]:
    """Closes a drop that is not closed, and gives what is left back to the catalogue. `actor` None is the clock."""
    for line in sorted(lines_of(found.drop), key=lambda line: line.variant):
        await connection.execute(
            update(drop_stock)
            .where(drop_stock.c.drop_id == line.drop, drop_stock.c.variant_id == line.variant)
            .values(left=0, given_back=drop_stock.c.given_back + line.left, version=drop_stock.c.version + 1)
        )
        await connection.execute(
            update(variants).where(variants.c.id == line.variant).values(stock=variants.c.stock + line.left)
        )
    emptied = tuple(replace(v, left=0, version=v.version + 1) for v in found.drop.variants)
    drop = replace(found.drop, status=DropStatus.CLOSED, closes_at=closes_at, variants=emptied)
    return await changed(connection, actor, found, drop, EventKind.DROP_CLOSED, now)


async def changed(
    connection: AsyncConnection, actor: User | None, found: Found, drop: Drop, kind: EventKind, now: int
) -> tuple[Drop, News]:
    """Writes a drop's new state with its event and its line in the audit trail."""
    frame = await events.append(connection, found.stream_id, now, DropEvent(kind, drop))
    await connection.execute(
        update(drops)
        .where(drops.c.id == drop.id)
        .values(status=drop.status, opens_at=drop.opens_at, closes_at=drop.closes_at)
    )
    await audit.record(connection, now, actor, _ACTIONS[kind], drop.id, {})
    return drop, News(found.slug, (frame,), lines_of(drop))
