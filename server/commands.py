"""The commands beside `serve`: each does one thing, says what it did, and gives the exit code."""

from __future__ import annotations

import asyncio
import logging
import sys
from contextlib import AsyncExitStack
from functools import partial

from server.accounts.address import normal_email
from server.accounts.door import Door, new_ticket
from server.accounts.keep import MemoryKeep, RedisKeep
from server.accounts.passwords import Passwords
from server.accounts.ports import Keep
from server.accounts.sessions import Sessions
from server.app import opened_database, redis_client
from server.catalog.demo import DEMO_PRODUCTS
from server.domain.errors import DropcastError
from server.domain.user import Role
from server.settings import Settings
from server.store.catalog import Catalog
from server.store.engine import open_database
from server.store.product_index import index_all
from server.store.schema import begin_epoch, check_schema, init_if_empty
from server.store.schema import init_db as apply_schema
from server.store.sessions import SessionRows
from server.store.streams import Streams
from server.store.users import Users
from server.store.verify import violations

WAIT_S_MAX = 24 * 3600
TICKETS_MAX = 1_000_000
_TICKETS_AT_ONCE = 1_000


async def init_db(settings: Settings) -> int:
    """`dropcast init-db`. Raises `WrongSchema` when other tables are there."""
    async with opened_database(settings) as database:
        done = await apply_schema(database)
        await index_all(database)  # products that an import by SQL has brought meanwhile
    print("the schema is applied" if done else "the schema is there already; nothing to do")
    return 0


async def migrate(settings: Settings, *, mode: str, wait_s: int) -> int:
    """`dropcast migrate`, which also begins an empty database; with `--check` 1 when there is something to do.

    Raises `WrongSchema`, `MigrationFailed`.
    """
    logging.getLogger("alembic").setLevel(logging.WARNING)  # what is done is said below
    from server.store import migrate as migrations  # here, because no replica should bear the 11 MiB of Alembic

    if not 0 <= wait_s <= WAIT_S_MAX:
        raise DropcastError(f"--wait-seconds must be 0..{WAIT_S_MAX}")
    async with opened_database(settings) as database:
        match mode:
            case "sql":
                todo = await migrations.plan(database)
                sys.stdout.write(await migrations.sql(database))
            case "check":
                todo = await migrations.plan(database)
                if todo.recognised:
                    print(f"to note: the tables are those of revision {todo.at}")
                for revision in todo.todo:
                    print(f"to apply: {revision.id}: {revision.title}")
            case _:
                if await init_if_empty(database):
                    print("the database was empty: the schema is applied")
                todo = await migrations.migrate(database, partial(print, flush=True), wait_s=wait_s)
                if any(revision.then == "index-products" for revision in todo.todo):
                    print("indexing products for the search; broken off, `dropcast index-products` goes on", flush=True)
                    print(f"products indexed: {await index_all(database)}")
                    print("next: `dropcast index-products` once more, when no replica of the older version runs")
    if todo.is_empty:
        print(f"{'-- ' if mode == 'sql' else ''}nothing to do: the database is at revision {todo.at}")
    return 1 if mode == "check" and not todo.is_empty else 0


async def create_user(settings: Settings, *, email: str, role: Role, name: str | None, password: str) -> int:
    """`dropcast create-user`. Raises `Refused` for a bad or known address or a bad password."""
    async with opened_database(settings) as database:
        await check_schema(database)
        keep = MemoryKeep()
        sessions = Sessions(SessionRows(database), keep)
        door = Door(Users(database), sessions, keep, Passwords(), ["signs nothing here"])
        user = await door.create_user(email, role, name=name, password=password)
    print(f"created {user.role} {user.email}")
    return 0


async def end_sessions(settings: Settings, *, email: str) -> int:
    """`dropcast end-sessions`: signs somebody out everywhere, within a second or so. Raises `DropcastError`.

    Works with Redis away as well: copies of sessions count for nothing without it.
    """
    async with opened_database(settings) as database, AsyncExitStack() as stack:
        await check_schema(database)
        known = await Users(database).by_email(normal_email(email) or "")
        if known is None:
            raise DropcastError(f"there is no account for {email!r}")
        keep: Keep = MemoryKeep()
        if settings.bus_url != "memory://":
            keep = RedisKeep(await stack.enter_async_context(redis_client(settings)))
        await Sessions(SessionRows(database), keep).end(known[0].id)
    print(f"{known[0].email} is signed out everywhere")
    return 0


async def seed_demo(settings: Settings) -> int:
    """`dropcast seed-demo`."""
    async with opened_database(settings) as database:
        await check_schema(database)
        catalog = Catalog(database)
        for product in DEMO_PRODUCTS:
            await catalog.put(product)
        await index_all(database)
    print(f"{len(DEMO_PRODUCTS)} demo products are in the catalogue")
    return 0


async def index_products(settings: Settings) -> int:
    """`dropcast index-products`: what was written past the shop, or before there was an index, is found again."""
    async with opened_database(settings) as database:
        await check_schema(database)
        changed = await index_all(database)
    print(f"products indexed anew: {changed}; all can be found")
    return 0


async def mint_tickets(settings: Settings, *, stream: str, viewers: int, ttl_s: int, each: int = 1) -> int:
    """`dropcast mint-tickets`: a ticket a line on standard output, those of one viewer below each other."""
    if settings.bus_url == "memory://":
        raise DropcastError("mint-tickets needs DROPCAST_BUS_URL=redis://…: tickets in a process reach no other")
    if not 1 <= each <= 100:
        raise DropcastError("--each must be 1..100")
    if not 1 <= viewers <= TICKETS_MAX // each or not 1 <= ttl_s <= 24 * 3600:
        raise DropcastError(f"--viewers must be 1..{TICKETS_MAX // each} and --ttl-seconds 1..86400")
    async with opened_database(settings) as database, redis_client(settings) as redis:
        await check_schema(database)
        heads, _ = await Streams(database).heads([stream])
        if stream not in heads:
            raise DropcastError(f"there is no stream {stream!r}")
        keep, users = RedisKeep(redis), Users(database)
        for start in range(0, viewers, _TICKETS_AT_ONCE):
            made = await users.create_nameless(min(_TICKETS_AT_ONCE, viewers - start))
            tickets = [new_ticket(user, stream) for user in made for _ in range(each)]
            await asyncio.gather(*(keep.put(key, value, ttl_s) for _, key, value in tickets))
            sys.stdout.writelines(ticket + "\n" for ticket, _, _ in tickets)
    return 0


async def new_epoch(settings: Settings) -> int:
    """`dropcast new-epoch`: the log of this database is another one than viewers remember."""
    async with opened_database(settings) as database:
        await check_schema(database)
        old, new = await begin_epoch(database)
    print(f"the epoch was {old} and is {new}; restart every replica that runs, for it keeps the old one until then")
    return 0


async def verify(settings: Settings) -> int:
    """`dropcast verify`: each violation on a line; 1 when there is one."""
    database = open_database(settings.database_url, pool_size=1, deadline_s=settings.database_deadline_s)
    try:
        await check_schema(database)
        found = 0
        async for violation in violations(database):
            print(violation)
            found += 1
    finally:
        await database.close()
    print(f"{found} violations" if found else "all invariants hold", file=sys.stderr)
    return 1 if found else 0
