"""Orders: group commit. One transaction serves a whole batch of orders for one drop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

import msgspec
from sqlalchemy import RowMapping, TextClause, TextualSelect, bindparam, case, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.drop import DropStatus, StockLine
from server.domain.events import DropEvent, EventKind
from server.domain.news import News
from server.domain.order import Order, OrderRequest, OrderSeen, OrderStatus, Receipt
from server.domain.stock import Decision, Offer, again, decide
from server.store import events
from server.store.engine import Database
from server.store.rows import drops_of, lock_stock
from server.store.tables import datetime_of, drop_stock, drops, orders, streams

HISTORY_PAGE_MAX = 100

COMMIT_WITHIN_S = 3.0
"""Longest that a batch may take, all tries together. Shorter than other units of work: what hangs on a connection that
was lost without a word keeps its drop from selling, although the database may be back for long."""


@dataclass(frozen=True, slots=True)
class _Sql:
    """The statements that take a whole batch as one JSON parameter, in one dialect.

    `known` gives the orders these viewers have under these refs and, as rows without an id, how many units of the drop
    each of them has.
    """

    known: str
    insert: TextClause


_COLUMNS = "id, viewer_id, ref, stream_id, drop_id, product_id, variant_id, title, quantity, total, currency, status"
_UNITS = (
    "NULL, o.viewer_id, NULL, NULL, NULL, NULL, NULL, NULL, CAST(SUM(o.quantity) AS SIGNED), NULL, NULL, NULL, NULL"
)
# each by its name: a newer version's columns, which this one does not know, must not come in between
_EACH = ", ".join(f"o.{column.name}" for column in orders.c)
_KNOWN = (
    f"SELECT {_EACH} FROM b JOIN orders o ON o.viewer_id = b.viewer AND o.ref = b.ref"  # noqa: S608
    f" UNION ALL SELECT {_UNITS} FROM (SELECT DISTINCT viewer FROM b) v"
    " JOIN orders o ON o.drop_id = :drop AND o.viewer_id = v.viewer GROUP BY o.viewer_id"
)
# JSON strings are utf8mb4: without the column's own collation the join could not use the index
_ASCII = "CHARACTER SET ascii COLLATE ascii_bin"
_MYSQL = _Sql(
    known=(
        f"WITH b AS (SELECT viewer, ref FROM JSON_TABLE(:buyers, '$[*]' COLUMNS (viewer CHAR(32) {_ASCII} PATH '$[0]',"  # noqa: S608
        f" ref VARCHAR(64) {_ASCII} PATH '$[1]')) t)"
        f" {_KNOWN}"
    ),
    insert=text(
        f"INSERT INTO orders ({_COLUMNS}, placed_at)"  # noqa: S608
        " SELECT j.id, j.viewer, j.ref, :stream, :drop, :product, j.variant, :title, j.quantity, j.total, :currency,"
        " :status, :placed_at FROM JSON_TABLE(:orders, '$[*]' COLUMNS ("
        "id CHAR(32) PATH '$[0]', viewer CHAR(32) PATH '$[1]', ref VARCHAR(64) PATH '$[2]',"
        " variant CHAR(32) PATH '$[3]', quantity INT PATH '$[4]', total BIGINT PATH '$[5]')) j"
    ),
)
_SQLITE = _Sql(
    known=(
        "WITH b AS (SELECT json_extract(value, '$[0]') AS viewer, json_extract(value, '$[1]') AS ref"  # noqa: S608
        f" FROM json_each(:buyers)) {_KNOWN}"
    ),
    insert=text(
        f"INSERT INTO orders ({_COLUMNS}, placed_at)"  # noqa: S608
        " SELECT json_extract(j.value, '$[0]'), json_extract(j.value, '$[1]'), json_extract(j.value, '$[2]'),"
        " :stream, :drop, :product, json_extract(j.value, '$[3]'), :title, json_extract(j.value, '$[4]'),"
        " json_extract(j.value, '$[5]'), :currency, :status, :placed_at FROM json_each(:orders) j"
    ),
)

# A drop with its stock; locked, it is `rows.lock_stock` and more: the stock rows first (STRAIGHT_JOIN), as everywhere.
STOCKED_DROP = (
    select(
        drop_stock.c.variant_id,
        drop_stock.c.left,
        drop_stock.c.version,
        drops,
        select(streams.c.slug).where(streams.c.id == drops.c.stream_id).scalar_subquery().label("slug"),
    )
    .select_from(drop_stock.join(drops, drops.c.id == drop_stock.c.drop_id))
    .where(drop_stock.c.drop_id == bindparam("drop"))
    .order_by(drop_stock.c.variant_id)
    .prefix_with("STRAIGHT_JOIN", dialect="mysql")
)
_LOCKED = STOCKED_DROP.with_for_update()


class Orders:
    """The orders of every viewer, and the transaction that takes a batch of them."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._sql = _SQLITE if database.is_sqlite else _MYSQL

    async def commit(self, drop_id: str, batch: Sequence[OrderRequest]) -> tuple[tuple[Receipt, ...], News | None]:
        """Decides and commits a batch of orders for one drop; when this returns, it is durable.

        Repeating a batch is safe: what was committed before gets its first receipt again. So a commit of unknown
        outcome is settled by doing the batch again. Raises `Unavailable` (nothing is known of the outcome).
        Cancelled before COMMIT, nothing is taken.
        """
        return await self._database.run(
            lambda connection: self._decide(connection, drop_id, batch),
            again_on_duplicate=True,
            within_s=COMMIT_WITHIN_S,
        )

    async def look_up(self, drop_id: str, batch: Sequence[OrderRequest]) -> tuple[Receipt | None, ...]:
        """What a `commit` of unknown outcome came to: for each order the receipt its `ref` has, None where there is
        none. Raises `Unavailable`.

        None is final: that commit did not take the order and never will. For COMMIT is sent only after every statement
        was answered, by when the transaction has the drop's stock rows; the server holds them for it until it is
        committed or undone, even if its client is gone; and here they are waited for.
        """

        async def work(connection: AsyncConnection) -> Mapping[tuple[str, str], Order]:
            await lock_stock(connection, drop_id)
            earlier, *_ = await self._known(connection, drop_id, batch)
            return earlier

        placed = await self._database.run(work, within_s=COMMIT_WITHIN_S)
        known = (placed.get((request.viewer, request.ref)) for request in batch)
        return tuple(again(order, request) if order else None for order, request in zip(known, batch, strict=True))

    async def ping(self) -> None:
        """One cheap round trip. Raises `Unavailable`."""
        async with self._database.reading() as connection:
            await connection.execute(select(1))

    async def _decide(
        self, connection: AsyncConnection, drop_id: str, batch: Sequence[OrderRequest]
    ) -> tuple[tuple[Receipt, ...], News | None]:
        stock = (await connection.execute(_LOCKED, {"drop": drop_id})).mappings().all()
        offer = offer_of(stock)
        earlier, bought, now = await self._known(connection, drop_id, batch)
        decision = decide(offer, batch, earlier=earlier, bought=bought, now_ms=now)
        if offer is None or not decision.orders:
            return decision.receipts, None
        await self._insert(connection, offer, decision, now)
        lines = await self._take(connection, drop_id, stock, decision)
        news = News(stock[0]["slug"], stock=lines)
        if decision.sold_out:
            news = replace(news, events=(await self._sold_out(connection, drop_id, offer.stream, now),))
        return decision.receipts, news

    async def _known(
        self, connection: AsyncConnection, drop_id: str, batch: Sequence[OrderRequest]
    ) -> tuple[Mapping[tuple[str, str], Order], Mapping[str, int], int]:
        """The orders that are there already, by (viewer, ref); the units of the drop each viewer has; the time in ms.

        The time is read under the lock, so it never goes back from one batch of a drop to the next.
        """
        values = {"buyers": _json([(request.viewer, request.ref) for request in batch]), "drop": drop_id}
        rows = (
            (await connection.execute(_known_and_time(self._sql.known, self._database.clock_sql), values))
            .mappings()
            .all()
        )
        earlier = {(row["viewer_id"], row["ref"]): _order(row) for row in rows if row["id"] is not None}
        bought = {row["viewer_id"]: int(row["quantity"]) for row in rows if row["id"] is None and row["viewer_id"]}
        return earlier, bought, next(row["placed_at"] for row in rows if row["viewer_id"] is None)

    async def _insert(self, connection: AsyncConnection, offer: Offer, decision: Decision, now: int) -> None:
        rows = [(o.id, o.viewer, o.ref, o.variant, o.quantity, o.total) for o in decision.orders]
        await connection.execute(
            self._sql.insert,
            {
                "orders": _json(rows),
                "stream": offer.stream,
                "drop": offer.drop,
                "product": offer.product,
                "title": offer.title,
                "currency": offer.currency,
                "status": OrderStatus.ACCEPTED.value,
                "placed_at": str(datetime_of(now)) if self._database.is_sqlite else datetime_of(now),
            },
        )

    @staticmethod
    async def _take(
        connection: AsyncConnection, drop_id: str, stock: Sequence[RowMapping], decision: Decision
    ) -> tuple[StockLine, ...]:
        taken = decision.taken
        amount = case(taken, value=drop_stock.c.variant_id, else_=0)
        await connection.execute(
            update(drop_stock)
            .where(drop_stock.c.drop_id == drop_id, drop_stock.c.variant_id.in_(list(taken)))
            .values(left=drop_stock.c.left - amount, sold=drop_stock.c.sold + amount, version=drop_stock.c.version + 1)
        )
        return tuple(
            StockLine(drop_id, line["variant_id"], line["left"] - taken[line["variant_id"]], line["version"] + 1)
            for line in stock
            if line["variant_id"] in taken
        )

    @staticmethod
    async def _sold_out(connection: AsyncConnection, drop_id: str, stream_id: str, now: int) -> str:
        (drop,) = await drops_of(connection, drops.c.id == drop_id)
        sold_out = replace(drop, status=DropStatus.SOLD_OUT)
        frame = await events.append(connection, stream_id, now, DropEvent(EventKind.DROP_SOLD_OUT, sold_out))
        await connection.execute(update(drops).where(drops.c.id == drop_id).values(status=DropStatus.SOLD_OUT))
        return frame

    async def buyers(self, drop_id: str, most: int) -> frozenset[str] | None:
        """The ids of all viewers with an order of a drop; None when more than `most`. Raises `Unavailable`."""
        query = select(orders.c.viewer_id).distinct().where(orders.c.drop_id == drop_id).limit(most + 1)
        async with self._database.reading() as connection:
            viewers = (await connection.execute(query)).scalars().all()
        return frozenset(viewers) if len(viewers) <= most else None

    async def of_viewer(
        self, viewer: str, *, stream: str | None = None, after: str | None = None, limit: int = 20
    ) -> tuple[list[OrderSeen], str | None]:
        """A viewer's orders, newest first, each with its stream's name and its drop's picture, and the next's cursor.

        With `stream`, a slug, only those of that stream; they are looked for among the viewer's own, which are few.
        """
        limit = min(limit, HISTORY_PAGE_MAX)
        # looked up for the page's orders alone: as a join it may be what the database begins with
        image = select(drops.c.image).where(drops.c.id == orders.c.drop_id).scalar_subquery().label("image")
        query = (
            select(orders, streams.c.slug, streams.c.title.label("stream_title"), image)
            .join(streams, streams.c.id == orders.c.stream_id)
            .where(orders.c.viewer_id == viewer)
        )
        if stream is not None:
            query = query.where(streams.c.slug == stream)
        if after is not None:
            query = query.where(orders.c.id < after)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query.order_by(orders.c.id.desc()).limit(limit + 1))).mappings().all()
        page = [OrderSeen(_order(row), row["slug"], row["stream_title"], row["image"]) for row in rows[:limit]]
        return page, page[-1].order.id if len(rows) > limit else None


def _order(row: RowMapping) -> Order:
    return Order(
        id=row["id"],
        viewer=row["viewer_id"],
        ref=row["ref"],
        stream=row["stream_id"],
        drop=row["drop_id"],
        product=row["product_id"],
        variant=row["variant_id"],
        title=row["title"],
        quantity=row["quantity"],
        total=row["total"],
        currency=row["currency"],
        status=OrderStatus(row["status"]),
        placed_at=row["placed_at"],
    )


def offer_of(stock: Sequence[RowMapping]) -> Offer | None:
    """Rows of `STOCKED_DROP` as what `decide` needs; None when there are none."""
    if not stock:
        return None
    row = stock[0]
    return Offer(
        drop=row["id"],
        stream=row["stream_id"],
        product=row["product_id"],
        title=row["title"],
        status=DropStatus(row["status"]),
        price=row["price"],
        currency=row["currency"],
        limit=row["viewer_limit"],
        opens_at=row["opens_at"],
        closes_at=row["closes_at"],
        left={line["variant_id"]: line["left"] for line in stock},
    )


@lru_cache(maxsize=8)
def _known_and_time(orders_sql: str, clock_sql: str) -> TextualSelect:
    """With the time as a row without a viewer: in the same round trip, for each is time that every receipt waits."""
    nothing = ", ".join(["NULL"] * (len(orders.c) - 1))
    # both are constants of this package, never a value
    with_time = orders_sql + " UNION ALL SELECT " + nothing + ", " + clock_sql
    return text(with_time).columns(*orders.c)


def _json(rows: Sequence[tuple[str | int, ...]]) -> str:
    return msgspec.json.encode(rows).decode()
