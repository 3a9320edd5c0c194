"""What one network may do at nginx, and what it is told beyond that."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
from websockets.exceptions import InvalidStatus

from nginx.limits import BURST_S, Limits
from tests.services.nginx import Nginx
from tests.services.stand_in import StandIn, error_of, http, watch

StartNginx = Callable[..., Nginx]


def limits(**some: int) -> Limits:
    """These alone."""
    return Limits(**{"sockets": 0, "joins_per_s": 0, "requests_per_s": 0, "requests_at_once": 0, **some})


async def test_a_network_opens_so_many_sockets_and_a_place_is_free_when_one_leaves(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]
) -> None:
    nginx = start_nginx([stand_ins[0].host], limits=limits(sockets=2))
    async with watch(nginx):
        async with watch(nginx):
            await assert_too_many(nginx)
            async with http(nginx) as client:
                assert (await client.get("/")).status_code == 200, "pages are counted apart"
        async with asyncio.timeout(10):
            while True:
                try:
                    async with watch(nginx):
                        break
                except InvalidStatus:  # nginx has not seen the other one leave yet
                    continue
    assert stand_ins[0].opened == 3


async def test_sockets_that_come_too_fast_are_told_to_wait(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]
) -> None:
    nginx = start_nginx([stand_ins[0].host], limits=limits(joins_per_s=1))
    opened = 0
    refused: InvalidStatus | None = None
    while refused is None and opened < 2 * BURST_S:
        try:
            async with watch(nginx):
                opened += 1
        except InvalidStatus as error:
            refused = error
    assert refused is not None
    assert_says_so(refused.response.status_code, refused.response.headers, refused.response.body)
    assert BURST_S < opened < 2 * BURST_S


async def test_calls_that_come_too_fast_are_told_to_wait_and_files_are_not(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]
) -> None:
    nginx = start_nginx([stand_ins[0].host], limits=limits(requests_per_s=1))
    async with http(nginx) as client:
        answers = [await client.get("/api/streams") for _ in range(2 * BURST_S)]
        files = [await client.get("/static/0123456789ab/viewer/stream.js") for _ in range(2 * BURST_S)]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert 0 < len(refused) < BURST_S
    for answer in refused:
        assert_says_so(answer.status_code, answer.headers, answer.content)
    assert {answer.status_code for answer in files} == {200}


@pytest.mark.parametrize(
    ("neighbours", "strangers"),
    [
        (("203.0.113.1", "203.0.113.254"), ("203.0.114.1", "2001:db8:1:200::1")),
        (("2001:db8:1:200::1", "2001:db8:1:2ff:ffff::9"), ("2001:db8:1:300::1", "203.0.113.1")),
    ],
    ids=["a /24", "a /56"],
)
async def test_networks_are_those_of_the_replicas(
    start_nginx: StartNginx,
    stand_ins: tuple[StandIn, StandIn],
    neighbours: tuple[str, str],
    strangers: tuple[str, str],
) -> None:
    nginx = start_nginx([stand_ins[0].host], limits=limits(sockets=1), behind=["127.0.0.0/8"])
    one, other = ({"X-Forwarded-For": address} for address in neighbours)
    async with watch(nginx, one):
        await assert_too_many(nginx, other)
        for stranger in strangers:
            async with watch(nginx, {"X-Forwarded-For": stranger}):
                pass


async def assert_too_many(nginx: Nginx, headers: Mapping[str, str] | None = None) -> None:
    with pytest.raises(InvalidStatus) as refused:
        await watch(nginx, headers)
    assert_says_so(refused.value.response.status_code, refused.value.response.headers, refused.value.response.body)


def assert_says_so(status: int, headers: Mapping[str, str], body: bytes | bytearray) -> None:
    assert status == 429
    assert headers["Content-Type"] == "application/json"
    assert headers["Retry-After"] == "2"
    assert error_of(bytes(body))["reason"] == "rate_limited"
