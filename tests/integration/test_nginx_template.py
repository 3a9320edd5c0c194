"""The configuration we ship, in the real nginx, in front of two stand-ins for replicas."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import InvalidStatus

from nginx.limits import Limits
from nginx.render import PORTS_PER_UPSTREAM, Proxy, render
from tests.services import tls
from tests.services.nginx import Nginx
from tests.services.ports import free_port
from tests.services.programs import path_of
from tests.services.release import ROOT
from tests.services.replica import command_environment
from tests.services.stand_in import StandIn, error_of, http, watch

DEAD = "127.0.0.1:9"
StartNginx = Callable[..., Nginx]


# The text


@pytest.mark.parametrize(
    "upstreams",
    [
        ["127.0.0.1:8001"],
        ["127.0.0.1:8001", "127.0.0.1:8002"],
        ["127.0.0.1:8001", "127.0.0.1:8002", "localhost:8003", "[::1]:8004"],
        ["unix:/run/dropcast/1.sock", "unix:/run/dropcast/2.sock"],
        ["127.0.0.1:8001", "unix:/run/dropcast/2.sock"],
    ],
)
@pytest.mark.parametrize("listen", ["127.0.0.1:8088", "*:8088", "[::1]:8088"])
def test_nginx_accepts_what_is_rendered(tmp_path: Path, listen: str, upstreams: list[str]) -> None:
    text = render(
        Proxy(
            listen=listen,
            upstreams=upstreams,
            prefix=str(tmp_path),
            server_name="shop.example.com",
            operators=["10.0.0.0/8", "fd00::/8"],
        )
    )
    assert_nginx_accepts(tmp_path, text)


TLS = {"tls_certificate": str(tls.certificate()[0]), "tls_key": str(tls.certificate()[1])}
NO_LIMITS = Limits(sockets=0, joins_per_s=0, requests_per_s=0, requests_at_once=0)


@pytest.mark.parametrize(
    "options",
    [
        {**scheme, **limits, **operators}
        for scheme, limits, operators in product(
            [{}, TLS, {**TLS, "redirect": "*:8089"}, {**TLS, "redirect": "*:8089", "https_port": 8088},
             {"behind": ["10.0.0.0/8"]}, {"behind": ["10.0.0.0/8", "fd00::/8"]}],
            [{}, {"limits": NO_LIMITS}, {"limits": Limits(sockets=0, requests_at_once=0)},
             {"limits": Limits(joins_per_s=0, requests_per_s=0)}],
            [{}, {"operators": ["10.0.0.0/8"], "workers": "2"}],
        )
    ],
)  # fmt: skip
def test_nginx_accepts_every_combination_of_options(tmp_path: Path, options: dict[str, Any]) -> None:
    upstreams = ["127.0.0.1:8001", "unix:/run/dropcast/2.sock"]
    assert_nginx_accepts(tmp_path, render(Proxy(listen="*:8088", upstreams=upstreams, **options)))


def test_nginx_accepts_what_the_command_writes_in_any_folder(tmp_path: Path) -> None:
    text = run_render("--listen", "127.0.0.1:8088", "--upstream", "127.0.0.1:8001").stdout
    assert_nginx_accepts(tmp_path, text)
    assert str(tmp_path) not in text  # relative: it goes where `nginx -p` says


def assert_nginx_accepts(folder: Path, text: str) -> None:
    (folder / "nginx.conf").write_text(text)
    tried = subprocess.run(
        [path_of("nginx"), "-t", "-p", str(folder), "-c", str(folder / "nginx.conf"), "-e", "stderr"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert tried.returncode == 0, tried.stderr
    assert "[warn]" not in tried.stderr.replace("exceed open file resource limit", "")
    assert {"access.log", "temp-body", "temp-proxy"} <= {path.name for path in folder.iterdir()}


def test_the_arithmetic_in_the_comments_is_that_of_the_directives() -> None:
    text = render(Proxy(listen="*:80", upstreams=["a:1", "b:1"], worker_connections=20_000))
    assert "worker_connections 20000;" in text
    assert "20000 / 2 = 10000" in text
    assert f"2 x {PORTS_PER_UPSTREAM:,} = 56,464 viewers" in text
    files = re.search(r"worker_rlimit_nofile (\d+);", text)
    assert files is not None
    assert int(files[1]) > 20_000


SECURE = ["--listen", "*:443", "--upstream", "a:1", "--tls-certificate", "/c.pem", "--tls-key", "/k.pem"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["--listen", "*:80"],
        ["--upstream", "127.0.0.1:8001"],
        ["--listen", "*:80", "--upstream", "127.0.0.1"],
        ["--listen", "*:80", "--upstream", "127.0.0.1:0"],
        ["--listen", "*:80", "--upstream", "127.0.0.1:65536"],
        ["--listen", "*:80", "--upstream", "*:8001"],
        ["--listen", "*:80", "--upstream", ":8001"],
        ["--listen", "*:80", "--upstream", "[::zz]:8001"],
        ["--listen", "*:80", "--upstream", "unix:relative"],
        ["--listen", "*:80", "--upstream", "unix:/a b"],
        ["--listen", "*:80", "--upstream", "127.0.0.1:8001 down"],
        ["--listen", "*:80", "--upstream", "127.0.0.1:8001;"],
        ["--listen", "*:80", "--upstream", "127.0.0.1:8001\n"],
        ["--listen", "*:80", "--upstream", "unix:/a\n"],
        ["--listen", "*:80", "--upstream", "$host:8001"],
        ["--listen", "*:80", "--upstream", "a:1", "--upstream", "a:1"],
        ["--listen", "*:80; root /", "--upstream", "a:1"],
        ["--listen", "*:80", "--upstream", "a:1", "--server-name", "a;b"],
        ["--listen", "*:80", "--upstream", "a:1", "--prefix", "/a b"],
        ["--listen", "*:80", "--upstream", "a:1", "--pid", "/a;"],
        ["--listen", "*:80", "--upstream", "a:1", "--user", "root; x"],
        ["--listen", "*:80", "--upstream", "a:1", "--operators", "everybody"],
        ["--listen", "*:80", "--upstream", "a:1", "--workers", "many"],
        ["--listen", "*:80", "--upstream", "a:1", "--worker-connections", "0"],
        ["--listen", "*:80", "--upstream", "a:1", "--open-files", "-1"],
        ["--listen", "*:80", "--upstream", "a:1", "--body-max", "8m; x"],
        ["--listen", "*:80", "--upstream", "a:1", "--resolver", "10.0.0.1; x"],
        ["--listen", "*:80", "--upstream", "a:1", "--resolver", ""],
        ["--listen", "*:80", "--upstream", "unix:/a", "--resolver", "10.0.0.1"],
        ["--listen", "*:443", "--upstream", "a:1", "--tls-certificate", "/c.pem"],
        ["--listen", "*:443", "--upstream", "a:1", "--tls-key", "/k.pem"],
        ["--listen", "*:443", "--upstream", "a:1", "--tls-certificate", "c.pem", "--tls-key", "/k.pem"],
        ["--listen", "*:443", "--upstream", "a:1", "--tls-certificate", "/c;.pem", "--tls-key", "/k.pem"],
        [*SECURE, "--tls-cache-mb", "0"],
        [*SECURE, "--redirect", "*:443"],
        [*SECURE, "--redirect", "81"],
        [*SECURE, "--redirect", "*:80", "--https-port", "0"],
        [*SECURE, "--behind", "10.0.0.0/8"],
        ["--listen", "*:80", "--upstream", "a:1", "--redirect", "*:81"],
        ["--listen", "*:80", "--upstream", "a:1", "--behind", "the balancer"],
        ["--listen", "*:80", "--upstream", "a:1", "--sockets", "-1"],
        ["--listen", "*:80", "--upstream", "a:1", "--sockets", "65536"],
        ["--listen", "*:80", "--upstream", "a:1", "--requests-at-once", "65536"],
        ["--listen", "*:80", "--upstream", "a:1", "--joins-per-s", "many"],
    ],
)
def test_bad_arguments_are_refused_with_one_clear_error(arguments: list[str]) -> None:
    refused = run_render(*arguments)
    assert refused.returncode == 2
    assert refused.stdout == ""
    assert "error: " in refused.stderr
    assert "Traceback" not in refused.stderr


def run_render(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "nginx", "render", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=command_environment({}),
        check=False,
    )


# Sockets


async def test_an_upgrade_passes_both_ways(start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]) -> None:
    nginx = start_nginx([stand_in.host for stand_in in stand_ins])
    async with watch(nginx) as socket:
        assert str(await socket.recv()).startswith("hello from ")
        await socket.send("x" * 100_000)
        assert len(await socket.recv()) == 100_000


async def test_an_upgrade_that_a_draining_replica_refuses_is_accepted_by_the_other(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]
) -> None:
    leaving, staying = stand_ins
    leaving.draining = True
    nginx = start_nginx([leaving.host, staying.host])
    for _ in range(8):
        async with watch(nginx) as socket:
            assert await socket.recv() == f"hello from {staying.port}"
    assert leaving.asked, "the draining replica was never tried: this test proves nothing"


async def test_an_upgrade_sent_to_a_dead_replica_is_accepted_by_the_other(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]
) -> None:
    alive, _ = stand_ins
    nginx = start_nginx([DEAD, alive.host])
    for _ in range(8):
        async with watch(nginx) as socket:
            assert await socket.recv() == f"hello from {alive.port}"
    tried = [entry["upstream"] for entry in nginx.access_log(lines=8)]
    assert f"{DEAD}, {alive.host}" in tried


async def test_a_replica_that_comes_back_is_used_again_and_gets_the_next_viewers(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]
) -> None:
    one, two = stand_ins
    one.draining = True
    nginx = start_nginx([one.host, two.host])
    watching: list[ClientConnection] = []
    try:
        watching += [await watch(nginx) for _ in range(4)]
        assert (one.opened, two.opened) == (0, 4)
        one.draining = False
        async with asyncio.timeout(10):  # for a while nginx still takes `one` for failed
            while one.opened == 0:
                async with watch(nginx) as passing:
                    await passing.recv()
        before = two.opened
        watching += [await watch(nginx) for _ in range(3)]
        assert two.opened == before
    finally:
        for socket in watching:
            await socket.close()


async def test_without_any_replica_the_answer_is_the_interfaces_error(start_nginx: StartNginx) -> None:
    nginx = start_nginx([DEAD, "127.0.0.1:10"])
    with pytest.raises(InvalidStatus) as refused:
        await watch(nginx)
    assert refused.value.response.status_code == 502
    assert error_of(bytes(refused.value.response.body))["reason"] == "busy"
    async with http(nginx) as client:
        answer = await client.get("/api/streams")
    assert answer.status_code == 502
    assert answer.headers["content-type"] == "application/json"
    assert answer.headers["retry-after"] == "2"
    assert error_of(answer.content)["reason"] == "busy"


async def test_only_a_websocket_upgrade_passes(start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]) -> None:
    nginx = start_nginx([stand_ins[0].host])
    async with http(nginx) as client:
        await client.get("/ws/live", headers={"Upgrade": "h2c", "Connection": "Upgrade, HTTP2-Settings"})
    (asked,) = stand_ins[0].asked
    assert asked.headers.get("Upgrade") is None
    assert asked.headers.get("Connection") is None


# What passes of a request


async def test_what_a_client_says_about_its_address_is_overwritten(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]
) -> None:
    nginx = start_nginx([stand_ins[0].host])
    forged = {
        "X-Forwarded-For": "6.6.6.6",
        "X-Forwarded-Proto": "https",
        "Forwarded": "for=6.6.6.6",
        "X-Real-IP": "6.6.6.6",
    }
    async with watch(nginx, forged) as socket:
        await socket.recv()
    async with http(nginx) as client:
        await client.get("/", headers=forged)
    assert len(stand_ins[0].asked) == 2
    for asked in stand_ins[0].asked:
        assert asked.headers.get_all("X-Forwarded-For") == ["127.0.0.1"]
        assert asked.headers.get_all("X-Forwarded-Proto") == ["http"]
        assert asked.headers.get("Forwarded") is None
        assert asked.headers.get("X-Real-IP") is None
        assert asked.headers["Host"] == nginx.host


@pytest.mark.parametrize(
    "path", ["/metrics", "/livez", "/readyz", "/metrics/", "//metrics", "/x/../metrics", "/%6detrics", "/metrics?a=b"]
)
async def test_operators_pages_are_shut(start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn], path: str) -> None:
    nginx = start_nginx([stand_ins[0].host])
    status, body = await get_as_written(nginx, path)
    assert status == 403
    assert error_of(body)["reason"] == "forbidden"
    assert stand_ins[0].asked == []


async def test_operators_pages_are_open_to_the_networks_named(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]
) -> None:
    nginx = start_nginx([stand_ins[0].host], operators=["127.0.0.0/8"])
    status, body = await get_as_written(nginx, "/metrics")
    assert (status, body) == (200, b"a page")


async def get_as_written(nginx: Nginx, path: str) -> tuple[int, bytes]:
    """GET without a client that tidies the path up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", nginx.port)
    writer.write(f"GET {path} HTTP/1.1\r\nHost: {nginx.host}\r\nConnection: close\r\n\r\n".encode())
    head, _, body = (await asyncio.wait_for(reader.read(), 10)).partition(b"\r\n\r\n")
    writer.close()
    await writer.wait_closed()
    return int(head.split()[1]), body


async def test_no_query_string_reaches_a_log(start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]) -> None:
    nginx = start_nginx([DEAD, stand_ins[0].host])
    async with watch(nginx, {"Referer": "http://elsewhere/?ticket=SECRET"}, "?ticket=SECRET") as socket:
        await socket.recv()
    async with http(nginx) as client:
        await client.get("/metrics?ticket=SECRET")
        await client.get("/api/products?q=SECRET")
    entries = nginx.access_log(lines=3)
    assert {entry["path"] for entry in entries} == {"/ws/live", "/metrics", "/api/products"}
    logs = [*nginx.folder.glob("*.log"), nginx.log]
    assert len(logs) == 3
    assert [log.name for log in logs if "SECRET" in log.read_text()] == []


async def test_a_post_that_was_sent_is_not_sent_again(start_nginx: StartNginx) -> None:
    one, two = _Breaking(), _Breaking()
    async with await one.start(), await two.start():
        nginx = start_nginx([one.host, two.host])
        async with http(nginx) as client:
            answer = await client.post("/api/host/drops/1/open", json={})
            assert answer.status_code == 502
            assert error_of(answer.content)["reason"] == "busy"
            assert len(one.requests + two.requests) == 1
            await client.get("/api/streams")
            assert len(one.requests + two.requests) == 3, "the control: a GET is tried on both"


class _Breaking:
    """Reads a request and breaks the connection: whether it was done nobody knows."""

    def __init__(self) -> None:
        self.host = f"127.0.0.1:{free_port()}"
        self.requests: list[bytes] = []

    async def start(self) -> asyncio.Server:
        host, port = self.host.split(":")
        return await asyncio.start_server(self._break, host, int(port))

    async def _break(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.requests.append(await reader.readuntil(b"\r\n\r\n"))
        writer.close()
        await writer.wait_closed()


async def test_too_large_a_body_gets_the_interfaces_error(
    start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]
) -> None:
    nginx = start_nginx([stand_ins[0].host], body_max="1k")
    async with http(nginx) as client:
        answer = await client.post("/api/login", content=b"x" * 2048)
    assert answer.status_code == 413
    assert error_of(answer.content)["reason"] == "bad_request"
    assert stand_ins[0].asked == []


async def test_nginx_says_nothing_of_its_version(start_nginx: StartNginx, stand_ins: tuple[StandIn, StandIn]) -> None:
    nginx = start_nginx([stand_ins[0].host])
    async with http(nginx) as client:
        answer = await client.get("/metrics")
    assert answer.headers["server"] == "nginx"


async def test_a_unix_socket_is_an_upstream_like_any_other(start_nginx: StartNginx, tmp_path: Path) -> None:
    path = tmp_path / "replica.sock"
    async with await asyncio.start_unix_server(_hello, path):
        nginx = start_nginx([f"unix:{path}"])
        status, body = await get_as_written(nginx, "/")
    assert (status, body) == (200, b"hello")


async def _hello(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello")
    writer.close()
    await writer.wait_closed()
