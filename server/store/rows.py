"""Rows as the domain's shapes, and the locks they are read under."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, Select, select
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.drop import Drop, DropStatus, DropVariant
from server.domain.errors import Reason, Refused
from server.domain.user import Role, User
from server.domain.views import Stream, StreamStatus
from server.store.tables import drop_stock, drops, streams, users


def stream_rows() -> Select[Any]:
    """Streams with their host's name."""
    return select(streams, users.c.name.label("host_name")).join(users, users.c.id == streams.c.host_id)


def stream_of(row: RowMapping) -> Stream:
    """A row of `stream_rows` as a stream."""
    return Stream(
        row["slug"], row["title"], row["host_name"], StreamStatus(row["status"]), row["starts_at"], row["video"]
    )


async def owned(connection: AsyncConnection, host: User, condition: Any, *, lock: bool = False) -> RowMapping:
    """The stream a host commands. Raises `Refused` when there is none, or it is another host's."""
    query = stream_rows().where(condition)
    result = await connection.execute(query.with_for_update(of=streams) if lock else query)
    row: RowMapping | None = result.mappings().one_or_none()
    if row is None:
        raise Refused(Reason.NOT_FOUND, "there is no such stream")
    if row["host_id"] != host.id and host.role is not Role.ADMIN:
        raise Refused(Reason.FORBIDDEN, "this is another host's stream")
    return row


async def drops_of(connection: AsyncConnection, condition: Any) -> list[Drop]:
    """Drops with their variants, in the order they were put on the run sheet."""
    rows = (
        await connection.execute(
            select(drops, drop_stock)
            .join(drop_stock, drop_stock.c.drop_id == drops.c.id)
            .where(condition)
            .order_by(drops.c.id, drop_stock.c.position)
        )
    ).mappings()
    by_drop: dict[str, list[RowMapping]] = {}
    for row in rows:
        by_drop.setdefault(row[drops.c.id], []).append(row)
    return [_drop(rows) for rows in by_drop.values()]


async def lock_stock(connection: AsyncConnection, drop_id: str) -> Sequence[RowMapping]:
    """Locks a drop's stock rows, in id order; none when there is no such drop."""
    rows = await connection.execute(
        select(drop_stock).where(drop_stock.c.drop_id == drop_id).order_by(drop_stock.c.variant_id).with_for_update()
    )
    return rows.mappings().all()


def _drop(rows: Sequence[RowMapping]) -> Drop:
    first = rows[0]
    return Drop(
        id=first[drops.c.id],
        title=first["title"],
        image=first["image"],
        price=first["price"],
        currency=first["currency"],
        limit=first["viewer_limit"],
        opens_at=first["opens_at"],
        closes_at=first["closes_at"],
        variants=tuple(DropVariant(row["variant_id"], row["label"], row["left"], row["version"]) for row in rows),
        status=DropStatus(first["status"]),
        product=first["product_id"],
        list_price=first["list_price"],
    )
