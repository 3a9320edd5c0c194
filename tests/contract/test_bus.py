"""One contract over both buses: what a listener may rely on, whatever becomes of Redis."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Callable

import pytest
import pytest_asyncio

from server.bus import redis as redis_bus
from server.bus.doorbell import CATCH_UP, INBOX_MAX, Doorbell
from server.bus.memory import MemoryBackend
from server.bus.names import stream_channel
from server.bus.redis import RedisBackend
from server.domain.errors import Unavailable
from tests.services.ports import free_port
from tests.services.redis import Redis

WITHIN_S = 5.0
LAST = "the last one"


@pytest_asyncio.fixture(params=["memory", "redis"])
async def bus(request: pytest.FixtureRequest) -> AsyncIterator[Doorbell]:
    backend = MemoryBackend() if request.param == "memory" else RedisBackend(request.getfixturevalue("bus_url"))
    async with Doorbell(backend) as bus:
        yield bus


@pytest_asyncio.fixture
async def backend(bus_url: str) -> AsyncIterator[RedisBackend]:
    yield RedisBackend(bus_url)


@pytest_asyncio.fixture
async def over_redis(backend: RedisBackend) -> AsyncIterator[Doorbell]:
    async with Doorbell(backend) as bus:
        yield bus


@pytest.fixture
def stream() -> str:
    return f"stream-{secrets.token_hex(4)}"


async def heard(messages: AsyncIterator[str], until: str) -> list[str]:
    """Everything heard up to and without `until`."""
    said = []
    async with asyncio.timeout(WITHIN_S):
        async for message in messages:
            if message == until:
                return said
            said.append(message)
    raise AssertionError("the messages ended")


async def hear(messages: AsyncIterator[str]) -> str:
    return await asyncio.wait_for(anext(messages), WITHIN_S)


async def becomes(condition: Callable[[], bool], *, within_s: float = 8.0) -> None:
    """Waits for what sends no signal."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def rung(bus: Doorbell, stream: str, message: str) -> None:
    """Rings until Redis takes it: a bell that was away for a moment is still finding its way back."""
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                return await bus.ring(stream, message)
            except Unavailable:
                await asyncio.sleep(0.02)


# Both


async def test_the_first_message_says_catch_up(bus: Doorbell, stream: str) -> None:
    async with bus.listen(stream) as messages:
        assert await hear(messages) == CATCH_UP


async def test_every_message_after_that_is_heard_once_and_in_order(bus: Doorbell, stream: str) -> None:
    said = [f"message {n}" for n in range(300)]
    async with bus.listen(stream) as messages:
        for message in said:
            await bus.ring(stream, message)
        await bus.ring(stream, LAST)
        assert [message for message in await heard(messages, LAST) if message != CATCH_UP] == said


async def test_text_of_any_language_arrives_as_it_was_sent(bus: Doorbell, stream: str) -> None:
    async with bus.listen(stream) as messages:
        await bus.ring(stream, "限时抢购 🎉\n\x00")
        assert await heard(messages, "限时抢购 🎉\n\x00") in ([CATCH_UP], [CATCH_UP, CATCH_UP])


async def test_two_listeners_of_a_stream_both_hear_and_one_of_another_does_not(bus: Doorbell, stream: str) -> None:
    async with bus.listen(stream) as one, bus.listen(stream) as two, bus.listen(f"{stream}-2") as other:
        await bus.ring(stream, "for the first stream")
        await bus.ring(f"{stream}-2", LAST)
        assert "for the first stream" not in await heard(other, LAST)
        for messages in (one, two):
            await heard(messages, "for the first stream")


async def test_listeners_who_come_all_at_once_lose_nothing(bus: Doorbell, stream: str) -> None:
    together = asyncio.Barrier(21)

    async def listener() -> list[str]:
        async with bus.listen(stream) as messages:
            await together.wait()
            return [message for message in await heard(messages, LAST) if message]

    listeners = [asyncio.create_task(listener()) for _ in range(20)]
    await asyncio.wait_for(together.wait(), WITHIN_S)
    await bus.ring(stream, "for all")
    await bus.ring(stream, LAST)
    assert await asyncio.gather(*listeners) == [["for all"]] * 20


async def test_control_broadcasters_own_subscribe_does_lose_one_of_two_who_come_at_once(over_redis: Doorbell) -> None:
    together = asyncio.Barrier(2)

    async def subscriber() -> None:
        async with over_redis.subscribe("channel"):
            await together.wait()

    ends = await asyncio.gather(subscriber(), subscriber(), return_exceptions=True)
    assert [type(end) for end in ends].count(KeyError) == 1  # its queue had been forgotten


async def test_a_listener_who_sleeps_hears_one_catch_up_and_costs_the_others_nothing(
    bus: Doorbell, stream: str
) -> None:
    said = [f"message {n}" for n in range(INBOX_MAX + 50)]
    async with bus.listen(stream) as awake, bus.listen(stream) as asleep:
        listening = asyncio.create_task(heard(awake, LAST))
        for message in said:
            await bus.ring(stream, message)
            await asyncio.sleep(0)  # in memory a ring waits for nothing, and who is awake must get a turn
        await bus.ring(stream, LAST)
        assert [message for message in await listening if message] == said
        dreamt = await heard(asleep, LAST)
        assert dreamt[0] == CATCH_UP
        assert len(dreamt) <= INBOX_MAX
        assert dreamt[1:] == said[len(said) - len(dreamt) + 1 :]  # nothing is missing after the word for "missed"
        await bus.ring(stream, "awake again")
        assert await hear(asleep) == "awake again"


async def test_who_stopped_listening_is_gone_and_may_come_back(bus: Doorbell, stream: str) -> None:
    async with bus.listen(stream):
        pass
    assert bus._subscribers == {}
    await bus.ring(stream, "nobody is there")
    async with bus.listen(stream) as messages:
        await bus.ring(stream, LAST)
        assert "nobody is there" not in await heard(messages, LAST)


async def test_a_listener_cancelled_while_it_waits_leaves_nothing_behind(bus: Doorbell, stream: str) -> None:
    listening = asyncio.Event()

    async def listener() -> None:
        async with bus.listen(stream) as messages:
            listening.set()
            await heard(messages, LAST)

    task = asyncio.create_task(listener())
    await listening.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert bus._subscribers == {}


# Redis only


async def test_redis_holds_one_subscription_per_stream_until_the_last_listener_leaves(
    over_redis: Doorbell, stream: str, redis_server: Redis
) -> None:
    with redis_server.client() as client:

        def subscriptions() -> int:
            return int(client.pubsub_numsub(stream_channel(stream))[0][1])

        async with over_redis.listen(stream):
            async with over_redis.listen(stream):
                assert subscriptions() == 1
            assert subscriptions() == 1
        await becomes(lambda: subscriptions() == 0)


async def test_a_message_that_is_not_text_is_passed_over(
    over_redis: Doorbell, stream: str, redis_server: Redis
) -> None:
    async with over_redis.listen(stream) as messages:
        with redis_server.client() as client:
            client.publish(stream_channel(stream), b"\xff\xfe")
        await over_redis.ring(stream, LAST)
        assert set(await heard(messages, LAST)) == {CATCH_UP}


async def test_a_killed_connection_is_replaced_and_the_listener_told_to_catch_up(
    over_redis: Doorbell, stream: str, redis_server: Redis
) -> None:
    async with over_redis.listen(stream) as messages:
        await over_redis.ring(stream, "before")
        await heard(messages, "before")
        for _ in range(3):
            with redis_server.client() as client:
                assert client.client_kill_filter(_type="pubsub") >= 1  # others may listen to the same Redis
            assert await hear(messages) == CATCH_UP
            await over_redis.ring(stream, "later")
            assert await hear(messages) == "later"


async def test_after_a_restart_of_redis_listeners_old_and_new_hear_again(
    over_redis: Doorbell, backend: RedisBackend, stream: str, redis_server: Redis
) -> None:
    async with over_redis.listen(stream) as old:
        await over_redis.ring(stream, "before")
        await heard(old, "before")
        assert backend.up
        await asyncio.to_thread(redis_server.stop)
        await becomes(lambda: not backend.up)
        async with over_redis.listen(f"{stream}-2") as new:  # wanted while Redis is away
            assert await hear(new) == CATCH_UP
            began = time.monotonic()
            with pytest.raises(Unavailable):
                await over_redis.ring(stream, "into the void")
            assert time.monotonic() - began < 2
            await asyncio.to_thread(redis_server.start)
            for messages, name in ((old, stream), (new, f"{stream}-2")):
                assert await hear(messages) == CATCH_UP
                await rung(over_redis, name, "after")
                assert await hear(messages) == "after"
            assert backend.up


async def test_a_redis_that_stands_still_is_noticed_and_heard_again(
    over_redis: Doorbell, backend: RedisBackend, stream: str, redis_server: Redis
) -> None:
    async with over_redis.listen(stream) as messages:
        await over_redis.ring(stream, "before")
        await heard(messages, "before")
        redis_server.pause()
        try:
            began = time.monotonic()
            rings = [asyncio.create_task(over_redis.ring(stream, "stuck")) for _ in range(20)]  # more than publishers
            done = await asyncio.gather(*rings, return_exceptions=True)
            assert {type(end) for end in done} == {Unavailable}
            assert time.monotonic() - began < 2.5
            await becomes(lambda: not backend.up)
            assert 2.5 < time.monotonic() - began < 5.5
        finally:
            redis_server.resume()
        await heard(messages, CATCH_UP)  # what had been sent into the pause may come first
        await becomes(lambda: backend.up)
        await rung(over_redis, stream, "after")
        assert "before" not in await heard(messages, "after")


async def test_more_than_a_replica_can_hold_is_dropped_and_everyone_catches_up(
    bus_url: str, stream: str, redis_server: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_bus, "HEARD_MAX", 3)
    async with Doorbell(RedisBackend(bus_url)) as bus, bus.listen(stream) as messages:
        while await asyncio.wait_for(anext(messages), WITHIN_S) != "ready":
            await bus.ring(stream, "ready")
        with redis_server.client() as client, client.pipeline(transaction=False) as burst:
            for n in range(500):
                burst.publish(stream_channel(stream), f"flood {n}")
            burst.execute()
        flood = await heard(messages, CATCH_UP)
        assert len([message for message in flood if message != "ready"]) < 500
        await rung(bus, stream, "after the flood")
        await heard(messages, "after the flood")


async def test_a_start_without_redis_names_the_setting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_bus, "_FIRST_CONNECT_WITHIN_S", 0.3)
    with pytest.raises(Unavailable, match="DROPCAST_BUS_URL"):
        await Doorbell(RedisBackend(f"redis://127.0.0.1:{free_port()}/0")).connect()
