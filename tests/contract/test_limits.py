"""Signing in is limited, counted in the process and in Redis alike: thieves are, and owners are not, kept out."""

from __future__ import annotations

import asyncio
import itertools
import math
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import pytest
import pytest_asyncio
from redis.asyncio import Redis

from server.accounts.keep import MemoryKeep, RedisKeep
from server.accounts.limits import RULES, Limiter, limits_in_memory, limits_in_redis, network_of
from server.accounts.passwords import Passwords
from server.accounts.porter import Porter
from server.domain.errors import Reason, Refused
from server.domain.ids import new_id
from server.domain.session import Caller
from server.domain.user import Role, User

RIGHT, WRONG = "warm apple tractor", "cold plum bicycle"
HOME, CAFE = "203.0.113.7", "198.51.100.9"
PAIR_MAX, ACCOUNT_MAX, WRONG_MAX = 10, 100, 60


class StubDoor:
    """Knows one account. Passwords cost nothing here."""

    def __init__(self) -> None:
        self.email = f"{secrets.token_hex(6)}@example.com"
        self.ann = User(new_id(), self.email, "Ann", Role.VIEWER)
        self.tried = 0

    async def sign_in(self, email: str, password: str, device: str = "", *, placed: bool = False) -> tuple[str, User]:
        assert placed
        self.tried += 1
        await asyncio.sleep(0)  # others get a turn, as with a real hash
        if (email, password) != (self.email, RIGHT):
            raise Refused(Reason.BAD_CREDENTIALS, f"not from {device}")
        return "cookie", self.ann

    async def ticket(self, caller: Caller, stream: str) -> str:
        return f"{caller.user.id} {stream}"


@dataclass
class Gate:
    """Porters of two replicas before one door."""

    door: StubDoor
    porters: list[Porter]
    limiter: Limiter

    async def tries(self, password: str, host: str, *, email: str | None = None, at: int = 0) -> Refused | None:
        try:
            await self.porters[at].sign_in(email or self.door.email, password, "a test", host=host)
        except Refused as refused:
            return refused
        return None

    async def outcomes(self, times: int, password: str, host: str, **more: Any) -> list[str]:
        """What so many tries at once are told, on one replica and the other."""
        ends = [self.tries(password, host, at=number % len(self.porters), **more) for number in range(times)]
        return [end.reason.value if end else "in" for end in await asyncio.gather(*ends)]


@pytest.fixture(scope="module")
def passwords() -> Any:
    passwords = Passwords(waiting_max=500)
    yield passwords
    passwords.close()


@pytest_asyncio.fixture(params=["memory", "redis"])
async def gate(request: pytest.FixtureRequest, passwords: Passwords) -> AsyncIterator[Gate]:
    door: Any = StubDoor()
    if request.param == "memory":
        limiter, keep = Limiter(limits_in_memory()), MemoryKeep()
        yield Gate(door, [Porter(door, passwords, keep, limiter)], limiter)
        return
    url = request.getfixturevalue("bus_url")
    async with Redis.from_url(url) as one, Redis.from_url(url) as two:
        limiters = [Limiter(limits_in_redis(redis)) for redis in (one, two)]
        porters = [
            Porter(door, passwords, RedisKeep(redis), limiter)
            for redis, limiter in zip((one, two), limiters, strict=True)
        ]
        yield Gate(door, porters, limiters[0])


async def test_many_guesses_at_once_are_counted_one_by_one_and_told_when_to_come_back(gate: Gate) -> None:
    told = await gate.outcomes(25, WRONG, HOME)
    assert (told.count("bad_credentials"), told.count("rate_limited")) == (PAIR_MAX, 15)
    assert gate.door.tried == PAIR_MAX
    refused = await gate.tries(RIGHT, HOME)  # the right one is not even looked at
    assert refused is not None
    assert refused.retry_after_s is not None
    assert 14 * 60 < refused.retry_after_s <= 15 * 60
    assert "too many wrong passwords: come back in 15 minutes" in refused.detail


async def test_an_attacker_elsewhere_does_not_keep_the_owner_out(gate: Gate) -> None:
    assert await gate.tries(RIGHT, HOME) is None
    for network in range(12):
        await gate.outcomes(PAIR_MAX, WRONG, f"192.0.{network}.1")
    stranger = await gate.tries(WRONG, "192.0.100.1")
    assert stranger is not None
    assert (stranger.reason, gate.door.tried) == (Reason.RATE_LIMITED, ACCOUNT_MAX)  # its owner the first of them
    assert "mail" in stranger.detail
    assert await gate.tries(RIGHT, HOME) is None


async def test_an_attacker_in_the_same_network_does_not_keep_its_customers_out(gate: Gate) -> None:
    assert await gate.tries(RIGHT, HOME) is None
    for _ in range(WRONG_MAX - 5):
        await gate.limiter.hit("signin.wrong", network_of(HOME))
    ends = [await gate.tries(WRONG, HOME, email=f"{number}@example.com") for number in range(10)]
    assert [end.reason for end in ends if end] == [Reason.BAD_CREDENTIALS] * 5 + [Reason.RATE_LIMITED] * 5
    assert await gate.tries(RIGHT, HOME) is None
    assert await gate.tries(RIGHT, CAFE) is None
    newcomer = await gate.tries(RIGHT, HOME, email="new@example.com")
    assert newcomer is not None
    assert newcomer.reason is Reason.RATE_LIMITED


async def test_who_mistypes_and_then_gets_in_starts_from_nothing(gate: Gate) -> None:
    for _ in range(3):
        assert (await gate.outcomes(PAIR_MAX - 1, WRONG, HOME)).count("bad_credentials") == PAIR_MAX - 1
        assert await gate.tries(RIGHT, HOME) is None


async def test_a_known_and_an_unknown_address_are_limited_alike(gate: Gate) -> None:
    known = await gate.outcomes(15, WRONG, HOME)
    unknown = await gate.outcomes(15, WRONG, CAFE, email=f"x{gate.door.email}")
    assert sorted(known) == sorted(unknown)


async def test_who_finds_all_places_taken_has_not_tried(gate: Gate, passwords: Passwords) -> None:
    taken = [passwords.place() for _ in range(500)]
    for place in taken:
        place.__enter__()
    try:
        full = await gate.outcomes(20, RIGHT, HOME)
    finally:
        for place in taken:
            place.__exit__(None, None, None)
    assert (full, gate.door.tried) == (["rate_limited"] * 20, 0)
    assert await gate.tries(RIGHT, HOME) is None


async def test_tries_of_codes_and_new_passwords_are_counted_for_a_network(gate: Gate) -> None:
    admitted = 0
    with suppress(Refused):
        for _ in range(100):
            await gate.porters[admitted % len(gate.porters)].admit(HOME, "codes.guess", "passwords.new")
            admitted += 1
    assert admitted == 20
    await gate.porters[0].admit(HOME, "codes.guess")
    await gate.porters[0].admit(CAFE, "codes.guess", "passwords.new")


@pytest.mark.parametrize("rule", RULES)
async def test_every_rule_lets_so_many_through_and_no_more(gate: Gate, rule: str) -> None:
    (window, *_) = gate.limiter._windows[rule]
    most, key, began_s = window.amount, secrets.token_hex(4), time.monotonic()
    for _ in range(most):
        await gate.limiter.look(rule, key)
        await gate.limiter.hit(rule, key)

    async def ask_on() -> None:
        for number in itertools.count(1):
            since_s = time.monotonic() - began_s
            assert number <= 1 + math.ceil(most * since_s / window.get_expiry())  # a window slides on, slow as we are
            await gate.limiter.hit(rule, key)

    with pytest.raises(Refused) as refused:
        await ask_on()
    assert refused.value.retry_after_s is not None
    assert refused.value.retry_after_s >= 1
    with pytest.raises(Refused):
        await gate.limiter.look(rule, key)
    await gate.limiter.forget(rule, key)
    await gate.limiter.hit(rule, key)
