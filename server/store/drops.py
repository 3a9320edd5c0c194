"""Drops: put on the run sheet, opened, closed, restocked; each with its event in one transaction.

Every command locks the drop's stock rows first, which is the lock on the drop: whoever holds it knows that
neither stock nor status changes under its hands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import RowMapping, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.drop import QUANTITY_MAX, Drop, DropPlan, DropStatus, DropVariant, StockLine
from server.domain.errors import Reason, Refused
from server.domain.events import DropEvent, EventKind
from server.domain.ids import new_id
from server.domain.news import News
from server.domain.user import User
from server.domain.views import StreamStatus
from server.store import audit, events, turns
from server.store.engine import Database
from server.store.rows import owned
from server.store.tables import drop_stock, drops, products, streams, variants

DROPS_MAX = 200
"""Most drops of one stream that are not closed: with `CLOSED_KEPT`, bounds its snapshot."""


class Drops:
    """The host's commands on drops, committed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def schedule(self, host: User, slug: str, plan: DropPlan) -> tuple[Drop, News]:
        """Puts a drop on the run sheet, its stock carved out of the catalogue's. Raises `Refused`."""

        async def work(connection: AsyncConnection) -> tuple[Drop, News]:
            await owned(connection, host, streams.c.slug == slug)
            product = await _product(connection, plan.product)
            named = await _take_from_catalogue(connection, product["id"], plan.stock)
            stream = await owned(connection, host, streams.c.slug == slug, lock=True)
            if stream["status"] == StreamStatus.ENDED:
                raise Refused(Reason.CONFLICT, "the stream is over: create another")
            held = await connection.execute(
                select(drops.c.id)
                .where(drops.c.stream_id == stream["id"], drops.c.status != DropStatus.CLOSED)
                .limit(DROPS_MAX)
            )
            if len(held.all()) >= DROPS_MAX:
                raise Refused(Reason.CONFLICT, f"a run sheet holds at most {DROPS_MAX} drops: close one first")
            now = await self._database.now_ms(connection)
            drop = Drop(
                id=new_id(),
                title=product["title"],
                image=product["image"],
                price=plan.price,
                currency=plan.currency,
                limit=plan.limit,
                opens_at=plan.opens_at,
                closes_at=plan.closes_at,
                variants=tuple(DropVariant(v["id"], v["label"], quantity, 1) for v, quantity in named),
                status=DropStatus.SCHEDULED,
                product=product["id"],
                list_price=product["price"] if product["currency"] == plan.currency else None,
            )
            await connection.execute(
                drops.insert().values(
                    id=drop.id,
                    stream_id=stream["id"],
                    product_id=drop.product,
                    title=drop.title,
                    image=drop.image,
                    price=drop.price,
                    currency=drop.currency,
                    list_price=drop.list_price,
                    viewer_limit=drop.limit,
                    opens_at=drop.opens_at,
                    closes_at=drop.closes_at,
                    status=drop.status,
                    created_at=now,
                )
            )
            await connection.execute(
                drop_stock.insert(),
                [
                    {
                        "drop_id": drop.id,
                        "variant_id": variant["id"],
                        "label": variant["label"],
                        "position": variant["position"],
                        "put_in": quantity,
                        "left": quantity,
                        "held": 0,
                        "sold": 0,
                        "given_back": 0,
                        "version": 1,
                    }
                    for variant, quantity in named
                ],
            )
            frame = await events.append(connection, stream["id"], now, DropEvent(EventKind.DROP_SCHEDULED, drop))
            await audit.record(connection, now, host, "drop.schedule", drop.id, {"stream": slug})
            return drop, News(slug, (frame,))

        return await self._database.run(work)

    async def open(self, host: User, drop_id: str) -> tuple[Drop, News]:
        """Opens a drop now; an open one stays as it is. Raises `Refused` when it is closed or its stream over."""

        async def work(connection: AsyncConnection) -> tuple[Drop, News]:
            found = await _commanded(connection, host, drop_id)
            if found.drop.status in (DropStatus.OPEN, DropStatus.SOLD_OUT):
                return found.drop, News(found.slug)
            if found.drop.status is DropStatus.CLOSED:
                raise Refused(Reason.CONFLICT, "the drop is closed: put a new one on the run sheet")
            now = await self._database.now_ms(connection)
            if found.drop.closes_at is not None and found.drop.closes_at <= now:
                raise Refused(Reason.CONFLICT, "the drop's closing time is past: put a new one on the run sheet")
            return await turns.opened(connection, host, found, now, opens_at=now)

        return await self._database.run(work)

    async def close(self, host: User, drop_id: str) -> tuple[Drop, News]:
        """Closes a drop now and gives what is left back to the catalogue; a closed one stays as it is."""

        async def work(connection: AsyncConnection) -> tuple[Drop, News]:
            found = await _commanded(connection, host, drop_id)
            if found.drop.status is DropStatus.CLOSED:
                return found.drop, News(found.slug)
            now = await self._database.now_ms(connection)
            return await turns.closed(connection, host, found, now, closes_at=now)

        return await self._database.run(work)

    async def restock(
        self, host: User, drop_id: str, variant: str, quantity: int, ref: str | None
    ) -> tuple[Drop, News]:
        """Puts more of a variant in, out of the catalogue; a sold-out drop is open again. Raises `Refused`.

        The same `ref` again is answered with the drop as it is and puts nothing in twice.
        """
        detail = {"variant": variant, "quantity": quantity}

        async def work(connection: AsyncConnection) -> tuple[Drop, News]:
            found = await _commanded(connection, host, drop_id)
            if ref is not None and await audit.done_before(connection, host, "drop.restock", drop_id, detail, ref):
                return found.drop, News(found.slug)
            known = next((v for v in found.drop.variants if v.id == variant), None)
            if known is None:
                raise Refused(Reason.BAD_REQUEST, "variant must be one of the drop's variants")
            if found.drop.status is DropStatus.CLOSED:
                raise Refused(Reason.CONFLICT, "the drop is closed: put a new one on the run sheet")
            row = select(drop_stock.c.put_in).where(drop_stock.c.drop_id == drop_id, drop_stock.c.variant_id == variant)
            if (await connection.execute(row)).scalar_one() + quantity > QUANTITY_MAX:
                raise Refused(Reason.BAD_REQUEST, f"a drop holds at most {QUANTITY_MAX} of a variant")
            await _take_from_catalogue(connection, found.drop.product, ((variant, quantity),))
            await connection.execute(
                update(drop_stock)
                .where(drop_stock.c.drop_id == drop_id, drop_stock.c.variant_id == variant)
                .values(
                    put_in=drop_stock.c.put_in + quantity,
                    left=drop_stock.c.left + quantity,
                    version=drop_stock.c.version + 1,
                )
            )
            more = replace(known, left=known.left + quantity, version=known.version + 1)
            stocked = replace(found.drop, variants=tuple(more if v.id == variant else v for v in found.drop.variants))
            now = await self._database.now_ms(connection)
            await audit.record(connection, now, host, "drop.restock", drop_id, detail, ref)
            if found.drop.status is DropStatus.SOLD_OUT:
                reopened = replace(stocked, status=DropStatus.OPEN)
                return await turns.changed(connection, host, found, reopened, EventKind.DROP_OPENED, now)
            return stocked, News(found.slug, stock=(StockLine(drop_id, variant, more.left, more.version),))

        return await self._database.run(work, again_on_duplicate=True)


async def _commanded(connection: AsyncConnection, host: User, drop_id: str) -> turns.Found:
    found = await turns.locked(connection, drop_id)
    await owned(connection, host, streams.c.id == found.stream_id)
    return found


async def _product(connection: AsyncConnection, product: str) -> RowMapping:
    row = (
        (await connection.execute(select(products).where(or_(products.c.id == product, products.c.sku == product))))
        .mappings()
        .first()
    )
    if row is None:
        raise Refused(Reason.NOT_FOUND, "there is no such product")
    return row


async def _take_from_catalogue(
    connection: AsyncConnection, product_id: str, stock: Sequence[tuple[str, int]]
) -> list[tuple[RowMapping, int]]:
    """Moves units off the shelf, in id order; the variants with their quantities in the product's order."""
    rows = (
        await connection.execute(
            select(variants).where(variants.c.product_id == product_id).order_by(variants.c.position)
        )
    ).mappings()
    known = {row["id"]: row for row in rows}
    for variant, quantity in sorted(stock):
        if variant not in known:
            raise Refused(Reason.BAD_REQUEST, f"stock.variant {variant!r} is not a variant of this product")
        taken = await connection.execute(
            update(variants)
            .where(variants.c.id == variant, variants.c.stock >= quantity)
            .values(stock=variants.c.stock - quantity)
        )
        if taken.rowcount != 1:
            label = known[variant]["label"]
            raise Refused(Reason.NO_STOCK, f"fewer than {quantity} of {label!r} are on the shelf: receive goods first")
    wanted = dict(stock)
    return [(row, wanted[row["id"]]) for row in known.values() if row["id"] in wanted]
