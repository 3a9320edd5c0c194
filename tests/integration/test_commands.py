"""The commands beside `serve`, as an operator runs them: what they do, say, and exit with."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import AsyncIterator, Coroutine, Mapping
from typing import Any

import pytest
import pytest_asyncio
from sqlalchemy import text

from server import commands
from server.__main__ import main
from server.accounts.door import Door
from server.accounts.keep import MemoryKeep, RedisKeep
from server.accounts.passwords import Passwords
from server.accounts.sessions import Sessions, session_id
from server.app import redis_client
from server.catalog.search import Search
from server.domain.errors import DropcastError
from server.domain.user import Role
from server.settings import read
from server.store.catalog import Catalog
from server.store.engine import Database, open_database
from server.store.product_finder import ProductFinder
from server.store.schema import init_db
from server.store.sessions import SessionRows
from server.store.streams import Streams
from server.store.users import Users
from server.store.verify import violations
from tests.contract.shops import Shop
from tests.services.mariadb import Database as Named
from tests.services.mariadb import MariaDB
from tests.services.ports import free_port
from tests.services.replica import run_command

PASSWORD = "correct horse"


def ran(arguments: str, settings: Mapping[str, str], *, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    done = run_command(arguments.split(), settings, stdin=stdin)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def succeeded(arguments: str, settings: Mapping[str, str], *, stdin: str | None = None) -> str:
    done = ran(arguments, settings, stdin=stdin)
    assert (done.returncode, done.stderr) == (0, ""), done
    return done.stdout


def failed(arguments: str, settings: Mapping[str, str], *, stdin: str | None = None, code: int = 1) -> str:
    done = ran(arguments, settings, stdin=stdin)
    assert done.returncode == code, done
    assert done.stdout == ""
    return done.stderr


@pytest_asyncio.fixture
async def database(shop_settings: dict[str, str]) -> AsyncIterator[Database]:
    """The shop's database, with the schema."""
    database = open_database(shop_settings["DROPCAST_DATABASE_URL"])
    await init_db(database)
    yield database
    await database.close()


@pytest.fixture
def ready(shop_settings: dict[str, str], database: Database) -> dict[str, str]:
    """Settings of a shop whose database has the schema."""
    return shop_settings


async def refused(command: Coroutine[Any, Any, int]) -> str:
    """What a command says that refuses; `__main__` prints it and exits with 1, as the tests of whole commands show."""
    with pytest.raises(DropcastError) as said:
        await command
    return str(said.value)


def test_init_db_applies_the_schema_once(shop_settings: dict[str, str]) -> None:
    assert succeeded("init-db", shop_settings) == "the schema is applied\n"
    assert succeeded("init-db", shop_settings) == "the schema is there already; nothing to do\n"


async def test_new_epoch_changes_the_epoch_and_says_what_to_do(ready: dict[str, str], database: Database) -> None:
    streams = Streams(database)
    before = await streams.epoch()
    said = succeeded("new-epoch", ready)
    assert (after := await streams.epoch()) != before
    assert said.startswith(f"the epoch was {before} and is {after}; restart every replica that runs")


def test_new_epoch_needs_a_shop(shop_settings: dict[str, str]) -> None:
    assert failed("new-epoch", shop_settings) == "dropcast: the database is empty: run `dropcast init-db` first\n"


def test_init_db_refuses_what_is_not_ours(shop_settings: dict[str, str], mariadb: MariaDB) -> None:
    name = shop_settings["DROPCAST_DATABASE_URL"].rpartition("/")[2]
    mariadb.execute("CREATE TABLE guestbook (id INT)", Named(name, "", ""))
    said = failed("init-db", shop_settings)
    assert said.startswith("dropcast: nothing was changed: the database has tables that are not Dropcast's")
    assert "guestbook" in said


def test_a_database_that_is_not_there_is_named(shop_settings: dict[str, str], mariadb: MariaDB) -> None:
    url = shop_settings["DROPCAST_DATABASE_URL"]
    nobody = url.replace(f":{mariadb.port}/", f":{free_port()}/")
    nowhere = url.rpartition("/")[0] + "/no_such_database"
    password = url.split(":")[2].partition("@")[0]
    for command, there, named in (("init-db", nobody, "'127.0.0.1'"), ("verify", nowhere, "'no_such_database'")):
        said = failed(command, {**shop_settings, "DROPCAST_DATABASE_URL": there})
        assert said.startswith("dropcast: the database of DROPCAST_DATABASE_URL does not answer: ")
        assert named in said
        assert password not in said


async def test_a_database_without_the_schema_says_what_to_do(shop_settings: dict[str, str]) -> None:
    configured = read(shop_settings)
    for command in (
        commands.seed_demo(configured),
        commands.verify(configured),
        commands.mint_tickets(configured, stream="s", viewers=1, ttl_s=1),
        commands.create_user(configured, email="ann@example.com", role=Role.HOST, name=None, password=PASSWORD),
    ):
        assert "run `dropcast init-db` first" in await refused(command)


async def test_create_user_makes_somebody_who_can_sign_in(ready: dict[str, str], database: Database) -> None:
    create = "create-user --email Ann@Example.com --role admin --password-stdin"
    assert succeeded(create, ready, stdin=f"{PASSWORD}\nignored\n") == "created admin ann@example.com\n"
    passwords = Passwords()
    sessions = Sessions(SessionRows(database), MemoryKeep())
    door = Door(Users(database), sessions, MemoryKeep(), passwords, ["k"])
    _, user = await door.sign_in("ann@example.com", PASSWORD)
    assert (user.role, user.name) == (Role.ADMIN, "ann")
    passwords.close()
    again = commands.create_user(read(ready), email="ann@example.com", role=Role.HOST, name=None, password=PASSWORD)
    assert "there is an account for ann@example.com already" in await refused(again)


@pytest.mark.parametrize(
    ("email", "password", "said"),
    [("ann", PASSWORD, "is not an e-mail address"), ("ann@example.com", "short", "at least 10 characters")],
)
async def test_create_user_says_what_is_wrong(ready: dict[str, str], email: str, password: str, said: str) -> None:
    create = commands.create_user(read(ready), email=email, role=Role.HOST, name=None, password=password)
    assert said in await refused(create)


async def test_index_products_makes_an_import_by_sql_findable(ready: dict[str, str], database: Database) -> None:
    assert succeeded("seed-demo", ready) == "8 demo products are in the catalogue\n"
    assert succeeded("index-products", ready) == "products indexed anew: 0; all can be found\n"
    async with database.transaction() as connection:
        await connection.execute(text("UPDATE products SET title = 'Sunset lantern' WHERE sku = 'DEMO-1'"))
    search = Search(Catalog(database), ProductFinder(database))
    assert await search.find("sunset") == ([], None)
    assert succeeded("index-products", ready) == "products indexed anew: 1; all can be found\n"
    assert [product.sku for product in (await search.find("sunset"))[0]] == ["DEMO-1"]
    async with database.transaction() as connection:
        await connection.execute(text("DELETE FROM product_grams"))
        await connection.execute(text("DELETE FROM product_index"))
    assert succeeded("init-db", ready) == "the schema is there already; nothing to do\n"
    assert [product.sku for product in (await search.find("lantern"))[0]] == ["DEMO-1"]


def test_create_user_without_a_terminal_needs_the_password_on_standard_input() -> None:
    assert "--password-stdin" in failed("create-user --email ann@example.com --role host", {})


async def test_seed_demo_may_be_repeated(ready: dict[str, str], database: Database) -> None:
    seen = []
    assert succeeded("seed-demo", ready) == "8 demo products are in the catalogue\n"
    for _ in range(2):
        assert await commands.seed_demo(read(ready)) == 0
        found, after = await Catalog(database).page(after=None, limit=100)
        assert after is None
        seen.append(found)
    assert seen[0] == seen[1]
    (demo_1,) = [product for product in seen[0] if product.sku == "DEMO-1"]
    assert [variant.stock for variant in demo_1.variants] == [1_000_000]
    assert [violation async for violation in violations(database)] == []


def succeeded_verify(settings: Mapping[str, str]) -> str:
    done = ran("verify", settings)
    assert (done.returncode, done.stdout) == (0, ""), done
    return done.stderr


async def test_end_sessions_signs_somebody_out_and_says_when_there_is_nobody(
    ready: dict[str, str], database: Database
) -> None:
    user = await Users(database).create(email="ann@example.com", name="Ann", role=Role.VIEWER, password_hash=None)
    async with redis_client(read(ready)) as redis:
        sessions = Sessions(SessionRows(database), RedisKeep(redis))
        id_ = session_id(await sessions.open(user.id, ""))
        assert await sessions.caller(id_) is not None
        async with asyncio.timeout(5):
            while not await redis.exists(f"dropcast:session:{id_}"):  # noqa: ASYNC110  the copy follows the answer
                await asyncio.sleep(0.01)
        assert succeeded("end-sessions --email ANN@example.com", ready) == "ann@example.com is signed out everywhere\n"
        assert await sessions.caller(id_) is None
    for nobody in ("bob@example.com", "nobody"):
        assert failed(f"end-sessions --email {nobody}", ready) == f"dropcast: there is no account for {nobody!r}\n"


async def test_mint_tickets_prints_tickets_that_let_viewers_in_once(ready: dict[str, str], database: Database) -> None:
    shop = await Shop.opened(database)
    tickets = succeeded(f"mint-tickets --stream {shop.stream} --viewers 1200 --ttl-seconds 60", ready).splitlines()
    assert len(set(tickets)) == 1200
    passwords = Passwords()
    async with redis_client(read(ready)) as redis:
        keep = RedisKeep(redis)
        door = Door(Users(database), Sessions(SessionRows(database), keep), keep, passwords, ["k"])
        people = [await door.redeem(ticket, shop.stream) for ticket in (tickets[0], tickets[1100], tickets[0])]
    assert people[2] is None
    first, second = people[:2]
    assert first is not None
    assert second is not None
    assert first.user.id != second.user.id
    assert await shop.users.by_id(first.user.id) == first.user
    assert (first.user.role, first.session) == (Role.VIEWER, None)
    passwords.close()


async def test_a_viewer_with_several_tickets_stays_the_same_person(ready: dict[str, str], database: Database) -> None:
    shop = await Shop.opened(database)
    words = f"mint-tickets --stream {shop.stream} --viewers 2 --each 3 --ttl-seconds 60"
    tickets = succeeded(words, ready).splitlines()
    assert len(set(tickets)) == 6
    passwords = Passwords()
    async with redis_client(read(ready)) as redis:
        keep = RedisKeep(redis)
        door = Door(Users(database), Sessions(SessionRows(database), keep), keep, passwords, ["k"])
        people = [await door.redeem(ticket, shop.stream) for ticket in tickets]
    ids = [person.user.id for person in people if person is not None]
    assert len(ids) == 6
    assert len(set(ids[:3])) == len(set(ids[3:])) == 1
    assert ids[0] != ids[3]
    passwords.close()


@pytest.mark.parametrize(
    ("stream", "viewers", "ttl_s", "more", "said"),
    [
        ("nobody", 1, 1, {}, "there is no stream 'nobody'"),
        ("s", 0, 1, {}, "--viewers must be 1.."),
        ("s", 1, 0, {}, "--ttl-seconds 1..86400"),
        ("s", 1, 1, {"DROPCAST_BUS_URL": "memory://"}, "DROPCAST_BUS_URL=redis://"),
    ],
)
async def test_mint_tickets_says_what_is_wrong(
    ready: dict[str, str], stream: str, viewers: int, ttl_s: int, more: dict[str, str], said: str
) -> None:
    mint = commands.mint_tickets(read({**ready, **more}), stream=stream, viewers=viewers, ttl_s=ttl_s)
    assert said in await refused(mint)


async def test_verify_prints_each_violation_and_exits_1(ready: dict[str, str], database: Database) -> None:
    shop = await Shop.opened(database)
    drop = await shop.open_drop(5)
    await shop.order(drop)
    assert await commands.verify(read(ready)) == 0
    await shop.sql("UPDATE orders SET total = total + 1")
    await shop.sql("UPDATE streams SET seq = seq + 1")
    done = ran("verify", ready)
    assert done.returncode == 1
    first, second = done.stdout.splitlines()
    assert "does not agree with its drop" in first
    assert "its log holds 2 events up to 2" in second
    assert done.stderr == "2 violations\n"


def test_a_bad_setting_is_named_before_anything_is_done() -> None:
    assert failed("verify", {"DROPCAST_BIND": "nowhere"}) == (
        "dropcast: DROPCAST_BIND: must be host:port, such as 127.0.0.1:8080 or [::]:8080,"
        " or unix:/the/whole/path.sock\n"
    )


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ("", "COMMAND"),
        ("dance", "invalid choice: 'dance'"),
        ("verify --loudly", "--loudly"),
        ("create-user --email ann@example.com --role root", "invalid choice: 'root'"),
        ("create-user --role host", "--email"),
        ("mint-tickets --stream s --viewers many --ttl-seconds 1", "invalid int value: 'many'"),
    ],
)
def test_words_that_are_off_exit_2(arguments: str, said: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit_:
        main(arguments.split())
    assert exit_.value.code == 2
    assert said in capsys.readouterr().err


async def test_sqlite_needs_no_server(tmp_path: object) -> None:
    settings = {"DROPCAST_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/new/folder/shop.db"}
    assert await commands.init_db(read(settings)) == 0
    database = open_database(settings["DROPCAST_DATABASE_URL"])
    assert await Streams(database).epoch()
    await database.close()
    assert succeeded_verify(settings) == "all invariants hold\n"
    nowhere = read({"DROPCAST_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/not-there.db"})
    assert "run `dropcast init-db` first" in await refused(commands.verify(nowhere))
