"""Who is refused from memory, and who is sent to the database."""

# ruff: noqa: ARG002  a port is implemented whole

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace

import pytest
import pytest_asyncio

from server import metrics
from server.domain.drop import Drop, DropStatus, DropVariant
from server.domain.errors import Reason, Unavailable
from server.domain.news import News
from server.domain.order import OrderRequest, Receipt, Rejected
from server.protocol.frames import PlaceOrder
from server.sale import early as early_module
from server.sale.early import CLOCKS_AGREE_MS, READ_EVERY_S, TRUSTED_S, EarlyRefusals

NOON = 1_767_225_600_000
JOINED = 0.0
OPEN = Drop(
    id="hoodie",
    title="Hoodie",
    image=None,
    price=2400,
    currency="USD",
    limit=2,
    opens_at=NOON,
    closes_at=None,
    variants=(DropVariant("S", "Small", 0, 7), DropVariant("M", "Medium", 3, 4)),
    status=DropStatus.OPEN,
    product="p1",
)
CLOSED = replace(OPEN, status=DropStatus.CLOSED, closes_at=NOON + 5)
WANTED = PlaceOrder(ref="r1", drop="hoodie", quantity=1, variant="S")


class Book:
    def __init__(self) -> None:
        self.bought: set[str] = set()
        self.reads = 0
        self.down = False

    async def commit(self, drop_id: str, batch: Sequence[OrderRequest]) -> tuple[tuple[Receipt, ...], News | None]:
        if self.down:
            raise Unavailable("nobody knows")
        return tuple(Rejected(request.ref, Reason.SOLD_OUT) for request in batch), None

    async def buyers(self, drop_id: str, most: int) -> frozenset[str] | None:
        self.reads += 1
        if self.down:
            raise Unavailable("the database is away")
        return frozenset(self.bought) if len(self.bought) <= most else None


class Scene:
    def __init__(self) -> None:
        self.book = Book()
        self.s = 100.0
        self.ms = NOON + 10
        self.early = EarlyRefusals(self.book, now_s=lambda: self.s, now_ms=lambda: self.ms)

    def ask(
        self, drop: Drop = OPEN, order: PlaceOrder = WANTED, viewer: str = "ann", joined_at_s: float = JOINED
    ) -> Reason | None:
        return self.early.refusal(drop, order, viewer, joined_at_s)

    async def read(self, drop: Drop = OPEN, order: PlaceOrder = WANTED) -> None:
        """The first question is for the database; it makes memory read who bought."""
        assert self.ask(drop, order) is None
        await turns()


async def turns() -> None:
    for _ in range(5):
        await asyncio.sleep(0)


@pytest_asyncio.fixture
async def scene() -> AsyncIterator[Scene]:
    scene = Scene()
    yield scene
    await scene.early.close()


async def test_what_is_sold_out_is_refused_without_asking_and_counted(scene: Scene) -> None:
    await scene.read()
    early, receipts = metrics.REFUSED_EARLY._value.get(), metrics.RECEIPTS.labels("sold_out")._value.get()
    assert [scene.ask() for _ in range(3)] == [Reason.SOLD_OUT] * 3
    assert scene.book.reads == 1
    assert metrics.REFUSED_EARLY._value.get() == early + 3
    assert metrics.RECEIPTS.labels("sold_out")._value.get() == receipts + 3


async def test_what_is_closed_is_refused_for_every_socket_and_for_good(scene: Scene) -> None:
    await scene.read(CLOSED)
    scene.s += 3600
    assert scene.ask(CLOSED, joined_at_s=scene.s) is Reason.DROP_CLOSED
    assert scene.book.reads == 1


async def test_a_list_read_before_the_drop_closed_is_read_again(scene: Scene) -> None:
    await scene.read(OPEN)
    assert scene.ask(CLOSED) is None
    scene.s += READ_EVERY_S
    await scene.read(CLOSED)
    assert scene.ask(CLOSED) is Reason.DROP_CLOSED


async def test_who_has_bought_is_sent_to_the_database(scene: Scene) -> None:
    scene.book.bought = {"ann"}
    await scene.read()
    assert scene.ask() is None
    assert scene.ask(viewer="bob") is Reason.SOLD_OUT


@pytest.mark.parametrize(
    ("drop", "order"),
    [
        pytest.param(OPEN, PlaceOrder("r1", "hoodie", 1, "M"), id="there is some"),
        pytest.param(OPEN, PlaceOrder("r1", "hoodie", 1), id="which variant?"),
        pytest.param(OPEN, PlaceOrder("r1", "hoodie", 1, "XL"), id="no such variant"),
        pytest.param(OPEN, PlaceOrder("r1", "hoodie", 3, "S"), id="over the limit"),
        pytest.param(replace(OPEN, status=DropStatus.SCHEDULED), WANTED, id="not open yet"),
        pytest.param(replace(CLOSED, opens_at=NOON + 9), WANTED, id="closed before it opened"),
        pytest.param(replace(OPEN, closes_at=NOON + 10 + CLOCKS_AGREE_MS - 1), WANTED, id="about to close"),
        pytest.param(replace(OPEN, opens_at=None, closes_at=NOON + 10 - CLOCKS_AGREE_MS), WANTED, id="just closed"),
    ],
)
async def test_when_unsure_the_database_decides(scene: Scene, drop: Drop, order: PlaceOrder) -> None:
    assert scene.ask(drop, order) is None
    await turns()
    assert scene.ask(drop, order) is None
    assert scene.book.reads == 0


async def test_long_after_its_closing_time_a_drop_is_closed(scene: Scene) -> None:
    past = replace(OPEN, opens_at=None, closes_at=NOON + 10 - CLOCKS_AGREE_MS - 1)
    await scene.read(past)
    assert scene.ask(past) is Reason.DROP_CLOSED


async def test_the_only_variant_need_not_be_named(scene: Scene) -> None:
    only, order = replace(OPEN, variants=OPEN.variants[:1]), PlaceOrder("r1", "hoodie", 1)
    await scene.read(only, order)
    assert scene.ask(only, order) is Reason.SOLD_OUT


async def test_new_stock_un_says_it_at_once_and_a_second_end_is_read_anew(scene: Scene) -> None:
    await scene.read()
    restocked = replace(OPEN, variants=(DropVariant("S", "Small", 5, 8), OPEN.variants[1]))
    assert scene.ask(restocked) is None
    again = replace(OPEN, variants=(DropVariant("S", "Small", 0, 12), OPEN.variants[1]))
    scene.book.bought = {"ann"}
    assert scene.ask(again) is None  # who bought since is not in the list
    scene.s += READ_EVERY_S
    await scene.read(again)
    assert scene.ask(again) is None
    assert scene.ask(again, viewer="bob") is Reason.SOLD_OUT


async def test_another_variant_that_sells_on_changes_nothing(scene: Scene) -> None:
    await scene.read()
    selling = replace(OPEN, variants=(OPEN.variants[0], DropVariant("M", "Medium", 2, 5)))
    assert scene.ask(selling) is Reason.SOLD_OUT


async def test_a_socket_younger_than_the_list_makes_it_be_read_again_at_most_once_a_second(scene: Scene) -> None:
    await scene.read()
    joined = scene.s + 0.1
    scene.s += 0.2
    assert [scene.ask(joined_at_s=joined) for _ in range(3)] == [None] * 3
    await turns()
    assert scene.book.reads == 1
    scene.s += READ_EVERY_S
    assert scene.ask(joined_at_s=joined) is None
    await turns()
    assert (scene.ask(joined_at_s=joined), scene.book.reads) == (Reason.SOLD_OUT, 2)


async def test_a_list_is_not_believed_for_ever(scene: Scene) -> None:
    await scene.read()
    scene.s += TRUSTED_S
    await scene.read()
    assert (scene.ask(), scene.book.reads) == (Reason.SOLD_OUT, 2)


async def test_who_may_have_bought_here_counts_as_a_buyer(scene: Scene) -> None:
    await scene.read()
    scene.book.down = True
    with pytest.raises(Unavailable):
        await scene.early.commit("hoodie", [OrderRequest("o1", "ann", "r1", "hoodie", "S", 1)])
    assert scene.ask() is None
    assert scene.ask(viewer="bob") is Reason.SOLD_OUT


async def test_who_was_refused_by_the_database_is_no_buyer(scene: Scene) -> None:
    await scene.read()
    await scene.early.commit("hoodie", [OrderRequest("o1", "ann", "r1", "hoodie", "S", 1)])
    assert scene.ask() is Reason.SOLD_OUT


async def test_a_drop_with_too_many_buyers_has_no_shortcut(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_module, "BUYERS_MAX", 1)
    scene.book.bought = {"ann", "bob"}
    await scene.read()
    for _ in range(3):
        scene.s += READ_EVERY_S
        await scene.read()
    assert (scene.ask(viewer="cat"), scene.book.reads) == (None, 1)


async def test_only_so_many_drops_and_buyers_are_kept(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(early_module, "DROPS_MAX", 3)
    monkeypatch.setattr(early_module, "KEPT_MAX", 4)
    scene.book.bought = {"bob", "cat"}
    drops = [replace(OPEN, id=name) for name in ("one", "two", "three")]
    for drop in drops:
        await scene.read(drop)
    assert [scene.ask(drop) for drop in drops] == [None, Reason.SOLD_OUT, Reason.SOLD_OUT]  # two times two
    scene.book.bought = set()
    await turns()
    scene.s += READ_EVERY_S
    for drop in (replace(OPEN, id=str(number)) for number in range(9)):
        await scene.read(drop)
    assert len(scene.early._buyers) == 3


async def test_a_database_that_is_away_is_asked_again_later(
    scene: Scene, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(early_module, "READ_EVERY_S", 0.01)
    scene.book.down = True
    assert scene.ask() is None
    await turns()
    assert "who bought cannot be read" in caplog.text
    scene.book.down = False
    async with asyncio.timeout(5):
        while scene.ask() is None:  # noqa: ASYNC110  the reader signals nobody
            await asyncio.sleep(0.005)
