"""The whole contract of the store in any order of commands and orders, on both databases, against plain books.

After every step: the stock equation of every drop's variant and of the catalogue, `verify` without a violation, every
number and version as the books have it, the events as the books have them, and `Streams.whole` = the fold of the log.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterator
from pathlib import Path
from typing import Any, ClassVar, TypeVar

import msgspec
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from sqlalchemy import text

from server.domain import stream as fold
from server.domain.drop import Drop
from server.domain.errors import Refused
from server.domain.ids import new_id
from server.domain.news import News
from server.domain.order import OrderRequest, Receipt
from server.domain.stream import StreamState
from server.protocol import codec, frames
from server.store.engine import open_database
from server.store.orders import Orders
from server.store.schema import init_db
from server.store.tables import datetime_of
from tests.contract.shops import Shop

from .books import Books, Refusal

T = TypeVar("T")

NOON = 1_767_225_600_000
VIEWERS = 2
TABLES = ("orders", "events", "drop_stock", "drops", "streams", "variants", "products", "audit")
"""The tables a story fills, children first."""

ANY = st.integers(0, 11)
"""Chooses one of however many there are."""

WISHES = st.lists(
    # viewer; ref, mostly a new one; variant, sometimes unsaid, or none of the drop's; quantity, mostly a good one
    st.tuples(ANY, st.sampled_from([0, 1, 2, *[None] * 4]), st.sampled_from([*range(6)] * 2 + [None, "none"]), ANY),
    min_size=1,
    max_size=8,
)
QUANTITIES = (1, 1, 1, 1, 2, 2, 2, 3, 3, 4, 0, 2**31 - 1)


class LifeOfAShop(RuleBasedStateMachine):
    """Two viewers and a host, with few refs, little stock and low limits: doubles and refusals are the rule."""

    shop: ClassVar[Shop]
    wait: ClassVar[Callable[[Coroutine[Any, Any, Any]], Any]]
    """Runs a coroutine on the loop on which the database's connections live."""

    @initialize(units=st.lists(st.sampled_from([9, 5, 2]), min_size=1, max_size=2), limit=st.sampled_from([4, 3]))
    def a_new_shop(self, units: list[int], limit: int) -> None:
        self.books = Books(NOON)
        self.drops: list[Drop] = []
        self.told: list[News] = []
        self.kinds: list[str] = []
        self.state = self.wait(self._wiped())
        self._tell_the_time()
        self._schedule(units, limit, 2, None)
        self._commanded("open", self.drops[0])

    def _tell_the_time(self) -> None:
        database, at = self.shop.database, f"'{datetime_of(self.books.now_ms)}'"
        database.clock_sql = at if database.is_sqlite else f"CAST({at} AS DATETIME(6))"

    async def _wiped(self) -> StreamState:
        async with self.shop.database.transaction() as connection:
            for table in TABLES:
                await connection.execute(text(f"DELETE FROM {table}"))
        slug = self.shop.stream
        await self.shop.streams.create(self.shop.host, slug=slug, title="Friday drops", starts_at=None, video=None)
        return await self.shop.whole()

    # The host

    @precondition(lambda self: len(self.drops) < 4)
    @rule(
        units=st.lists(st.sampled_from([9, 5, 3, 1]), min_size=1, max_size=3),
        limit=st.sampled_from([4, 3, 1]),
        shelf=st.sampled_from([0, 2, 9]),
        closes_in=st.sampled_from([None, None, None, 2, 5]),
        open_it=st.sampled_from([True, True, False]),
    )
    def schedule(self, units: list[int], limit: int, shelf: int, closes_in: int | None, open_it: bool) -> None:
        self._schedule(units, limit, shelf, closes_in)
        if open_it:
            self._commanded("open", self.drops[-1])

    def _schedule(self, units: list[int], limit: int, shelf: int, closes_in: int | None) -> None:
        times = {} if closes_in is None else {"closes_at": self.books.now_ms + closes_in}
        drop = self.wait(self.shop.scheduled(*units, limit=limit, shelf=shelf, **times))
        self.drops.append(drop)
        self.books.schedule(drop, shelf)

    @rule(which=ANY)
    def open(self, which: int) -> None:
        self._commanded("open", self._drop(which))

    @precondition(lambda self: len(self.books.receipts) > 2)
    @rule(which=ANY)
    def close(self, which: int) -> None:
        self._commanded("close", self._drop(which))

    @rule(which=ANY, variant=ANY, quantity=st.integers(1, 3), ref=st.sampled_from([None, "d0", "d1", "d2"]))
    def restock(self, which: int, variant: int, quantity: int, ref: str | None) -> None:
        drop = self._drop(which)
        self._commanded("restock", drop, drop.variants[variant % len(drop.variants)].id, quantity, ref)

    @rule(ms=st.sampled_from([1, 2, 5]))
    def time_goes_by(self, ms: int) -> None:
        self.books.now_ms += ms
        self._tell_the_time()

    # The viewers

    @rule(which=ANY, wished=WISHES)
    def order(self, which: int, wished: list[tuple[int, int | None, int | str | None, int]]) -> None:
        drop = self._drop(which)
        self._ordered(drop.id, [self._wish(drop, *one) for one in wished])

    @rule(which=ANY, viewer=ANY, variant=ANY, quantity=st.sampled_from([1, 1, 2]))
    def order_one(self, which: int, viewer: int, variant: int, quantity: int) -> None:
        drop = self._drop(which)
        self._ordered(drop.id, [msgspec.structs.replace(self._wish(drop, viewer, None, variant, 0), quantity=quantity)])

    @precondition(lambda self: self.books.receipts)
    @rule(which=ANY, times=st.sampled_from([1, 2]), unsaid=st.booleans())
    def ask_again(self, which: int, times: int, unsaid: bool) -> None:
        """With a ref that was answered: the first receipt, whatever has become of the drop since."""
        known = [*self.books.receipts.values()]
        asked, receipt = known[which % len(known)]
        again = msgspec.structs.replace(asked, order=new_id(), variant=None if unsaid else asked.variant)
        assert self._ordered(asked.drop, [again] * times) == (receipt,) * times

    def _wish(self, drop: Drop, viewer: int, ref: int | None, variant: int | str | None, quantity: int) -> OrderRequest:
        chosen = drop.variants[variant % len(drop.variants)].id if isinstance(variant, int) else variant
        order, who = new_id(), self.shop.viewers[viewer % VIEWERS]
        return OrderRequest(order, who, order if ref is None else f"r{ref}", drop.id, chosen, QUANTITIES[quantity])

    def _ordered(self, drop: str, batch: list[OrderRequest]) -> tuple[Receipt, ...]:
        receipts, news = self.wait(self.shop.orders.commit(drop, batch))
        assert receipts == self.books.order(batch)
        self._heard(news)
        return tuple(receipts)

    def _drop(self, which: int) -> Drop:
        return self.drops[which % len(self.drops)]

    def _commanded(self, command: str, drop: Drop, *more: Any) -> None:
        expected: Refusal = getattr(self.books, command)(drop.id, *more)
        try:
            _, news = self.wait(getattr(self.shop.drops, command)(self.shop.host, drop.id, *more))
        except Refused as refused:
            assert refused.reason is expected  # noqa: PT017  most are done
        else:
            assert expected is None, f"{command} was done"
            self._heard(news)

    def _heard(self, news: News | None) -> None:
        if news is not None:
            self.told.append(news)

    # The laws

    @invariant()
    def the_database_says_what_the_books_say(self) -> None:
        if hasattr(self, "books"):  # a machine is asked before its story begins, too
            self.wait(self._as_the_books_say())

    async def _as_the_books_say(self) -> None:
        stock, shelf, orders = await self._read(
            "SELECT drop_id, variant_id, put_in, `left`, held, sold, given_back, version FROM drop_stock",
            "SELECT id, stock FROM variants",
            "SELECT viewer_id, ref, id, quantity FROM orders",
        )
        kept = {
            (drop, variant): (line.put_in, line.left, 0, line.sold, line.given_back, line.version)
            for drop, page in self.books.pages.items()
            for variant, line in page.lines.items()
        }
        assert {(drop, variant): tuple(numbers) for drop, variant, *numbers in stock} == kept
        assert all(put_in == sum(places) for put_in, *places, _ in kept.values())
        assert dict(shelf) == self.books.shelf
        assert sorted(orders) == sorted(
            (*who, receipt.order, receipt.quantity) for who, (_, receipt) in self.books.receipts.items()
        )
        assert await self.shop.violations() == []

    @invariant()
    def a_snapshot_is_the_fold_of_the_log(self) -> None:
        if hasattr(self, "books"):
            self.wait(self._folded())

    async def _folded(self) -> None:
        """One more step of the one fold, as a page makes it: events in order, stock whenever it comes."""
        log = await self.shop.streams.events_after(self.shop.stream, self.state.seq, 1000)
        for seq, said in log:
            frame = codec.decode_server(said)
            assert isinstance(frame, frames.EventFrame)
            event = codec.read_event(frame)
            self.state = fold.apply(self.state, event, seq)
            self.kinds.append(event.kind.value)
        assert self.kinds == self.books.told
        self.state = fold.with_stock(self.state, [line for news in self.told for line in news.stock])
        self.told.clear()
        whole = await self.shop.whole()
        assert whole == self.state
        assert {drop: found.status for drop, found in whole.drops.items()} == {
            drop: page.status for drop, page in self.books.pages.items()
        }

    async def _read(self, *queries: str) -> list[list[tuple[Any, ...]]]:
        async with self.shop.database.reading() as connection:
            return [[tuple(row) for row in await connection.execute(text(query))] for query in queries]


LIFE = settings(max_examples=20, stateful_step_count=20, deadline=None, suppress_health_check=[HealthCheck.too_slow])
CONTROL = settings(
    max_examples=80,
    stateful_step_count=22,
    deadline=None,
    database=None,
    derandomize=True,
    report_multiple_bugs=False,
    phases=[Phase.generate],
    suppress_health_check=[HealthCheck.too_slow],
)


@pytest.fixture
def machine() -> Iterator[Callable[[str], type[LifeOfAShop]]]:
    """Gives a machine over the database of a URL: one loop for all its stories, on which its connections live."""
    with asyncio.Runner() as runner:
        opened = []

        def over(url: str) -> type[LifeOfAShop]:
            database = open_database(url)
            opened.append(database)
            runner.run(init_db(database))
            shop = runner.run(Shop.opened(database, viewers=VIEWERS))
            return type("LifeOfThisShop", (LifeOfAShop,), {"shop": shop, "wait": staticmethod(runner.run)})

        yield over
        for database in opened:
            runner.run(database.close())


@pytest.mark.timeout(400)  # a failing story is made short first
@pytest.mark.parametrize("kind", ["mariadb", "sqlite"])
def test_the_store_keeps_its_contract_whatever_is_done_in_whatever_order(
    kind: str, machine: Callable[[str], type[LifeOfAShop]], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    embedded = kind == "sqlite"
    url = f"sqlite+aiosqlite:///{tmp_path}/shop.db" if embedded else request.getfixturevalue("database_url")
    run_state_machine_as_test(machine(url), settings=LIFE)


# Controls: stores that forget one thing


class Forgetful(Orders):
    """The real store, whose database is told something else before or after each batch."""

    def __init__(self, shop: Shop, forgotten: str) -> None:
        super().__init__(shop.database)
        self._shop, self._forgotten = shop, forgotten

    async def commit(self, drop_id: str, batch: Any) -> tuple[tuple[Receipt, ...], News | None]:
        match self._forgotten:
            case "refs":
                unheard = [msgspec.structs.replace(wish, ref=new_id()) for wish in batch]
                receipts, news = await super().commit(drop_id, unheard)
                pairs = zip(batch, receipts, strict=True)
                return tuple(msgspec.structs.replace(receipt, ref=wish.ref) for wish, receipt in pairs), news
            case "limits":
                ((limit,),) = await self._shop.sql("SELECT viewer_limit FROM drops WHERE id = :id", id=drop_id)
                change = "UPDATE drops SET viewer_limit = :limit WHERE id = :id"
                await self._shop.sql(change, limit=1000, id=drop_id)
                decided = await super().commit(drop_id, batch)
                await self._shop.sql(change, limit=limit, id=drop_id)
                return decided
            case "versions":
                decided = await super().commit(drop_id, batch)
                await self._shop.sql("UPDATE drop_stock SET version = 1 WHERE drop_id = :id", id=drop_id)
                return decided
            case _:
                receipts, _ = await super().commit(drop_id, batch)
                return receipts, None


@pytest.mark.parametrize("forgotten", ["refs", "limits", "versions", "news"])
def test_the_machine_catches_a_store_that_forgets(
    forgotten: str, machine: Callable[[str], type[LifeOfAShop]], tmp_path: Path
) -> None:
    over = machine(f"sqlite+aiosqlite:///{tmp_path}/shop.db")
    over.shop.orders = Forgetful(over.shop, forgotten)
    with pytest.raises(AssertionError):
        run_state_machine_as_test(over, settings=CONTROL)
