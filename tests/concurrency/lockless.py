"""Stores that forget one thing, for the controls: only with them do the races show that they race."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from sqlalchemy import select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.news import News
from server.domain.order import Order, OrderRequest, Receipt
from server.domain.stock import Offer, decide
from server.store.engine import Database
from server.store.orders import STOCKED_DROP, Orders, offer_of
from server.store.tables import drop_stock

WITHIN_S = 2.5  # below a batch's deadline


class LockFreeOrders(Orders):
    """Reads what is left without a lock, decides, and writes what should be left: the textbook's lost update.

    `in_between` is awaited between the two, so that the overlap is made and not hoped for.
    """

    def __init__(self, database: Database, in_between: Callable[[], Coroutine[Any, Any, object]]) -> None:
        super().__init__(database)
        self._in_between = in_between

    async def _decide(
        self, connection: AsyncConnection, drop_id: str, batch: Sequence[OrderRequest]
    ) -> tuple[tuple[Receipt, ...], News | None]:
        stock = (await connection.execute(select(drop_stock).where(drop_stock.c.drop_id == drop_id))).mappings().all()
        offer = await self._offer_as_seen(connection, drop_id)
        now = await self._database.now_ms(connection)
        decision = decide(offer, batch, earlier={}, bought={}, now_ms=now)
        await asyncio.wait_for(self._in_between(), WITHIN_S)
        if offer is None or not decision.orders:
            return decision.receipts, None
        await self._insert(connection, offer, decision, now)
        for line in stock:
            taken = decision.taken.get(line["variant_id"], 0)
            await connection.execute(
                update(drop_stock)
                .where(drop_stock.c.drop_id == drop_id, drop_stock.c.variant_id == line["variant_id"])
                .values(
                    put_in=line["put_in"],
                    left=line["left"] - taken,
                    sold=line["sold"] + taken,
                    given_back=line["given_back"],
                    version=line["version"] + 1,
                )
            )
        return decision.receipts, None

    @staticmethod
    async def _offer_as_seen(connection: AsyncConnection, drop_id: str) -> Offer | None:
        return offer_of((await connection.execute(STOCKED_DROP, {"drop": drop_id})).mappings().all())


class MeetingOrders(Orders):
    """The real store; two of them wait for each other between looking for earlier orders and inserting their own."""

    def __init__(self, database: Database, have_looked: asyncio.Barrier) -> None:
        super().__init__(database)
        self._have_looked: asyncio.Barrier | None = have_looked

    async def _known(
        self, connection: AsyncConnection, drop_id: str, batch: Sequence[OrderRequest]
    ) -> tuple[Mapping[tuple[str, str], Order], Mapping[str, int], int]:
        known = await super()._known(connection, drop_id, batch)
        if self._have_looked is not None:
            meeting, self._have_looked = self._have_looked, None  # once: the next try must not wait again
            await asyncio.wait_for(meeting.wait(), WITHIN_S)
        return known


class PausedOrders(Orders):
    """The real store, stopped in the middle of its transaction: locks held, nothing written yet."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.holding = asyncio.Event()
        self.go_on = asyncio.Event()

    async def _known(
        self, connection: AsyncConnection, drop_id: str, batch: Sequence[OrderRequest]
    ) -> tuple[Mapping[tuple[str, str], Order], Mapping[str, int], int]:
        self.holding.set()
        await asyncio.wait_for(self.go_on.wait(), WITHIN_S)
        return await super()._known(connection, drop_id, batch)
