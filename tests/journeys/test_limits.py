"""Who comes too often, at real replicas: refused with a reason and a time, on whichever replica; others are not."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections import Counter
from collections.abc import Callable, Mapping

import httpx
import pytest
from websockets.exceptions import InvalidStatus

from server.live.socket import FRAMES, SURPLUS
from server.live.turnstile import SOCKETS_PER_USER
from server.protocol.frames import Receipt
from tests.client import Api, ClosedError, LiveClient
from tests.journeys.conftest import PASSWORD, Shop, furnish
from tests.journeys.mailing import somewhere
from tests.services.replica import Replica

VIEWER = "viewer@example.com"


def told(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["reason"] if not answer.is_success else ""


async def sign_in(replica: Replica, email: str, password: str, host: str) -> httpx.Response:
    async with httpx.AsyncClient(base_url=replica.url, trust_env=False, timeout=20) as http:
        return await http.post(
            "/api/login", json={"email": email, "password": password}, headers={"X-Forwarded-For": host}
        )


async def test_guesses_are_counted_over_both_replicas_and_their_owner_gets_in(shop: Shop) -> None:
    thief, owner, email = somewhere(), somewhere(), VIEWER
    ends = [
        await asyncio.gather(*(sign_in(replica, email, "wrong password", thief) for replica in shop.replicas))
        for _ in range(8)
    ]
    answers = Counter(told(end) for pair in ends for end in pair)
    assert answers == {(401, "bad_credentials"): 10, (429, "rate_limited"): 6}
    refused = ends[-1][0]
    assert 14 * 60 < int(refused.headers["retry-after"]) <= 15 * 60
    assert "come back in 15 minutes" in refused.json()["error"]["detail"]
    assert (await sign_in(shop.replicas[1], email, PASSWORD, owner)).status_code == 200


async def test_guesses_of_codes_and_new_passwords_are_counted_over_both_replicas(shop: Shop) -> None:
    guesser = somewhere()
    async with Api(shop.replicas[0].url) as one, Api(shop.replicas[1].url) as two:
        answers: Counter[tuple[int, str]] = Counter()
        for number in range(32):
            said = {"email": f"{secrets.token_hex(6)}@example.com", "code": "000000"}
            api = (one, two)[number % 2]
            end = await api.http.post("/api/verify", json=said, headers={"X-Forwarded-For": guesser})
            answers[told(end)] += 1
        assert answers == {(401, "bad_credentials"): 30, (429, "rate_limited"): 2}
        assert "retry-after" in end.headers
        reset = await one.http.post(
            "/api/reset", json={**said, "password": PASSWORD}, headers={"X-Forwarded-For": guesser}
        )
        assert told(reset) == (429, "rate_limited")
        other = somewhere()
        wish = {"email": "a@b.example", "password": "short", "name": "Ann"}
        ends = [
            told(await one.http.post("/api/register", json=wish, headers={"X-Forwarded-For": other})) for _ in range(21)
        ]
        assert Counter(ends) == {(400, "bad_request"): 20, (429, "rate_limited"): 1}


async def test_one_account_gets_sixty_tickets_at_once_and_then_one_a_second(shop: Shop) -> None:
    stream = await shop.live_stream()
    async with Api(shop.replicas[0].url) as api:
        await api.login(VIEWER, PASSWORD)
        origin = {"Origin": shop.replicas[0].url}
        ends = await asyncio.gather(
            *(api.http.post("/api/ticket", json={"stream": stream}, headers=origin) for _ in range(100))
        )
    answers = Counter(told(end) for end in ends)
    assert set(answers) == {(200, ""), (429, "rate_limited")}
    assert all(end.headers["retry-after"] == "1" for end in ends if end.status_code == 429)


@pytest.fixture
async def small(
    shop_settings: dict[str, str], start_replica: Callable[[Mapping[str, str]], Replica]
) -> tuple[Replica, str]:
    """A replica that lets few in, and its stream."""
    settings = {**shop_settings, "DROPCAST_SOCKETS_PER_NETWORK": "160"}
    await furnish(settings)
    replica = start_replica(settings)
    async with Api(replica.url) as host:
        await host.login("host@example.com", PASSWORD)
        await host.create_stream("small")
        await host.start("small")
    return replica, "small"


async def test_a_network_has_so_many_sockets_and_a_place_is_free_when_somebody_leaves(
    small: tuple[Replica, str],
) -> None:
    replica, stream = small
    url = replica.ws_url(stream)
    guests = [await LiveClient.join(url) for _ in range(80)]  # half of the sockets
    with pytest.raises(InvalidStatus) as refused:
        await LiveClient.join(url)
    response = refused.value.response
    assert response.status_code == 429
    assert int(response.headers["Retry-After"]) == 10
    assert b"rate_limited" in (response.body or b"")
    async with Api(replica.url) as api:
        await api.login(VIEWER, PASSWORD)
        origin = replica.url
        held = [
            await LiveClient.join(url, cookie=api.cookie, origin=origin)  # who is signed in still comes
            for _ in range(SOCKETS_PER_USER)
        ]
        with pytest.raises(InvalidStatus) as one_too_many:
            await LiveClient.join(url, cookie=api.cookie, origin=origin)
        assert one_too_many.value.response.status_code == 429
        await guests.pop().close()
        await asyncio.wait_for(_until(replica, "dropcast_sockets", 79 + SOCKETS_PER_USER), 5)
        with pytest.raises(ClosedError) as closed:  # by ticket: who it is, is known after the upgrade only
            await _admitted(url, await api.ticket(stream))
        assert closed.value.code == 1013
        assert closed.value.fault is not None
        assert closed.value.fault.reason == "rate_limited"
        await held.pop().vanish()
        await asyncio.wait_for(_until(replica, "dropcast_sockets", 79 + SOCKETS_PER_USER - 1), 5)
        metrics = (await api.http.get("/metrics")).text
    for rule in ("sockets.user", "sockets.guests|upgrades.guests"):
        assert re.search(rf'dropcast_limited_total{{rule="({rule})"}} [1-9]', metrics), rule
    for client in (*guests, *held):
        await client.close()


async def test_who_comes_and_goes_too_often_is_told_when_to_come_back(small: tuple[Replica, str]) -> None:
    replica, stream = small
    for _ in range(80):
        await (await LiveClient.connect(replica.ws_url(stream))).close()
    refusals = []
    for _ in range(5):
        try:
            await (await LiveClient.connect(replica.ws_url(stream))).close()
        except InvalidStatus as refused:
            refusals.append((refused.response.status_code, refused.response.headers["Retry-After"]))
    assert refusals
    assert set(refusals) <= {(429, "1"), (429, "2")}


async def test_orders_that_come_too_fast_are_told_so_and_who_goes_on_is_closed_and_nobody_else(shop: Shop) -> None:
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 10)
    await shop.host.open(drop)
    mad, calm = await shop.watch(shop.replicas[0], stream), await shop.watch(shop.replicas[0], stream)
    for _ in range(FRAMES.at_once + 30):
        await mad.order("0" * 32)
    receipts: Counter[str | None] = Counter()
    while (receipt := await mad.expect(Receipt)).reason != "rate_limited":
        receipts[receipt.reason] += 1
    assert receipt.retry
    assert receipt.retry_in_ms is not None
    assert (await calm.expect_receipt(await calm.order(drop))).status == "accepted"
    for _ in range(2 * (FRAMES.at_once + SURPLUS.at_once)):
        await mad.order("0" * 32)
    assert await mad.expect_close() == 4500
    assert (await calm.expect_receipt(await calm.order(drop))).status == "accepted"


async def test_switched_off_only_the_threads_that_hash_refuse(
    shop_settings: dict[str, str], start_replica: Callable[[Mapping[str, str]], Replica]
) -> None:
    settings = {**shop_settings, "DROPCAST_RATE_LIMITS": "off", "DROPCAST_SOCKETS_PER_NETWORK": "2"}
    await furnish(settings)
    replica = start_replica(settings)
    async with Api(replica.url) as host:
        await host.login("host@example.com", PASSWORD)
        await host.create_stream("off")
        await host.start("off")
        guests = [await LiveClient.join(replica.ws_url("off")) for _ in range(10)]
        for _ in range(3 * (FRAMES.at_once + SURPLUS.at_once) // 100):
            refs = [await guests[0].order("0" * 32) for _ in range(100)]
            await guests[0].expect_receipt(refs[-1])  # reads along: else it is too slow, and closed for that
        for _ in range(100):
            await host.ticket("off")
        wrong = [await sign_in(replica, VIEWER, "wrong password", "203.0.113.1") for _ in range(12)]
        assert {end.status_code for end in wrong} == {401}
        assert guests[0].closed is None
        crowd = await asyncio.gather(*(sign_in(replica, VIEWER, PASSWORD, "203.0.113.1") for _ in range(80)))
        answers = Counter(told(end) for end in crowd)
        assert set(answers) == {(200, ""), (429, "rate_limited")}
        assert all(end.headers["retry-after"] == "1" for end in crowd if end.status_code == 429)
        metrics = (await host.http.get("/metrics")).text
        assert set(re.findall(r'^dropcast_limited_total{rule="([^"]+)"} [1-9]', metrics, re.MULTILINE)) == {"passwords"}
    for guest in guests:
        await guest.close()


async def _until(replica: Replica, metric: str, value: int) -> None:
    async with httpx.AsyncClient(trust_env=False) as http:
        while f"\n{metric} {float(value)}\n" not in (await http.get(f"{replica.url}/metrics")).text:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def _admitted(url: str, ticket: str) -> LiveClient:
    """Joins as soon as the network's pace of upgrades, which the guests have used up, lets it."""
    while True:
        try:
            return await LiveClient.join(url, ticket)
        except InvalidStatus as refused:
            await asyncio.sleep(int(refused.response.headers["Retry-After"]))
