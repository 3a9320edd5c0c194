"""From nobody to a customer with an order, by real mail; and everything that must not work on the way."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.client import Api, ApiError, LiveClient
from tests.journeys.conftest import furnish
from tests.journeys.mailing import PASSWORD, MailingShop, _mailing, mailing, new_address, somewhere
from tests.services.process import eventually
from tests.services.redis import Redis
from tests.services.replica import Replica
from tests.services.smtp import Inbox, code_of, html, plain

__all__ = ["_mailing", "mailing"]

OTHER = "cold plum bicycle"


async def registered(shop: MailingShop, *, replica: int = 0) -> tuple[Api, str]:
    """Somebody with an account, signed in."""
    email, api = new_address(), shop.anybody(replica)
    await api.register(email, PASSWORD, "Ann")
    await api.verify(email, await shop.code(email))
    return api, email


async def refused(call: Any, status: int, reason: str) -> ApiError:
    with pytest.raises(ApiError) as error:
        await call
    assert (error.value.status, error.value.reason) == (status, reason)
    return error.value


def raw_error(error: Any) -> dict[str, Any]:
    return dict(error.json()["error"])


async def test_who_registers_gets_the_mail_types_the_code_orders_and_signs_out(mailing: MailingShop) -> None:
    email = new_address()
    stream, drop = await mailing.open_drop()
    async with mailing.anybody() as api:
        assert await api.post("/api/register", {"email": email, "password": PASSWORD, "name": "Ann"}) == {}
        message = await mailing.inbox.mail(email)
        assert message["From"] == "Dropcast <no-reply@shop.example>"
        assert "10 minutes" in plain(message)
        assert "10 minutes" in html(message)
        answer = await api.verify(email, await mailing.code(email))
        assert {**answer["user"], "id": ""} == {"id": "", "email": email, "name": "Ann", "role": "viewer"}
        assert (await api.get("/api/me")) == answer

        url = mailing.replicas[1].ws_url(stream)
        async with await LiveClient.join(url, cookie=api.cookie, origin=mailing.replicas[1].url) as client:
            assert client.welcome.viewer is not None
            assert client.welcome.viewer.name == "Ann"
            assert (await client.expect_receipt(await client.order(drop))).status == "accepted"
        assert len(await api.orders()) == 1
        await api.logout()
        await refused(api.get("/api/me"), 401, "login_required")
        await api.login(email, PASSWORD)


async def test_the_same_by_plain_calls_with_the_cookie_carried_by_hand(mailing: MailingShop) -> None:
    """As a script without JavaScript does: an Origin only where a call that carries the cookie changes something."""
    email, (stream, drop) = new_address(), await mailing.open_drop()
    async with httpx.AsyncClient(
        base_url=mailing.replicas[0].url, headers={"X-Forwarded-For": somewhere()}, trust_env=False
    ) as http:
        asked = await http.post("/api/register", json={"email": email, "password": PASSWORD, "name": "Ann"})
        assert (asked.status_code, asked.json()) == (202, {})
        answer = await http.post("/api/verify", json={"email": email, "code": await mailing.code(email)})
        assert answer.status_code == 200
        cookie = answer.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=lax" in cookie
        http.cookies.clear()
        again = await http.post("/api/login", json={"email": email, "password": PASSWORD})
        assert again.status_code == 200
        http.cookies.clear()
        carried = {"Cookie": again.headers["set-cookie"].partition(";")[0]}
        changing = {**carried, "Origin": mailing.replicas[0].url}
        ticket = (await http.post("/api/ticket", json={"stream": stream}, headers=changing)).json()["ticket"]
        async with await LiveClient.join(mailing.replicas[1].ws_url(stream), ticket) as client:
            receipt = await client.expect_receipt(await client.order(drop))
        (order,) = (await http.get("/api/orders", headers=carried)).json()["orders"]
        assert (order["id"], order["status"]) == (receipt.order, "accepted")
        bare = await http.post("/api/logout", headers=carried)
        assert bare.status_code == 403  # it changes something, and does not say from where
        assert (await http.get("/api/me", headers=carried)).status_code == 200
        assert (await http.post("/api/logout", headers=changing)).status_code == 200
        assert (await http.get("/api/me", headers=carried)).status_code == 401


async def test_a_known_and_an_unknown_address_get_the_same_answer_and_another_mail(mailing: MailingShop) -> None:
    person, known = await registered(mailing)
    await person.aclose()
    new = new_address()
    answers = []
    for email in (known, new):
        async with mailing.anybody() as api:
            wish = {"email": email, "password": PASSWORD, "name": "X"}
            if email == known:  # the minute of its registration is not over: as if it were another day
                with pytest.raises(ApiError, match="rate_limited"):
                    await api.post("/api/register", wish)
                mailing.forget_limits()
            answer = await api.http.post("/api/register", json=wish)
            answers.append((answer.status_code, answer.text, sorted(answer.headers)))
    assert answers[0] == answers[1]
    assert "account" in (await mailing.inbox.mail(known, 2))["Subject"]
    assert not re.search(r"\b\d{6}\b", plain(await mailing.inbox.mail(known, 2)))
    await mailing.code(new)


async def test_ten_guesses_at_once_over_two_replicas_are_five_tries(mailing: MailingShop) -> None:
    email = new_address()
    async with mailing.anybody(0) as one, mailing.anybody(1) as two:
        await one.register(email, PASSWORD, "Ann")
        code = await mailing.code(email)
        guesses = [f"{(int(code) + n) % 10**6:06}" for n in range(1, 11)]
        body = [{"email": email, "code": guess} for guess in guesses]
        ends = await asyncio.gather(
            *(api.http.post("/api/verify", json=said) for api, said in zip([one, two] * 5, body, strict=True))
        )
        assert {(end.status_code, end.text) for end in ends} == {(401, ends[0].text)}
        burned = await two.http.post("/api/verify", json={"email": email, "code": code})
        assert (burned.status_code, burned.text) == (401, ends[0].text)


async def test_control_four_guesses_leave_the_fifth_try(mailing: MailingShop) -> None:
    email = new_address()
    async with mailing.anybody(0) as one, mailing.anybody(1) as two:
        await one.register(email, PASSWORD, "Ann")
        code = await mailing.code(email)
        for n in range(1, 5):
            await refused(two.verify(email, f"{(int(code) + n) % 10**6:06}"), 401, "bad_credentials")
        await one.verify(email, code)


async def test_ten_who_type_the_right_code_at_once_make_one_account(mailing: MailingShop) -> None:
    email = new_address()
    async with mailing.anybody(0) as one, mailing.anybody(1) as two:
        await one.register(email, PASSWORD, "Ann")
        said = {"email": email, "code": await mailing.code(email)}
        ends = await asyncio.gather(*(api.http.post("/api/verify", json=said) for api in [one, two] * 2))
        assert sorted(end.status_code for end in ends) == [200, 401, 401, 401]


async def test_limits_hold_over_both_replicas_and_say_when_to_come_back(mailing: MailingShop) -> None:
    email = new_address()
    async with mailing.anybody(0) as one, mailing.anybody(1) as two:
        wish = {"email": email, "password": PASSWORD, "name": "Ann"}
        assert (await one.http.post("/api/register", json=wish)).status_code == 202
        for api, path, said in (
            (two, "/api/register", wish),  # another network, the same address
            (two, "/api/resend", {"email": email}),
            (one, "/api/forgot", {"email": new_address()}),  # the same network, another address
        ):
            limited = await api.http.post(path, json=said)
            assert limited.status_code == 429
            assert raw_error(limited)["reason"] == "rate_limited"
            assert 50 <= int(limited.headers["retry-after"]) <= 60
        await mailing.code(email)


async def test_bad_input_is_named_by_its_field(mailing: MailingShop) -> None:
    good = {"email": new_address(), "password": PASSWORD, "name": "Ann"}
    bad = [
        ({"email": "ann"}, "email"),
        ({"password": "password123"}, "password"),
        ({"name": ""}, "name"),
        ({"name": 7}, "name"),
        ({"role": "admin"}, "role"),
    ]
    async with mailing.anybody() as api:
        for change, wrong in bad:
            answer = await api.http.post("/api/register", json={**good, **change})
            assert (answer.status_code, raw_error(answer)["field"]) == (400, wrong)
        missing = await api.http.post("/api/register", json={"email": "a@b.example", "password": PASSWORD})
        assert (missing.status_code, raw_error(missing)["field"]) == (400, "name")


async def test_a_forgotten_password_is_replaced_by_mail(mailing: MailingShop) -> None:
    person, email = await registered(mailing)
    await person.aclose()
    mailing.forget_limits()
    async with mailing.anybody(1) as api:
        await api.post("/api/forgot", {"email": email})
        code = await mailing.code(email, 2)
        answer = await api.post("/api/reset", {"email": email, "code": code, "password": OTHER})
        assert answer["user"]["email"] == email
        assert (await api.get("/api/me")) == answer
    assert "changed" in (await mailing.inbox.mail(email, 3))["Subject"]
    async with mailing.anybody() as api:
        await refused(api.login(email, PASSWORD), 401, "bad_credentials")
        await api.login(email, OTHER)


async def test_ones_own_account_is_changed_and_left(mailing: MailingShop) -> None:
    api, email = await registered(mailing)
    async with api:
        assert (await api.post("/api/account/name", {"name": "Ann Lee"}))["user"]["name"] == "Ann Lee"
        assert (await api.get("/api/me"))["user"]["name"] == "Ann Lee"
        await api.post("/api/account/password", {"old": PASSWORD, "new": OTHER})
        moved = new_address()
        mailing.forget_limits()
        await api.post("/api/account/email", {"password": OTHER, "email": moved})
        answer = await api.post("/api/account/email/confirm", {"code": await mailing.code(moved)})
        assert answer["user"]["email"] == moved
        assert (await api.get("/api/me")) == answer
        assert "another e-mail address" in plain(await mailing.inbox.mail(email, 3))
        await refused(api.post("/api/account/delete", {"password": PASSWORD}), 401, "bad_credentials")
        await api.post("/api/account/delete", {"password": OTHER})
        await refused(api.get("/api/me"), 401, "login_required")
        await refused(api.login(moved, OTHER), 401, "bad_credentials")


async def test_nobody_changes_an_account_without_signing_in(mailing: MailingShop) -> None:
    async with mailing.anybody() as api:
        for path in ("password", "email", "email/confirm", "name", "delete"):
            await refused(api.post(f"/api/account/{path}", {}), 401, "login_required")


async def test_mail_waits_for_a_server_that_is_away_even_over_a_restart(
    shop_settings: dict[str, str], start_replica: Callable[[Mapping[str, str]], Replica]
) -> None:
    inbox = Inbox()  # nobody listens yet
    settings = {**shop_settings, "DROPCAST_SMTP_URL": inbox.url}
    await furnish(settings)
    replica = start_replica(settings)
    waiting, restarted = new_address(), new_address()

    async def register(email: str) -> None:
        async with Api(replica.url) as api:
            api.http.headers["X-Forwarded-For"] = somewhere()
            await api.register(email, PASSWORD, "Ann")

    async def tried(times: int) -> None:
        said = "a mail was not taken and is tried again"
        assert await asyncio.to_thread(eventually, lambda: replica.log_text().count(said) >= times, within_s=20)

    await register(waiting)
    await tried(1)
    inbox.start()
    try:
        code = await inbox.code(waiting)
        async with Api(replica.url) as api:
            await api.verify(waiting, code)
        await asyncio.to_thread(inbox.stop)
        before = replica.log_text().count("tried again")
        await register(restarted)
        await tried(before + 1)
        await asyncio.to_thread(replica.kill)
        await asyncio.to_thread(inbox.start)
        await asyncio.to_thread(replica.start)
        message = await inbox.mail(restarted)
        async with Api(replica.url) as api:
            await api.verify(restarted, code_of(message))
            metrics = (await api.http.get("/metrics")).text
            assert 'dropcast_mails_sent_total{purpose="register"} 1.0' in metrics
    finally:
        inbox.stop()
    assert [len(inbox.to(email)) for email in (waiting, restarted)] == [1, 1]
    assert code not in replica.log_text()


async def test_without_redis_nobody_gets_a_code(
    shop_settings: dict[str, str], start_replica: Callable[[Mapping[str, str]], Replica], redis_server: Redis
) -> None:
    await furnish(shop_settings)
    replica = start_replica(shop_settings)
    await asyncio.to_thread(redis_server.kill)
    async with Api(replica.url) as api:
        answer = await api.http.post(
            "/api/register", json={"email": new_address(), "password": PASSWORD, "name": "Ann"}
        )
        assert (answer.status_code, raw_error(answer)["reason"]) == (503, "busy")
        assert "retry-after" in answer.headers
    assert not (replica.folder / "var" / "outbox").exists()


async def test_without_smtp_mail_lies_in_the_outbox_and_switched_off_nobody_is_limited(
    tmp_path: Path, start_replica: Callable[[Mapping[str, str]], Replica]
) -> None:
    settings = {"DROPCAST_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/shop.db", "DROPCAST_RATE_LIMITS": "off"}
    await furnish(settings)
    replica = start_replica(settings)
    outbox = replica.folder / "var" / "outbox"
    async with Api(replica.url) as api:
        for number in range(1, 8):
            await api.register("ann@example.com", PASSWORD, "Ann")
            assert await asyncio.to_thread(
                eventually, lambda wanted=number: len(list(outbox.glob("*.eml"))) == wanted, within_s=10
            )
        newest = sorted(outbox.glob("*.eml"))[-1]
        assert newest.stat().st_mode & 0o777 == 0o600
        (code,) = set(re.findall(r"^    (\d{6})\r?$", newest.read_text(), flags=re.MULTILINE))
        await api.verify("ann@example.com", code)
    log = replica.log_text()
    assert newest.name in log
    assert f" {code}" not in log
    assert f'"{code}"' not in log
    assert PASSWORD not in log


@pytest.mark.parametrize(("trusted", "second"), [("127.0.0.1", 202), ("192.0.2.1", 429)])
async def test_only_a_trusted_proxy_says_where_somebody_comes_from(
    tmp_path: Path, start_replica: Callable[[Mapping[str, str]], Replica], trusted: str, second: int
) -> None:
    settings = {
        "DROPCAST_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/shop.db",
        "DROPCAST_TRUSTED_PROXIES": trusted,
    }
    await furnish(settings)
    replica = start_replica(settings)
    async with Api(replica.url) as api:
        ends = [
            await api.http.post("/api/forgot", json={"email": new_address()}, headers={"X-Forwarded-For": somewhere()})
            for _ in range(2)
        ]
    assert [end.status_code for end in ends] == [202, second]
