"""The queue between the link and a loop."""

from __future__ import annotations

import asyncio
import gc

import pytest

from dropcast.fold import whole
from dropcast.news import NEWS_MAX, Event, Queue, Stock, Viewers, Whole
from dropcast.shapes import StockLine, Stream, StreamStatus


def event(seq: int) -> Event:
    return Event(seq, 1, "note")


def line(left: int, version: int, variant: str = "v") -> StockLine:
    return StockLine("d", variant, left, version)


async def test_state_that_waits_gives_way_to_newer_state_but_never_passes_an_event() -> None:
    queue = Queue(asyncio.Event())
    for news in (
        Stock((line(9, 1), line(5, 1, "w"))),
        Stock((line(8, 2),)),
        event(1),
        Stock((line(7, 3),)),
        Viewers(1),
        Viewers(2),
    ):
        queue.put(news)
    queue.end(None)
    assert [news async for news in queue] == [
        Stock((line(8, 2), line(5, 1, "w"))),
        event(1),
        Stock((line(7, 3),)),
        Viewers(2),
    ]


async def test_what_waits_is_taken_before_the_end_and_the_end_stays() -> None:
    queue = Queue(asyncio.Event())
    queue.put(event(1))
    queue.end(RuntimeError("over"))
    queue.end(None)
    assert await anext(queue) == event(1)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="over"):
            await anext(queue)


async def test_a_full_queue_says_so_until_one_is_taken_or_it_is_let_go() -> None:
    taken = asyncio.Event()
    queue = Queue(taken)
    for seq in range(NEWS_MAX):
        assert not queue.full
        queue.put(event(seq))
    assert queue.full
    await anext(queue)
    assert taken.is_set()
    assert not queue.full
    taken.clear()
    del queue
    gc.collect()
    assert taken.is_set()


async def test_who_wants_nothing_any_more_is_never_full() -> None:
    queue = Queue(asyncio.Event())
    for seq in range(NEWS_MAX):
        queue.put(event(seq))
    await queue.aclose()
    assert not queue.full
    assert [news async for news in queue] == []


def test_a_whole_is_told_by_its_state() -> None:
    state = whole(Stream("s", "S", "H", StreamStatus.LIVE, None, None), (), 4)
    assert Whole(state).state.seq == 4
