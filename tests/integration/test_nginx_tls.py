"""TLS at nginx: what it speaks, what it refuses, and what replicas are told of it."""

from __future__ import annotations

import asyncio
import socket
import ssl
import time
from collections.abc import Callable

import httpx
import pytest

from tests.services import tls
from tests.services.nginx import Nginx
from tests.services.stand_in import StandIn, http, watch

StartNginx = Callable[..., Nginx]


async def test_pages_come_over_http_2_and_sockets_over_http_1_on_the_same_port(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]
) -> None:
    nginx = start_nginx([stand_ins[0].host], tls=True)
    async with http(nginx, http2=True) as client:
        answer = await client.get("/")
    assert (answer.status_code, answer.http_version, answer.text) == (200, "HTTP/2", "a page")
    async with http(nginx) as client:
        assert (await client.get("/")).http_version == "HTTP/1.1"
    async with watch(nginx) as socket:
        assert str(await socket.recv()).startswith("hello from ")
        await socket.send("x" * 100_000)
        assert len(await socket.recv()) == 100_000
    asked = stand_ins[0].asked
    assert [request.headers["X-Forwarded-Proto"] for request in asked] == ["https"] * 3
    assert {request.headers["Host"] for request in asked} == {nginx.host}


async def test_who_comes_without_tls_is_sent_to_it_and_reaches_no_replica(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]
) -> None:
    nginx = start_nginx([stand_ins[0].host], tls=True)
    async with httpx.AsyncClient(base_url=nginx.plain_url, trust_env=False) as client:
        for method in ("GET", "POST"):
            answer = await client.request(method, "/s/show?lang=es")
            assert answer.status_code == 308
            assert answer.headers["location"] == f"{nginx.url}/s/show?lang=es"
        assert (await client.get("/metrics")).status_code == 308
    assert stand_ins[0].asked == []


@pytest.mark.parametrize("most", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1], ids=["up to TLS 1.1", "up to TLS 1.0"])
@pytest.mark.filterwarnings("ignore:ssl.TLSVersion:DeprecationWarning")
def test_old_tls_is_refused(start_nginx: StartNginx, most: ssl.TLSVersion) -> None:
    nginx = start_nginx(["127.0.0.1:9"], tls=True)
    old = tls.trusting()
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, most
    with pytest.raises(ssl.SSLError):
        shake_hands(nginx, old)


@pytest.mark.parametrize("cipher", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES256-SHA"], ids=["no ECDHE", "CBC"])
def test_ciphers_without_forward_secrecy_or_authentication_are_refused(start_nginx: StartNginx, cipher: str) -> None:
    nginx = start_nginx(["127.0.0.1:9"], tls=True)
    weak = tls.trusting()
    weak.maximum_version = ssl.TLSVersion.TLSv1_2
    weak.set_ciphers(cipher)
    with pytest.raises(ssl.SSLError):
        shake_hands(nginx, weak)


def test_a_session_is_resumed_and_no_ticket_is_given(start_nginx: StartNginx) -> None:
    nginx = start_nginx(["127.0.0.1:9"], tls=True)
    context = tls.trusting()
    context.maximum_version = ssl.TLSVersion.TLSv1_2
    session, reused = shake_hands(nginx, context)
    assert session is not None
    assert not reused
    assert not session.has_ticket
    assert shake_hands(nginx, context, session)[1]


def shake_hands(
    nginx: Nginx, context: ssl.SSLContext, session: ssl.SSLSession | None = None
) -> tuple[ssl.SSLSession | None, bool | None]:
    with (
        socket.create_connection(("127.0.0.1", nginx.port), timeout=10) as plain,
        context.wrap_socket(plain, server_hostname="localhost", session=session) as secure,
    ):
        return secure.session, secure.session_reused


@pytest.mark.parametrize("over_tls", [False, True], ids=["plain", "TLS"])
async def test_a_header_that_comes_byte_by_byte_is_cut_after_ten_seconds(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn], *, over_tls: bool
) -> None:
    nginx = start_nginx([stand_ins[0].host], tls=over_tls)
    reader, writer = await asyncio.open_connection("127.0.0.1", nginx.port, ssl=tls.trusting() if over_tls else None)
    began = time.monotonic()
    writer.write(b"GET / HTTP/1.1\r\nHost: shop\r\nX-Slow: ")
    cut = asyncio.create_task(reader.read())
    while not cut.done():
        writer.write(b"x")
        await asyncio.wait({cut}, timeout=0.5)
        assert time.monotonic() - began < 15, "nobody cuts a header without end"
    assert time.monotonic() - began > 9
    writer.close()
    assert stand_ins[0].asked == []


# Behind another proxy


async def test_behind_a_proxy_its_word_of_client_and_scheme_counts(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]
) -> None:
    nginx = start_nginx([stand_ins[0].host], behind=["127.0.0.0/8"])
    said = {"X-Forwarded-For": "6.6.6.6, 203.0.113.7, 127.0.0.5", "X-Forwarded-Proto": "https"}
    async with watch(nginx, said) as socket:
        await socket.recv()
    async with http(nginx) as client:
        await client.get("/", headers=said)
        await client.get("/", headers={**said, "X-Forwarded-Proto": "gopher"})
    for asked, proto in zip(stand_ins[0].asked, ("https", "https", "http"), strict=True):
        assert asked.headers.get_all("X-Forwarded-For") == ["203.0.113.7"]
        assert asked.headers.get_all("X-Forwarded-Proto") == [proto]
    assert {entry["client"] for entry in nginx.access_log(lines=3)} == {"203.0.113.7"}


async def test_somebody_who_is_not_that_proxy_is_not_believed(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]
) -> None:
    nginx = start_nginx([stand_ins[0].host], behind=["10.0.0.0/8"])
    async with http(nginx) as client:
        await client.get("/", headers={"X-Forwarded-For": "10.0.0.1", "X-Forwarded-Proto": "https"})
    (asked,) = stand_ins[0].asked
    assert asked.headers["X-Forwarded-For"] == "127.0.0.1"
    assert asked.headers["X-Forwarded-Proto"] == "http"
