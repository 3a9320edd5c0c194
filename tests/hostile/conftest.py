"""A shop under attack: one replica over MariaDB and Redis, without limits, and everybody who may be at its door."""

from __future__ import annotations

import asyncio
import io
import secrets
from collections.abc import AsyncIterator, Iterator
from contextlib import redirect_stdout
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import httpx
import pytest
import pytest_asyncio

from server import commands
from server.domain.drop import TIME_MAX_MS
from server.domain.user import Role
from server.settings import read
from tests.client import Api, LiveClient
from tests.journeys.conftest import PASSWORD, furnish
from tests.services.mariadb import MariaDB
from tests.services.redis import Redis
from tests.services.replica import Replica, shared_settings
from tests.services.secrets import secrets_of_the_run


class Person(StrEnum):
    """Who calls. The rival is a host, but not of this stream."""

    GUEST = "guest"
    VIEWER = "viewer"
    HOST = "host"
    RIVAL = "rival"
    ADMIN = "admin"


@dataclass(frozen=True)
class Besieged:
    """The replica, and the cookie of everybody who has one."""

    settings: dict[str, str]
    replica: Replica
    cookies: dict[Person, str]
    product: dict[str, Any]

    @property
    def origin(self) -> str:
        """The origin of the shop's own pages."""
        return self.replica.url

    @property
    def variant(self) -> str:
        """The product's only variant."""
        return str(self.product["variants"][0]["id"])

    def headers(self, person: Person) -> dict[str, str]:
        """What the browser of a person sends from the shop's own pages."""
        cookie = self.cookies.get(person)
        return {"Origin": self.origin} | ({"Cookie": cookie} if cookie else {})

    def sign_in(self, person: Person) -> str:
        """A new session: its cookie. The one before stays."""
        login = {"email": f"{person}@example.com", "password": PASSWORD}
        answer = httpx.post(f"{self.origin}/api/login", json=login, trust_env=False, verify=False)
        assert answer.status_code == 200, answer.text
        (cookie,) = answer.cookies.jar
        secrets_of_the_run.remember("session cookie", str(cookie.value).partition(".")[0])
        self.cookies[person] = f"{cookie.name}={cookie.value}"
        return self.cookies[person]

    def complaints(self) -> list[str]:
        """What its log holds of bugs: nothing that anybody sends may be an error of ours."""
        lines = self.replica.log_text().splitlines()
        return [line for line in lines if '"level": "error"' in line or "Traceback" in line or "critical" in line]


@pytest.fixture
def hostile_seed(pytestconfig: pytest.Config) -> int:
    """What requests and frames are made of: the same again for the same number."""
    return int(pytestconfig.getoption("--hostile-seed"))


@pytest.fixture
def hostile_times(pytestconfig: pytest.Config) -> int:
    """How many times as many of them as in a usual run."""
    return int(pytestconfig.getoption("--hostile-times"))


@pytest.fixture(scope="session")
def _besieged(_shared_mariadb: MariaDB, _shared_redis: Redis) -> Iterator[Besieged]:
    database = _shared_mariadb.ensure().create_database()
    settings = {
        **shared_settings(_shared_mariadb.url(database), _shared_redis.ensure().fresh_url()),
        "DROPCAST_RATE_LIMITS": "off",
        "DROPCAST_TICK_MS": "1000",
    }

    async def furnished() -> None:
        await furnish(settings)
        admin = f"{Person.ADMIN}@example.com"
        await commands.create_user(read(settings), email=admin, role=Role.ADMIN, name=None, password=PASSWORD)

    asyncio.run(furnished())
    with Replica(settings) as replica:
        (product,) = httpx.get(f"{replica.url}/api/products?q=DEMO-1", trust_env=False).json()["products"][:1]
        besieged = Besieged(settings, replica, {}, product)
        for person in Person:
            if person is not Person.GUEST:
                besieged.sign_in(person)
        yield besieged
        printed = io.StringIO()
        with redirect_stdout(printed):
            violated = asyncio.run(commands.verify(read(settings)))
        assert not violated, printed.getvalue()


@pytest.fixture
def besieged(_besieged: Besieged) -> Iterator[Besieged]:
    """The shop; after each test its log has no error, and at the end its database no contradiction."""
    yield _besieged
    assert _besieged.complaints() == []


@pytest_asyncio.fixture
async def host(besieged: Besieged) -> AsyncIterator[Api]:
    """The host, signed in."""
    async with Api(besieged.origin) as api:
        api.http.headers["Cookie"] = besieged.cookies[Person.HOST]
        yield api


@dataclass(frozen=True)
class Sale:
    """A live stream of the host's with an open drop."""

    stream: str
    drop: str


async def sale_of(
    besieged: Besieged, host: Api, *, quantity: int = 1000, limit: int = 1000, live: bool = True, **more: Any
) -> Sale:
    """A new one; not `live`: as it is planned. `more` is said of the stream."""
    slug = "siege-" + secrets.token_hex(4)
    await host.create_stream(slug, "A stream to attack", **{"starts_at": TIME_MAX_MS} | more)
    drop = await host.create_drop(slug, "DEMO-1", stock={besieged.variant: quantity}, limit=limit)
    if live:
        await host.start(slug)
        await host.open(drop["id"])
    return Sale(slug, drop["id"])


async def joined(besieged: Besieged, sale: Sale, person: Person, **options: Any) -> LiveClient:
    """A person at the stream's socket, by cookie."""
    url = besieged.replica.ws_url(sale.stream)
    return await LiveClient.join(url, cookie=besieged.cookies.get(person), origin=besieged.origin, **options)
