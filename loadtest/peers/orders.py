"""Two usual ways to sell from one hot stock row, one transaction for each order, as well as each can be done.

On the shop's own schema and database, with the checks a shop needs: the drop is open, the viewer's earlier order under
the same ref is given back, the viewer's limit, never more than there is. Straight on the database: no sockets, no
receipts, no news of stock. All statements of an order run on one connection of 64, in READ COMMITTED.

`row_lock`: lock the stock row first, so that everything else is decided under the lock; insert, update, commit.
`conditional_update`: everything that needs no lock comes first, and the hot row is locked only from the last statement
to the end of COMMIT: `UPDATE … SET left = left - 1 WHERE left >= 1`. The viewer's own row is locked before, for two
orders of one viewer must not pass the limit together.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from itertools import cycle
from time import monotonic, time_ns
from typing import Any

import aiomysql  # type: ignore[import-untyped,unused-ignore]
import msgspec
import pymysql  # type: ignore[import-untyped,unused-ignore]

from loadtest.errors import CannotGoOn
from loadtest.ledger import address_of

CONNECTIONS = 64
VIEWERS = 500
"""Orders come from so many viewers in turn."""

_AGAIN = frozenset({1213, 1205, 1020})  # deadlock, lock wait timeout, row changed since read: the whole order again
_DUPLICATE = 1062
_ORDER = (
    "INSERT INTO orders (id, viewer_id, ref, stream_id, drop_id, product_id, variant_id, title, quantity, total,"
    " currency, status, placed_at) "
)
_BOUGHT = "(SELECT COALESCE(SUM(quantity), 0) FROM orders WHERE drop_id = %s AND viewer_id = %s)"
_OPEN = (
    "status = 'open' AND (opens_at IS NULL OR opens_at <= UTC_TIMESTAMP(6))"
    " AND (closes_at IS NULL OR closes_at > UTC_TIMESTAMP(6))"
)

_INSERT_FROM_DROP = (
    f"{_ORDER}SELECT %s, %s, %s, stream_id, id, product_id, %s, title, 1, price, currency, 'accepted',"  # noqa: S608
    f" UTC_TIMESTAMP(6) FROM drops WHERE id = %s AND {_OPEN} AND viewer_limit > {_BOUGHT}"
)


class Sold(msgspec.Struct, frozen=True):
    """What was sold: (ref, order id) of each committed order, and how many a second."""

    accepted: tuple[tuple[str, str], ...]
    per_s: float


class _Wish(msgspec.Struct, frozen=True):
    """One order to be: a unit of the drop's only variant."""

    viewer: str
    ref: str
    order: str
    drop: str
    variant: str


async def _row_lock(cursor: Any, wish: _Wish) -> str | None:
    """Under the stock row's lock all the way. Five round trips; COMMIT is the last."""
    await cursor.execute(
        "SELECT `left` FROM drop_stock WHERE drop_id = %s AND variant_id = %s FOR UPDATE", (wish.drop, wish.variant)
    )
    (left,) = await cursor.fetchone()
    await cursor.execute(
        f"SELECT (SELECT id FROM orders WHERE viewer_id = %s AND ref = %s), {_BOUGHT}, d.viewer_limit, {_OPEN},"  # noqa: S608
        " d.stream_id, d.product_id, d.title, d.price, d.currency FROM drops d WHERE d.id = %s",
        (wish.viewer, wish.ref, wish.drop, wish.viewer, wish.drop),
    )
    earlier, bought, limit, is_open, stream, product, title, price, currency = await cursor.fetchone()
    if earlier is not None:
        return str(earlier)
    if not is_open or left < 1 or bought + 1 > limit:
        return None
    await cursor.execute(
        _ORDER + "VALUES (%s, %s, %s, %s, %s, %s, %s, %s, 1, %s, %s, 'accepted', UTC_TIMESTAMP(6))",
        (wish.order, wish.viewer, wish.ref, stream, wish.drop, product, wish.variant, title, price, currency),
    )
    await cursor.execute(
        "UPDATE drop_stock SET `left` = `left` - 1, sold = sold + 1, version = version + 1"
        " WHERE drop_id = %s AND variant_id = %s",
        (wish.drop, wish.variant),
    )
    return wish.order


async def _conditional_update(cursor: Any, wish: _Wish) -> str | None:
    """The hot row is locked from the third statement on. Four round trips; COMMIT is the last."""
    await cursor.execute("SELECT id FROM users WHERE id = %s FOR UPDATE", (wish.viewer,))
    try:
        inserted = await cursor.execute(
            _INSERT_FROM_DROP,
            (wish.order, wish.viewer, wish.ref, wish.variant, wish.drop, wish.drop, wish.viewer),
        )
    except pymysql.err.IntegrityError as error:
        if error.args[0] != _DUPLICATE:
            raise
        inserted = 0
    if not inserted:
        await cursor.execute("SELECT id FROM orders WHERE viewer_id = %s AND ref = %s", (wish.viewer, wish.ref))
        earlier = await cursor.fetchone()
        return str(earlier[0]) if earlier else None
    taken = await cursor.execute(
        "UPDATE drop_stock SET `left` = `left` - 1, sold = sold + 1, version = version + 1"
        " WHERE drop_id = %s AND variant_id = %s AND `left` >= 1",
        (wish.drop, wish.variant),
    )
    return wish.order if taken else None


_Way = Callable[[Any, _Wish], Awaitable[str | None]]
_WAYS: dict[str, _Way] = {"row_lock": _row_lock, "conditional_update": _conditional_update}
WAYS = tuple(_WAYS)


async def sell(way: str, url: str, drop: str, *, seconds: float, connections: int = CONNECTIONS) -> Sold:
    """Sells for so long, as fast as it goes. Raises `CannotGoOn` when the database does not let us."""
    async with AsyncExitStack() as stack:
        try:
            open_ones = [await stack.enter_async_context(_connection(url)) for _ in range(connections)]
            variant, viewers = await _goods(open_ones[0], drop)
            accepted: list[tuple[str, str]] = []
            began = monotonic()
            await asyncio.gather(
                *(
                    _sell_on(
                        connection,
                        _WAYS[way],
                        (_wish(viewer, drop, variant) for viewer in cycle(viewers[number::connections] or viewers)),
                        began + seconds,
                        accepted,
                    )
                    for number, connection in enumerate(open_ones)
                )
            )
        except pymysql.err.MySQLError as error:
            raise CannotGoOn(f"{way} cannot sell: {error}") from None
    return Sold(tuple(accepted), len(accepted) / (monotonic() - began))


async def order_once(way: str, url: str, drop: str, viewer: str, ref: str) -> str | None:
    """One order; its id, the first one's when the ref is known, None when it is refused."""
    async with _connection(url) as connection:
        variant, _ = await _goods(connection, drop)
        return await _order(connection, _WAYS[way], _wish(viewer, drop, variant, ref))


async def _sell_on(
    connection: Any, way: _Way, wishes: Iterator[_Wish], until: float, accepted: list[tuple[str, str]]
) -> None:
    """One order after the other on one connection."""
    while monotonic() < until:
        wish = next(wishes)
        if await _order(connection, way, wish) == wish.order:
            accepted.append((wish.ref, wish.order))


async def _order(connection: Any, way: _Way, wish: _Wish) -> str | None:
    """One transaction; all of it again when the server says so."""
    while True:
        async with connection.cursor() as cursor:
            try:
                order = await way(cursor, wish)
                await (connection.rollback if order is None else connection.commit)()
                return order
            except pymysql.err.OperationalError as error:
                await connection.rollback()
                if error.args[0] not in _AGAIN:
                    raise


async def _goods(connection: Any, drop: str) -> tuple[str, list[str]]:
    """The drop's variant, and who buys. Raises `CannotGoOn` when there is none."""
    async with connection.cursor() as cursor:
        await cursor.execute("SELECT variant_id FROM drop_stock WHERE drop_id = %s", (drop,))
        variants = [row[0] for row in await cursor.fetchall()]
        await cursor.execute("SELECT id FROM users ORDER BY id DESC LIMIT %s", (VIEWERS,))
        viewers = [row[0] for row in await cursor.fetchall()]
    await connection.commit()
    if len(variants) != 1 or not viewers:
        raise CannotGoOn(f"drop {drop} must have one variant, and there must be viewers")
    return variants[0], viewers


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[Any]:
    """Each order begins its own transaction with its first statement: autocommit is off."""
    connection = await aiomysql.connect(
        **address_of(url, database_is="db"),
        autocommit=False,
        init_command="SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    )
    try:
        yield connection
    finally:
        connection.close()


def _wish(viewer: str, drop: str, variant: str, ref: str | None = None) -> _Wish:
    # ids rise with time, as ours do: neighbours in the primary key
    order = f"{time_ns() // 1_000_000:012x}{secrets.token_hex(10)}"
    return _Wish(viewer, ref or f"p-{order}", order, drop, variant)
