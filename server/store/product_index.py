"""What products are found by: kept in the transaction of every change of a product, its variants or their labels."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from itertools import groupby
from typing import Any

from sqlalchemy import ColumnElement, delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.grams import Entry, entry
from server.store.engine import Database
from server.store.tables import product_grams, product_index, products, variants

PAGE = 200
"""Products of one transaction of `index_all`: some 15,000 rows, well within a transaction's deadline."""

_ROWS_AT_ONCE = 2_000


async def index_products(connection: AsyncConnection, products_: Sequence[str]) -> int:
    """Makes the index of these products say what the catalogue says in this transaction; how many were changed.

    To be called after every change of a product or of its variants, in the transaction of the change. A product that is
    not there (any more) leaves the index. Who changes the same product meanwhile waits here, and then sees it all.
    """
    # the index's rows are locked, not the products': who added a variant shares a lock on its product already
    locked = _KNOWN.where(_of(products_)).order_by(product_index.c.product_id).with_for_update()
    known = {row.product_id: row for row in await connection.execute(locked)}
    now = await _entries(connection, products_)
    changed = {
        product: e for product, e in now.items() if product not in known or _said(e) != tuple(known[product][2:])
    }
    for product in sorted(known):
        if product in changed or product not in now:
            await _take_out(connection, known[product].number, known[product].grams)
    gone = [known[product].number for product in sorted(known) if product not in now]
    if gone:
        await connection.execute(delete(product_index).where(product_index.c.number.in_(gone)))
    for product in sorted(changed.keys() & known.keys()):
        await connection.execute(
            update(product_index)
            .where(product_index.c.number == known[product].number)
            .values(_columns(changed[product]))
        )
    new = [{"product_id": product, **_columns(changed[product])} for product in sorted(changed.keys() - known.keys())]
    if new:
        await connection.execute(product_index.insert(), new)
    await _put_in(connection, changed)
    return len(changed) + len(gone)


async def index_all(database: Database) -> int:
    """Makes the whole index say what the catalogue says; how many products were changed in it. Raises `Unavailable`.

    Safe to repeat, to break off, and to run beside a working shop: a page of products in each transaction.
    """
    changed = 0
    for column in (products.c.id, product_index.c.product_id):  # what is there, and what only the index has
        after = ""
        while True:
            page, some = await database.run(partial(_index_page, column=column, after=after))
            changed += some
            if not page:
                break
            after = page[-1]
    return changed


async def _index_page(connection: AsyncConnection, *, column: Any, after: str) -> tuple[Sequence[str], int]:
    page = (await connection.execute(select(column).where(column > after).order_by(column).limit(PAGE))).scalars().all()
    return page, await index_products(connection, page) if page else 0


async def _entries(connection: AsyncConnection, products_: Sequence[str]) -> dict[str, Entry]:
    facts = (products.c.id, products.c.title, products.c.sku, products.c.description)
    there = (await connection.execute(select(*facts).where(products.c.id.in_(products_)))).all()
    of_product = await connection.execute(
        select(variants.c.product_id, variants.c.sku, variants.c.label)
        .where(variants.c.product_id.in_(products_))
        .order_by(variants.c.product_id, variants.c.position)
    )
    sold = {
        product: [(row.sku, row.label) for row in group]
        for product, group in groupby(of_product, key=lambda row: str(row.product_id))
    }
    return {row.id: entry(row.title, row.sku, row.description, sold.get(row.id, ())) for row in there}


async def _take_out(connection: AsyncConnection, number: int, grams: str) -> None:
    ours = [pair.rpartition(":")[0] for pair in grams.split()]
    await connection.execute(
        delete(product_grams).where(product_grams.c.number == number, product_grams.c.gram.in_(ours))
    )


async def _put_in(connection: AsyncConnection, changed: dict[str, Entry]) -> None:
    numbers = await connection.execute(
        select(product_index.c.product_id, product_index.c.number).where(_of(list(changed)))
    )
    rows = sorted(
        (gram, number, weight) for product, number in numbers for gram, weight in changed[product].grams.items()
    )  # in the order of the key, which is how they are written fastest
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        await connection.execute(
            product_grams.insert(),
            [{"gram": g, "number": n, "weight": w} for g, n, w in rows[start : start + _ROWS_AT_ONCE]],
        )


def _of(products_: Sequence[str]) -> ColumnElement[bool]:
    return product_index.c.product_id.in_(products_)


def _said(e: Entry) -> tuple[str, ...]:
    return e.title, e.also, e.description, " ".join(f"{gram}:{weight}" for gram, weight in e.grams.items())


def _columns(e: Entry) -> dict[str, str]:
    return dict(zip(_SAID, _said(e), strict=True))


_SAID = ("title", "also", "description", "grams")
_KNOWN = select(*(product_index.c[name] for name in ("product_id", "number", *_SAID)))
