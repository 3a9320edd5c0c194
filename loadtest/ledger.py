"""What the database says of a drop's orders, read by a measurement beside the server: the other side of its audit."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any
from urllib.parse import unquote, urlsplit

import msgspec
import pymysql  # type: ignore[import-untyped,unused-ignore]

from loadtest.errors import CannotGoOn

DURABLE: Mapping[str, int] = {"innodb_flush_log_at_trx_commit": 1, "sync_binlog": 1}
"""What a server must be set to for an answered COMMIT to survive a loss of power."""

_ANSWERS_WITHIN_S = 60
_TOLD_MAX = 5


class Rows(msgspec.Struct, frozen=True):
    """A drop in the database: its orders as (ref, order id), and the stock of all its variants."""

    orders: tuple[tuple[str, str], ...]
    units: int
    put_in: int
    left: int
    sold: int
    given_back: int = 0


class Ledger:
    """Reads the database at `mysql://user:password@host:port/name`; a connection for each question."""

    def __init__(self, url: str) -> None:
        self.url = url

    async def durability(self) -> dict[str, int]:
        """The server's settings of `DURABLE`, and `log_bin`. Raises `CannotGoOn` when it does not answer."""
        query = "SELECT @@innodb_flush_log_at_trx_commit, @@sync_binlog, @@log_bin"
        (row,) = await asyncio.to_thread(self._read, query, ())
        return dict(zip((*DURABLE, "log_bin"), map(int, row), strict=True))

    async def drop(self, drop: str) -> Rows:
        """The drop's rows as of now. Raises `CannotGoOn` when the database does not answer."""
        stock = "SELECT put_in, `left`, sold, given_back FROM drop_stock WHERE drop_id = %s"
        lines = await asyncio.to_thread(self._read, stock, (drop,))
        orders = "SELECT ref, id, quantity FROM orders WHERE drop_id = %s"
        rows = await asyncio.to_thread(self._read, orders, (drop,))
        stock_of = map(int, map(sum, zip(*lines, strict=True))) if lines else (0, 0, 0, 0)
        return Rows(
            tuple((ref, order) for ref, order, _ in rows),
            sum(row[2] for row in rows),
            *stock_of,
        )

    def _read(self, query: str, values: tuple[str, ...]) -> Sequence[tuple[Any, ...]]:
        try:
            with closing(connect(self.url)) as connection, connection.cursor() as cursor:
                cursor.execute(query, values)
                return list(cursor.fetchall())
        except pymysql.err.MySQLError as error:
            raise CannotGoOn(f"the database cannot be asked for the audit: {error}") from None


def connect(url: str) -> Any:
    """A connection in autocommit. Raises `pymysql.err.MySQLError`."""
    return pymysql.connect(**address_of(url), connect_timeout=5, read_timeout=_ANSWERS_WITHIN_S, autocommit=True)


def address_of(url: str, *, database_is: str = "database") -> dict[str, Any]:
    """The parts of `mysql://…` by the names of PyMySQL's `connect`; aiomysql's calls the database `db`."""
    address = urlsplit(url)
    return {
        "host": address.hostname or "127.0.0.1",
        "port": address.port or 3306,
        "user": unquote(address.username or ""),
        "password": unquote(address.password or ""),
        "charset": "utf8mb4",
    } | ({database_is: name} if (name := address.path.strip("/")) else {})


def audit_rows(accepted: Sequence[tuple[str, str]], rows: Rows) -> list[str]:
    """What is wrong between the accepted receipts, as (ref, order id), and the drop's rows."""
    receipts, orders = Counter(accepted), Counter(rows.orders)
    problems = []
    for what, odd in (
        ("accepted receipts without their order in the database", receipts - orders),
        ("orders in the database without an accepted receipt", orders - receipts),
    ):
        if odd:
            problems.append(f"{odd.total()} {what}: {[ref for ref, _ in list(odd)[:_TOLD_MAX]]}")
    if rows.sold > rows.put_in or rows.units > rows.put_in:
        problems.append(f"oversold: {max(rows.sold, rows.units)} of {rows.put_in} units")
    if rows.units != rows.sold or rows.left != rows.put_in - rows.sold - rows.given_back:
        problems.append(f"stock says {rows.sold} sold and {rows.left} left of {rows.put_in}, orders say {rows.units}")
    return problems
