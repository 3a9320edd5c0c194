"""A stream on the page of another site: who may show it, who one is there, and how that ends."""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from itsdangerous import URLSafeSerializer
from websockets.exceptions import InvalidStatus

from server.accounts.passes import PASS_MAX_S
from server.protocol import frames
from tests.client import Api, ApiError, LiveClient
from tests.journeys.conftest import PASSWORD, Shop
from tests.services.replica import Replica
from tests.services.secrets import secrets_of_the_run

PARTNER, OTHER, EVIL = "https://partner.example", "http://localhost:3999", "https://evil.example"
CORS = "access-control-"


async def embedded(shop: Shop, *origins: str) -> str:
    """A live stream that these origins may embed."""
    stream = await shop.live_stream()
    await shop.host.post(f"/api/host/streams/{stream}/embed", {"origins": list(origins or (PARTNER,))})
    return stream


async def pass_of(person: Api, stream: str, origin: str = PARTNER) -> str:
    """What the pop-up gives to the page of another site, after the tap on Allow."""
    made = str((await person.post("/api/embed/pass", {"stream": stream, "origin": origin}))["pass"])
    secrets_of_the_run.remember("pass", made)
    return made


async def asked(shop: Shop, stream: str, shown: str, origin: str | None = PARTNER, **headers: str) -> httpx.Response:
    """A ticket by a pass, as the page of another site asks for it."""
    async with httpx.AsyncClient(base_url=shop.nginx.url, trust_env=False) as page:
        headers |= {"Origin": origin} if origin is not None else {}
        return await page.post("/api/ticket", json={"stream": stream, "pass": shown}, headers=headers)


async def ticket_of(shop: Shop, stream: str, shown: str, origin: str = PARTNER) -> str:
    answer = await asked(shop, stream, shown, origin)
    assert answer.status_code == 200, answer.text
    ticket = str(answer.json()["ticket"])
    secrets_of_the_run.remember("ticket", ticket)
    return ticket


async def refused_upgrade(url: str, origin: str, **options: Any) -> dict[str, Any]:
    """The error of an upgrade that is no socket."""
    with pytest.raises(InvalidStatus) as refused:
        await LiveClient.connect(url, origin=origin, **options)
    assert refused.value.response.status_code == 403
    return dict(json.loads(refused.value.response.body)["error"])


async def test_on_an_allowed_page_a_guest_watches_and_whoever_has_a_ticket_buys(shop: Shop) -> None:
    stream = await embedded(shop)
    drop = await shop.drop(stream, 5)
    guest = await shop.guest(shop.nginx, stream, origin=PARTNER)
    assert guest.welcome.viewer is None
    shown = await pass_of(shop.viewer, stream)
    buyer = await shop.with_ticket(shop.replicas[1], stream, await ticket_of(shop, stream, shown), origin=PARTNER)
    assert buyer.welcome.viewer is not None
    assert buyer.welcome.viewer.name == "viewer"
    # one that was made on our own pages is for any client, as ever
    other = await shop.watch(shop.replicas[0], stream, origin=PARTNER)
    await shop.host.open(drop)
    await guest.expect_event("drop_opened")
    assert (await guest.expect_receipt(await guest.order(drop))).reason == "login_required"
    assert (await buyer.expect_receipt(await buyer.order(drop))).status == "accepted"
    assert (await other.expect_receipt(await other.order(drop))).status == "accepted"


async def test_any_other_page_gets_403_before_the_upgrade_and_is_told_what_to_do(shop: Shop) -> None:
    stream, elsewhere = await embedded(shop), await embedded(shop, OTHER)
    for at in (*shop.replicas, shop.nginx):
        for origin in (
            EVIL,
            "https://partner.example.evil.example",
            "http://partner.example",
            PARTNER + ":8443",
            OTHER,
        ):
            error = await refused_upgrade(at.ws_url(stream), origin, cookie=shop.viewer.cookie)
            assert error["reason"] == "forbidden"
            assert "POST /api/host/streams/{stream}/embed" in error["detail"]
    await refused_upgrade(shop.nginx.ws_url(elsewhere), PARTNER)
    await refused_upgrade(shop.nginx.ws_url("no-such-stream"), PARTNER)
    for origin in ("null", "", "*"):
        with pytest.raises(InvalidStatus):
            await LiveClient.connect(shop.nginx.ws_url(stream), origin=origin)


async def test_a_cookie_never_counts_on_the_page_of_another_site(shop: Shop) -> None:
    neighbour = shop.nginx.url.rpartition(":")[0] + ":1"  # another origin of the same site: browsers send it the cookie
    stream = await embedded(shop, PARTNER, neighbour)
    drop = await shop.drop(stream, 5)
    await shop.host.open(drop)
    for origin in (PARTNER, neighbour):
        watching = await shop.guest(shop.nginx, stream, origin=origin, cookie=shop.viewer.cookie)
        assert watching.welcome.viewer is None
        assert (await watching.expect_receipt(await watching.order(drop))).reason == "login_required"
        headers = {"Origin": origin, "Cookie": shop.viewer.cookie}
        async with httpx.AsyncClient(base_url=shop.nginx.url, trust_env=False, headers=headers) as page:
            assert (await page.post("/api/ticket", json={"stream": stream})).status_code == 401
            for path in ("/api/embed/pass", "/api/logout", "/api/sessions/end-all"):
                assert (await page.post(path, json={"stream": stream, "origin": origin})).status_code == 403
    own = await shop.guest(shop.nginx, stream, origin=shop.nginx.url, cookie=shop.viewer.cookie)
    assert own.welcome.viewer is not None


async def test_a_pass_counts_for_its_page_and_stream_alone(shop: Shop) -> None:
    stream, another = await embedded(shop, PARTNER, OTHER), await embedded(shop, PARTNER)
    shown = await pass_of(shop.viewer, stream)
    for answer, said in [
        (await asked(shop, stream, shown, OTHER), "another site"),
        (await asked(shop, another, shown), "another stream"),
        (await asked(shop, stream, shown, EVIL), "may not embed"),
        (await asked(shop, stream, shown, None), "may not embed"),
        (await asked(shop, stream, shown, shop.nginx.url), "may not embed"),
        (await asked(shop, stream, shown, None, Cookie=shop.viewer.cookie), "needs an Origin"),
    ]:
        assert answer.status_code == 403
        assert said in answer.json()["error"]["detail"]
    # a pass is no session: nothing else takes it
    async with httpx.AsyncClient(base_url=shop.nginx.url, trust_env=False) as page:
        for name in ("dropcast_session", "pass"):
            cookie = {"Cookie": f"{name}={shown}", "Origin": shop.nginx.url}
            assert (await page.get("/api/me", headers=cookie)).status_code == 401
    with pytest.raises(ApiError) as refused:
        await pass_of(shop.viewer, stream, EVIL)
    assert (refused.value.status, refused.value.reason) == (403, "forbidden")


async def test_a_ticket_by_a_pass_opens_a_socket_from_its_page_once_and_from_nowhere_else(shop: Shop) -> None:
    stream = await embedded(shop, PARTNER, OTHER)
    shown = await pass_of(shop.viewer, stream)
    for origin in (OTHER, None, shop.nginx.url):
        ticket = await ticket_of(shop, stream, shown)
        stolen = await LiveClient.connect(shop.nginx.ws_url(stream), origin=origin)
        async with stolen:
            await stolen.send({"type": "hello", "v": 1, "ticket": ticket})
            assert (await stolen.expect(frames.Fault)).reason == "not_allowed"
            assert await stolen.expect_close() == 4501
    ticket = await ticket_of(shop, stream, shown)
    assert (await shop.with_ticket(shop.nginx, stream, ticket, origin=PARTNER)).welcome.viewer
    again = await shop.stack.enter_async_context(await LiveClient.connect(shop.nginx.ws_url(stream), origin=PARTNER))
    await again.send({"type": "hello", "v": 1, "ticket": ticket})
    assert await again.expect_close() == 4501


async def test_a_pass_that_is_forged_or_has_expired_is_refused(shop: Shop) -> None:
    stream = await embedded(shop)
    answer = await shop.viewer.post("/api/embed/pass", {"stream": stream, "origin": PARTNER})
    assert 0 < answer["expires_at"] - time.time() * 1000 <= PASS_MAX_S * 1000
    shown = str(answer["pass"])
    secrets_of_the_run.remember("pass", shown)
    key = shop.settings["DROPCAST_SECRET_KEYS"]

    def signed(key: str, ends_at: float) -> str:
        kind = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
        (session, *rest, _) = URLSafeSerializer(key, salt="dropcast.pass", signer_kwargs=kind).loads_unsafe(shown)[1]
        made = URLSafeSerializer(key, salt="dropcast.pass", signer_kwargs=kind).dumps([session, *rest, int(ends_at)])
        return str(made)

    soon = (time.time() + 60) * 1000
    assert (await asked(shop, stream, signed(key, soon))).status_code == 200  # or the next two prove nothing
    for bad, reason in [
        (signed(key, time.time() * 1000), "login_required"),
        (signed("x" * 32, soon), "bad_credentials"),
        (shown[:-2], "bad_credentials"),
        ("", "bad_credentials"),
    ]:
        answer_ = await asked(shop, stream, bad)
        assert (answer_.status_code, answer_.json()["error"]["reason"]) == (401, reason)
        assert answer_.headers[CORS + "allow-origin"] == PARTNER  # the page may read why


async def test_signing_out_everywhere_ends_what_a_pass_opened(shop: Shop) -> None:
    stream = await embedded(shop)
    async with Api(shop.replicas[1].url) as person:
        await person.login("viewer@example.com", PASSWORD)
        shown = await pass_of(person, stream)
        open_ = [
            await shop.with_ticket(at, stream, await ticket_of(shop, stream, shown), origin=PARTNER)
            for at in shop.replicas
        ]
        guest = await shop.guest(shop.replicas[0], stream, origin=PARTNER)
        waiting = await ticket_of(shop, stream, shown)
        await person.post("/api/sessions/end-all")
        for client in open_:
            assert await client.expect_close() == 4501
    answer = await asked(shop, stream, shown)
    assert (answer.status_code, answer.json()["error"]["reason"]) == (401, "login_required")
    late = await shop.stack.enter_async_context(await LiveClient.connect(shop.nginx.ws_url(stream), origin=PARTNER))
    await late.send({"type": "hello", "v": 1, "ticket": waiting})
    assert await late.expect_close() == 4501
    await guest.expect(frames.Tick)  # who has not signed in is not concerned
    await shop.viewer.login("viewer@example.com", PASSWORD)  # the account's other sessions ended as well


async def test_an_origin_that_is_taken_off_loses_its_viewers_on_every_replica_and_nobody_else(shop: Shop) -> None:
    stream, another = await embedded(shop, PARTNER, OTHER), await embedded(shop, PARTNER)
    shown = await pass_of(shop.viewer, stream)
    gone = [await shop.guest(at, stream, origin=PARTNER) for at in shop.replicas]
    gone.append(
        await shop.with_ticket(shop.nginx, stream, await ticket_of(shop, stream, shown), origin=PARTNER),
    )
    staying = [
        await shop.guest(shop.replicas[0], stream, origin=OTHER),
        await shop.guest(shop.replicas[0], another, origin=PARTNER),
        await shop.watch(shop.replicas[1], stream),
        await shop.guest(shop.replicas[1], stream, origin=shop.replicas[1].url),
    ]
    answer = await shop.host.post(f"/api/host/streams/{stream}/embed", {"origins": [OTHER]})
    assert answer == {"origins": [OTHER]}
    began = time.monotonic()
    for client in gone:
        assert await client.expect_close() == 4501
    assert time.monotonic() - began < 4
    for at in shop.replicas:
        await refused_upgrade(at.ws_url(stream), PARTNER)
    said = await asked(shop, stream, shown)
    assert said.status_code == 403
    assert not [name for name in said.headers if name.startswith(CORS)]
    for client in staying:
        await client.expect(frames.Tick)
        await client.expect(frames.Tick)


async def test_an_added_origin_is_let_in_on_every_replica_within_about_a_second(shop: Shop) -> None:
    stream = await embedded(shop, OTHER)
    for at in shop.replicas:
        await refused_upgrade(at.ws_url(stream), PARTNER)
    await shop.host.post(f"/api/host/streams/{stream}/embed", {"origins": [PARTNER, OTHER]})

    async def let_in(at: Replica) -> float:
        began = time.monotonic()
        while True:
            try:
                await shop.guest(at, stream, origin=PARTNER)
            except InvalidStatus:
                await asyncio.sleep(0.05)
            else:
                return time.monotonic() - began

    async with asyncio.timeout(10):
        assert max([await let_in(at) for at in shop.replicas]) < 2.5


async def test_the_headers_of_cross_origin_calls_are_exactly_these(shop: Shop) -> None:
    stream, elsewhere = await embedded(shop), await embedded(shop, OTHER)
    shown = await pass_of(shop.viewer, stream)
    at = {"Origin": PARTNER}
    before = {**at, "Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "content-type"}

    def cors(answer: httpx.Response) -> dict[str, str]:
        assert ("origin" in answer.headers.get("vary", "").lower()) == answer.request.url.path.startswith(
            ("/api/streams/", "/api/ticket")
        )
        return {name.removeprefix(CORS): value for name, value in answer.headers.items() if name.startswith(CORS)}

    read = {"allow-origin": PARTNER, "expose-headers": "Retry-After"}
    may_post = {**read, "allow-methods": "POST", "allow-headers": "Content-Type", "max-age": "600"}
    async with httpx.AsyncClient(base_url=shop.nginx.url, trust_env=False) as page:
        assert cors(await page.get(f"/api/streams/{stream}", headers=at)) == read
        assert cors(await page.post("/api/ticket", json={"stream": stream, "pass": shown}, headers=at)) == read
        assert cors(await page.post("/api/ticket", json={"stream": stream}, headers=at)) == read  # and 401
        preflight = await page.options("/api/ticket", headers=before)
        assert (preflight.status_code, cors(preflight)) == (204, may_post)
        preflight = await page.options(f"/api/streams/{stream}", headers={**at, "Access-Control-Request-Method": "GET"})
        assert (preflight.status_code, cors(preflight)) == (204, {**may_post, "allow-methods": "GET, HEAD"})

        # not on the list of that stream, or of any; and no other call, whoever asks
        assert cors(await page.get(f"/api/streams/{elsewhere}", headers=at)) == {}
        assert cors(await page.get(f"/api/streams/{stream}", headers={"Origin": EVIL})) == {}
        assert cors(await page.get(f"/api/streams/{stream}")) == {}
        assert cors(await page.get(f"/api/streams/{stream}", headers={"Origin": shop.nginx.url})) == {}
        refused = await page.post("/api/ticket", json={"stream": elsewhere, "pass": shown}, headers=at)
        assert (refused.status_code, cors(refused)) == (403, {})
        for path in ("/api/ticket", f"/api/streams/{stream}"):
            refused = await page.options(path, headers={**before, "Origin": EVIL})
            assert (refused.status_code, cors(refused)) == (403, {})
            assert "POST /api/host/streams/{stream}/embed" in refused.json()["error"]["detail"]
        for path in ("/api/me", "/api/streams", "/api/products", "/api/orders", "/api/login", "/api/embed/pass", "/"):
            assert cors(await page.get(path, headers=at)) == {}
            assert cors(await page.options(path, headers=before)) == {}

        # public: anybody may have it, and put it on a page
        for path in ("/embed.js", "/static/shared/tokens.css", "/static/pictures/demo-1.svg", "/static/embed/embed.js"):
            answer = await page.get(path, headers=at)
            assert cors(answer) == {"allow-origin": "*"}
            assert answer.headers["cross-origin-resource-policy"] == "cross-origin"


async def test_a_host_sees_and_sets_the_list_and_nobody_else_sees_it(shop: Shop) -> None:
    stream = await embedded(shop)
    made = await shop.host.create_stream(stream + "-b", "Another", embed_origins=[OTHER, PARTNER, OTHER])
    assert "embed_origins" not in made
    mine = {one["slug"]: one["embed_origins"] for one in (await shop.host.get("/api/host/streams"))["streams"]}
    assert (mine[stream], mine[stream + "-b"]) == ([PARTNER], [OTHER, PARTNER])
    for _ in range(2):  # safe to repeat
        await shop.host.post(f"/api/host/streams/{stream}/embed", {"origins": [OTHER]})
    rows = await shop.rows(
        "SELECT detail FROM audit JOIN streams ON subject_id = streams.id"
        " WHERE slug = :slug AND action = 'stream.embed'"
        " ORDER BY audit.id",
        slug=stream,
    )
    assert [json.loads(row.detail) for row in rows] == [{"origins": [PARTNER]}, {"origins": [OTHER]}]
    everybody = [await shop.viewer.get("/api/streams"), await shop.viewer.stream(stream)]
    watching = await shop.guest(shop.nginx, stream)
    assert OTHER not in json.dumps(everybody)
    assert OTHER.encode() not in bytes(watching.welcome.snapshot or b"")
    with pytest.raises(ApiError) as refused:
        await shop.host.post(f"/api/host/streams/{stream}/embed", {"origins": [PARTNER, "https://*.partner.example"]})
    assert (refused.value.status, refused.value.reason) == (400, "bad_request")
    assert "'https://*.partner.example'" in refused.value.detail
    assert "such as https://partner.example" in refused.value.detail
    with pytest.raises(ApiError) as refused:
        await shop.host.create_stream(stream + "-c", "A third", embed_origins=["http://partner.example"])
    assert "needs https" in refused.value.detail


async def test_the_pop_up_asks_who_is_signed_in_and_sends_everybody_else_to_sign_in(shop: Shop) -> None:
    stream = await embedded(shop)
    asked_ = {"stream": stream, "origin": PARTNER}
    signed_in = await shop.viewer.http.get("/embed/sign-in", params=asked_)
    assert signed_in.status_code == 200
    assert signed_in.headers["cache-control"] == "no-store"
    assert "frame-ancestors 'self'" in signed_in.headers["content-security-policy"]
    assert signed_in.headers["cross-origin-opener-policy"] == "unsafe-none"
    async with httpx.AsyncClient(base_url=shop.nginx.url, trust_env=False) as guest:
        answer = await guest.get("/embed/sign-in", params=asked_)
        assert answer.status_code == 303
        assert answer.headers["location"] == (
            f"/login?next=%2Fembed%2Fsign-in%3Fstream%3D{stream}%26origin%3Dhttps%253A%252F%252Fpartner.example"
        )
        for wrong in ({}, {"stream": stream}, {**asked_, "origin": EVIL}, {**asked_, "origin": PARTNER + "\r\nX: y"}):
            for person in (guest, shop.viewer.http):
                refused = await person.get("/embed/sign-in", params=wrong)
                assert refused.status_code == 403
                assert "may not sell this show" in refused.text


async def test_an_operators_own_second_site_keeps_its_rights_when_a_host_lists_it_too(
    shop: Shop, start_replica: Callable[[Mapping[str, str]], Replica]
) -> None:
    replica = start_replica({**shop.settings, "DROPCAST_PUBLIC_ORIGINS": PARTNER})
    listed, unlisted = await embedded(shop), await shop.live_stream()
    async with Api(replica.url, origin=PARTNER) as person:
        await person.login("viewer@example.com", PASSWORD)
        for stream, read_by in ((listed, PARTNER), (unlisted, None)):
            watching = await shop.guest(replica, stream, origin=PARTNER, cookie=person.cookie)
            assert watching.welcome.viewer is not None
            answer = await person.http.post("/api/ticket", json={"stream": stream}, headers={"Origin": PARTNER})
            assert (answer.status_code, answer.headers.get(CORS + "allow-origin")) == (200, read_by)
