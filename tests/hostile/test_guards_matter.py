"""Positive controls: with its guard taken away each of these attacks succeeds, so the tests of the guards can fail."""

from __future__ import annotations

import gc
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import aiosqlite
import httpx
import pytest
import pytest_asyncio
from sqlalchemy.ext.asyncio import AsyncConnection
from starlette.types import Scope, Send

import server.store.drops
import server.store.streams
import server.web.security
from server import commands
from server.accounts.door import Door
from server.accounts.keep import MemoryKeep
from server.app import opened
from server.domain.user import Role, User
from server.settings import read
from tests.hostile.conftest import Person
from tests.journeys.conftest import PASSWORD

ORIGIN = "http://shop.test"


@dataclass(frozen=True)
class Inside:
    """A whole shop within this process, on the embedded default."""

    http: httpx.AsyncClient
    cookies: dict[Person, str]

    async def call(self, method: str, path: str, person: Person, body: Any = None, **headers: str) -> httpx.Response:
        """A call of a person from the shop's own page, unless `headers` say otherwise."""
        more = {"Cookie": self.cookies[person], "Origin": ORIGIN} | headers
        return await self.http.request(method, path, json=body, headers=more)


@pytest_asyncio.fixture
async def inside(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Inside]:
    monkeypatch.chdir(tmp_path)
    settings = read({"DROPCAST_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/shop.db", "DROPCAST_RATE_LIMITS": "off"})
    await commands.init_db(settings)
    await commands.seed_demo(settings)
    people = {Person.VIEWER: Role.VIEWER, Person.HOST: Role.HOST, Person.RIVAL: Role.HOST}
    for person, role in people.items():
        email = f"{person}@example.com"
        await commands.create_user(settings, email=email, role=role, name=None, password=PASSWORD)
    async with (
        opened(settings) as house,
        httpx.AsyncClient(transport=httpx.ASGITransport(house.asgi), base_url=ORIGIN) as http,
    ):
        cookies = {}
        for person in people:
            login = {"email": f"{person}@example.com", "password": PASSWORD}
            answer = await http.post("/api/login", json=login)
            cookies[person] = answer.headers["set-cookie"].partition(";")[0]
            http.cookies.clear()
        yield Inside(http, cookies)
    # a task that is ended in the middle of a statement leaves its connection open; a process would have ended here
    for left in [thing for thing in gc.get_objects() if type(thing) is aiosqlite.Connection]:
        await left.close()


# Each attack says whether it succeeded; each removal takes one guard away.


async def a_foreign_page_calls(inside: Inside) -> bool:
    answer = await inside.call("POST", "/api/sessions/end-others", Person.VIEWER, Origin="https://evil.example")
    return answer.status_code == 200


def nobody_looks_at_origins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.web.security.Origins, "allow", lambda *_: True)


async def a_viewer_commands_as_a_host(inside: Inside) -> bool:
    body = {"slug": "s-" + secrets.token_hex(4), "title": "Mine"}
    return (await inside.call("POST", "/api/host/streams", Person.VIEWER, body)).status_code == 201


def every_role_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Role, "includes", lambda *_: True)


async def a_host_starts_anothers_stream(inside: Inside) -> bool:
    slug = "s-" + secrets.token_hex(4)
    await inside.call("POST", "/api/host/streams", Person.HOST, {"slug": slug, "title": "Mine"})
    return (await inside.call("POST", f"/api/host/streams/{slug}/start", Person.RIVAL)).status_code == 200


def nobody_asks_whose_stream_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    asks = server.store.streams.owned

    async def owned(connection: AsyncConnection, host: User, *where: Any, **more: Any) -> Any:
        return await asks(connection, replace(host, role=Role.ADMIN), *where, **more)

    monkeypatch.setattr(server.store.streams, "owned", owned)


async def a_cookie_is_forged(inside: Inside) -> bool:
    name, _, value = inside.cookies[Person.HOST].partition("=")
    forged = f"{name}={value.partition('.')[0]}.{'A' * 43}"
    return (await inside.call("GET", "/api/me", Person.HOST, Cookie=forged)).status_code == 200


def signatures_are_not_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Door, "_secret", lambda _, cookie: cookie and cookie.rpartition(".")[0])


async def a_page_may_be_framed_by_anybody(inside: Inside) -> bool:
    answer = await inside.call("GET", "/login", Person.VIEWER)
    return "frame-ancestors 'self'" not in answer.headers.get("content-security-policy", "")


def answers_carry_no_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    def as_they_are(_scope: Scope, send: Send) -> Send:
        return send

    monkeypatch.setattr(server.web.security, "_with_headers", as_they_are)


async def a_body_is_endless(inside: Inside) -> bool:
    answer = await inside.call("POST", "/api/login", Person.VIEWER, {"email": "x" * 2**20, "password": "x"})
    return answer.status_code != 413


def no_body_is_too_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(server.web.security, "_too_large", lambda _: False)
    monkeypatch.setattr("starlette.middleware.body_limit.RequestBodyLimitMiddleware.__call__", _unlimited)


async def _unlimited(self: Any, *arguments: Any) -> None:
    await self.app(*arguments)


async def a_ticket_is_used_twice(inside: Inside) -> bool:
    keep = MemoryKeep()
    await keep.put("ticket:x", "value", 30)
    return (await keep.take("ticket:x"), await keep.take("ticket:x"))[1] is not None


def what_is_taken_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(MemoryKeep, "take", MemoryKeep.peek)


Attack = Callable[[Inside], Awaitable[bool]]
Removal = Callable[[pytest.MonkeyPatch], None]
CONTROLS: list[tuple[Attack, Removal]] = [
    (a_foreign_page_calls, nobody_looks_at_origins),
    (a_viewer_commands_as_a_host, every_role_is_enough),
    (a_host_starts_anothers_stream, nobody_asks_whose_stream_it_is),
    (a_cookie_is_forged, signatures_are_not_checked),
    (a_page_may_be_framed_by_anybody, answers_carry_no_headers),
    (a_body_is_endless, no_body_is_too_large),
    (a_ticket_is_used_twice, what_is_taken_stays),
]


async def test_each_attack_fails_at_its_guard_and_succeeds_without_it(inside: Inside) -> None:
    for attack, take_away in CONTROLS:
        assert not await attack(inside), attack.__name__
        with pytest.MonkeyPatch.context() as monkeypatch:
            take_away(monkeypatch)
            assert await attack(inside), f"{attack.__name__} fails although {take_away.__name__}"


@pytest.mark.parametrize(("most", "status"), [(3, 409), (4, 201)], ids=["full", "control"])
async def test_a_hosts_run_sheet_has_an_end(
    inside: Inside, monkeypatch: pytest.MonkeyPatch, most: int, status: int
) -> None:
    monkeypatch.setattr(server.store.drops, "DROPS_MAX", most)
    await inside.call("POST", "/api/host/streams", Person.HOST, {"slug": "full", "title": "T"})
    (product,) = (await inside.http.get("/api/products?q=DEMO-1")).json()["products"][:1]
    stock = [{"variant": product["variants"][0]["id"], "quantity": 1}]
    drop = {"product": product["id"], "price": 1, "currency": "USD", "limit": 1, "stock": stock}
    answers = [await inside.call("POST", "/api/host/streams/full/drops", Person.HOST, drop) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [201, 201, 201, status]
