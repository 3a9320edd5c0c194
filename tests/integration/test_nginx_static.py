"""Files of a version: kept by nginx, and never those that may not be kept."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.services.nginx import Nginx
from tests.services.stand_in import StandIn, http

StartNginx = Callable[..., Nginx]
FILE = "/static/0123456789ab/viewer/stream.js"
FOR_EVER = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding", "ETag": '"1"'}


async def test_a_file_that_may_be_kept_is_asked_for_once_for_each_encoding(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]
) -> None:
    replica = stand_ins[0]
    replica.headers[FILE] = {**FOR_EVER, "Access-Control-Allow-Origin": "*", "X-Content-Type-Options": "nosniff"}
    nginx = start_nginx([replica.host])
    async with http(nginx) as client:
        for encoding in ("gzip, deflate, br", "gzip", "br, GZIP;q=1", "identity", ""):
            answer = await client.get(FILE, headers={"Accept-Encoding": encoding})
            assert answer.status_code == 200
            for name, value in replica.headers[FILE].items():
                assert answer.headers[name] == value
        assert (await client.get(FILE, headers={"If-None-Match": '"1"'})).status_code == 304
        assert (await client.head(FILE)).status_code == 200
    assert [asked.headers.get("Accept-Encoding") for asked in replica.asked] == ["gzip", None]
    assert [entry["cache"] for entry in nginx.access_log(lines=7)] == ["MISS", "HIT", "HIT", "MISS", *["HIT"] * 3]


async def test_a_file_of_another_version_is_never_kept(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]
) -> None:
    replica = stand_ins[0]
    replica.headers[FILE] = {**FOR_EVER, "Cache-Control": "no-store"}
    nginx = start_nginx([replica.host])
    async with http(nginx) as client:
        for _ in range(3):
            assert (await client.get(FILE)).headers["Cache-Control"] == "no-store"
        replica.headers[FILE] = FOR_EVER  # the version has arrived
        for _ in range(3):
            assert (await client.get(FILE)).headers["Cache-Control"] == FOR_EVER["Cache-Control"]
    assert len(replica.asked) == 4


async def test_what_is_kept_outlives_the_replica_it_came_from(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]
) -> None:
    replica = stand_ins[0]
    replica.headers[FILE] = FOR_EVER
    nginx = start_nginx([replica.host])
    async with http(nginx) as client:
        assert (await client.get(FILE)).status_code == 200
        replica.draining = True
        assert (await client.get(FILE)).status_code == 200
        assert (await client.get("/api/streams")).status_code == 503, "the control"


@pytest.mark.parametrize("path", ["/static/viewer/stream.js", "/s/show", "/embed.js", "/api/streams"])
async def test_nothing_else_is_kept_whatever_it_says(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn], path: str
) -> None:
    replica = stand_ins[0]
    replica.headers[path] = FOR_EVER
    nginx = start_nginx([replica.host])
    async with http(nginx) as client:
        for _ in range(3):
            await client.get(path)
    assert len(replica.asked) == 3


async def test_plain_and_tls_are_kept_apart(start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]) -> None:
    replica = stand_ins[0]
    replica.headers[FILE] = FOR_EVER
    nginx = start_nginx([replica.host], behind=["127.0.0.0/8"])
    async with http(nginx) as client:
        for scheme in ("https", "http", "https", "http"):
            await client.get(FILE, headers={"X-Forwarded-Proto": scheme})
    assert [asked.headers["X-Forwarded-Proto"] for asked in replica.asked] == ["https", "http"]
