"""Limits: so often for one key, with when to come back; and which addresses count as one network."""

from __future__ import annotations

import pytest
from redis.asyncio import Redis

from server.accounts.limits import RULES, Limiter, limits_in_memory, limits_in_redis, network_of
from server.domain.errors import Reason, Refused, Unavailable


async def test_the_second_of_a_minute_is_told_when_to_come_back() -> None:
    limiter = Limiter(limits_in_memory())
    await limiter.hit("codes.address", "ann@example.com")
    await limiter.hit("codes.address", "bob@example.com")  # another key
    await limiter.hit("codes.network", "ann@example.com")  # another rule
    with pytest.raises(Refused) as refused:
        await limiter.hit("codes.address", "ann@example.com")
    assert refused.value.reason is Reason.RATE_LIMITED
    assert refused.value.retry_after_s is not None
    assert 50 <= refused.value.retry_after_s <= 60
    assert f"{refused.value.retry_after_s} seconds" in refused.value.detail


async def test_switched_off_nobody_is_refused() -> None:
    limiter = Limiter(None)
    for _ in range(20):
        await limiter.hit("codes.address", "ann@example.com")


async def test_without_redis_nobody_is_let_through() -> None:
    async with Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.2) as nowhere:
        with pytest.raises(Unavailable):
            await Limiter(limits_in_redis(nowhere)).hit("codes.address", "ann@example.com")


def test_every_rule_can_be_read() -> None:
    assert set(Limiter(None)._rules) == set(RULES)


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("203.0.113.7", "203.0.113.0/24"),
        ("203.0.113.250", "203.0.113.0/24"),
        ("203.0.114.7", "203.0.114.0/24"),
        ("::ffff:203.0.113.7", "203.0.113.0/24"),
        ("2001:db8:1:2fe::1", "2001:db8:1:200::/56"),
        ("2001:db8:1:2ff:aaaa::1", "2001:db8:1:200::/56"),
        ("2001:db8:1:300::1", "2001:db8:1:300::/56"),
        ("", ""),
        ("testclient", "testclient"),
    ],
)
def test_neighbours_count_as_one(host: str, network: str) -> None:
    assert network_of(host) == network
