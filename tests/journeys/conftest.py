"""A whole shop: two replicas over real MariaDB and Redis behind real nginx, with a host, viewers and a product."""

from __future__ import annotations

import asyncio
import io
import secrets
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, redirect_stdout
from dataclasses import dataclass, field
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.ext.asyncio import create_async_engine

from server import commands
from server.domain.user import Role
from server.settings import read
from tests.client import Api, LiveClient
from tests.services.mariadb import MariaDB
from tests.services.nginx import Nginx
from tests.services.process import eventually
from tests.services.redis import Redis
from tests.services.replica import Replica, shared_settings
from tests.services.secrets import secrets_of_the_run

PASSWORD = "correct horse battery staple"


@dataclass
class Shop:
    """What a test does in the shop. Streams, drops and orders are made over HTTP and the socket, as anybody would."""

    settings: dict[str, str]
    replicas: list[Replica]
    nginx: Nginx
    host: Api
    viewer: Api
    product: dict[str, Any]
    stack: AsyncExitStack = field(default_factory=AsyncExitStack)

    @property
    def variant(self) -> str:
        """The product's only variant."""
        return str(self.product["variants"][0]["id"])

    async def live_stream(self) -> str:
        """A stream that is live."""
        slug = "show-" + secrets.token_hex(4)
        await self.host.create_stream(slug, "A show")
        await self.host.start(slug)
        return slug

    async def drop(self, stream: str, quantity: int, *, limit: int = 2, price: int = 2400, **times: int) -> str:
        """A drop on the run sheet; `opens_at`, `closes_at` in ms since the epoch."""
        made = await self.host.post(
            f"/api/host/streams/{stream}/drops",
            {
                "product": self.product["id"],
                "price": price,
                "currency": "USD",
                "stock": [{"variant": self.variant, "quantity": quantity}],
                "limit": limit,
                **times,
            },
        )
        return str(made["drop"]["id"])

    async def watch(self, at: Replica | Nginx, stream: str, **options: Any) -> LiveClient:
        """The viewer joins with a ticket, at a replica or through nginx; leaves at the test's end."""
        return await self._join(at, stream, await self.viewer.ticket(stream), **options)

    async def guest(self, at: Replica | Nginx, stream: str, **options: Any) -> LiveClient:
        """Somebody joins who has not signed in."""
        return await self._join(at, stream, None, **options)

    async def tickets(self, stream: str, viewers: int) -> list[str]:
        """A ticket for each of so many new viewers."""
        printed = io.StringIO()
        with redirect_stdout(printed):
            await commands.mint_tickets(read(self.settings), stream=stream, viewers=viewers, ttl_s=60)
        for ticket in (tickets := printed.getvalue().split()):
            secrets_of_the_run.remember("ticket", ticket)
        return tickets

    async def with_ticket(self, at: Replica | Nginx, stream: str, ticket: str, **options: Any) -> LiveClient:
        """The bearer of a ticket joins."""
        return await self._join(at, stream, ticket, **options)

    async def rows(self, query: str, **values: Any) -> list[Any]:
        """What the database holds."""
        engine = create_async_engine(self.settings["DROPCAST_DATABASE_URL"])
        try:
            async with engine.begin() as connection:
                result = await connection.execute(text(query), values)
                return list(result.all()) if result.returns_rows else []
        finally:
            await engine.dispose()

    async def verify(self) -> None:
        """Every invariant holds."""
        printed = io.StringIO()
        with redirect_stdout(printed):
            violated = await commands.verify(read(self.settings))
        assert not violated, printed.getvalue()

    async def _join(self, at: Replica | Nginx, stream: str, ticket: str | None, **options: Any) -> LiveClient:
        client = await LiveClient.join(at.ws_url(stream), ticket, **options)
        return await self.stack.enter_async_context(client)


@dataclass
class Premises:
    """The running parts of a shop."""

    settings: dict[str, str]
    replicas: list[Replica]
    nginx: Nginx


async def furnish(settings: dict[str, str]) -> None:
    """The schema, the demo catalogue, a host and a viewer: what an operator does first."""
    configured = read(settings)
    await commands.init_db(configured)
    await commands.seed_demo(configured)
    for person, role in (("host", Role.HOST), ("rival", Role.HOST), ("viewer", Role.VIEWER)):
        email = f"{person}@example.com"
        await commands.create_user(configured, email=email, role=role, name=None, password=PASSWORD)


@pytest.fixture(scope="session")
def premises(_shared_mariadb: MariaDB, _shared_redis: Redis) -> Iterator[Premises]:
    """One shop for all journeys that break nothing: each has streams of its own in it."""
    database = _shared_mariadb.ensure().create_database()
    settings = {
        **shared_settings(_shared_mariadb.url(database), _shared_redis.ensure().fresh_url()),
        "DROPCAST_TICK_MS": "1000",
    }
    asyncio.run(furnish(settings))
    with Replica(settings) as first, Replica(settings) as second, Nginx([first.host, second.host]) as nginx:
        yield Premises(settings, [first, second], nginx)


@pytest_asyncio.fixture
async def shop(premises: Premises, mariadb: MariaDB, redis_server: Redis) -> AsyncIterator[Shop]:
    """The shared shop, well; every invariant of its database is checked after each test."""
    for replica in premises.replicas:  # an earlier test may have killed what this one has just brought back
        assert await asyncio.to_thread(eventually, replica.hears_the_bus, within_s=10)
    async with opened(premises) as shop:
        yield shop
        await shop.verify()


@pytest_asyncio.fixture
async def own_shop(
    shop_settings: dict[str, str],
    start_replica: Callable[[Mapping[str, str]], Replica],
    start_nginx: Callable[..., Nginx],
) -> AsyncIterator[Shop]:
    """A shop of this test's own, to break."""
    settings = {**shop_settings, "DROPCAST_TICK_MS": "1000", "DROPCAST_DRAIN_WITHIN_S": "4"}
    await furnish(settings)
    replicas = [start_replica(settings), start_replica(settings)]
    nginx = start_nginx([replica.host for replica in replicas])
    async with opened(Premises(settings, replicas, nginx)) as shop:
        yield shop
        await shop.verify()


@asynccontextmanager
async def opened(premises: Premises) -> AsyncIterator[Shop]:
    """The shop with a host at the first replica and a viewer at nginx, both signed in."""
    async with Api(premises.replicas[0].url) as host, Api(premises.nginx.url) as viewer:
        await host.login("host@example.com", PASSWORD)
        await viewer.login("viewer@example.com", PASSWORD)
        (product,) = [p for p in await host.products("DEMO-1") if p["sku"] == "DEMO-1"]
        shop = Shop(premises.settings, premises.replicas, premises.nginx, host, viewer, product)
        async with shop.stack:
            yield shop
