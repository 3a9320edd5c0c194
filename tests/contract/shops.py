"""A shop on a real database: people, goods, a stream, and what tests of the store do with them."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Self

from sqlalchemy import text

from server.domain import stream as fold
from server.domain.drop import Drop, DropPlan, StockLine
from server.domain.ids import new_id
from server.domain.news import News
from server.domain.order import OrderRequest, Receipt
from server.domain.product import Product, Variant
from server.domain.stream import StreamState
from server.domain.user import Role, User
from server.domain.views import Stream, StreamStatus
from server.protocol import codec, frames
from server.store.catalog import Catalog
from server.store.drops import Drops
from server.store.engine import Database
from server.store.orders import Orders
from server.store.streams import Streams
from server.store.users import Users
from server.store.verify import violations


@dataclass
class Shop:
    """One host with a stream, and everything the store offers on one `Database`."""

    database: Database
    host: User
    viewers: list[str]
    stream: str = "friday"
    told: dict[str, list[News]] = field(default_factory=dict)
    """What was to be announced, by stream."""

    def __post_init__(self) -> None:
        self.streams = Streams(self.database)
        self.drops = Drops(self.database)
        self.orders = Orders(self.database)
        self.users = Users(self.database)
        self.catalog = Catalog(self.database)

    @classmethod
    async def opened(cls, database: Database, *, viewers: int = 5) -> Self:
        users = Users(database)
        host = await users.create(email="mara@example.com", name="Mara", role=Role.HOST, password_hash=None)
        shop = cls(database, host, [user.id for user in await users.create_nameless(viewers)])
        await shop.streams.create(host, slug=shop.stream, title="Friday drops", starts_at=None, video=None)
        return shop

    def beside(self, database: Database) -> Shop:
        """The same shop as another replica sees it."""
        return replace(self, database=database)

    async def product(self, *units: int) -> Product:
        """A product with as many variants, and so many units of each on the shelf."""
        sku = secrets.token_hex(4)
        variants = tuple(Variant("", f"{sku}-{n}", f"Size {n}", stock) for n, stock in enumerate(units))
        return await self.catalog.put(Product("", sku, "Hoodie", "Warm.", "/hoodie.jpg", 2400, "USD", variants))

    async def scheduled(
        self, *units: int, limit: int = 2, shelf: int = 0, stream: str | None = None, **times: int
    ) -> Drop:
        """A drop on the run sheet with so many units of each variant; `shelf` more of each stay in the catalogue."""
        product = await self.product(*(stock + shelf for stock in units))
        stock = tuple((variant.id, units[n]) for n, variant in enumerate(product.variants))
        plan = DropPlan(product.id, 2400, "USD", stock, limit, **times)
        return self.tell(await self.drops.schedule(self.host, stream or self.stream, plan))

    async def open_drop(self, *units: int, limit: int = 2, shelf: int = 0, stream: str | None = None) -> Drop:
        """A drop on sale."""
        drop = await self.scheduled(*units, limit=limit, shelf=shelf, stream=stream)
        return self.tell(await self.drops.open(self.host, drop.id))

    async def order(self, drop: Drop, viewer: int = 0, **more: Any) -> Receipt:
        """One order in a batch of its own."""
        return (await self.commit(drop, [self.wish(drop, viewer, **more)]))[0]

    def wish(
        self, drop: Drop, viewer: int = 0, *, ref: str | None = None, variant: int | None = 0, quantity: int = 1
    ) -> OrderRequest:
        chosen = None if variant is None else drop.variants[variant].id
        return OrderRequest(new_id(), self.viewers[viewer], ref or new_id(), drop.id, chosen, quantity)

    async def commit(self, drop: Drop, batch: list[OrderRequest]) -> tuple[Receipt, ...]:
        receipts, news = await self.orders.commit(drop.id, batch)
        if news is not None:
            self.told.setdefault(news.stream, []).append(news)
        return receipts

    def tell(self, changed: tuple[Drop, News]) -> Drop:
        """Keeps the news of a command."""
        drop, news = changed
        self.told.setdefault(news.stream, []).append(news)
        return drop

    # What the database says

    async def whole(self, stream: str | None = None) -> StreamState:
        state = await self.streams.whole(stream or self.stream)
        assert state is not None
        return state

    async def drop(self, drop: Drop) -> Drop:
        """The drop as it is now."""
        for slug in {self.stream, *self.told}:
            if (found := (await self.whole(slug)).drops.get(drop.id)) is not None:
                return found
        raise AssertionError("there is no such drop")

    async def log(self, stream: str | None = None) -> list[frames.EventFrame]:
        """Every event of the stream, read as a relay reads it."""
        rows = await self.streams.events_after(stream or self.stream, 0, 10_000)
        read = [codec.decode_server(frame) for _, frame in rows]
        assert all(isinstance(frame, frames.EventFrame) for frame in read)
        assert [frame.seq for frame in read] == [seq for seq, _ in rows]
        return read

    async def kinds(self, stream: str | None = None) -> list[str]:
        return [codec.read_event(frame).kind.value for frame in await self.log(stream)]

    async def folded(self, lines: Iterable[StockLine], stream: str | None = None) -> StreamState:
        """What a page makes of the log and of these stock lines."""
        now = (await self.whole(stream)).stream
        blank = Stream(now.slug, now.title, now.host, StreamStatus.SCHEDULED, now.starts_at, now.video)
        state = StreamState(blank, MappingProxyType({}), 0)
        for frame in await self.log(stream):
            state = fold.apply(state, codec.read_event(frame), frame.seq)
        return fold.with_stock(state, lines)

    async def shelf(self, drop: Drop) -> list[int]:
        """What is left in the catalogue of the drop's variants."""
        found, _ = await self.catalog.page(after=None, limit=1000)
        return [variant.stock for product in found if product.id == drop.product for variant in product.variants]

    async def violations(self) -> list[str]:
        return [violation async for violation in violations(self.database)]

    async def sql(self, statement: str, **values: Any) -> list[Any]:
        """A statement by hand, committed."""
        async with self.database.transaction() as connection:
            result = await connection.execute(text(statement), values)
            return list(result.all()) if result.returns_rows else []
