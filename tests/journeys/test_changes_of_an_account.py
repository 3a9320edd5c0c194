"""Who changes their own account stays where they are; who is revoked is out on every replica within a second."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from server import commands
from server.protocol.codes import CloseCode
from server.settings import read
from tests.client import Api, LiveClient
from tests.journeys.conftest import PASSWORD, Shop, furnish
from tests.journeys.test_sessions import _edit, _me, _sign_in, admin, api, codes, on_both, with_cookie
from tests.services.redis import Redis
from tests.services.replica import Replica

__all__ = ["admin"]

OTHER = "cold plum bicycle"
WITHIN_S = 1.0
"""What is promised: from the answer to whoever revokes until the sockets are closed."""


async def test_what_revokes_somebody_closes_their_sockets_on_both_replicas_within_a_second(
    own_shop: Shop, admin: Api
) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    elsewhere, rival = await api(shop, "viewer"), await api(shop, "rival")
    of_viewer, of_elsewhere = await on_both(shop, stream), await on_both(shop, stream, elsewhere)
    of_rival, of_host = await on_both(shop, stream, rival), await on_both(shop, stream, shop.host)
    ticketed = await shop.watch(shop.replicas[1], stream)

    (mine,) = [one["id"] for one in (await shop.viewer.get("/api/sessions"))["sessions"] if one["current"]]
    await elsewhere.post(f"/api/sessions/{mine}/end", {})
    assert await codes([*of_viewer, ticketed], within_s=WITHIN_S) == [CloseCode.NOT_ALLOWED] * 3
    await _edit(admin, shop, "rival@example.com", disabled_at="on")
    assert await codes(of_rival, within_s=WITHIN_S) == [CloseCode.NOT_ALLOWED] * 2
    await _edit(admin, shop, "host@example.com", role="viewer")
    assert await codes(of_host, within_s=WITHIN_S) == [CloseCode.RESTARTING] * 2  # come back, as what you are now
    await admin.post("/api/logout", {})
    assert [socket.closed for socket in of_elsewhere] == [None] * 2
    await elsewhere.post("/api/sessions/end-all", {})
    assert await codes(of_elsewhere, within_s=WITHIN_S) == [CloseCode.NOT_ALLOWED] * 2


async def test_who_changes_their_password_stays_and_every_other_session_ends(own_shop: Shop) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 10, limit=10)
    await shop.host.open(drop)
    elsewhere = await api(shop, "viewer")
    here, there = await on_both(shop, stream), await on_both(shop, stream, elsewhere)
    cookie = shop.viewer.cookie
    await shop.viewer.post("/api/account/password", {"old": PASSWORD, "new": OTHER})
    assert await codes(there, within_s=WITHIN_S) == [CloseCode.NOT_ALLOWED] * 2  # the news is on both replicas
    assert shop.viewer.cookie == cookie
    for replica in shop.replicas:
        assert await _me(shop, replica, elsewhere) is None
        assert (await _me(shop, replica, shop.viewer))["name"] == "viewer"
    for client in here:
        assert (await client.expect_receipt(await client.order(drop))).status == "accepted"
    assert [(await _sign_in(shop, "viewer@example.com", password))[0] for password in (PASSWORD, OTHER)] == [401, 200]


async def test_a_new_name_shows_on_every_replica_and_the_sockets_stay(own_shop: Shop) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    here = await on_both(shop, stream)
    for replica in shop.replicas:  # the copy is in Redis
        assert (await _me(shop, replica, shop.viewer))["name"] == "viewer"
    cookie = shop.viewer.cookie
    await shop.viewer.post("/api/account/name", {"name": "Ann Lee"})
    assert shop.viewer.cookie == cookie
    for replica in shop.replicas:
        assert (await _me(shop, replica, shop.viewer))["name"] == "Ann Lee"
        again = await with_cookie(shop, replica, stream)
        assert again.welcome.viewer is not None
        assert again.welcome.viewer.name == "Ann Lee"
    assert [client.closed for client in here] == [None] * 2


async def test_the_night_shift_signs_somebody_out_of_a_shop_in_one_process(
    tmp_path: Path, start_replica: Callable[[Mapping[str, str]], Replica]
) -> None:
    settings = {"DROPCAST_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/shop.db"}
    await furnish(settings)
    replica = start_replica(settings)
    async with Api(replica.url) as host, Api(replica.url) as viewer:
        await host.login("host@example.com", PASSWORD)
        await viewer.login("viewer@example.com", PASSWORD)
        await host.create_stream("show", "A show")
        for _ in range(2):  # the second time from memory, were there a copy
            assert (await viewer.get("/api/me"))["user"]["name"] == "viewer"
        async with await LiveClient.join(replica.ws_url("show"), cookie=viewer.cookie, origin=replica.url) as client:
            await commands.end_sessions(read(settings), email="viewer@example.com")
            assert (await viewer.http.get("/api/me")).status_code == 401
            assert await codes([client]) == [CloseCode.NOT_ALLOWED]
        assert (await host.get("/api/me"))["user"]["name"] == "host"


@pytest.mark.parametrize("redis_is", ["there", "gone"])
async def test_who_leaves_for_good_is_out_everywhere_and_their_orders_stay(
    own_shop: Shop, redis_server: Redis, redis_is: str
) -> None:
    shop = own_shop
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 10)
    await shop.host.open(drop)
    elsewhere = await api(shop, "viewer")
    sockets = [*await on_both(shop, stream), *await on_both(shop, stream, elsewhere)]
    assert (await sockets[0].expect_receipt(await sockets[0].order(drop))).status == "accepted"
    if redis_is == "gone":
        await asyncio.to_thread(redis_server.kill)
    await elsewhere.post("/api/account/delete", {"password": PASSWORD})
    assert elsewhere.cookie == ""
    assert await codes(sockets, within_s=WITHIN_S if redis_is == "there" else 8) == [CloseCode.NOT_ALLOWED] * 4
    for replica in shop.replicas:
        assert await _me(shop, replica, shop.viewer) is None
    assert (await _sign_in(shop, "viewer@example.com", PASSWORD))[0] == 401
    bought = "SELECT viewer_id, COUNT(*) FROM orders WHERE drop_id = :d GROUP BY viewer_id"
    ((viewer, orders),) = await shop.rows(bought, d=drop)
    assert orders == 1
    assert await shop.rows("SELECT id FROM sessions WHERE user_id = :u", u=viewer) == []
