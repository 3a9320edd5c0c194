"""One contract over both keeps: memory, and a real Redis that goes away."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio
from redis.asyncio import Redis as RedisClient

from server import together
from server.accounts.keep import MemoryKeep, RedisKeep
from server.app import redis_client
from server.domain.errors import Unavailable
from server.settings import Settings
from tests.services.redis import Redis

Keep = MemoryKeep | RedisKeep


@pytest_asyncio.fixture
async def redis(bus_url: str) -> AsyncIterator[RedisClient]:
    async with client_of(bus_url) as client:
        yield client


def client_of(bus_url: str) -> RedisClient:
    """As the app opens it."""
    return redis_client(Settings(bus_url=bus_url, secret_keys=("k" * 32,)))


@pytest_asyncio.fixture(params=["memory", "redis"])
async def keep(request: pytest.FixtureRequest) -> AsyncIterator[Keep]:
    if request.param == "memory":
        yield MemoryKeep()
        return
    async with client_of(request.getfixturevalue("bus_url")) as client:
        yield RedisKeep(client)


async def test_a_value_is_kept_looked_at_taken_once_and_dropped(keep: Keep) -> None:
    await keep.put("a", "限", 10)
    await keep.put("b", "2", 10)
    assert await keep.peek("a") == "限"
    assert await keep.take("a") == "限"
    assert await keep.take("a") is None
    assert await keep.peek("a") is None
    await keep.drop("b")
    assert await keep.peek("b") is None


async def test_of_many_who_take_at_once_one_gets_it(keep: Keep) -> None:
    await keep.put("ticket", "1", 10)
    assert sorted(map(str, await asyncio.gather(*(keep.take("ticket") for _ in range(20))))) == ["1"] + ["None"] * 19


async def test_a_value_is_peeked_at_and_kept_no_longer_for_it(keep: Keep) -> None:
    await keep.put("a", "1", 1)
    async with asyncio.timeout(5):
        while await keep.peek("a") == "1":  # noqa: ASYNC110  Redis' clock sends no event
            await asyncio.sleep(0.05)
    assert await keep.peek("a") is None


async def test_of_many_who_count_at_once_each_gets_another_number(keep: Keep) -> None:
    counts = await asyncio.gather(*(keep.count("tries", 10) for _ in range(50)))
    assert sorted(counts) == list(range(1, 51))
    assert await keep.count("others", 10) == 1


async def test_a_count_starts_anew_so_long_after_its_first_time(keep: Keep) -> None:
    assert await keep.count("tries", 1) == 1
    async with asyncio.timeout(5):
        while await keep.count("tries", 1) != 1:  # noqa: ASYNC110  Redis' clock sends no event
            await asyncio.sleep(0.05)


async def test_a_value_expires(keep: Keep) -> None:
    await keep.put("a", "1", 1)
    async with asyncio.timeout(5):
        while await keep.take("a") is not None:
            await keep.put("a", "1", 1)
            await asyncio.sleep(1.05)


async def test_a_value_is_added_only_where_there_is_none(keep: Keep) -> None:
    await keep.add("a", "1", 10)
    await keep.add("a", "2", 10)
    assert await keep.peek("a") == "1"
    await keep.put("a", "", 10)
    await keep.add("a", "3", 10)
    assert await keep.peek("a") == ""


async def test_redis_keeps_with_a_time_to_live_and_looking_does_not_renew_it(redis: RedisClient) -> None:
    keep = RedisKeep(redis)
    await keep.put("a", "1", 100)
    await keep.add("b", "2", 10)
    assert 9 <= await redis.ttl("dropcast:b") <= 10
    await redis.expire("dropcast:a", 20)
    assert await keep.peek("a") == "1"
    assert 19 <= await redis.ttl("dropcast:a") <= 20
    assert await keep.take("b") == "2"


async def test_a_crowd_that_asks_at_once_shares_a_connection_and_each_gets_its_own_answer(redis: RedisClient) -> None:
    keep = RedisKeep(redis)
    await asyncio.gather(*(keep.put(f"t{n}", str(n), 10) for n in range(1_500)))
    before = (await redis.info("stats"))["total_connections_received"]
    leaving = asyncio.create_task(keep.take("t0"))
    asking = [asyncio.create_task(keep.take(f"t{n}")) for n in range(1, 1_500)]
    await asyncio.sleep(0)
    leaving.cancel()
    assert await asyncio.gather(*asking) == [str(n) for n in range(1, 1_500)]
    assert (await redis.info("stats"))["total_connections_received"] == before
    assert await keep.take("t1") is None


async def test_one_wrong_answer_is_its_askers_alone(redis: RedisClient) -> None:
    keep = RedisKeep(redis)
    await redis.lpush("dropcast:list", "x")
    await keep.put("a", "1", 10)
    wrong, right = await asyncio.gather(keep.peek("list"), keep.peek("a"), return_exceptions=True)
    assert (type(wrong), right) == (Unavailable, "1")


async def test_more_than_may_wait_are_refused_at_once(redis: RedisClient, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "WAITING_MAX", 3)
    keep = RedisKeep(redis)
    ends = await asyncio.gather(*(keep.put(f"k{n}", "1", 10) for n in range(5)), return_exceptions=True)
    assert [type(end) for end in ends] == [type(None)] * 3 + [Unavailable] * 2


async def test_redis_gone_or_standing_still_is_unavailable_within_two_seconds(
    redis: RedisClient, redis_server: Redis
) -> None:
    keep = RedisKeep(redis)
    await keep.put("a", "1", 10)
    calls = [
        lambda: keep.put("a", "1", 1),
        lambda: keep.add("a", "1", 1),
        lambda: keep.peek("a"),
        lambda: keep.count("n", 1),
        lambda: keep.take("a"),
        lambda: keep.drop("a"),
    ]
    redis_server.pause()
    try:
        began = time.monotonic()
        ends = await asyncio.gather(*(call() for call in calls), return_exceptions=True)
        assert time.monotonic() - began < 2
    finally:
        redis_server.resume()
    await asyncio.to_thread(redis_server.kill)
    for call in calls:
        with pytest.raises(Unavailable):
            await call()
    assert {type(end) for end in ends} == {Unavailable}
