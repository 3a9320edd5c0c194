"""The services of the tests are real, apart from each other, and leave nothing behind."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import aiomysql  # type: ignore[import-untyped,unused-ignore]
import pymysql  # type: ignore[import-untyped,unused-ignore]
import pytest
import redis
from playwright.async_api import Browser
from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import create_async_engine

from tests.services import ports, programs
from tests.services.mariadb import Database, MariaDB
from tests.services.nginx import Nginx
from tests.services.process import PortTakenError, Service, ServiceError, eventually, members_of_group
from tests.services.redis import Redis
from tests.services.release import ROOT
from tests.services.replica import Replica, command_environment, run_command, shared_settings

SERVICES = [
    pytest.param(MariaDB, id="mariadb"),
    pytest.param(Redis, id="redis"),
    pytest.param(lambda: Nginx(["127.0.0.1:9"]), id="nginx"),
]


@pytest.fixture(params=SERVICES)
def service(request: pytest.FixtureRequest) -> Iterator[Service]:
    with request.param() as started:
        yield started


def answers(service: Service) -> bool:
    return service.running and service.is_ready()


def test_a_service_that_started_answers_and_one_that_stopped_is_gone_with_its_children(service: Service) -> None:
    group = service.pid
    assert answers(service)
    assert group in members_of_group(group)
    service.stop()
    assert members_of_group(group) == []
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", service.port), timeout=1)


def test_a_killed_service_is_gone_with_its_children_and_starts_again_on_its_port(service: Service) -> None:
    group, port = service.pid, service.port
    service.kill()
    assert members_of_group(group) == []
    assert not service.running
    service.start()
    assert service.port == port
    assert service.pid != group
    assert answers(service)


def test_a_paused_service_can_still_be_stopped(service: Service) -> None:
    service.pause()
    service.stop()
    assert not service.running


def test_remove_leaves_no_folder(service: Service) -> None:
    service.remove()
    assert not service.folder.exists()
    service.remove()  # safe to repeat


def test_a_service_whose_port_was_taken_starts_on_another_one(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        given = iter([port, port, ports.free_port()])
        monkeypatch.setattr("tests.services.process.free_port", lambda: next(given))
        with Redis() as server:
            assert server.port != port
            assert answers(server)


def test_a_service_whose_clients_know_its_port_says_so_when_it_is_taken() -> None:
    with Redis() as server:
        server.stop()
        with socket.create_server(("127.0.0.1", server.port)), pytest.raises(PortTakenError, match="in use"):
            server.start()


def test_a_service_that_exits_instead_of_starting_tells_its_last_words_at_once() -> None:
    server = MariaDB(options=["--no-such-option"])
    try:
        with pytest.raises(ServiceError, match="no-such-option"):
            server.start()
    finally:
        server.remove()


def test_two_servers_of_a_kind_live_side_by_side(redis_server: Redis) -> None:
    with Redis() as other, redis_server.client() as here, other.client() as there:
        here.set("only", "here")
        assert there.get("only") is None
        assert other.port != redis_server.port
    assert answers(redis_server)


def test_nothing_survives_a_test_run_that_is_killed() -> None:
    program = (
        "import sys\n"
        "from tests.services.nginx import Nginx\n"
        "from tests.services.redis import Redis\n"
        "for service in (Redis().start(), Nginx(['127.0.0.1:9']).start()):\n"
        "    print(service.pid, service.folder, flush=True)\n"
        "sys.stdin.read()\n"
    )
    environment = command_environment({})
    with subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
        text=True,
        cwd=ROOT,
    ) as run:
        assert run.stdout is not None
        said = [run.stdout.readline().split() for _ in range(2)]
        groups = [int(pid) for pid, _ in said]
        try:
            assert all(members_of_group(group) for group in groups)
            run.send_signal(signal.SIGKILL)
            run.wait(10)
            gone = eventually(lambda: not any(members_of_group(group) for group in groups), within_s=10)
            assert gone, [members_of_group(group) for group in groups]
        finally:
            for group in groups:
                for left in members_of_group(group):
                    os.kill(left, signal.SIGKILL)
            for _, folder in said:
                shutil.rmtree(folder)


# MariaDB


async def test_a_database_url_works_with_the_driver_the_server_uses(database_url: str) -> None:
    engine = create_async_engine(database_url)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("CREATE TABLE words (id INT PRIMARY KEY, word TEXT)"))
            await connection.execute(text("INSERT INTO words VALUES (1, '拍卖 🛍')"))
            word = (await connection.execute(text("SELECT word FROM words"))).scalar_one()
    finally:
        await engine.dispose()
    assert word == "拍卖 🛍"


async def test_a_test_sees_no_other_database_than_its_own(mariadb: MariaDB, database_url: str) -> None:
    url = make_url(database_url)
    other = mariadb.create_database()
    try:
        connection = await aiomysql.connect(
            host=url.host, port=url.port, user=url.username, password=url.password, db=url.database
        )
        try:
            async with connection.cursor() as cursor:
                for refused in (f"USE {other.name}", "CREATE DATABASE more", "CREATE USER more"):
                    with pytest.raises(pymysql.err.OperationalError, match=r"denied"):
                        await cursor.execute(refused)
        finally:
            connection.close()
    finally:
        mariadb.drop_database(other)


def test_the_servers_owner_cannot_sign_in_over_tcp(mariadb: MariaDB) -> None:
    with pytest.raises(pymysql.err.OperationalError, match=r"denied|not allowed"):
        pymysql.connect(host="127.0.0.1", port=mariadb.port, user="root", password="")


def test_what_was_committed_survives_a_kill_and_the_settings_are_durable(mariadb: MariaDB) -> None:
    database = mariadb.create_database()
    mariadb.execute("CREATE TABLE kept (id INT PRIMARY KEY) ENGINE=InnoDB", database)
    mariadb.execute("INSERT INTO kept VALUES (7)", database)
    mariadb.kill()
    mariadb.start()
    assert mariadb.execute("SELECT id FROM kept", database) == [(7,)]
    assert mariadb.execute(
        "SELECT @@innodb_flush_log_at_trx_commit, @@sync_binlog, @@character_set_server, @@performance_schema"
    ) == [(1, 1, "utf8mb4", 0)]
    mariadb.drop_database(database)


def test_a_database_that_was_dropped_is_gone_with_its_user(mariadb: MariaDB) -> None:
    database: Database = mariadb.create_database()
    mariadb.drop_database(database)
    assert mariadb.execute(f"SHOW DATABASES LIKE '{database.name}'") == []
    assert mariadb.execute(f"SELECT 1 FROM mysql.user WHERE user = '{database.user}'") == []


def test_a_paused_server_answers_nothing_until_it_is_resumed(mariadb: MariaDB, database_url: str) -> None:
    url = make_url(database_url)

    def connect() -> None:
        pymysql.connect(
            host=url.host,
            port=url.port,
            user=url.username,
            password=url.password,
            read_timeout=1,
            connect_timeout=1,
        ).close()

    mariadb.pause()
    try:
        with pytest.raises(pymysql.err.OperationalError):
            connect()
    finally:
        mariadb.resume()
    connect()


def test_the_shared_servers_come_back_whatever_a_test_did_to_them(mariadb: MariaDB, redis_server: Redis) -> None:
    mariadb.pause()
    redis_server.kill()
    assert answers(mariadb.ensure())
    assert answers(redis_server.ensure())


# Redis


def test_redis_keeps_nothing_over_a_restart(redis_server: Redis) -> None:
    with redis_server.client() as client:
        client.set("news", "old")
    redis_server.restart()
    with redis_server.client() as client:
        assert client.get("news") is None


def test_each_test_has_a_redis_database_of_its_own_and_flush_empties_them_all(redis_server: Redis) -> None:
    one, two = redis_server.fresh_url(), redis_server.fresh_url()
    with redis.Redis.from_url(one) as first, redis.Redis.from_url(two) as second:
        first.set("who", "first")
        assert second.get("who") is None
        redis_server.flush()
        assert first.get("who") is None


def test_dropped_connections_are_cut_though_the_server_stays(redis_server: Redis, bus_url: str) -> None:
    with redis.Redis.from_url(bus_url) as client, client.pubsub() as heard:
        heard.subscribe("stream")
        assert heard.get_message(timeout=2) is not None
        redis_server.drop_connections()
        assert heard.connection is not None
        with pytest.raises(redis.ConnectionError):
            heard.connection.read_response(timeout=2)


# Replicas, programs, browser


def test_a_replica_that_cannot_start_tells_its_last_words_at_once(database_url: str, bus_url: str) -> None:
    settings = {**shared_settings(database_url, bus_url), "DROPCAST_NO_SUCH_SETTING": "1"}
    replica = Replica(settings)
    try:
        with pytest.raises(ServiceError, match="exited instead of starting"):
            replica.start()
    finally:
        replica.remove()


def test_a_command_gets_the_settings_given_and_none_of_the_environments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DROPCAST_BIND", "inherited")
    assert "DROPCAST_BIND" not in command_environment({})
    assert command_environment({"DROPCAST_BIND": "given"})["DROPCAST_BIND"] == "given"
    assert run_command(["no-such-command"], {}).returncode != 0


def test_a_missing_program_is_named_with_its_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(programs.NEEDED, "some-package", ("no-such-program",))
    with pytest.raises(programs.MissingProgramsError, match=r"no-such-program\..*apt-get install some-package"):
        programs.require_all()


def test_a_run_without_a_program_it_needs_fails_at_once_with_one_error() -> None:
    run = subprocess.run(
        [sys.executable, "-c", _PYTEST_WITHOUT_NGINX, str(ROOT / "tests/integration/test_services.py")],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=command_environment({}),
        check=False,
    )
    assert run.returncode == pytest.ExitCode.USAGE_ERROR
    assert "ERROR: the tests need programs that are not installed: no-nginx." in run.stdout + run.stderr
    assert "Traceback" not in run.stdout + run.stderr


_PYTEST_WITHOUT_NGINX = """
import sys, pytest
from tests.services import programs
programs.NEEDED["nginx"] = ("no-nginx",)
sys.exit(pytest.main(["-p", "no:cacheprovider", *sys.argv[1:]]))
"""


async def test_chromium_runs_a_page(browser: Browser, artifacts: Path) -> None:
    page = await browser.new_page()
    await page.set_content("<title>Dropcast</title><button>Buy</button>")
    assert await page.title() == "Dropcast"
    await page.screenshot(path=artifacts / "page.png")
    assert (artifacts / "page.png").stat().st_size > 0


def test_what_waits_for_a_condition_gives_up_in_time(start_nginx: Callable[..., Nginx]) -> None:
    nginx = start_nginx(["127.0.0.1:9"])
    with pytest.raises(AssertionError, match="fewer than 1 lines"):
        nginx.access_log(lines=1, within_s=0.1)
