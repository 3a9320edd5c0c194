"""A show from start to end, with buyers who never give up, while something happens to the shop."""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx

from server.accounts.door import Door
from server.accounts.keep import MemoryKeep, RedisKeep
from server.accounts.passwords import Passwords
from server.accounts.sessions import Sessions
from server.app import opened_database, redis_client
from server.domain.user import Role
from server.settings import read
from server.store.sessions import SessionRows
from server.store.users import Users
from server.store.verify import violations
from tests.client import Api
from tests.faults.audit import Books, History, Row, Stock, audit
from tests.faults.buyers import Buyer, ByPassword, ByTicket, Entrance
from tests.faults.hosts import Showman
from tests.faults.kills import Progress
from tests.journeys.conftest import PASSWORD, Shop

MINTED, SIGNED_IN = 50, 6
FINISH_WITHIN_S = 60.0


@dataclass(frozen=True)
class Played:
    """Every broken promise, how many times a buyer had to come back, and the stream's last event."""

    problems: list[str]
    came_back: int
    seq: int


async def play(
    shop: Shop, stream: str, seed: int, happening: Callable[[Progress], Awaitable[None]], *, minted: int = MINTED
) -> Played:
    """Ends when what happens has ended, every order has its answer and every buyer the last event.

    `seed` draws the buyers' wishes; `minted` of them come with tickets, `SIGNED_IN` by their password. The first
    promise that is broken at once ends it with the error.
    """
    chance = random.Random(seed)
    plenty = await shop.drop(stream, 30_000, limit=1000)
    scarce = await shop.drop(stream, 20, limit=1000)
    little = [await shop.drop(stream, 1) for _ in range(30)]
    for drop in (plenty, scarce):
        await shop.host.open(drop)
    history, progress, enough = History(), Progress(), asyncio.Event()
    async with _entrances(shop, stream, minted) as by_viewer, Api(shop.nginx.url) as api:
        showman = Showman(api, "host@example.com", shop.variant, scarce, little)
        await showman.sign_in()
        url = shop.nginx.ws_url(stream)
        buyers = [
            Buyer(f"b{n}", viewer, entrance, url, (plenty, scarce), _chance_of(chance), history, progress)
            for n, (viewer, entrance) in enumerate(by_viewer.items())
        ]
        async with asyncio.TaskGroup() as sale:
            for buyer in buyers:
                sale.create_task(buyer.buy(enough))
            show = sale.create_task(showman.run(enough))
            await happening(progress)
            enough.set()
            await asyncio.wait_for(show, FINISH_WITHIN_S)
            await showman.close(plenty, scarce)
        ((seq,),) = await shop.rows("SELECT seq FROM streams WHERE slug = :slug", slug=stream)
        async with asyncio.TaskGroup() as asking:
            for buyer in buyers:
                asking.create_task(buyer.confirm(seq))

    books = await _books_of(shop, stream)
    wishes, asks = sum(buyer.wishes for buyer in buyers), sum(buyer.asks for buyer in buyers)
    back = sum(buyer.joins for buyer in buyers) - 2 * len(buyers)  # each joins once to buy and once to confirm
    print(
        f"  {len(buyers)} buyers, {wishes} wishes, {len(books.orders)} orders, {asks - wishes} asked again,"
        f" {back} came back, {len(showman.commands)} commands, {books.seq} events"
    )
    return Played(audit(history, books), back, books.seq)


async def bugs(shop: Shop) -> dict[str, float]:
    """What the replicas themselves count as bugs since they were started last."""
    async with httpx.AsyncClient(trust_env=False) as http:
        texts = [(await http.get(f"{replica.url}/metrics")).text for replica in shop.replicas]
    counted = re.findall(r"^(dropcast_(?:bugs|tasks_died)_total\S*) (\S+)$", "\n".join(texts), re.MULTILINE)
    return {name: float(count) for name, count in counted if float(count)}


def _chance_of(chance: random.Random) -> random.Random:
    return random.Random(chance.getrandbits(64))


@asynccontextmanager
async def _entrances(shop: Shop, stream: str, minted: int) -> AsyncIterator[dict[str, Entrance]]:
    """Ways in by viewer: many with tickets of the operator, some who sign in."""
    settings = read(shop.settings)
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(opened_database(settings))
        redis = await stack.enter_async_context(redis_client(settings))
        users, found = Users(database), dict[str, Entrance]()
        # not by the command, which insists on a database of its own version
        door = Door(users, Sessions(SessionRows(database), MemoryKeep()), MemoryKeep(), Passwords(), ["signs nothing"])
        for user in await users.create_nameless(minted):
            found[user.id] = ByTicket(user, stream, RedisKeep(redis))
        for n in range(SIGNED_IN):
            email = f"buyer-{n}@{stream}.example.com"
            user = await door.create_user(email, Role.VIEWER, name=None, password=PASSWORD)
            found[user.id] = ByPassword(email, await stack.enter_async_context(Api(shop.nginx.url)))
        yield found


async def _books_of(shop: Shop, stream: str) -> Books:
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
