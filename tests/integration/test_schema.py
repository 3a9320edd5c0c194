"""One schema in two languages, what `init-db` does and refuses, and how SQLite is opened."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pymysql  # type: ignore[import-untyped,unused-ignore]
import pytest
import pytest_asyncio
from sqlalchemy import Connection, event, text, update
from sqlalchemy.engine import make_url
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from server.store.engine import Database, open_database
from server.store.schema import SCHEMA_SQL, WrongSchema, check_schema, init_db, statements
from server.store.streams import Streams
from server.store.tables import deployment, metadata
from tests.services.mariadb import Database as Named
from tests.services.mariadb import MariaDB

# The two languages


@pytest.fixture
def two_databases(mariadb: MariaDB) -> Iterator[tuple[Named, Named]]:
    """The schema as SQL says it, and as Python says it."""
    from_sql, from_python = mariadb.create_database(), mariadb.create_database()
    yield from_sql, from_python
    for database in (from_sql, from_python):
        mariadb.drop_database(database)


@pytest_asyncio.fixture
async def loaded(mariadb: MariaDB, two_databases: tuple[Named, Named]) -> tuple[Named, Named]:
    from_sql, from_python = two_databases
    for database, create in ((from_sql, _from_sql), (from_python, metadata.create_all)):
        engine = create_async_engine(mariadb.url(database))
        async with engine.begin() as connection:
            await connection.run_sync(create)
        await engine.dispose()
    return two_databases


def _from_sql(connection: Connection) -> None:
    for statement in statements(SCHEMA_SQL.read_text("utf-8")):
        connection.exec_driver_sql(statement)


def shape(mariadb: MariaDB, database: Named) -> dict[str, tuple[list[str], list[str]]]:
    """Of each table its columns in order, and its keys, CHECKs and options in any, as the server itself tells them."""
    login = {"user": database.user, "password": database.password, "database": database.name}
    tables = {}
    with (
        closing(pymysql.connect(host="127.0.0.1", port=mariadb.port, ssl_disabled=True, **login)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute("SHOW TABLES")
        for (name,) in cursor.fetchall():
            cursor.execute(f"SHOW CREATE TABLE {name}")
            lines = [line.strip().rstrip(",") for line in cursor.fetchall()[0][1].splitlines()[1:]]
            columns = [line for line in lines if line.startswith("`")]
            tables[name] = columns, sorted(line for line in lines if not line.startswith("`"))
    return tables


def test_schema_sql_and_tables_py_say_the_same(mariadb: MariaDB, loaded: tuple[Named, Named]) -> None:
    from_sql, from_python = (shape(mariadb, database) for database in loaded)
    assert from_sql == from_python
    assert set(from_sql) == set(metadata.tables)


DIFFERENCES = [
    "ALTER TABLE users MODIFY name VARCHAR(101) NOT NULL",
    "ALTER TABLE users MODIFY name VARCHAR(101) NULL",
    "ALTER TABLE users MODIFY role VARCHAR(16) CHARACTER SET ascii NOT NULL",
    "ALTER TABLE events MODIFY at DATETIME(3) NOT NULL",
    "ALTER TABLE orders DROP INDEX orders_drop_viewer",
    "ALTER TABLE orders DROP INDEX orders_viewer_ref, ADD INDEX orders_viewer_ref (viewer_id, ref)",
    "ALTER TABLE drop_stock DROP CONSTRAINT drop_stock_equation",
    "ALTER TABLE drops DROP CONSTRAINT drops_limit_positive, ADD CONSTRAINT drops_limit_positive CHECK (price > 0)",
    "ALTER TABLE drops DROP FOREIGN KEY drops_product",
    "ALTER TABLE audit CONVERT TO CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci",
]


def test_control_any_difference_would_be_seen(mariadb: MariaDB, loaded: tuple[Named, Named]) -> None:
    _, changing = loaded
    before = shape(mariadb, changing)
    for change in DIFFERENCES:
        mariadb.execute(change, changing)
        after = shape(mariadb, changing)
        assert after != before, change
        before = after


def undocumented(sql: str) -> list[str]:
    """Indexes and CHECKs without a comment line directly above."""
    lines = [line.strip() for line in sql.splitlines()]
    named = re.compile(r"(?:UNIQUE )?KEY (\w+)|CONSTRAINT (\w+)(?: CHECK|$)")
    return [
        found.group(1) or found.group(2)
        for above, line in pairwise(lines)
        if (found := named.match(line)) and not above.startswith("-- ")
    ]


def test_every_index_and_every_check_says_what_it_serves() -> None:
    assert undocumented(SCHEMA_SQL.read_text("utf-8")) == []


def test_control_an_index_or_a_check_without_a_word_is_found() -> None:
    sql = "\n".join(
        [
            "  -- serves sign-in",
            "  UNIQUE KEY users_email (email),",
            "  KEY users_name (name),",
            "  UNIQUE KEY users_phone (phone),",
            "  CONSTRAINT users_known CHECK (id = 1),",
            "  CONSTRAINT users_host FOREIGN KEY (host) REFERENCES users (id),",
            "  CONSTRAINT users_long",
            "    CHECK (id = 1)",
        ]
    )
    assert undocumented(sql) == ["users_name", "users_phone", "users_known", "users_long"]


def test_every_index_and_check_the_server_has_is_named_in_schema_sql(
    mariadb: MariaDB, loaded: tuple[Named, Named]
) -> None:
    sql = SCHEMA_SQL.read_text("utf-8")
    for keys in (keys for _, keys in shape(mariadb, loaded[0]).values()):
        for key in keys:
            named = re.search(r"(?<!FOREIGN )(?<!PRIMARY )(?:KEY|CONSTRAINT) `(\w+)`", key)
            assert named is None or named.group(1) in sql


# init-db


@pytest.fixture(params=["mariadb", "sqlite"])
def any_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    if request.param == "mariadb":
        return str(request.getfixturevalue("database_url"))
    return f"sqlite+aiosqlite:///{tmp_path}/shop.db"


@pytest_asyncio.fixture
async def database(any_url: str) -> AsyncIterator[Database]:
    database = open_database(any_url)
    yield database
    await database.close()


@pytest_asyncio.fixture
async def by_hand(any_url: str, request: pytest.FixtureRequest) -> AsyncIterator[AsyncConnection]:
    """A connection that may do anything, tables of others included."""
    if any_url.startswith("sqlite"):
        engine = create_async_engine(any_url)
    else:
        mariadb: MariaDB = request.getfixturevalue("mariadb")
        name = make_url(any_url).database
        mariadb.execute(f"GRANT DROP ON {name}.* TO '{name}'@'127.0.0.1'")
        engine = create_async_engine(any_url)
    async with engine.connect() as connection:
        yield connection
    await engine.dispose()


async def test_init_db_makes_an_empty_database_ready_once(database: Database) -> None:
    with pytest.raises(WrongSchema, match="run `dropcast init-db` first"):
        await check_schema(database)
    assert await init_db(database) is True
    await check_schema(database)
    epoch = await Streams(database).epoch()
    assert re.fullmatch("[0-9a-f]{8}", epoch)
    assert await init_db(database) is False
    assert await Streams(database).epoch() == epoch


async def test_each_database_has_an_epoch_of_its_own(database: Database, tmp_path: Path) -> None:
    await init_db(database)
    other = open_database(f"sqlite+aiosqlite:///{tmp_path}/other.db")
    await init_db(other)
    assert await Streams(database).epoch() != await Streams(other).epoch()
    await other.close()


async def test_tables_of_somebody_else_are_left_alone(database: Database, by_hand: AsyncConnection) -> None:
    await by_hand.execute(text("CREATE TABLE guestbook (id INTEGER)"))
    await by_hand.commit()
    for refused in (init_db, check_schema):
        with pytest.raises(WrongSchema, match="guestbook"):
            await refused(database)
    async with database.reading() as connection:
        tables = await connection.run_sync(lambda c: c.dialect.get_table_names(c))
    assert tables == ["guestbook"]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (
            "ALTER TABLE users RENAME COLUMN name TO nickname",
            "users.name is missing; users.nickname is unknown here and has no default",
        ),
        ("ALTER TABLE orders DROP COLUMN title", "orders.title is missing"),
        ("DROP TABLE audit", "table audit is missing"),
    ],
)
async def test_another_shape_is_refused_and_named(
    database: Database, by_hand: AsyncConnection, change: str, said: str
) -> None:
    await init_db(database)
    await by_hand.execute(text(change))
    await by_hand.commit()
    for refused in (init_db, check_schema):
        with pytest.raises(WrongSchema, match=re.escape(said)):
            await refused(database)


async def test_a_database_without_its_deployment_row_says_so(database: Database) -> None:
    await init_db(database)
    async with database.transaction() as connection:
        await connection.execute(deployment.delete())
    with pytest.raises(LookupError, match="dropcast init-db"):
        await Streams(database).epoch()


# SQLite


@pytest.fixture
def file_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path}/shop.db"


async def test_sqlite_is_opened_in_wal_mode_with_foreign_keys(file_url: str) -> None:
    database = open_database(file_url)
    async with database.reading() as connection:
        pragmas = {
            name: (await connection.execute(text(f"PRAGMA {name}"))).scalar()
            for name in ("journal_mode", "foreign_keys", "synchronous", "busy_timeout")
        }
    await database.close()
    assert pragmas == {"journal_mode": "wal", "foreign_keys": 1, "synchronous": 1, "busy_timeout": 5000}


async def test_sqlite_takes_the_write_lock_at_the_start_of_a_transaction_and_never_to_read(file_url: str) -> None:
    database = open_database(file_url)
    seen: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda _c, _cursor, sql, *_: seen.append(sql))
    async with database.transaction() as connection:
        await connection.execute(text("SELECT 1"))
    async with database.reading() as connection:
        await connection.execute(text("SELECT 2"))
    await database.close()
    assert seen == ["BEGIN IMMEDIATE", "SELECT 1", "BEGIN", "SELECT 2"]


async def _epoch(connection: AsyncConnection) -> int:
    return int((await connection.execute(text("SELECT epoch FROM deployment"))).scalar_one())


async def test_concurrent_increments_on_sqlite_lose_nothing(file_url: str) -> None:
    replicas = [open_database(file_url), open_database(file_url)]
    await init_db(replicas[0])

    async def write(connection: AsyncConnection, epoch: int) -> None:
        await connection.execute(update(deployment).values(epoch=str(epoch)))

    async with replicas[0].transaction() as connection:
        await write(connection, 0)

    async def increment(database: Database) -> None:
        async with database.transaction() as connection:
            count = await _epoch(connection)
            await asyncio.sleep(0)
            await write(connection, count + 1)

    await asyncio.gather(*(increment(replicas[n % 2]) for n in range(60)))
    async with replicas[1].reading() as connection:
        assert await _epoch(connection) == 60
    for database in replicas:
        await database.close()


async def test_control_sqlite_as_it_comes_loses_one_of_two_increments(file_url: str) -> None:
    ours = open_database(file_url)
    await init_db(ours)
    async with ours.transaction() as connection:
        await connection.execute(update(deployment).values(epoch="0"))
    plain = create_async_engine(file_url)
    both_have_read = asyncio.Barrier(2)

    async def increment() -> None:
        async with plain.begin() as connection:
            count = await _epoch(connection)
            await asyncio.wait_for(both_have_read.wait(), 5)
            await connection.execute(update(deployment).values(epoch=str(count + 1)))

    await asyncio.gather(increment(), increment())
    async with ours.reading() as connection:
        assert await _epoch(connection) == 1
    await plain.dispose()
    await ours.close()
