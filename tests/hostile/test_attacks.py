"""Attacks on a running replica which no other test makes. docs/security.md says which guard each of them meets."""

from __future__ import annotations

import http.client
import secrets
from collections.abc import Callable, Mapping

import httpx
import pytest

from tests.client import Api, LiveClient
from tests.hostile.conftest import Besieged, Person, joined, sale_of
from tests.hostile.surface import calls, served
from tests.journeys.conftest import PASSWORD
from tests.services.replica import Replica

PAGES = sorted(call.removeprefix("GET ") for call in calls(served()) if call.startswith("GET /") and "/api" not in call)
STRANGE = ("\U0001f419", "\x00", "é", "' OR '1'='1", '" OR ""="', "%", "_", "\\", "*/ OR 1=1 --", "x" * 3000)


def client(besieged: Besieged) -> httpx.AsyncClient:
    return httpx.AsyncClient(base_url=besieged.origin, trust_env=False, verify=False)


@pytest.mark.parametrize("page", [*PAGES, "/nowhere", "/api/me", "/admin/"])
async def test_every_answer_forbids_foreign_scripts_frames_and_guessed_types(besieged: Besieged, page: str) -> None:
    path = page.format(stream="any", file="shared/api.js")
    async with client(besieged) as http_:
        headers = (await http_.get(path, headers=besieged.headers(Person.ADMIN))).headers
    rules = dict(rule.strip().partition(" ")[::2] for rule in headers["content-security-policy"].split(";"))
    assert rules["frame-ancestors"] == ("'none'" if page.startswith("/admin") else "'self'")
    assert rules["base-uri"] == "'none'"
    assert rules["form-action"] == "'self'"
    scripts = rules.get("script-src", rules["default-src"])
    assert "'unsafe-eval'" not in scripts
    assert "http:" not in scripts
    assert "https:" not in scripts
    assert ("'unsafe-inline'" in scripts) == page.startswith("/admin")  # its library writes scripts into its pages
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"
    # the window that opened a pop-up of an embed is told of the pass by it; nobody else holds on to ours
    popup = page in ("/embed/sign-in", "/login", "/register", "/forgot")
    assert headers["cross-origin-opener-policy"] == ("unsafe-none" if popup else "same-origin")
    public = page in ("/static/{file}", "/embed.js")
    assert headers.get("access-control-allow-origin") == ("*" if public else None)
    assert headers.get("cross-origin-resource-policy") == ("cross-origin" if public else None)
    assert "access-control-allow-credentials" not in headers
    assert "server" not in headers


async def test_a_known_and_an_unknown_address_are_refused_in_the_same_words(besieged: Besieged) -> None:
    answers = set()
    async with client(besieged) as http_:
        for email in ("host@example.com", "nobody@example.com", "not an address"):
            answer = await http_.post("/api/login", json={"email": email, "password": "wrong " + PASSWORD})
            shown = {name: value for name, value in answer.headers.items() if name != "date"}
            answers.add((answer.status_code, answer.content, tuple(sorted(shown.items()))))
    assert len(answers) == 1


async def test_a_session_that_was_foisted_on_somebody_is_not_the_one_they_sign_in_to(besieged: Besieged) -> None:
    planted = besieged.sign_in(Person.RIVAL)
    login = {"email": "viewer@example.com", "password": PASSWORD}
    async with client(besieged) as http_:
        headers = {"Cookie": planted, "Origin": besieged.origin}
        answer = await http_.post("/api/login", json=login, headers=headers)
        (own,) = answer.cookies.jar
        assert f"{own.name}={own.value}" != planted
        held = answer.headers["set-cookie"].lower()
        assert "httponly" in held
        assert "samesite=lax" in held
        mine = await http_.get("/api/me", headers={"Cookie": planted})
        assert mine.json()["user"]["name"] == "rival"  # whoever planted it still sees themselves, and nobody else


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Forwarded-Host": "evil.example", "Origin": "http://evil.example"},
        {"X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "https", "Origin": "https://evil.example"},
        {"Forwarded": "host=evil.example", "Origin": "http://evil.example"},
        {"X-Original-Host": "evil.example", "Origin": "http://evil.example"},
        {"Origin": "http://127.0.0.1"},
        {"Origin": "null"},
        {"Origin": "file://"},
        {"Origin": ""},
    ],
    ids=str,
)
async def test_no_header_makes_a_foreign_page_one_of_the_shops(besieged: Besieged, headers: Mapping[str, str]) -> None:
    cookie = {"Cookie": besieged.cookies[Person.VIEWER]}
    async with client(besieged) as http_:
        answer = await http_.post("/api/logout", headers={**cookie, **headers})
        assert answer.status_code == 403
        assert (await http_.get("/api/me", headers=cookie)).status_code == 200


async def test_a_simple_form_of_a_foreign_page_changes_nothing(besieged: Besieged) -> None:
    cookie = {"Cookie": besieged.cookies[Person.VIEWER]}
    async with client(besieged) as http_:
        for kind in ("text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"):
            headers = {**cookie, "Origin": "https://evil.example", "Content-Type": kind}
            assert (await http_.post("/api/sessions/end-all", content=b"{}", headers=headers)).status_code == 403
        assert (await http_.get("/api/me", headers=cookie)).status_code == 200


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/api/register", {"email": "n@example.com", "password": "warm apple tractor", "name": "N", "role": "admin"}),
        ("/api/login", {"email": "viewer@example.com", "password": PASSWORD, "role": "admin"}),
        ("/api/account/name", {"name": "N", "role": "admin"}),
        ("/api/account/name", {"name": "N", "id": "f" * 32}),
        ("/api/host/streams", {"slug": "s", "title": "T", "host": "rival"}),
    ],
)
async def test_nobody_names_their_own_role_or_somebody_else(
    besieged: Besieged, path: str, body: dict[str, str]
) -> None:
    async with client(besieged) as http_:
        answer = await http_.post(path, json=body, headers=besieged.headers(Person.HOST))
        assert answer.status_code == 400
        assert (await http_.get("/api/me", headers=besieged.headers(Person.VIEWER))).json()["user"]["role"] == "viewer"


async def test_names_that_are_statements_or_no_ascii_find_nothing_and_break_nothing(besieged: Besieged) -> None:
    async with client(besieged) as http_:
        everything = (await http_.get("/api/products")).json()["products"]
        assert everything
        for text in STRANGE:
            found = await http_.get("/api/products", params={"q": text})
            assert found.status_code == (400 if len(text) > 100 else 200)
            if found.status_code == 200:  # a statement is looked for by its words, and nothing but words is looked for
                hits = found.json()["products"]
                assert len(hits) < len(everything), text
                assert any(letter.isalnum() for letter in text) or not hits, text
            headers = besieged.headers(Person.HOST)
            for path in ("/api/streams/{}", "/s/{}"):
                assert (await http_.get(path.format(_quoted(text)), headers=headers)).status_code in (200, 404)
            for path in ("/api/host/streams/{}/start", "/api/host/streams/{}/end", "/api/host/drops/{}/open"):
                assert (await http_.post(path.format(_quoted(text)), headers=headers)).status_code == 404
            for name in ("cursor", "after"):
                assert (await http_.get("/api/orders", params={name: text}, headers=headers)).status_code == 400


async def test_the_ref_of_another_viewer_is_just_a_word(besieged: Besieged, host: Api) -> None:
    sale = await sale_of(besieged, host)
    ref = secrets.token_hex(8)
    async with (
        await joined(besieged, sale, Person.VIEWER) as viewer,
        await joined(besieged, sale, Person.RIVAL) as rival,
        await joined(besieged, sale, Person.GUEST) as guest,
    ):
        first = await viewer.expect_receipt(await viewer.order(sale.drop, 2, ref=ref))
        other = await rival.expect_receipt(await rival.order(sale.drop, 2, ref=ref))
        assert (first.status, other.status) == ("accepted", "accepted")
        assert first.order != other.order
        assert (await guest.expect_receipt(await guest.order(sale.drop, 2, ref=ref))).reason == "login_required"


@pytest.mark.parametrize("where", ["?ticket={}", "?token={}", "?cookie={}"])
async def test_a_ticket_in_an_address_counts_for_nothing(besieged: Besieged, host: Api, where: str) -> None:
    sale = await sale_of(besieged, host)
    ticket = await host.ticket(sale.stream)
    async with await LiveClient.join(besieged.replica.ws_url(sale.stream) + where.format(ticket)) as guest:
        assert guest.welcome.viewer is None
    assert ticket not in besieged.replica.log_text()


async def test_a_body_without_a_length_ends_at_the_same_size(besieged: Besieged) -> None:
    async def endless() -> object:
        for _ in range(40):
            yield b" " * 65536

    async with client(besieged) as http_:
        answer = await http_.post("/api/login", content=endless())  # type: ignore[arg-type]
    assert (answer.status_code, answer.json()["error"]["reason"]) == (413, "too_large")


@pytest.mark.parametrize(
    "path",
    [
        "/static/../server/settings.py",
        "/static/..%2f..%2fserver/settings.py",
        "/static/%2e%2e/%2e%2e/etc/passwd",
        "/static//etc/passwd",
        "/static/shared/..%5c..%5cserver%5csettings.py",
        "/static/%00",
        "/admin/static/../../etc/passwd",
    ],
)
def test_no_path_leads_out_of_the_pages(besieged: Besieged, path: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", besieged.replica.port, timeout=5)
    connection.request("GET", path)
    answer = connection.getresponse()
    assert answer.status in (404, 400)
    connection.close()


@pytest.mark.parametrize("address", ["a@b.example\r\nBcc: all@b.example", "a@b.example,c@b.example", "a\n@b.example"])
async def test_nobody_writes_headers_of_our_mail(besieged: Besieged, address: str) -> None:
    async with client(besieged) as http_:
        for path, more in (("/api/register", {"password": "warm apple tractor", "name": "N"}), ("/api/forgot", {})):
            answer = await http_.post(path, json={"email": address, **more})
            assert (answer.status_code, answer.json()["error"].get("field")) == (400, "email")
        name = {"email": "n@example.com", "password": "warm apple tractor", "name": "N\r\nBcc: all@b.example\x07"}
        assert (await http_.post("/api/register", json=name)).status_code == 400


async def test_a_replica_for_viewers_has_no_hosts_and_no_admins_side(
    besieged: Besieged, start_replica: Callable[[Mapping[str, str]], Replica]
) -> None:
    replica = start_replica({**besieged.settings, "DROPCAST_SURFACES": "viewer"})
    headers = {"Cookie": besieged.cookies[Person.ADMIN], "Origin": replica.url}
    async with httpx.AsyncClient(base_url=replica.url, trust_env=False, verify=False) as http_:
        assert (await http_.get("/api/me", headers=headers)).status_code == 200
        for path in ("/admin/", "/admin/product/list", "/admin/static/js/sign-out.js", "/host", "/api/host/streams"):
            assert (await http_.get(path, headers=headers)).status_code == 404
        described = (await http_.get("/api/openapi.json")).json()["paths"]
    assert "/api/streams" in described
    assert not [path for path in described if "/host" in path or "/admin" in path]


def _quoted(text: str) -> str:
    return "".join(f"%{byte:02X}" for byte in text.encode())
