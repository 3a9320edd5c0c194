"""A shop whose every part may be killed, with a MariaDB and a Redis of its own; and the rounds' seeds."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.journeys.conftest import Premises, furnish
from tests.services.mariadb import MariaDB
from tests.services.nginx import Nginx
from tests.services.process import Service
from tests.services.redis import Redis
from tests.services.replica import Replica, shared_settings


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """A round for each seed: the one that was given and those after it."""
    if "fault_seed" in metafunc.fixturenames:
        given = metafunc.config.getoption("--fault-seed")
        first = secrets.randbelow(1_000_000) if given is None else given
        seeds = range(first, first + metafunc.config.getoption("--fault-rounds"))
        metafunc.parametrize("fault_seed", seeds, ids=[f"fault-seed={seed}" for seed in seeds])


@dataclass
class Fragile:
    """The running shop, and its mortal parts by name."""

    premises: Premises
    parts: dict[str, Service]


@contextmanager
def standing(*, durable: bool) -> Iterator[Fragile]:
    """A running shop; without `durable`, its MariaDB answers a COMMIT before it writes it down."""
    with MariaDB(durable=durable) as mariadb, Redis() as redis:
        settings = {
            **shared_settings(mariadb.url(mariadb.create_database()), redis.fresh_url()),
            "DROPCAST_TICK_MS": "1000",
            "DROPCAST_RATE_LIMITS": "off",
        }
        asyncio.run(furnish(settings))
        with Replica(settings) as first, Replica(settings) as second, Nginx([first.host, second.host]) as nginx:
            parts: dict[str, Service] = {"replica-0": first, "replica-1": second, "mariadb": mariadb, "redis": redis}
            yield Fragile(Premises(settings, [first, second], nginx), parts)


@pytest.fixture(scope="module")
def _shared_fragile() -> Iterator[Fragile]:
    with standing(durable=True) as fragile:
        yield fragile


@pytest.fixture
def fragile(_shared_fragile: Fragile, artifacts: Path) -> Iterator[Fragile]:
    """One shop for all rounds, as durable as production's, and whole again after each; the logs are kept."""
    for name in ("mariadb", "redis", "replica-0", "replica-1"):
        _shared_fragile.parts[name].ensure()
    yield _shared_fragile
    for name, part in _shared_fragile.parts.items():
        (artifacts / f"{name}.log").write_text(part.log_text(), encoding="utf-8")


@pytest.fixture
def forgetful() -> Iterator[Fragile]:
    """A shop whose MariaDB loses the last second when it is killed."""
    with standing(durable=False) as fragile:
        yield fragile
