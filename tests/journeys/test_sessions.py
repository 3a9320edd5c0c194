"""Who is signed in stays so whatever Redis does; who is not any more leaves every replica, whatever Redis does."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest

from server import commands
from server.accounts.door import Door
from server.accounts.keep import MemoryKeep
from server.accounts.passwords import Passwords
from server.accounts.sessions import Sessions, session_id
from server.app import opened_database
from server.domain.user import Role, User
from server.protocol.codes import CloseCode
from server.settings import read
from server.store.sessions import SessionRows
from server.store.users import Users
from tests.client import Api, ClosedError, LiveClient
from tests.journeys.conftest import PASSWORD, Shop, furnish
from tests.services.mariadb import MariaDB
from tests.services.redis import Redis
from tests.services.replica import Replica

CSRF = "starlette_admin_csrftoken"


async def with_cookie(shop: Shop, replica: Replica, stream: str, person: Api | None = None) -> LiveClient:
    """Somebody (the viewer) joins with the cookie, as a browser does."""
    cookie = (person or shop.viewer).cookie
    client = await LiveClient.join(replica.ws_url(stream), cookie=cookie, origin=replica.url)
    return await shop.stack.enter_async_context(client)


async def on_both(shop: Shop, stream: str, person: Api | None = None) -> list[LiveClient]:
    return [await with_cookie(shop, replica, stream, person) for replica in shop.replicas]


async def codes(clients: list[LiveClient], *, within_s: float = 8) -> list[int]:
    """The codes these are closed with; a few seconds bound the wait, on whatever machine."""
    return await asyncio.gather(*(client.expect_close(within=within_s) for client in clients))


async def api(shop: Shop, person: str, at: int = 0) -> Api:
    """Somebody signs in at a replica."""
    made = await shop.stack.enter_async_context(Api(shop.replicas[at].url))
    await made.login(f"{person}@example.com", PASSWORD)
    return made


# Redis empty, Redis gone


async def test_redis_emptied_in_the_middle_of_a_sale_signs_nobody_out(own_shop: Shop, redis_server: Redis) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 10, limit=10)
    await shop.host.open(drop)
    before = await with_cookie(shop, shop.replicas[0], stream)
    await asyncio.to_thread(redis_server.flush)
    await before.expect_receipt(await before.order(drop))
    await before.close()
    again = await with_cookie(shop, shop.replicas[1], stream)
    assert again.welcome.viewer is not None
    assert (await again.expect_receipt(await again.order(drop))).status == "accepted"
    ticketed = await shop.watch(shop.replicas[0], stream)
    assert (await ticketed.expect_receipt(await ticketed.order(drop))).status == "accepted"
    assert (await shop.viewer.get("/api/me"))["user"]["email"] == "viewer@example.com"


async def test_with_redis_killed_people_sign_in_join_and_buy_and_only_tickets_cannot_be_had(
    own_shop: Shop, redis_server: Redis
) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 10, limit=10)
    await shop.host.open(drop)
    await asyncio.to_thread(redis_server.kill)
    clients = await on_both(shop, stream)
    fresh = await api(shop, "rival")
    clients.append(await with_cookie(shop, shop.replicas[1], stream, fresh))
    for client in clients:
        assert client.welcome.viewer is not None
        assert (await client.expect_receipt(await client.order(drop))).status == "accepted"
    refused = await shop.viewer.http.post("/api/ticket", json={"stream": stream}, headers={"Origin": shop.nginx.url})
    assert (refused.status_code, refused.json()["error"]["reason"]) == (503, "busy")
    with pytest.raises(ClosedError) as closed:
        await LiveClient.join(shop.replicas[0].ws_url(stream), "any ticket")
    assert closed.value.code == CloseCode.TOO_BUSY


async def test_with_both_gone_a_cookie_is_told_to_come_back(
    own_shop: Shop, redis_server: Redis, mariadb: MariaDB
) -> None:
    shop = own_shop
    await asyncio.to_thread(redis_server.kill)
    mariadb.pause()
    try:
        me = await shop.viewer.http.get(f"{shop.replicas[0].url}/api/me", headers={"Cookie": shop.viewer.cookie})
    finally:
        mariadb.resume()
    assert (me.status_code, me.json()["error"]["reason"]) == (503, "busy")
    assert (await shop.viewer.get("/api/me"))["user"]["name"] == "viewer"


CROWD = 500


async def test_a_crowd_that_comes_back_to_an_empty_redis_shares_its_reads(own_shop: Shop, redis_server: Redis) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    cookies = await _sign_in_a_crowd(shop, CROWD)
    replica = shop.replicas[0]
    await shop.guest(replica, stream)  # the stream is open
    await asyncio.to_thread(redis_server.flush)
    before = await _reads(shop)
    clients = await asyncio.gather(
        *(LiveClient.join(replica.ws_url(stream), cookie=c, origin=replica.url, within=30) for c in cookies)
    )
    reads = await _reads(shop) - before
    for client in clients:
        assert client.welcome.viewer is not None
        await client.close()
    assert len({client.welcome.viewer.id for client in clients if client.welcome.viewer}) == CROWD
    # with one read each they would be 500, and the two replicas' own questions, a few a second, come on top
    assert reads < CROWD / 2, f"{reads} SELECTs for {CROWD} joins"


async def _sign_in_a_crowd(shop: Shop, count: int) -> list[str]:
    async with opened_database(read(shop.settings)) as database:
        keep, passwords = MemoryKeep(), Passwords()
        sessions = Sessions(SessionRows(database), keep)
        users = Users(database)
        door = Door(users, sessions, keep, passwords, read(shop.settings).secret_keys)
        people: list[User] = await users.create_nameless(count)
        values = [await door.open_session(person) for person in people]
        passwords.close()
    return [f"dropcast_session={value}" for value in values]


async def _reads(shop: Shop) -> int:
    ((_, count),) = await shop.rows("SHOW GLOBAL STATUS LIKE 'Com_select'")
    return int(count)


# Revocation


@pytest.mark.parametrize("redis_is", ["there", "gone"])
async def test_signing_out_closes_the_sockets_of_that_session_on_every_replica_and_no_others(
    own_shop: Shop, redis_server: Redis, redis_is: str
) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    elsewhere = await api(shop, "viewer")
    mine, ticketed = await on_both(shop, stream), await shop.watch(shop.replicas[1], stream)
    others = [*await on_both(shop, stream, elsewhere), await shop.guest(shop.replicas[0], stream)]
    if redis_is == "gone":
        await asyncio.to_thread(redis_server.kill)
    await shop.viewer.post("/api/logout", {})
    assert await codes([*mine, ticketed]) == [CloseCode.NOT_ALLOWED] * 3
    assert [other.closed for other in others] == [None] * 3
    assert (await elsewhere.get("/api/me"))["user"]["name"] == "viewer"


async def test_a_receipt_under_way_comes_before_the_close_and_no_order_after_it(own_shop: Shop) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 10, limit=10)
    await shop.host.open(drop)
    client = await with_cookie(shop, shop.replicas[0], stream)
    assert (await client.expect_receipt(await client.order(drop))).status == "accepted"
    other = await api(shop, "viewer", 1)
    await other.post("/api/sessions/end-others", {})
    assert await client.expect_close() == CloseCode.NOT_ALLOWED
    again = await LiveClient.join(
        shop.replicas[0].ws_url(stream), cookie=shop.viewer.cookie, origin=shop.replicas[0].url
    )
    await shop.stack.enter_async_context(again)
    assert again.welcome.viewer is None  # a guest now
    assert (await again.expect_receipt(await again.order(drop))).reason == "login_required"


async def test_a_ticket_of_a_session_that_ended_lets_nobody_in(own_shop: Shop) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    ticket = await shop.viewer.ticket(stream)
    other = await api(shop, "viewer", 1)
    await other.post("/api/sessions/end-others", {})
    with pytest.raises(ClosedError) as closed:
        await LiveClient.join(shop.replicas[0].ws_url(stream), ticket)
    assert closed.value.code == CloseCode.NOT_ALLOWED


async def test_one_who_is_signed_out_between_cookie_and_hello_does_not_get_in(own_shop: Shop) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    replica = shop.replicas[0]
    watching = await with_cookie(shop, replica, stream)
    early = await LiveClient.connect(replica.ws_url(stream), cookie=shop.viewer.cookie, origin=replica.url)
    await shop.viewer.post("/api/logout", {})
    assert await watching.expect_close() == CloseCode.NOT_ALLOWED  # the news is here
    await early.send({"type": "hello", "v": 1})
    assert await early.expect_close() == CloseCode.NOT_ALLOWED
    await early.close()


async def test_the_night_shift_signs_somebody_out(own_shop: Shop, capsys: pytest.CaptureFixture[str]) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    mine = await on_both(shop, stream)
    await commands.end_sessions(read(shop.settings), email="Viewer@example.com")
    assert "viewer@example.com is signed out everywhere" in capsys.readouterr().out
    assert await codes(mine) == [CloseCode.NOT_ALLOWED] * 2
    assert (await shop.viewer.http.get("/api/me")).status_code == 401


# Roles and disabled users


async def _edit(admin: Api, shop: Shop, email: str, **fields: str) -> None:
    """An admin sends the form of a user's page."""
    ((pk, name, role),) = await shop.rows("SELECT id, name, role FROM users WHERE email = :email", email=email)
    page = await admin.http.get(f"/admin/user/edit?pk={pk}")
    token = re.search(r'name="csrftoken" value="([^"]+)"', page.text)
    assert token is not None, page.text[:500]
    form = {"name": name, "role": role, "csrftoken": token[1], **fields}
    headers = {"Origin": shop.replicas[0].url}
    sent = await admin.http.post(f"/admin/user/edit?pk={pk}", data=form, headers=headers)
    assert sent.status_code in (302, 303), sent.text[:2000]


@pytest.fixture
async def admin(own_shop: Shop) -> Api:
    made = {"email": "admin@example.com", "role": Role.ADMIN, "name": None, "password": PASSWORD}
    await commands.create_user(read(own_shop.settings), **made)  # type: ignore[arg-type]
    return await api(own_shop, "admin")


async def test_a_role_that_is_taken_counts_from_the_next_call_on_and_sockets_come_back_as_what_they_are(
    own_shop: Shop, admin: Api
) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    sockets = await on_both(shop, stream, shop.host)
    for replica in shop.replicas:  # both know the role
        assert (await _me(shop, replica, shop.host))["role"] == "host"
    await _edit(admin, shop, "host@example.com", role="viewer")
    for replica in shop.replicas:
        assert (await _me(shop, replica, shop.host))["role"] == "viewer"
    refused = await shop.host.http.post(
        "/api/host/streams", json={"slug": "no", "title": "No"}, headers={"Origin": shop.replicas[0].url}
    )
    assert refused.status_code == 403
    assert await codes(sockets) == [CloseCode.RESTARTING] * 2
    for client in await on_both(shop, stream, shop.host):
        assert client.welcome.viewer is not None
        with pytest.raises(AssertionError, match="no close within"):
            await client.expect_close(within=2.5)  # two looks later it is still welcome


@pytest.mark.parametrize("redis_is", ["there", "gone"])
async def test_a_disabled_user_is_out_at_once_everywhere_and_stays_out(
    own_shop: Shop, admin: Api, redis_server: Redis, redis_is: str
) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    sockets, ticket = await on_both(shop, stream), await shop.viewer.ticket(stream)
    if redis_is == "gone":
        await asyncio.to_thread(redis_server.kill)
    await _edit(admin, shop, "viewer@example.com", disabled_at="on")
    for replica in shop.replicas:
        assert await _me(shop, replica, shop.viewer) is None
    assert await codes(sockets) == [CloseCode.NOT_ALLOWED] * 2
    with pytest.raises(ClosedError) as closed:
        await LiveClient.join(shop.replicas[1].ws_url(stream), ticket)
    assert closed.value.code == (CloseCode.NOT_ALLOWED if redis_is == "there" else CloseCode.TOO_BUSY)
    answers = [await _sign_in(shop, "viewer@example.com", PASSWORD), await _sign_in(shop, "host@example.com", "wrong")]
    assert answers[0] == answers[1]
    assert answers[0][0] == 401
    await _edit(admin, shop, "viewer@example.com")  # the box is empty again
    assert await _me(shop, shop.replicas[0], shop.viewer) is None  # the old cookie is over
    assert (await _sign_in(shop, "viewer@example.com", PASSWORD))[0] == 200


async def _me(shop: Shop, replica: Replica, person: Api) -> Any:
    answer = await person.http.get(f"{replica.url}/api/me", headers={"Cookie": person.cookie})
    return answer.json().get("user")


async def _sign_in(shop: Shop, email: str, password: str) -> tuple[int, Any]:
    async with httpx.AsyncClient(trust_env=False, base_url=shop.replicas[0].url) as http:
        answer = await http.post("/api/login", json={"email": email, "password": password})
        return answer.status_code, answer.json().get("error")


# One's own list


async def test_one_sees_and_ends_ones_own_sessions_and_nobody_elses(shop: Shop) -> None:
    phone = await shop.stack.enter_async_context(Api(shop.replicas[1].url))
    phone.http.headers["User-Agent"] = "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"
    await phone.login("viewer@example.com", PASSWORD)
    listed = await phone.get("/api/sessions")
    assert listed["next"] is None
    (current,) = [session for session in listed["sessions"] if session["current"]]
    assert current["device"] == "Firefox on Linux"
    assert current["created_at"] <= current["seen_at"]
    assert set(current) == {"id", "device", "created_at", "seen_at", "current"}
    assert current["id"] not in phone.cookie

    origin = {"Origin": shop.replicas[0].url}
    theirs = await shop.host.http.post(f"/api/sessions/{current['id']}/end", json={}, headers=origin)
    assert theirs.status_code == 404
    for used_as in (current["id"], f"{current['id']}.x"):
        forged = await phone.http.get("/api/me", headers={"Cookie": f"dropcast_session={used_as}"})
        assert forged.status_code == 401

    desk = await api(shop, "viewer")
    for _ in range(2):  # safe to repeat
        await desk.post(f"/api/sessions/{current['id']}/end", {})
    assert (await phone.http.get("/api/me")).status_code == 401
    assert current["id"] not in [session["id"] for session in (await desk.get("/api/sessions"))["sessions"]]
    foreign = await desk.http.post("/api/sessions/end-all", json={}, headers={"Origin": "https://evil.example"})
    assert foreign.status_code == 403
    bare = await desk.http.post("/api/sessions/end-all", json={})
    assert bare.status_code == 403
    await desk.post("/api/sessions/end-others", {})
    (left,) = (await desk.get("/api/sessions"))["sessions"]
    assert left["current"]
    await desk.post("/api/sessions/end-all", {})
    assert desk.cookie == ""
    # the shared shop's viewer goes on
    await shop.viewer.login("viewer@example.com", PASSWORD)


# Keys and cookies


async def test_secret_keys_rotate_without_signing_anybody_out(
    shop_settings: dict[str, str], start_replica: Callable[[Mapping[str, str]], Replica]
) -> None:
    old, new = shop_settings["DROPCAST_SECRET_KEYS"], "n" * 40
    await furnish(shop_settings)
    first = start_replica(shop_settings)
    accepts = start_replica({**shop_settings, "DROPCAST_SECRET_KEYS": f"{old},{new}"})
    signs = start_replica({**shop_settings, "DROPCAST_SECRET_KEYS": f"{new},{old}"})
    after = start_replica({**shop_settings, "DROPCAST_SECRET_KEYS": new})
    async with Api(first.url) as early, Api(signs.url) as late:
        await early.login("viewer@example.com", PASSWORD)
        await late.login("viewer@example.com", PASSWORD)

        async def known(person: Api) -> list[int]:
            answers = [
                await person.http.get(f"{replica.url}/api/me", headers={"Cookie": person.cookie})
                for replica in (first, accepts, signs, after)
            ]
            return [answer.status_code for answer in answers]

        assert await known(early) == [200, 200, 200, 401]
        assert await known(late) == [401, 200, 200, 200]


async def test_behind_tls_the_cookie_is_the_hosts_own_and_a_plain_one_beside_it_loses(shop: Shop) -> None:
    url = shop.replicas[0].url
    tls = {"X-Forwarded-Proto": "https"}  # from a proxy on a trusted address
    async with httpx.AsyncClient(trust_env=False, base_url=url) as http:
        signed_in = await http.post(
            "/api/login", json={"email": "viewer@example.com", "password": PASSWORD}, headers=tls
        )
        said = signed_in.headers["set-cookie"]
        assert said.startswith("__Host-dropcast_session=")
        assert {"Path=/", "Secure", "HttpOnly", "SameSite=lax"} <= set(said.split("; "))
        assert "domain" not in said.lower()
        secure = said.partition(";")[0]
        rival = await api(shop, "rival")
        plain = rival.cookie
        assert plain.startswith("dropcast_session=")

        async def who(cookie: str, headers: Mapping[str, str]) -> str | None:
            http.cookies.clear()
            answer = await http.get("/api/me", headers={**headers, "Cookie": cookie})
            return str(answer.json()["user"]["name"]) if answer.status_code == 200 else None

        assert await who(secure, tls) == "viewer"
        assert await who(plain, tls) == "rival"
        assert await who(f"{plain}; {secure}", tls) == await who(f"{secure}; {plain}", tls) == "viewer"
        assert await who(f"{plain}; {secure}x", tls) is None
        assert await who(secure, {}) is None
        assert await who(f"{secure}; {plain}", {}) == "rival"
        out = await http.post("/api/logout", json={}, headers={**tls, "Cookie": secure, "Origin": url})
        names = {cookie.partition("=")[0] for cookie in out.headers.get_list("set-cookie")}
        assert names == {"dropcast_session", "__Host-dropcast_session"}
        assert await who(secure, tls) is None


async def test_the_row_holds_a_digest_and_not_the_cookie(shop: Shop) -> None:
    person = await api(shop, "rival")
    secret = person.cookie.partition("=")[2].rpartition(".")[0]
    rows = await shop.rows("SELECT id, device FROM sessions WHERE id = :id", id=session_id(secret))
    assert len(rows) == 1
    assert secret not in str(await shop.rows("SELECT * FROM sessions"))
