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
from server.store.rows import drops_of, stream_of, stream_rows
from server.store.tables import drops, streams

# Each query finds violations; its columns fill the sentence. Words as in ARCHITECTURE.md.
INVARIANTS: tuple[tuple[str, str], ...] = (
    (
        "drop {0}, variant {1}: put in {2}, but left {3} + held {4} + sold {5} + given back {6} is {7}",
        "SELECT drop_id, variant_id, put_in, `left`, held, sold, given_back, `left` + held + sold + given_back"
        " FROM drop_stock WHERE put_in <> `left` + held + sold + given_back"
        " OR `left` < 0 OR held < 0 OR sold < 0 OR given_back < 0",
    ),
    (
        "drop {0}, variant {1}: sold says {2}, its orders add up to {3}",
        "SELECT s.drop_id, s.variant_id, s.sold, COALESCE(o.units, 0) FROM drop_stock s LEFT JOIN"
        " (SELECT drop_id, variant_id, SUM(quantity) AS units FROM orders GROUP BY drop_id, variant_id) o"
        " ON o.drop_id = s.drop_id AND o.variant_id = s.variant_id WHERE s.sold <> COALESCE(o.units, 0)",
    ),
    (
        "order {0}: variant {1} was never put into drop {2}",
        "SELECT o.id, o.variant_id, o.drop_id FROM orders o LEFT JOIN drop_stock s"
        " ON s.drop_id = o.drop_id AND s.variant_id = o.variant_id WHERE s.drop_id IS NULL",
    ),
    (
        "order {0}: viewer {1} does not exist",
        "SELECT o.id, o.viewer_id FROM orders o LEFT JOIN users u ON u.id = o.viewer_id WHERE u.id IS NULL",
    ),
    (
        "order {0}: does not agree with its drop {1} on stream, product, currency or total",
        "SELECT o.id, d.id FROM orders o JOIN drops d ON d.id = o.drop_id WHERE o.stream_id <> d.stream_id"
        " OR o.product_id <> d.product_id OR o.currency <> d.currency OR o.total <> d.price * o.quantity",
    ),
    (
        "viewer {0} has {2} of drop {1}, whose limit is {3}",
        "SELECT o.viewer_id, d.id, SUM(o.quantity), MIN(d.viewer_limit) FROM orders o JOIN drops d"
        " ON d.id = o.drop_id GROUP BY o.viewer_id, d.id HAVING SUM(o.quantity) > MIN(d.viewer_limit)",
    ),
    (
        "variant {0}: received {1}, but {2} on the shelf + {3} in its drops is another number",
        "SELECT v.id, v.received, v.stock, COALESCE(s.units, 0) FROM variants v LEFT JOIN"
        " (SELECT variant_id, SUM(put_in - given_back) AS units FROM drop_stock GROUP BY variant_id) s"
        " ON s.variant_id = v.id WHERE v.received <> v.stock + COALESCE(s.units, 0)",
    ),
    (
        "drop {0}: status {1} with {2} left",
        "SELECT d.id, d.status, SUM(s.`left`) FROM drops d JOIN drop_stock s ON s.drop_id = d.id"
        " GROUP BY d.id, d.status HAVING (d.status IN ('sold_out', 'closed') AND SUM(s.`left`) > 0)"
        " OR (d.status = 'open' AND SUM(s.`left`) + SUM(s.held) = 0)",
    ),
    ("drop {0}: has no stock rows", "SELECT id FROM drops WHERE id NOT IN (SELECT drop_id FROM drop_stock)"),
    (
        "stream {0}: seq {1}, but its log holds {2} events up to {3}",
        "SELECT s.slug, s.seq, COUNT(e.seq), COALESCE(MAX(e.seq), 0) FROM streams s LEFT JOIN events e"
        " ON e.stream_id = s.id GROUP BY s.id, s.slug, s.seq"
        " HAVING COUNT(e.seq) <> s.seq OR COALESCE(MAX(e.seq), 0) <> s.seq",
    ),
)
_LOG_PAGE = 500


async def violations(database: Database) -> AsyncIterator[str]:
    """Each violation as a sentence; nothing when all is well. All of it sees one moment. Raises `Unavailable`."""
    async with database.reading(one_moment=True) as connection:
        for sentence, query in INVARIANTS:
            for row in (await connection.execute(text(query))).all():
                yield sentence.format(*row)
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
    return (drop.status, drop.title, drop.price, drop.currency, drop.limit, drop.opens_at, drop.closes_at)
