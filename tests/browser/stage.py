"""A small shop to look at: one replica over SQLite, its mail, a host who sells, people who watch."""

from __future__ import annotations

import asyncio
import io
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, redirect_stdout
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext

from server import commands
from server.domain.user import Role
from server.settings import read
from tests.client import Api, LiveClient
from tests.journeys.conftest import PASSWORD
from tests.services.replica import Replica
from tests.services.smtp import Inbox

LOCALES = {"en": "en-US", "es": "es-ES", "zh": "zh-CN"}
TITLE = "The evening shop"
SKUS = [f"DEMO-{number}" for number in range(1, 9)]

PEOPLE = {
    "viewer": ("Ann Lee", Role.VIEWER),
    "newcomer": ("Noor", Role.VIEWER),  # has bought nothing
    "crowd": ("Sam", Role.VIEWER),  # buys what is to be sold out
    "host": ("Robin", Role.HOST),
    "guest-host": ("Mika", Role.HOST),  # has no stream
    "admin": ("Kim", Role.ADMIN),
}
"""Who can be signed in: name and role."""


@dataclass
class Stage:
    """What a state is made of. Streams made here are ended by `clear`, so that each state finds an empty shop."""

    replica: Replica
    inbox: Inbox
    people: dict[str, Api]
    products: dict[str, dict[str, Any]]
    _streams: list[str] = field(default_factory=list)

    @property
    def url(self) -> str:
        """Where the shop is."""
        return self.replica.url

    @property
    def host(self) -> Api:
        """The host, signed in."""
        return self.people["host"]

    async def visitor(self, browser: Browser, person: str | None, language: str, **how: Any) -> BrowserContext:
        """A browser of somebody: signed in as one of `PEOPLE`, or a guest."""
        context = await browser.new_context(base_url=self.url, locale=LOCALES[language], **how)
        if person is not None:
            cookies = self.people[person].http.cookies.jar
            await context.add_cookies([{"name": c.name, "value": c.value or "", "url": self.url} for c in cookies])
        return context

    async def stream(self, title: str = TITLE, *, live: bool = True, **more: Any) -> str:
        """The slug of a new stream."""
        slug = "show-" + secrets.token_hex(4)
        await self.host.create_stream(slug, title, **more)
        self._streams.append(slug)
        if live:
            await self.host.start(slug)
        return slug

    async def drop(
        self, stream: str, units: int | Mapping[int, int], *, sku: str = SKUS[0], opened: bool = True, **more: Any
    ) -> str:
        """The id of a new drop, on sale unless told otherwise: so many units of each variant, or by their number."""
        product = self.products[sku]
        variants = [variant["id"] for variant in product["variants"]]
        stock = (
            {variants[number]: count for number, count in units.items()}
            if isinstance(units, Mapping)
            else dict.fromkeys(variants, units)
        )
        made = await self.host.create_drop(stream, sku, stock=stock, **{"price": product["price"], **more})
        drop = str(made["id"])
        if opened:
            await self.host.open(drop)
        return drop

    async def buys(self, stream: str, drop: str, quantity: int, *, person: str = "crowd", variant: int = 0) -> None:
        """Somebody buys that many, and has the receipt."""
        chosen = (await self._drop(stream, drop))["variants"][variant]["id"]
        ticket = await self.people[person].ticket(stream)
        async with await LiveClient.join(self.replica.ws_url(stream), ticket) as client:
            receipt = await client.expect_receipt(await client.order(drop, quantity, variant=chosen))
            assert receipt.status == "accepted", receipt

    async def clear(self) -> None:
        """Ends every stream of this state."""
        while self._streams:
            slug = self._streams.pop()
            status = (await self.host.stream(slug))["stream"]["status"]
            if status == "scheduled":
                await self.host.start(slug)
            if status != "ended":
                await self.host.end(slug)

    async def _drop(self, stream: str, drop: str) -> dict[str, Any]:
        drops = (await self.host.stream(stream))["drops"]
        return next(dict(one) for one in drops if one["id"] == drop)


@asynccontextmanager
async def opened_stage() -> AsyncIterator[Stage]:
    """The shop with its catalogue and its people, all signed in."""
    folder = Path(tempfile.mkdtemp(prefix="dc-stage-", dir="/tmp"))
    try:
        with Inbox() as inbox:
            settings = {
                "DROPCAST_DATABASE_URL": f"sqlite+aiosqlite:///{folder}/shop.db",
                "DROPCAST_SMTP_URL": inbox.url,
                "DROPCAST_MAIL_FROM": "no-reply@shop.example",
                "DROPCAST_RATE_LIMITS": "off",
            }
            await _furnish(settings)
            replica = await asyncio.to_thread(Replica(settings).start)
            try:
                async with AsyncExitStack() as doors:
                    people = {person: await doors.enter_async_context(Api(replica.url)) for person in PEOPLE}
                    for person, api in people.items():
                        await api.login(f"{person}@example.com", PASSWORD)
                    products = {one["sku"]: one for sku in SKUS for one in await people["host"].products(sku)}
                    yield Stage(replica, inbox, people, products)
            finally:
                await asyncio.to_thread(replica.remove)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


async def _furnish(settings: dict[str, str]) -> None:
    configured = read(settings)
    with redirect_stdout(io.StringIO()):
        await commands.init_db(configured)
        await commands.seed_demo(configured)
        for person, (name, role) in PEOPLE.items():
            await commands.create_user(
                configured, email=f"{person}@example.com", role=role, name=name, password=PASSWORD
            )
