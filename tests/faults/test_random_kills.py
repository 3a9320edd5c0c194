"""Rounds of `kill -9` in the middle of a sale: no receipt lies, whatever dies when.

`pytest tests/faults --fault-rounds 20` runs more of them, `--fault-seed N` the same one again: the kills, their moments
and the buyers' wishes; what meets them on the way is the machine's.
"""

from __future__ import annotations

import asyncio
import io
import random
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, redirect_stdout

import httpx
import pytest

from server import commands
from server.accounts.keep import RedisKeep
from server.app import opened_database, redis_client
from server.domain.user import Role
from server.settings import read
from server.store.users import Users
from server.store.verify import violations
from tests.client import Api
from tests.faults.audit import Books, History, Row, Stock, audit
from tests.faults.buyers import Buyer, ByPassword, ByTicket, Entrance
from tests.faults.conftest import Fragile
from tests.faults.hosts import Showman
from tests.faults.kills import Kill, Progress, carry_out, drawn
from tests.journeys.conftest import PASSWORD, Shop, opened

MINTED, SIGNED_IN = 50, 6
FINISH_WITHIN_S = 60.0


@pytest.mark.timeout(300)
async def test_whatever_dies_every_receipt_is_true_and_every_viewer_gets_one(fault_seed: int, fragile: Fragile) -> None:
    kills = drawn(fault_seed, replicas=2)
    print(f"--fault-seed {fault_seed}:", *kills, sep="\n  ")
    async with opened(fragile.premises) as shop:
        assert await a_round(fragile, shop, fault_seed, kills) == []
        assert await bugs(shop) == {}


async def test_control_a_database_that_answers_before_it_writes_is_found_out(forgetful: Fragile) -> None:
    kills = [Kill("mariadb", after_orders=100, moment_s=0.0, down_s=0.0)] * 2  # one may meet a log just written
    async with opened(forgetful.premises) as shop:
        problems = await a_round(forgetful, shop, 1, kills)
    assert any("which has no such row" in problem for problem in problems)


async def a_round(fragile: Fragile, shop: Shop, seed: int, kills: list[Kill]) -> list[str]:
    """A show from start to end while the kills are carried out; every broken promise found."""
    chance = random.Random(seed)
    stream = await shop.live_stream()
    plenty = await shop.drop(stream, 30_000, limit=1000)
    scarce = await shop.drop(stream, 20, limit=1000)
    little = [await shop.drop(stream, 1) for _ in range(30)]
    for drop in (plenty, scarce):
        await shop.host.open(drop)
    history, progress, enough = History(), Progress(), asyncio.Event()
    async with entrances(shop, stream) as by_viewer, Api(shop.nginx.url) as api:
        showman = Showman(api, "host@example.com", shop.variant, scarce, little)
        await showman.sign_in()
        url = shop.nginx.ws_url(stream)
        buyers = [
            Buyer(f"b{n}", viewer, entrance, url, (plenty, scarce), chance_of(chance), history, progress)
            for n, (viewer, entrance) in enumerate(by_viewer.items())
        ]
        async with asyncio.TaskGroup() as sale:  # the first broken promise ends the round
            for buyer in buyers:
                sale.create_task(buyer.buy(enough))
            show = sale.create_task(showman.run(enough))
            await carry_out(kills, fragile.parts, progress)
            enough.set()
            await asyncio.wait_for(show, FINISH_WITHIN_S)
            await showman.close(plenty, scarce)
        ((seq,),) = await shop.rows("SELECT seq FROM streams WHERE slug = :slug", slug=stream)
        async with asyncio.TaskGroup() as asking:
            for buyer in buyers:
                asking.create_task(buyer.confirm(seq))

    books = await books_of(shop, stream)
    wishes, asks = sum(buyer.wishes for buyer in buyers), sum(buyer.asks for buyer in buyers)
    back = sum(buyer.joins for buyer in buyers) - 2 * len(buyers)  # each joins once to buy and once to confirm
    print(
        f"  {len(buyers)} buyers, {wishes} wishes, {len(books.orders)} orders, {asks - wishes} asked again,"
        f" {back} came back, {len(showman.commands)} commands, {books.seq} events"
    )
    if any(kill.victim.startswith("replica") for kill in kills):
        assert back > 0, "nobody was cut: the kills proved nothing"
    return audit(history, books)


def chance_of(chance: random.Random) -> random.Random:
    return random.Random(chance.getrandbits(64))


@asynccontextmanager
async def entrances(shop: Shop, stream: str) -> AsyncIterator[dict[str, Entrance]]:
    """Ways in by viewer: many with tickets of the operator, some who sign in."""
    settings = read(shop.settings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened_database(settings))
        redis = await stack.enter_async_context(redis_client(settings))
        users, found = Users(database), dict[str, Entrance]()
        for user in await users.create_nameless(MINTED):
            found[user.id] = ByTicket(user, stream, RedisKeep(redis))
        for n in range(SIGNED_IN):
            email = f"buyer-{n}@{stream}.example.com"
            with redirect_stdout(io.StringIO()):
                await commands.create_user(settings, email=email, role=Role.VIEWER, name=None, password=PASSWORD)
            known = await users.by_email(email)
            assert known is not None
            found[known[0].id] = ByPassword(email, await stack.enter_async_context(Api(shop.nginx.url)))
        yield found


async def books_of(shop: Shop, stream: str) -> Books:
    ((stream_id, seq),) = await shop.rows("SELECT id, seq FROM streams WHERE slug = :slug", slug=stream)
    of_stream = {"stream": stream_id}
    orders = await shop.rows("SELECT id, viewer_id, ref, quantity FROM orders WHERE stream_id = :stream", **of_stream)
    stock = await shop.rows(
        "SELECT s.drop_id, s.put_in, s.`left`, s.sold, s.given_back FROM drop_stock s JOIN drops d ON d.id = s.drop_id"
        " WHERE d.stream_id = :stream",
        **of_stream,
    )
    async with opened_database(read(shop.settings)) as database:
        violated = [violation async for violation in violations(database)]
    return Books([Row(*row) for row in orders], [Stock(*row) for row in stock], seq, violated)


async def bugs(shop: Shop) -> dict[str, float]:
    """What the replicas themselves count as bugs since they were started last."""
    async with httpx.AsyncClient(trust_env=False) as http:
        texts = [(await http.get(f"{replica.url}/metrics")).text for replica in shop.replicas]
    counted = re.findall(r"^(dropcast_(?:bugs|tasks_died)_total\S*) (\S+)$", "\n".join(texts), re.MULTILINE)
    return {name: float(count) for name, count in counted if float(count)}
