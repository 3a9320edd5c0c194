"""Fixtures: real services, one of each for the whole run, and what each test gets of them."""

from __future__ import annotations

import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser

from tests.services.chromium import chromium
from tests.services.mariadb import MariaDB
from tests.services.nginx import Nginx
from tests.services.programs import MissingProgramsError, require_all
from tests.services.redis import Redis
from tests.services.replica import Replica, shared_settings
from tests.services.secrets import secrets_of_the_run

_ARTIFACTS = Path(__file__).resolve().parents[1] / "test-artifacts"


def pytest_addoption(parser: pytest.Parser) -> None:
    """How some folders are run; here, because options must be known before that folder is looked at."""
    parser.addoption("--fault-seed", type=int, default=None, help="the first round's seed (default: any)")
    parser.addoption("--fault-rounds", type=int, default=1, help="rounds of random kills, each with the next seed")
    parser.addoption("--deploy-from", default=None, help="a commit, or `before` (default: none)")
    parser.addoption("--deploy-viewers", type=int, default=100, help="who look on while another version comes")
    parser.addoption("--hostile-seed", type=int, default=1, help="what tests/hostile makes its requests and frames of")
    parser.addoption("--hostile-times", type=int, default=1, help="how many times as many of them")
    parser.addoption("--all-looks", action="store_true", help="every state of every page in every size and language")


def pytest_sessionstart(session: pytest.Session) -> None:
    """A program that is missing stops the run at once: a test that was skipped would prove nothing.

    SIGTERM ends the run as Ctrl-C does: services are stopped and their folders removed.
    """
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        require_all()
    except MissingProgramsError as missing:
        raise pytest.UsageError(str(missing)) from None


_LEAKS = pytest.StashKey[list[str]]()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """No secret that the tests used is in a log of any replica or command: one fails the run."""
    session.config.stash[_LEAKS] = secrets_of_the_run.leaks()
    if session.config.stash[_LEAKS]:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Says which, and where."""
    for leak in config.stash.get(_LEAKS, []):
        terminalreporter.write_line(f"SECRET IN A LOG: {leak}", red=True)


@pytest.fixture(scope="session")
def _shared_mariadb() -> Iterator[MariaDB]:
    with MariaDB() as server:
        yield server


@pytest.fixture
def mariadb(_shared_mariadb: MariaDB) -> MariaDB:
    """The run's MariaDB, up and well. A test may kill, pause and restart it."""
    return _shared_mariadb.ensure()


@pytest.fixture
def database_url(mariadb: MariaDB) -> Iterator[str]:
    """A fresh, empty database of this test, for DROPCAST_DATABASE_URL."""
    database = mariadb.create_database()
    yield mariadb.url(database)
    mariadb.ensure().drop_database(database)


@pytest.fixture(scope="session")
def _shared_redis() -> Iterator[Redis]:
    with Redis() as server:
        yield server


@pytest.fixture
def redis_server(_shared_redis: Redis) -> Redis:
    """The run's Redis, up and well. A test may kill, pause, flush and restart it."""
    return _shared_redis.ensure()


@pytest.fixture
def bus_url(redis_server: Redis) -> str:
    """An empty database number of this test, for DROPCAST_BUS_URL."""
    return redis_server.fresh_url()


@pytest.fixture
def shop_settings(database_url: str, bus_url: str) -> dict[str, str]:
    """Settings of one shop over MariaDB and Redis, for `start_replica` and `run_command`."""
    return shared_settings(database_url, bus_url)


@pytest.fixture
def start_replica(artifacts: Path) -> Iterator[Callable[[Mapping[str, str]], Replica]]:
    """`start_replica(settings)` gives a replica that is ready; all are stopped at the test's end, their logs kept."""
    started: list[Replica] = []

    def start(settings: Mapping[str, str]) -> Replica:
        replica = Replica(settings)
        started.append(replica)
        return replica.start()

    yield start
    for number, replica in enumerate(started, 1):
        (artifacts / f"replica-{number}.log").write_text(replica.log_text(), encoding="utf-8")
        replica.kill()
        replica.remove()


@pytest.fixture
def start_nginx() -> Iterator[Callable[..., Nginx]]:
    """`start_nginx(upstreams, …)` gives an nginx that is ready; all are stopped at the test's end."""
    started: list[Nginx] = []

    def start(*arguments: object, **options: object) -> Nginx:
        nginx = Nginx(*arguments, **options)  # type: ignore[arg-type]
        started.append(nginx)
        return nginx.start()

    yield start
    for nginx in started:
        nginx.remove()


@pytest_asyncio.fixture
async def browser() -> AsyncIterator[Browser]:
    """A headless Chromium; make a context of your own for each person."""
    async with chromium() as launched:
        yield launched


@pytest.fixture
def artifacts(request: pytest.FixtureRequest) -> Path:
    """This test's folder under test-artifacts/, for screenshots, logs and traces."""
    folder = _ARTIFACTS / re.sub(r"[^\w.-]+", "_", request.node.nodeid)[-150:]
    folder.mkdir(parents=True, exist_ok=True)
    return folder
