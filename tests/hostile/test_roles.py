"""Who may do what: every route and every frame × everybody. A route or frame that is not in the table fails the run."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from server.protocol import frames
from tests.client import Api
from tests.hostile.conftest import Besieged, Person, Sale, joined, sale_of
from tests.hostile.surface import admin_calls, calls, client_frames, served

GUEST, VIEWER, HOST, RIVAL, ADMIN = Person
REFUSED_FIRST = (GUEST, VIEWER, RIVAL, ADMIN, HOST)  # who may does it last, so that it was there to be refused

NO_LOGIN, NOT_YOURS, WRONG = "401 login_required", "403 forbidden", "401 bad_credentials"
BAD, NONE = "400 bad_request", "404 not_found"


@dataclass(frozen=True)
class Row:
    """What becomes of a call, by person, in the order of `Person`; and what is sent with it."""

    outcome: tuple[str, str, str, str, str]
    body: dict[str, Any] | None = None
    ends_session: bool = False
    query: dict[str, str] | None = field(default=None, kw_only=True)
    live: bool = field(default=False, kw_only=True)


def anybody(outcome: str, body: dict[str, Any] | None = None) -> Row:
    """The same for all."""
    return Row((outcome,) * 5, body)


def signed_in(outcome: str, body: dict[str, Any] | None = None, *, ends_session: bool = False) -> Row:
    """For everybody but a guest."""
    return Row((NO_LOGIN, *(outcome,) * 4), body, ends_session)


def hosts(own: str, others: str, body: dict[str, Any] | None = None, *, live: bool = False) -> Row:
    """For hosts: `own` on their own streams, `others` on others'. An admin may do what the host may."""
    return Row((NO_LOGIN, NOT_YOURS, own, others, own), body, live=live)


PARTNER = "https://partner.example"
NOBODY = "nobody@example.com"
NEW = {"slug": "{new}", "title": "One's own"}
DROP = {
    "product": "DEMO-1",
    "price": 1,
    "currency": "USD",
    "limit": 1,
    "stock": [{"variant": "{variant}", "quantity": 1}],
}

TABLE: dict[str, Row] = {
    "GET /livez": anybody("200"),
    "GET /readyz": anybody("200"),
    "GET /metrics": anybody("200"),  # nginx keeps it inside: see nginx/dropcast.conf.template
    "GET /": anybody("200"),
    "GET /s/{stream}": anybody("200"),
    "GET /login": anybody("200"),
    "GET /forgot": anybody("200"),
    "GET /account": anybody("200"),
    "GET /offline": anybody("200"),
    "GET /manifest.webmanifest": anybody("200"),
    "GET /sw.js": anybody("200"),
    "GET /shop": anybody("200"),
    "GET /orders": anybody("200"),
    "GET /register": anybody("200"),
    "GET /embed.js": anybody("307"),  # to where the script is
    # a guest signs in first
    "GET /embed/sign-in": Row(("303", *("200",) * 4), query={"stream": "{stream}", "origin": PARTNER}),
    "POST /api/embed/pass": signed_in("200", {"stream": "{stream}", "origin": PARTNER}),
    "GET /host": anybody("200"),  # the page is public, what it calls is not
    "GET /static/{file}": anybody("200"),
    "GET /api/openapi.json": anybody("200"),
    "POST /api/login": anybody(WRONG, {"email": NOBODY, "password": "not the password"}),
    "POST /api/logout": Row(("200",) * 5, ends_session=True),
    "POST /api/forgot": anybody("202", {"email": NOBODY}),
    "POST /api/reset": anybody(WRONG, {"email": NOBODY, "code": "000000", "password": "warm apple tractor"}),
    "POST /api/register": anybody("202", {"email": NOBODY, "password": "warm apple tractor", "name": "N"}),
    "POST /api/resend": anybody("202", {"email": "somebody-else@example.com"}),
    "POST /api/verify": anybody(WRONG, {"email": "somebody-else@example.com", "code": "000000"}),
    "GET /api/me": signed_in("200"),
    "GET /api/sessions": signed_in("200"),
    "POST /api/sessions/end-others": signed_in("200"),
    "POST /api/sessions/end-all": signed_in("200", ends_session=True),
    # the session is the host's
    "POST /api/sessions/{session}/end": Row((NO_LOGIN, NONE, "200", NONE, NONE), ends_session=True),
    "POST /api/account/password": signed_in(WRONG, {"old": "not the password", "new": "warm apple tractor"}),
    "POST /api/account/email": signed_in(WRONG, {"password": "not the password", "email": NOBODY}),
    "POST /api/account/email/confirm": signed_in(WRONG, {"code": "000000"}),
    "POST /api/account/name": signed_in(BAD, {"name": "   "}),
    "POST /api/account/delete": signed_in(WRONG, {"password": "not the password"}),
    "POST /api/ticket": signed_in("200", {"stream": "{stream}"}),
    "GET /api/orders": signed_in("200"),
    "GET /api/streams": anybody("200"),
    "GET /api/streams/{stream}": anybody("200"),
    "GET /api/streams/{stream}/calendar": anybody("200"),
    "GET /api/products": anybody("200"),
    "GET /api/host/streams": hosts("200", "200"),
    "POST /api/host/streams": hosts("201", "201", NEW),
    "POST /api/host/streams/{stream}/embed": hosts("200", NOT_YOURS, {"origins": [PARTNER]}),
    "POST /api/host/streams/{stream}/start": hosts("200", NOT_YOURS),
    "POST /api/host/streams/{stream}/end": hosts("200", NOT_YOURS, live=True),
    "POST /api/host/streams/{stream}/drops": hosts("201", NOT_YOURS, DROP),
    "POST /api/host/drops/{drop}/open": hosts("200", NOT_YOURS),
    "POST /api/host/drops/{drop}/close": hosts("200", NOT_YOURS, live=True),
    "POST /api/host/drops/{drop}/restock": hosts("200", NOT_YOURS, {"variant": "{variant}", "quantity": 1}, live=True),
}

SIGN_IN, PAGE = "303", "403"
OPEN = "GET /admin/static/{file}"
ADMIN_TABLE: dict[str, str] = {  # what an admin gets; a change without the form's token is not done
    OPEN: "200",  # public software
    "GET /admin/": "200",
    "GET /admin/{key}/list": "200",
    "GET /admin/{key}/detail": "200",
    "GET /admin/{key}/create": "200",
    "POST /admin/{key}/create": "403",
    "GET /admin/{key}/edit": "200",
    "POST /admin/{key}/edit": "403",
    "GET /admin/_api/{key}/inline-edit": "403",
    "POST /admin/_api/{key}/inline-edit": "403",
    "GET /admin/_api/{key}/inline-edit/row": "404",
    "GET /admin/_api/{key}/relation-lookup": "200",
    "POST /admin/_api/{key}/import": "403",
    "POST /admin/_api/{key}/action": "403",
    "POST /admin/_api/{key}/row-action": "403",
    "GET /admin/_files/{storage}/{path}": "404",
}

FRAME_TABLE: dict[str, tuple[str, str, str, str, str]] = {
    "hello": ("a guest", "viewer", "host", "rival", "admin"),  # who the welcome says you are
    "order": ("login_required", "accepted", "accepted", "accepted", "accepted"),
}


def test_every_route_and_every_frame_is_in_the_tables() -> None:
    assert set(calls(served())) - {"WS /ws/{stream}"} == TABLE.keys()
    assert admin_calls() == ADMIN_TABLE.keys()
    assert client_frames() == FRAME_TABLE.keys()


@pytest.mark.parametrize("call", TABLE)
async def test_a_call_ends_as_the_table_says_for_everybody(besieged: Besieged, host: Api, call: str) -> None:
    row = TABLE[call]
    sale = (
        await sale_of(besieged, host, live=row.live, embed_origins=[PARTNER])
        if "{" in call or row.body or row.query
        else Sale("", "")
    )
    expected = dict(zip(Person, row.outcome, strict=True))
    found = {}
    async with httpx.AsyncClient(base_url=besieged.origin, trust_env=False, verify=False) as http:
        for person in REFUSED_FIRST:
            answer = await _called(http, besieged, call, row, sale, person)
            found[person] = _outcome(answer)
            if row.ends_session and person is not GUEST:
                besieged.sign_in(person)
    assert found == expected


@pytest.mark.parametrize("call", ADMIN_TABLE)
async def test_the_admins_side_is_for_admins(besieged: Besieged, call: str) -> None:
    method, _, path = call.partition(" ")
    names = {"key": "product", "file": "js/sign-out.js", "storage": "s", "path:path": "../../etc/passwd"}
    for name, value in names.items():
        path = path.replace(f"{{{name}}}", value)
    if "/detail" in path or path.endswith("product/edit"):
        path = f"{path}?pk={besieged.product['id']}"
    others = ("200",) * 4 if call == OPEN else (SIGN_IN, PAGE, PAGE, PAGE)
    found = {}
    async with httpx.AsyncClient(base_url=besieged.origin, trust_env=False, verify=False) as http:
        for person in Person:
            answer = await http.request(method, path, headers=besieged.headers(person))
            found[person] = str(answer.status_code)
            if found[person] == SIGN_IN:
                assert answer.headers["location"].startswith("/login?next=%2Fadmin%2F")
    assert found == dict(zip(Person, (*others, ADMIN_TABLE[call]), strict=True))


async def test_a_frame_ends_as_the_table_says_for_everybody(besieged: Besieged, host: Api) -> None:
    sale = await sale_of(besieged, host)
    for place, person in enumerate(Person):
        async with await joined(besieged, sale, person) as client:
            viewer = client.welcome.viewer
            assert (viewer.name if viewer else "a guest") == FRAME_TABLE["hello"][place]
            receipt = await client.expect_receipt(await client.order(sale.drop))
            assert (receipt.reason or receipt.status) == FRAME_TABLE["order"][place]


async def test_hello_comes_once_and_an_order_after_it_for_everybody(besieged: Besieged, host: Api) -> None:
    sale = await sale_of(besieged, host)
    for person in Person:
        async with await joined(besieged, sale, person) as client:
            await client.send({"type": "hello", "v": 1})
            assert "hello" in (await client.expect(frames.Fault)).detail
            assert await client.expect_close() == 4500


async def _called(
    http: httpx.AsyncClient, besieged: Besieged, call: str, row: Row, sale: Sale, person: Person
) -> httpx.Response:
    method, _, path = call.partition(" ")
    names = {
        "stream": sale.stream,
        "drop": sale.drop,
        "variant": besieged.variant,
        "new": "own-" + secrets.token_hex(4),
        "file": "shared/api.js",
        "session": "",
    }
    if "{session}" in path:
        answer = await http.get("/api/sessions", headers=besieged.headers(HOST))
        names["session"] = next(session["id"] for session in answer.json()["sessions"] if session["current"])
    body = _filled(row.body, names)
    query = _filled(row.query, names)
    return await http.request(method, path.format_map(names), json=body, params=query, headers=besieged.headers(person))


def _filled(body: Any, names: dict[str, str]) -> Any:
    match body:
        case dict():
            return {name: _filled(value, names) for name, value in body.items()}
        case list():
            return [_filled(value, names) for value in body]
        case str():
            return body.format_map(names)
        case _:
            return body


def _outcome(answer: httpx.Response) -> str:
    """The status, and from 400 on the reason."""
    if answer.status_code < 400:
        return str(answer.status_code)
    return f"{answer.status_code} {answer.json()['error']['reason']}"
