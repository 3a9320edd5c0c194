"""The desk: what a host may say, and that everything committed is announced."""

# ruff: noqa: ARG002  a port is implemented whole, and a test's book needs but some of its arguments

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import pytest

from server.domain.drop import LIMIT_MAX, QUANTITY_MAX, TIME_MAX_MS, VARIANTS_MAX, Drop, DropPlan, DropStatus
from server.domain.errors import Reason, Refused
from server.domain.money import PRICE_MAX
from server.domain.news import News
from server.domain.stream import StreamState
from server.domain.user import Role, User
from server.domain.views import Stream, StreamStatus
from server.sale.desk import Desk

HOST = User("h" * 32, "mara@example.com", "Mara", Role.HOST)
STREAM = Stream("friday", "Friday drops", "Mara", StreamStatus.LIVE, None, None)
PLAN = DropPlan("SKU-1", 2400, "USD", (("v1", 10),), 2)


def drop(letter: str, status: DropStatus = DropStatus.OPEN) -> Drop:
    return Drop(letter * 32, "Hoodie", None, 2400, "USD", 2, None, None, (), status, "p1")


class Books:
    """Stream and drop book at once: keeps what it was asked, and gives each answer news of its own."""

    def __init__(self, *drops: Drop, status: StreamStatus = StreamStatus.LIVE) -> None:
        self.asked: list[tuple[Any, ...]] = []
        self._state = StreamState(replace(STREAM, status=status), MappingProxyType({d.id: d for d in drops}), 7)

    async def create(
        self,
        host: User,
        *,
        slug: str,
        title: str,
        starts_at: int | None,
        video: str | None,
        embed_origins: Sequence[str] = (),
    ) -> Stream:
        self.asked.append(("create", slug, title, starts_at, video, *embed_origins))
        return Stream(slug, title, host.name, StreamStatus.SCHEDULED, starts_at, video)

    async def replace(self, host: User, slug: str, origins: Sequence[str]) -> None:
        self.asked.append(("embed", slug, *origins))

    async def change_status(self, host: User, slug: str, status: StreamStatus) -> tuple[Stream, News]:
        self.asked.append((status.value, slug))
        return STREAM, News(slug, (status.value,))

    async def whole(self, slug: str) -> StreamState | None:
        return self._state if slug == "friday" else None

    async def schedule(self, host: User, slug: str, plan: DropPlan) -> tuple[Drop, News]:
        self.asked.append(("schedule", slug, plan))
        return drop("a"), News(slug, ("scheduled",))

    async def open(self, host: User, drop_id: str) -> tuple[Drop, News]:
        self.asked.append(("open", drop_id))
        return drop("a"), News("friday", ("opened",))

    async def close(self, host: User, drop_id: str) -> tuple[Drop, News]:
        self.asked.append(("close", drop_id))
        return drop("a"), News("friday", ("closed",))

    async def restock(
        self, host: User, drop_id: str, variant: str, quantity: int, ref: str | None
    ) -> tuple[Drop, News]:
        self.asked.append(("restock", drop_id, variant, quantity, ref))
        return drop("a"), News("friday", ("restocked",))


class Announced(list[News]):
    def __call__(self, news: News) -> None:
        self.append(news)


def desk_over(books: Books) -> tuple[Desk, Announced]:
    announced = Announced()
    return Desk(books, books, books, announced), announced


async def refusal(books: Books, command: Callable[[Desk], Awaitable[object]]) -> Refused:
    desk, announced = desk_over(books)
    with pytest.raises(Refused) as refused:
        await command(desk)
    assert books.asked == []
    assert announced == []
    return refused.value


async def test_every_command_is_announced_as_it_was_committed() -> None:
    books = Books()
    desk, announced = desk_over(books)
    await desk.start_stream(HOST, "friday")
    await desk.schedule_drop(HOST, "friday", PLAN)
    await desk.open_drop(HOST, "a" * 32)
    await desk.restock_drop(HOST, "a" * 32, "v1", 5, "delivery-1")
    await desk.close_drop(HOST, "a" * 32)
    await desk.end_stream(HOST, "friday")
    assert [news.events[0] for news in announced] == ["live", "scheduled", "opened", "restocked", "closed", "ended"]
    assert books.asked == [
        ("live", "friday"),
        ("schedule", "friday", PLAN),
        ("open", "a" * 32),
        ("restock", "a" * 32, "v1", 5, "delivery-1"),
        ("close", "a" * 32),
        ("ended", "friday"),
    ]


async def test_ending_a_stream_closes_every_drop_first() -> None:
    books = Books(*map(drop, "abcd", DropStatus))
    desk, announced = desk_over(books)
    await desk.end_stream(HOST, "friday")
    assert books.asked == [("close", "a" * 32), ("close", "b" * 32), ("close", "c" * 32), ("ended", "friday")]
    assert [news.events for news in announced] == [("closed",)] * 3 + [("ended",)]


async def test_a_stream_that_is_over_or_not_there_is_left_to_the_book() -> None:
    for books, slug in ((Books(drop("a"), status=StreamStatus.ENDED), "friday"), (Books(drop("a")), "monday")):
        await desk_over(books)[0].end_stream(HOST, slug)
        assert books.asked == [("ended", slug)]


async def test_a_title_is_trimmed() -> None:
    books = Books()
    await desk_over(books)[0].create_stream(HOST, "friday", "  Friday drops \n", starts_at=0, video="/live/friday.m3u8")
    assert books.asked == [("create", "friday", "Friday drops", 0, "/live/friday.m3u8")]


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ({"slug": ""}, "slug"),
        ({"slug": "Friday"}, "slug"),
        ({"slug": "-friday"}, "slug"),
        ({"slug": "friday\n"}, "slug"),
        ({"slug": "a" * 65}, "slug"),
        ({"title": " "}, "title"),
        ({"title": "x" * 201}, "title"),
        ({"starts_at": -1}, "starts_at"),
        ({"starts_at": TIME_MAX_MS + 1}, "starts_at"),
        ({"video": "http://example.com/v"}, "video"),
        ({"video": "javascript:alert(1)"}, "video"),
        ({"video": "//example.com/v"}, "video"),
    ],
)
async def test_a_stream_that_cannot_be_is_refused_by_the_field_that_is_wrong(more: dict[str, Any], said: str) -> None:
    wanted = {"slug": "friday", "title": "Friday drops", **more}
    refused = await refusal(Books(), lambda desk: desk.create_stream(HOST, **wanted))
    assert refused.reason is Reason.BAD_REQUEST
    assert refused.detail.startswith(said)


@pytest.mark.parametrize(
    ("plan", "said"),
    [
        (replace(PLAN, product=""), "product"),
        (replace(PLAN, product="é"), "product"),
        (replace(PLAN, price=-1), "price"),
        (replace(PLAN, price=PRICE_MAX + 1), "price"),
        (replace(PLAN, currency="usd"), "currency"),
        (replace(PLAN, limit=0), "limit"),
        (replace(PLAN, limit=LIMIT_MAX + 1), "limit"),
        (replace(PLAN, stock=()), "stock"),
        (replace(PLAN, stock=tuple((f"v{n}", 1) for n in range(VARIANTS_MAX + 1))), "stock"),
        (replace(PLAN, stock=(("v1", 1), ("v1", 2))), "stock names a variant twice"),
        (replace(PLAN, stock=(("v1", 0),)), "stock.quantity"),
        (replace(PLAN, stock=(("v1", QUANTITY_MAX + 1),)), "stock.quantity"),
        (replace(PLAN, opens_at=-1), "opens_at"),
        (replace(PLAN, closes_at=TIME_MAX_MS + 1), "closes_at"),
        (replace(PLAN, opens_at=5, closes_at=5), "closes_at must be after"),
    ],
)
async def test_a_plan_that_cannot_be_is_refused_by_the_field_that_is_wrong(plan: DropPlan, said: str) -> None:
    refused = await refusal(Books(), lambda desk: desk.schedule_drop(HOST, "friday", plan))
    assert refused.reason is Reason.BAD_REQUEST
    assert refused.detail.startswith(said)


@pytest.mark.parametrize(
    ("quantity", "ref", "said"),
    [
        (0, None, "quantity"),
        (QUANTITY_MAX + 1, None, "quantity"),
        (1, "", "ref"),
        (1, "a b", "ref"),
        (1, "é", "ref"),
        (1, "r\n", "ref"),
        (1, "r" * 65, "ref"),
    ],
)
async def test_a_restock_that_cannot_be_is_refused_by_the_field_that_is_wrong(
    quantity: int, ref: str | None, said: str
) -> None:
    refused = await refusal(Books(), lambda desk: desk.restock_drop(HOST, "a" * 32, "v1", quantity, ref))
    assert refused.reason is Reason.BAD_REQUEST
    assert refused.detail.startswith(said)


@pytest.mark.parametrize("drop_id", ["", "a", "A" * 32, "a" * 33, "a" * 31 + "\n", "' OR 1=1 -- "])
async def test_what_is_no_id_names_no_drop(drop_id: str) -> None:
    for command in (
        lambda desk: desk.open_drop(HOST, drop_id),
        lambda desk: desk.close_drop(HOST, drop_id),
        lambda desk: desk.restock_drop(HOST, drop_id, "v1", 1, None),
    ):
        assert (await refusal(Books(), command)).reason is Reason.NOT_FOUND
