"""Puts a made-up catalogue into a MariaDB as an import by SQL would: products and variants, and no index yet."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import unquote, urlsplit

import pymysql  # type: ignore[import-untyped,unused-ignore]

from loadtest.catalogue import Goods
from server.domain.ids import new_id

_ROWS_AT_ONCE = 2_000


def stock(url: str, catalogue: Sequence[Goods]) -> None:
    """Adds them at `mysql://…`. Raises `pymysql.err.MySQLError`, and then has added none."""
    products: list[tuple[object, ...]] = []
    variants: list[tuple[object, ...]] = []
    for goods in catalogue:
        product = new_id()
        products.append((product, goods.sku, goods.title, goods.description, goods.price))
        for place, label in enumerate(goods.variants):
            variants.append((new_id(), product, f"{goods.sku}-{place}", label, place))
    address = urlsplit(url)
    with (
        pymysql.connect(
            host=address.hostname,
            port=address.port or 3306,
            user=unquote(address.username or ""),
            password=unquote(address.password or ""),
            database=address.path.lstrip("/"),
            charset="utf8mb4",
        ) as connection,
        connection.cursor() as cursor,
    ):
        for rows, statement in ((products, _PRODUCT), (variants, _VARIANT)):
            for start in range(0, len(rows), _ROWS_AT_ONCE):
                cursor.executemany(statement, rows[start : start + _ROWS_AT_ONCE])
        connection.commit()


_PRODUCT = (
    "INSERT INTO products (id, sku, title, description, image, price, currency, created_at)"
    " VALUES (%s, %s, %s, %s, NULL, %s, 'USD', UTC_TIMESTAMP(6))"
)
_VARIANT = (
    "INSERT INTO variants (id, product_id, sku, label, position, received, stock) VALUES (%s, %s, %s, %s, %s, 10, 10)"
)
