"""The commands of compose.yaml, run as they stand there by the real programs, with ports and folders of the test."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
import redis

from tests.client import Api, ApiError
from tests.journeys.conftest import PASSWORD, furnish
from tests.services.compose import SECRETS, services
from tests.services.mariadb import MariaDB
from tests.services.ports import free_port
from tests.services.process import Service, eventually
from tests.services.programs import path_of
from tests.services.redis import Redis
from tests.services.replica import Replica, command_environment, run_command

SERVICES = services(SECRETS)


def is_healthy(service: str, *options: str, instead: tuple[str, str] = ("", "")) -> bool:
    """What the service's health check says, told by further options, or other words, which port to ask."""
    kind, program, *words = SERVICES[service]["healthcheck"]["test"]
    assert kind == "CMD"
    words = [path_of(program), *options, *(word.replace(*instead) for word in words)]
    return not subprocess.run(words, capture_output=True, timeout=10, check=False).returncode


def edge_configuration(folder: Path, upstreams: Sequence[str], port: int) -> Path:
    """What the service `edge` writes, with these replicas for its own."""
    (words,) = SERVICES["edge"]["command"]
    for number, upstream in enumerate(upstreams, 11):
        words = words.replace(f"172.31.250.{number}:8080", upstream)
    words = words.replace("*:8080", f"127.0.0.1:{port}").replace("/var/cache/nginx", str(folder))
    inherited = command_environment({})
    path = f"{Path(sys.executable).parent}:{inherited['PATH']}"
    subprocess.run([*SERVICES["edge"]["entrypoint"], words], cwd=folder, env={**inherited, "PATH": path}, check=True)
    return folder / "nginx.conf"


class ComposedNginx(Service):
    """nginx as the service starts it."""

    name = "nginx"
    death_signal = "TERM"

    def __init__(self, upstreams: Sequence[str]) -> None:
        super().__init__()
        self._upstreams = upstreams

    def command(self) -> Sequence[str]:
        configuration = edge_configuration(self.folder, self._upstreams, self.port)
        if os.geteuid() == 0:  # a container's nginx is nobody's root, and this folder is root's
            configuration.write_text("user root;\n" + configuration.read_text())
        elsewhere = {"/var/cache/nginx": str(self.folder), "/edge/nginx.conf": str(configuration)}
        words = [elsewhere.get(word, word) for word in SERVICES["nginx"]["command"]]
        return [path_of(*SERVICES["nginx"]["entrypoint"]), *words]

    def is_ready(self) -> bool:
        return (self.folder / "nginx.pid").exists()


class ComposedRedis(Redis):
    """Redis with the service's options."""

    def command(self) -> Sequence[str]:
        program, *options = SERVICES["redis"]["command"]
        return [path_of(program), *options, "--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(self.folder)]


@pytest.fixture
def composed_redis() -> Iterator[ComposedRedis]:
    with ComposedRedis() as server:
        yield server


@pytest.fixture
def composed_mariadb() -> Iterator[MariaDB]:
    """The service's options but for MySQL's own, `--mysqlx`, and the binary log that MySQL has by default."""
    options = [word for word in SERVICES["mysql"]["command"] if "mysqlx" not in word]
    with MariaDB(options=["--log-bin", *options]) as server:
        yield server


async def test_a_shop_of_the_services_commands(
    composed_mariadb: MariaDB,
    composed_redis: ComposedRedis,
    start_replica: Callable[[Mapping[str, str]], Replica],
) -> None:
    """The schema by `migrate`, a replica by the settings of `live-1`, nginx by what `edge` wrote; and their health."""
    named = composed_mariadb.create_database()
    settings = {
        **SERVICES["live-1"]["environment"],
        "DROPCAST_DATABASE_URL": composed_mariadb.url(named),
        "DROPCAST_BUS_URL": composed_redis.url(),
        "DROPCAST_TRUSTED_PROXIES": "127.0.0.1",
    }
    set_up = run_command(SERVICES["migrate"]["command"], settings)
    assert set_up.returncode == 0, set_up.stderr
    await furnish(settings)

    replica = start_replica(settings)
    health = SERVICES["live-1"]["healthcheck"]["test"][2:]
    assert run_command(health, {**settings, "DROPCAST_BIND": replica.host}).returncode == 0
    with ComposedNginx([replica.host, f"127.0.0.1:{free_port()}"]) as nginx:
        at = ("127.0.0.1:8080", f"127.0.0.1:{nginx.port}")
        assert eventually(lambda: is_healthy("nginx", instead=at), within_s=5)
        async with Api(f"http://127.0.0.1:{nginx.port}") as shopper:
            await shopper.login("viewer@example.com", PASSWORD)
            assert await shopper.products("DEMO-1")
        await asyncio.to_thread(replica.stop)
        assert not is_healthy("nginx", instead=at)


def test_the_database_has_an_accepted_order_on_the_disk(composed_mariadb: MariaDB) -> None:
    names = "'innodb_flush_log_at_trx_commit', 'sync_binlog', 'max_connections', 'log_bin'"
    said = dict(composed_mariadb.execute(f"SHOW GLOBAL VARIABLES WHERE Variable_name IN ({names})"))
    assert said == {
        "innodb_flush_log_at_trx_commit": "1",
        "sync_binlog": "1",
        "max_connections": "100",
        "log_bin": "ON",
    }


async def test_a_full_redis_refuses_to_keep_more_and_still_rings(
    database_url: str,
    composed_redis: ComposedRedis,
    start_replica: Callable[[Mapping[str, str]], Replica],
) -> None:
    settings = {
        "DROPCAST_DATABASE_URL": database_url,
        "DROPCAST_BUS_URL": composed_redis.url(),
        "DROPCAST_SECRET_KEYS": SECRETS["DROPCAST_SECRET_KEYS"],
    }
    await furnish(settings)
    replica = start_replica(settings)
    async with Api(replica.url) as host:
        await host.login("host@example.com", PASSWORD)
        await host.create_stream("full", "A show")
        with composed_redis.client() as client:
            assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "noeviction"}
            client.config_set("maxmemory", "100kb")  # it holds more than that when it is empty
            with pytest.raises(redis.exceptions.OutOfMemoryError):
                client.set("more", "x")
        with pytest.raises(ApiError) as refused:
            await host.ticket("full")
        assert refused.value.status == 503
        await host.start("full")
        assert replica.hears_the_bus()
        async with Api(replica.url) as viewer:
            await viewer.login("viewer@example.com", PASSWORD)


def test_mysql_and_redis_are_healthy_until_they_are_gone(composed_mariadb: MariaDB, composed_redis: Redis) -> None:
    composed_mariadb.create_database()  # its user may come over TCP, as the image's may from its start
    for service, server, option in (("mysql", composed_mariadb, "--port"), ("redis", composed_redis, "-p")):
        assert is_healthy(service, option, str(server.port))
        server.stop()
        assert not is_healthy(service, option, str(server.port))


def test_nginx_takes_what_edge_writes_with_the_addresses_of_the_replicas(tmp_path: Path) -> None:
    configuration = edge_configuration(tmp_path, [], free_port())
    for name in ("live-1", "live-2"):
        assert f"server {SERVICES[name]['networks']['front']['ipv4_address']}:8080 " in configuration.read_text()
    words = [path_of("nginx"), "-t", "-e", "stderr", "-p", str(tmp_path), "-c", str(configuration)]
    said = subprocess.run(words, capture_output=True, text=True, check=False)
    assert said.returncode == 0, said.stderr
