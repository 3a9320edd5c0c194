"""The catalogue: products with their variants and the goods on the shelf."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import RowMapping, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.ids import new_id
from server.domain.product import Product, Variant
from server.store.engine import Database
from server.store.product_index import index_products
from server.store.tables import products, variants


class Catalog:
    """Products and variants."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def page(self, *, after: str | None, limit: int) -> tuple[list[Product], str | None]:
        """All products, newest first, and the cursor of the next page."""
        query = select(products).order_by(products.c.id.desc()).limit(limit + 1)
        if after is not None:
            query = query.where(products.c.id < after)
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
            found = await _with_variants(connection, rows[:limit])
        return found, found[-1].id if len(rows) > limit else None

    async def of_ids(self, ids: Sequence[str]) -> list[Product]:
        """These products in this order, without those that are gone."""
        if not ids:
            return []
        async with self._database.reading() as connection:
            rows = (await connection.execute(select(products).where(products.c.id.in_(ids)))).mappings().all()
            found = {product.id: product for product in await _with_variants(connection, rows)}
        return [found[id_] for id_ in ids if id_ in found]

    async def put(self, product: Product) -> Product:
        """Creates a product, or updates the one of this SKU; its variants by their SKUs likewise.

        A new variant arrives with its `stock` as goods received; the stock of one already there stays as it is,
        because its units may be on a drop. Ids given are ignored.
        """

        async def work(connection: AsyncConnection) -> Product:
            now = await self._database.now_ms(connection)
            known = (await connection.execute(select(products.c.id).where(products.c.sku == product.sku))).scalar()
            product_id = known or new_id()
            facts: dict[str, Any] = {
                "title": product.title,
                "description": product.description,
                "image": product.image,
                "price": product.price,
                "currency": product.currency,
            }
            if known:
                await connection.execute(update(products).where(products.c.id == known).values(facts))
            else:
                await connection.execute(
                    products.insert().values(id=product_id, sku=product.sku, created_at=now, **facts)
                )
            before = {
                row["sku"]: row
                for row in (await connection.execute(select(variants).where(variants.c.product_id == product_id)))
                .mappings()
                .all()
            }
            position = max((row["position"] for row in before.values()), default=-1)
            for variant in product.variants:
                if variant.sku in before:
                    await connection.execute(
                        update(variants).where(variants.c.sku == variant.sku).values(label=variant.label)
                    )
                    continue
                position += 1
                await connection.execute(
                    variants.insert().values(
                        id=new_id(),
                        product_id=product_id,
                        sku=variant.sku,
                        label=variant.label,
                        position=position,
                        received=variant.stock,
                        stock=variant.stock,
                    )
                )
            await index_products(connection, [product_id])
            row = (await connection.execute(select(products).where(products.c.id == product_id))).mappings().one()
            return (await _with_variants(connection, [row]))[0]

        return await self._database.run(work, again_on_duplicate=True)


async def _with_variants(connection: AsyncConnection, rows: Sequence[RowMapping]) -> list[Product]:
    found = await connection.execute(
        select(variants)
        .where(variants.c.product_id.in_([row["id"] for row in rows]))
        .order_by(variants.c.product_id, variants.c.position)
    )
    by_product: dict[str, list[Variant]] = {}
    for v in found.mappings():
        by_product.setdefault(v["product_id"], []).append(Variant(v["id"], v["sku"], v["label"], v["stock"]))
    return [
        Product(
            row["id"],
            row["sku"],
            row["title"],
            row["description"],
            row["image"],
            row["price"],
            row["currency"],
            tuple(by_product.get(row["id"], ())),
        )
        for row in rows
    ]
