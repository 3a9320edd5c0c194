"""The intake refuses early what can never be granted, and grants nothing itself."""

# ruff: noqa: ARG002  a port is implemented whole, and a test's book needs but some of its arguments

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import pytest

from server.domain.drop import Drop, DropStatus, DropVariant
from server.domain.errors import Reason
from server.domain.ids import IdMaker
from server.domain.news import News
from server.domain.order import OrderRequest, Receipt, Rejected
from server.domain.user import Role, User
from server.protocol.frames import PlaceOrder
from server.sale.committer import Committer
from server.sale.early import EarlyRefusals
from server.sale.intake import Intake

ANN = User("a" * 32, "ann@example.com", "Ann", Role.VIEWER)
DROP = "d" * 32


class Book:
    def __init__(self) -> None:
        self.asked: list[OrderRequest] = []

    async def commit(self, drop_id: str, batch: Sequence[OrderRequest]) -> tuple[tuple[Receipt, ...], News | None]:
        self.asked += batch
        return tuple(Rejected(request.ref, Reason.SOLD_OUT) for request in batch), None

    async def buyers(self, drop_id: str, most: int) -> frozenset[str] | None:
        return frozenset()


@pytest.fixture
def book() -> Book:
    return Book()


@pytest.fixture
def intake(book: Book) -> Intake:
    early = EarlyRefusals(book)
    return Intake(Committer(early, lambda _: None), early, make_id=IdMaker(now_ms=lambda: 1, randbits=lambda _: 0))


async def test_an_order_reaches_the_book_under_the_viewers_name_and_an_id_of_ours(intake: Intake, book: Book) -> None:
    receipt = await intake.place(ANN, PlaceOrder(ref="r1", drop=DROP, quantity=2, variant="v"), None, 0)
    assert receipt == Rejected("r1", Reason.SOLD_OUT)
    (asked,) = book.asked
    assert asked == OrderRequest(IdMaker(lambda: 1, lambda _: 0)(), ANN.id, "r1", DROP, "v", 2)


@pytest.mark.parametrize(
    ("viewer", "drop", "quantity", "reason"),
    [
        pytest.param(None, DROP, 1, Reason.LOGIN_REQUIRED, id="guest"),
        pytest.param(None, "?", 0, Reason.LOGIN_REQUIRED, id="guest with a bad order"),
        pytest.param(ANN, DROP, 0, Reason.BAD_QUANTITY, id="zero"),
        pytest.param(ANN, DROP, -1, Reason.BAD_QUANTITY, id="negative"),
        pytest.param(ANN, DROP, 2**31, Reason.BAD_QUANTITY, id="more than the column holds"),
        pytest.param(ANN, "DROP", 1, Reason.UNKNOWN_DROP, id="no id"),
        pytest.param(ANN, DROP.upper(), 1, Reason.UNKNOWN_DROP, id="an id in capitals"),
    ],
)
async def test_what_can_never_be_granted_does_not_reach_the_book(
    intake: Intake, book: Book, viewer: User | None, drop: str, quantity: int, reason: Reason
) -> None:
    future = intake.place(viewer, PlaceOrder(ref="r1", drop=drop, quantity=quantity), None, 0)
    assert future.result() == Rejected("r1", reason)  # at once
    assert book.asked == []


async def test_while_draining_every_new_order_is_sent_elsewhere_and_those_taken_are_decided(
    intake: Intake, book: Book
) -> None:
    taken = intake.place(ANN, PlaceOrder(ref="r1", drop=DROP, quantity=1), None, 0)
    intake.drain()
    late = intake.place(ANN, PlaceOrder(ref="r2", drop=DROP, quantity=1), None, 0)
    refused = late.result()
    assert refused == Rejected("r2", Reason.DRAINING, refused.retry_in_ms)
    assert refused.retry_in_ms is not None  # on whichever replica it is by then
    assert await asyncio.wait_for(taken, 5) == Rejected("r1", Reason.SOLD_OUT)
    assert [request.ref for request in book.asked] == ["r1"]


async def test_what_is_known_to_be_over_does_not_reach_the_book(intake: Intake, book: Book) -> None:
    order = PlaceOrder(ref="r1", drop=DROP, quantity=1)
    known = Drop(DROP, "Hoodie", None, 1, "USD", 2, None, None, (DropVariant("v", "", 0, 3),), DropStatus.SOLD_OUT, "p")
    assert await intake.place(ANN, order, known, 0) == Rejected("r1", Reason.SOLD_OUT)
    assert len(book.asked) == 1  # nobody knew yet who had bought
    for _ in range(5):
        await asyncio.sleep(0)
    assert intake.place(ANN, order, known, 0).result() == Rejected("r1", Reason.SOLD_OUT)
    assert len(book.asked) == 1


async def test_who_has_an_order_under_way_is_not_refused_from_memory_for_it_may_be_accepted_yet() -> None:
    book, going_on = Book(), asyncio.Event()
    commit = book.commit

    async def held(drop_id: str, batch: Sequence[OrderRequest]) -> tuple[tuple[Receipt, ...], News | None]:
        await going_on.wait()
        return await commit(drop_id, batch)

    book.commit = held  # type: ignore[method-assign]
    early = EarlyRefusals(book)
    intake = Intake(Committer(early, lambda _: None), early)
    over = Drop(DROP, "Hat", None, 1, "USD", 1, 0, None, (DropVariant("v", "One", 0, 3),), DropStatus.OPEN, "p")
    order, ben = PlaceOrder(ref="r1", drop=DROP, quantity=1, variant="v"), replace(ANN, id="b" * 32)
    first = intake.place(ANN, order, None, 0)
    asked = intake.place(ben, order, over, 0)  # now who bought is read
    for _ in range(5):
        await asyncio.sleep(0)
    cleo = intake.place(replace(ANN, id="c" * 32), order, over, 0)
    assert cleo.result() == Rejected("r1", Reason.SOLD_OUT)  # at once, from memory
    again = intake.place(ANN, order, over, 0)
    assert not again.done()
    going_on.set()
    assert await asyncio.gather(first, asked, again) == [Rejected("r1", Reason.SOLD_OUT)] * 3
    await asyncio.sleep(0)
    assert intake.place(ANN, order, over, 0).done()  # decided: from memory again
