"""A shop that sends real mail: two replicas over one database and one Redis, limits on, and the inbox."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field

import pytest
import redis

from tests.client import Api
from tests.journeys.conftest import PASSWORD as HOST_PASSWORD
from tests.journeys.conftest import furnish
from tests.services.mariadb import MariaDB
from tests.services.redis import Redis
from tests.services.replica import Replica, shared_settings
from tests.services.smtp import Inbox

PASSWORD = "warm apple tractor"


@dataclass
class MailingShop:
    """Where the people of a test live: each caller comes from a network of their own."""

    settings: dict[str, str]
    inbox: Inbox
    replicas: list[Replica]
    secrets: list[str] = field(default_factory=list)
    """Codes and passwords that were used: none of them may be in a log."""

    def anybody(self, replica: int = 0) -> Api:
        """Somebody who is not signed in, from a network nobody has come from."""
        api = Api(self.replicas[replica].url)
        api.http.headers["X-Forwarded-For"] = somewhere()
        return api

    async def code(self, address: str, number: int = 1) -> str:
        """The code of a person's mail."""
        code = await self.inbox.code(address, number)
        self.secrets.append(code)
        return code

    def forget_limits(self) -> None:
        """As if an hour had gone by."""
        with redis.Redis.from_url(self.settings["DROPCAST_BUS_URL"]) as client:
            for key in client.scan_iter("dropcast:limits*"):
                client.delete(key)

    async def open_drop(self) -> tuple[str, str]:
        """A live stream with an open drop of five: slug and drop."""
        async with Api(self.replicas[0].url) as host:
            await host.login("host@example.com", HOST_PASSWORD)
            stream = (await host.create_stream("show-" + secrets.token_hex(4)))["slug"]
            await host.start(stream)
            (product,) = [one for one in await host.products("DEMO-1") if one["sku"] == "DEMO-1"]
            drop = await host.create_drop(stream, "DEMO-1", stock={product["variants"][0]["id"]: 5})
            await host.open(drop["id"])
        return stream, drop["id"]

    def logs(self) -> str:
        """What all replicas have said."""
        return "".join(replica.log_text() for replica in self.replicas)


def somewhere() -> str:
    """An address in a network of its own, as good as certainly."""
    return f"2001:db8:{secrets.token_hex(2)}:{secrets.token_hex(2)}::1"


def new_address() -> str:
    """An address nobody has."""
    return f"{secrets.token_hex(6)}@example.com"


@pytest.fixture(scope="session")
def _mailing(_shared_mariadb: MariaDB, _shared_redis: Redis) -> Iterator[MailingShop]:
    database = _shared_mariadb.ensure().create_database()
    with Inbox() as inbox:
        settings = {
            **shared_settings(_shared_mariadb.url(database), _shared_redis.ensure().fresh_url()),
            "DROPCAST_SMTP_URL": inbox.url,
            "DROPCAST_MAIL_FROM": "no-reply@shop.example",
            "DROPCAST_LOG_LEVEL": "debug",
        }
        asyncio.run(furnish(settings))
        with Replica(settings) as first, Replica(settings) as second:
            yield MailingShop(settings, inbox, [first, second])


@pytest.fixture
def mailing(_mailing: MailingShop) -> Iterator[MailingShop]:
    """The shared mailing shop; after each test no secret of anybody is in its logs."""
    yield _mailing
    logs = _mailing.logs()
    assert PASSWORD not in logs
    assert not [code for code in _mailing.secrets if f'"{code}"' in logs or f" {code}" in logs or f":{code}" in logs]
    assert '"level": "error"' not in logs
