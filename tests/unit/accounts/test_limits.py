"""Limits: so often for one key, with when to come back; and which addresses count as one network."""

from __future__ import annotations

import time
from contextlib import suppress

import pytest
from redis.asyncio import Redis

from server import metrics
from server.accounts import limits
from server.accounts.limits import PACES, RULES, Limiter, limits_in_memory, limits_in_redis, network_of
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


async def test_without_redis_signing_in_is_counted_here_and_redis_is_left_alone_for_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.2) as nowhere:
        limiter = Limiter(limits_in_redis(nowhere))
        for _ in range(10):
            await limiter.hit("signin.pair", "ann")
        with pytest.raises(Refused, match="come back in 15 minutes"):
            await limiter.hit("signin.pair", "ann")
        with pytest.raises(Refused):
            await limiter.look("signin.pair", "ann")
        await limiter.forget("signin.pair", "ann")
        await limiter.look("signin.pair", "ann")
        asked: list[object] = []

        async def ask(*_: object) -> None:
            asked.append(1)

        monkeypatch.setattr(limiter, "_hit", ask)
        limiter._away_until_s = time.monotonic() + 60
        await limiter.hit("signin.pair", "ann")
        assert len(asked) == 1  # in the process, and not first in Redis
        with pytest.raises(Unavailable):
            await limiter.hit("codes.address", "ann@example.com")
        assert len(asked) == 1


async def test_tickets_are_paced_for_each_user_and_what_is_remembered_is_bounded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limiter = Limiter(limits_in_memory())
    for _ in range(PACES["tickets"].at_once):
        limiter.pace("tickets", "ann")
    with pytest.raises(Refused) as refused:
        limiter.pace("tickets", "ann")
    assert (refused.value.reason, refused.value.retry_after_s) == (Reason.RATE_LIMITED, 1)
    monkeypatch.setattr(limits, "PACED_MAX", 10)
    for number in range(20):
        limiter.pace("tickets", f"u{number}")
    assert len(limiter._paced) == 10
    for _ in range(1_000):
        Limiter(None).pace("tickets", "ann")


async def test_every_refusal_is_counted_by_its_rule() -> None:
    limiter = Limiter(limits_in_memory())
    before = metrics.LIMITED.labels("codes.address")._value.get()
    for _ in range(3):
        with suppress(Refused):
            await limiter.hit("codes.address", "ann@example.com")
    assert metrics.LIMITED.labels("codes.address")._value.get() == before + 2


async def test_without_redis_nobody_is_let_through() -> None:
    async with Redis(host="127.0.0.1", port=1, socket_connect_timeout=0.2) as nowhere:
        with pytest.raises(Unavailable):
            await Limiter(limits_in_redis(nowhere)).hit("codes.address", "ann@example.com")


def test_every_rule_can_be_read() -> None:
    assert set(Limiter(None)._windows) == set(RULES)
    assert {name for name, rule in RULES.items() if not rule.alone} == {"codes.network", "codes.address"}


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
