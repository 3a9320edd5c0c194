"""What is kept for a while: until its time is up, given out once, and never more than so much."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

import pytest

from server.accounts.keep import MEMORY_MAX, MemoryKeep, RedisKeep
from server.domain.errors import Unavailable
from tests.unit.accounts.book import Clock

if TYPE_CHECKING:
    from redis.asyncio import Redis


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def keep(clock: Clock) -> MemoryKeep:
    return MemoryKeep(clock, most=3)


async def test_a_value_is_kept_until_its_time_is_up(keep: MemoryKeep, clock: Clock) -> None:
    await keep.put("a", "1", 10)
    clock.s += 9.9
    assert await keep.take("a") == "1"
    await keep.put("a", "2", 10)
    clock.s += 10
    assert await keep.take("a") is None


async def test_looking_does_not_keep_it_on(keep: MemoryKeep, clock: Clock) -> None:
    await keep.put("a", "1", 10)
    clock.s += 9
    assert await keep.peek("a") == "1"
    clock.s += 1
    assert await keep.peek("a") is None
    assert await keep.peek("never") is None


async def test_a_value_is_added_where_there_is_none_or_its_time_is_up(keep: MemoryKeep, clock: Clock) -> None:
    await keep.add("a", "1", 10)
    await keep.add("a", "2", 10)
    assert await keep.peek("a") == "1"
    clock.s += 10
    await keep.add("a", "3", 10)
    assert await keep.peek("a") == "3"


async def test_a_value_is_given_out_once(keep: MemoryKeep) -> None:
    await keep.put("a", "1", 10)
    assert await keep.take("a") == "1"
    assert await keep.take("a") is None


async def test_a_later_value_replaces_an_earlier_one_and_a_dropped_one_is_gone(keep: MemoryKeep) -> None:
    await keep.put("a", "1", 10)
    await keep.put("a", "2", 10)
    assert await keep.peek("a") == "2"
    await keep.drop("a")
    await keep.drop("a")
    assert await keep.peek("a") is None


async def test_when_full_the_value_touched_longest_ago_is_forgotten(keep: MemoryKeep) -> None:
    for key in "abc":
        await keep.put(key, key, 10)
    await keep.peek("a")
    await keep.put("d", "d", 10)
    assert [await keep.peek(key) for key in "abcd"] == ["a", None, "c", "d"]
    assert len(keep._values) == 3
    assert MemoryKeep()._most == MEMORY_MAX


class Broken:
    """A Redis client that fails in a way of its own."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def pipeline(self, **_options: bool) -> Any:
        raise self._error


@pytest.mark.parametrize(
    "error",
    [
        AttributeError("'NoneType' object has no attribute 'writelines'"),
        RuntimeError("the handler is closed"),
        KeyError("a bug"),
    ],
    ids=["redis-py's closed connection", "uvloop's closed connection", "a bug"],
)
async def test_however_redis_fails_whoever_asks_is_told_that_it_is_not_available(error: Exception) -> None:
    keep = RedisKeep(cast("Redis", Broken(error)))
    answers = await asyncio.gather(keep.peek("a"), keep.peek("b"), return_exceptions=True)
    assert [type(answer) for answer in answers] == [Unavailable, Unavailable]
