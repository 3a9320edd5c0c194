from __future__ import annotations

import asyncio

import pytest

from server.catalog.search import AT_ONCE_MAX, QUERY_MAX, WAITING_MAX, Search
from server.domain.errors import Reason, Refused
from server.domain.product import Candidate, Product


class Shelf:
    """No products, and a database that answers when it is told to."""

    def __init__(self) -> None:
        self.may_answer = asyncio.Event()
        self.as_many_as_may = asyncio.Event()
        self.asked = 0

    async def page(self, **_: object) -> tuple[list[Product], str | None]:
        return [], None

    async def of_ids(self, *_: object) -> list[Product]:
        return []

    async def near(self, *_: object) -> list[Candidate]:
        self.asked += 1
        if self.asked == AT_ONCE_MAX:
            self.as_many_as_may.set()
        await self.may_answer.wait()
        return []


async def test_a_query_that_is_too_long_is_told_how_long_it_may_be() -> None:
    with pytest.raises(Refused, match=f"at most {QUERY_MAX} characters") as refused:
        await Search(Shelf(), Shelf()).find("x" * (QUERY_MAX + 1))
    assert refused.value.reason is Reason.BAD_REQUEST


async def test_a_few_search_at_once_some_wait_and_the_rest_is_told_to_come_back() -> None:
    shelf = Shelf()
    search = Search(shelf, shelf)
    searches = [asyncio.create_task(search.find("lamp")) for _ in range(AT_ONCE_MAX + WAITING_MAX)]
    await shelf.as_many_as_may.wait()
    for _ in range(3):  # whoever else may ask would ask now
        await asyncio.sleep(0)
    assert shelf.asked == AT_ONCE_MAX
    with pytest.raises(Refused) as refused:
        await search.find("lamp")
    assert refused.value.reason is Reason.BUSY
    assert await search.find("") == ([], None)  # the list does not wait
    searches[-1].cancel()  # one who waits goes away
    searches[0].cancel()  # and one who is being answered
    shelf.may_answer.set()
    answers = await asyncio.gather(*searches, return_exceptions=True)
    assert [answer for answer in answers if answer == ([], None)] == [([], None)] * (len(searches) - 2)
    assert await search.find("lamp") == ([], None)
