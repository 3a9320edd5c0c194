"""Databases of older versions come to today's schema, whatever happens, and replicas of two ages share one."""

from __future__ import annotations

import re
import shutil
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import Any

import pymysql  # type: ignore[import-untyped,unused-ignore]
import pytest
import pytest_asyncio
from alembic.script import ScriptDirectory
from sqlalchemy import create_engine, inspect
from sqlalchemy.engine import make_url

from server.domain.ids import new_id
from server.domain.order import OrderRequest
from server.store import migrate as migrations
from server.store.engine import open_database
from server.store.migrate import MigrationFailed, migrate, plan
from server.store.orders import Orders
from server.store.revisions import BOOKKEEPING, FOLDER, known
from server.store.schema import WrongSchema, check_schema, init_db, statements
from server.store.sole import Locked, sole
from server.store.tables import metadata
from server.store.upgrade import upgrade
from server.store.verify import violations
from tests.contract.shops import Shop
from tests.integration.test_schema import shape
from tests.services.mariadb import Database as Named
from tests.services.mariadb import MariaDB
from tests.services.replica import Replica, command_environment, run_command, shared_settings

BEFORE = Path(__file__).parent / "before_revisions"
HEAD = known()[-1].id
WHAT_TO_DO = (
    "databases of older versions would not get what a new one has: add a revision to server/store/migrations/versions"
    " that brings it (docs/migrations.md says how), or take back the change of schema.sql and tables.py"
)


class AnyDatabase:
    """One of either kind, with the code's own view of it and another, past it."""

    def __init__(self, url: str, mariadb: MariaDB | None) -> None:
        self.url = url
        self.mariadb = mariadb
        self.database = open_database(url)

    def execute(self, *sql: str) -> list[tuple[Any, ...]]:
        """Runs statements by hand; the rows of the last one."""
        rows: list[tuple[Any, ...]] = []
        if self.mariadb is not None:
            for one in sql:
                rows = self.mariadb.execute(one, self.name)
            return rows
        with closing(sqlite3.connect(str(make_url(self.url).database))) as connection, connection:
            for one in sql:
                rows = connection.execute(one).fetchall()
        return rows

    def make_old(self, *, rows: bool = True) -> None:
        """What the code of before there were revisions would have left."""
        self.execute(*statements((BEFORE / f"{self.kind}.sql").read_text("utf-8")))
        if rows:
            written = (BEFORE / "rows.sql").read_text("utf-8").splitlines()
            self.execute(*(line for line in written if line.startswith("INSERT")))

    @property
    def kind(self) -> str:
        return "mariadb" if self.mariadb is not None else "sqlite"

    @property
    def name(self) -> Named:
        url = make_url(self.url)
        return Named(str(url.database), str(url.username), str(url.password))

    def shape(self) -> dict[str, Any]:
        """All there is to say about its tables; SQLite adds columns at the end, so there they may come in any order."""
        if self.mariadb is not None:
            return shape(self.mariadb, self.name)
        engine = create_engine(f"sqlite:///{make_url(self.url).database}")
        told = inspect(engine)
        found = {
            table: {
                "columns": sorted(
                    (c["name"], str(c["type"]), c["nullable"], str(c["default"])) for c in told.get_columns(table)
                ),
                "key": told.get_pk_constraint(table)["constrained_columns"],
                "unique": sorted((u["name"], u["column_names"]) for u in told.get_unique_constraints(table)),
                "checks": sorted((c["name"], c["sqltext"]) for c in told.get_check_constraints(table)),
                "foreign": sorted(
                    (f["name"], f["constrained_columns"], f["referred_table"]) for f in told.get_foreign_keys(table)
                ),
                "indexes": sorted((i["name"], i["column_names"]) for i in told.get_indexes(table)),
                "options": told.get_table_options(table),
            }
            for table in told.get_table_names()
        }
        engine.dispose()
        return found


@pytest.fixture(params=["mariadb", "sqlite"])
def new(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], AnyDatabase]]:
    """`new()` gives an empty database of this kind."""
    kind: str = request.param
    with ExitStack() as stack:

        def one() -> AnyDatabase:
            if kind == "sqlite":
                return AnyDatabase(f"sqlite+aiosqlite:///{tmp_path}/{new_id()}.db", None)
            mariadb: MariaDB = request.getfixturevalue("mariadb")
            made = mariadb.create_database()
            stack.callback(lambda: mariadb.ensure().drop_database(made))
            return AnyDatabase(mariadb.url(made), mariadb)

        yield one


@pytest_asyncio.fixture
async def old(new: Callable[[], AnyDatabase]) -> AsyncIterator[AnyDatabase]:
    """A database of before there were revisions, with a small shop in it."""
    made = new()
    made.make_old()
    yield made
    await made.database.close()


@pytest_asyncio.fixture
async def fresh(new: Callable[[], AnyDatabase]) -> AsyncIterator[AnyDatabase]:
    """What today's `init-db` makes."""
    made = new()
    await init_db(made.database)
    yield made
    await made.database.close()


@pytest.fixture
def newer(tmp_path: Path) -> Callable[..., Path]:
    """`newer(sql, compatible_from=…)`: the revisions of a version to come, with one more than today's."""

    def folder(*sql: str, compatible_from: str = HEAD) -> Path:
        made = tmp_path / f"migrations-{new_id()}"
        shutil.copytree(FOLDER, made, ignore=shutil.ignore_patterns("__pycache__"))
        (made / "versions" / "r9999_to_come.py").write_text(
            f'"""To come."""\nfrom alembic import op\nrevision = "9999"\ndown_revision = {HEAD!r}\n'
            f"compatible_from = {compatible_from!r}\n"
            f"def upgrade():\n    for one in {sql!r}:\n        op.execute(one)\n",
            "utf-8",
        )
        return made

    return folder


def silent(_: str) -> None:
    """For who says nothing."""


# The three that must say the same: schema.sql, tables.py (test_schema.py), and the revisions


async def test_an_upgraded_database_is_like_a_new_one(old: AnyDatabase, fresh: AnyDatabase) -> None:
    await migrate(old.database, silent)
    assert old.shape() == fresh.shape(), WHAT_TO_DO
    assert set(old.shape()) == set(metadata.tables), WHAT_TO_DO


async def test_control_what_no_revision_brings_would_be_seen(old: AnyDatabase, fresh: AnyDatabase) -> None:
    await migrate(old.database, silent)
    for change in (
        "ALTER TABLE drops ADD COLUMN subtitle VARCHAR(9)",
        "CREATE INDEX orders_placed ON orders (placed_at)",
        "CREATE TABLE gifts (id INTEGER)",
    ):
        before = fresh.shape()
        fresh.execute(change)
        assert before != fresh.shape() != old.shape(), change


async def test_the_baseline_is_what_was_made_before_there_were_revisions(
    old: AnyDatabase, new: Callable[[], AnyDatabase]
) -> None:
    made = new()
    async with sole(made.database) as connection:
        await connection.run_sync(lambda c: metadata.create_all(c, tables=BOOKKEEPING))
        await connection.run_sync(lambda c: upgrade(c, "0001", FOLDER))
        await connection.commit()
    await made.database.close()
    bookkeeping = {table.name for table in BOOKKEEPING}
    assert {table: what for table, what in made.shape().items() if table not in bookkeeping} == old.shape()


def test_the_revisions_are_one_line_and_each_works_with_code_that_there_was() -> None:
    ids = [revision.id for revision in known()]  # raises when two follow the same one: give the later the next number
    as_alembic_reads_them = ScriptDirectory(FOLDER).walk_revisions()
    assert [(script.revision, script.down_revision) for script in as_alembic_reads_them] == [
        (revision.id, revision.after) for revision in reversed(known())
    ]
    assert ids == [f"{n:04}" for n in range(1, len(ids) + 1)]
    for revision in known():
        assert revision.compatible_from in ids[: ids.index(revision.id) + 1]
        assert revision.then in (None, "index-products"), "teach server/commands.py:migrate this command"


# What migrate does


async def test_a_database_of_before_is_recognised_and_its_rows_survive(old: AnyDatabase) -> None:
    with pytest.raises(WrongSchema, match=r"drops\.list_price is missing.*run `dropcast migrate` first"):
        await check_schema(old.database)
    tables = [table for table in metadata.tables if table in old.shape()]
    rows = {table: sorted(row[:3] for row in old.execute(f"SELECT * FROM {table}")) for table in tables}
    said: list[str] = []
    done = await migrate(old.database, said.append)
    assert (done.at, [revision.id for revision in done.todo]) == ("0001", [r.id for r in known()[1:]])
    assert said[0] == "recognised revision 0001 by its tables and columns, and noted that"
    assert said[1] == "applying 0002: A drop tells its product's list price"
    await check_schema(old.database)
    assert rows == {table: sorted(row[:3] for row in old.execute(f"SELECT * FROM {table}")) for table in tables}
    assert sum(map(len, rows.values())) == 52
    assert [violation async for violation in violations(old.database)] == []
    assert (await migrate(old.database, said.append)).is_empty
    assert len(said) == 1 + 2 * (len(known()) - 1)


async def test_what_was_on_sale_before_is_on_sale_after(old: AnyDatabase) -> None:
    await migrate(old.database, silent)
    drop, left = old.execute(
        "SELECT drop_id, `left` FROM drop_stock JOIN drops ON drops.id = drop_id WHERE status = 'open' AND `left` > 1"
    )[0]
    ((viewer,), *_) = old.execute("SELECT id FROM users WHERE role = 'viewer' ORDER BY id DESC")
    await Orders(old.database).commit(drop, [OrderRequest(new_id(), viewer, new_id(), drop, None, 1)])
    assert old.execute(f"SELECT `left` FROM drop_stock WHERE drop_id = '{drop}'") == [(left - 1,)]
    assert [violation async for violation in violations(old.database)] == []


async def test_a_database_of_a_revision_without_a_word_about_it_is_recognised(old: AnyDatabase) -> None:
    await migrate(old.database, silent)
    old.execute("DELETE FROM alembic_version", "DELETE FROM schema_revisions")
    done = await migrate(old.database, silent)
    assert (done.at, done.recognised, done.todo) == (HEAD, True, ())
    await check_schema(old.database)


async def test_another_shape_is_refused_with_what_is_between(old: AnyDatabase) -> None:
    old.execute("ALTER TABLE users RENAME COLUMN name TO nickname")
    before = old.shape()
    between = r"nearest is 0001, but users\.name is missing; there is a column users\.nickname"
    for refused in (plan(old.database), migrate(old.database, silent)):
        with pytest.raises(WrongSchema, match=between):
            await refused
    assert old.shape() == before


async def test_an_empty_database_is_left_to_init_db(new: Callable[[], AnyDatabase]) -> None:
    made = new()
    with pytest.raises(WrongSchema, match="run `dropcast init-db` first"):
        await migrate(made.database, silent)
    await made.database.close()


async def test_init_db_leaves_an_older_database_to_migrate(old: AnyDatabase) -> None:
    before = old.shape()
    with pytest.raises(WrongSchema, match=r"nothing was changed: .*run `dropcast migrate` first"):
        await init_db(old.database)
    assert old.shape() == before


async def test_every_revision_on_the_way_is_refused_and_named(old: AnyDatabase, fresh: AnyDatabase) -> None:
    old.execute(*halves(await migrations.sql(old.database))[:-3])  # all but the last revision's index and record
    with pytest.raises(WrongSchema, match=rf"revision {known()[-2].id}, here {HEAD}\).*run `dropcast migrate` first"):
        await check_schema(old.database)
    assert [revision.id for revision in (await migrate(old.database, silent)).todo] == [HEAD]
    assert old.shape() == fresh.shape()


# Dying on the way


def halves(sql: str) -> list[str]:
    """The statements, one by one."""
    return [re.sub(r"^--.*$", "", one, flags=re.MULTILINE).strip() for one in sql.split(";") if one.strip()]


async def test_a_run_that_died_after_any_change_of_a_table_is_run_again() -> None:
    """What `--sql` prints is what is done, in that order: each beginning of it is a run that died there."""
    with MariaDB(durable=False) as mariadb:
        wanted = AnyDatabase(mariadb.url(mariadb.create_database()), mariadb)
        await init_db(wanted.database)
        await wanted.database.close()
        done, all_of_it = 0, [""]
        while done < len(all_of_it):
            half = AnyDatabase(mariadb.url(mariadb.create_database()), mariadb)
            half.make_old(rows=False)
            all_of_it = halves(await migrations.sql(half.database))
            done += 1
            while done < len(all_of_it) and not all_of_it[done - 1].startswith(("CREATE", "ALTER")):
                done += 1
            half.execute(*all_of_it[:done])
            await migrate(half.database, silent)
            assert half.shape() == wanted.shape(), all_of_it[:done]
            await check_schema(half.database)
            await half.database.close()
        assert done > 15


async def test_the_way_back_of_the_first_upgrade_can_be_gone_and_the_upgrade_done_again(served: AnyDatabase) -> None:
    operations = (BEFORE.parents[2] / "docs" / "operations.md").read_text("utf-8")
    back = re.findall(r"^    ((?:ALTER TABLE drops DROP|UPDATE alembic_version) .*);$", operations, flags=re.MULTILINE)
    assert len(back) == 2
    before = served.shape()
    await migrate(served.database, silent)
    after = served.shape()
    served.execute(*back)
    assert served.shape()["drops"] == before["drops"]
    await migrate(served.database, silent)
    assert served.shape() == after
    await check_schema(served.database)
    await served.database.close()


class Running:
    """`dropcast migrate` in a process of its own, heard line by line."""

    def __init__(self, settings: Mapping[str, str], *words: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "server", "migrate", *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=command_environment(settings),
        )
        self.said = ""

    def until(self, words: str) -> None:
        """Waits until it says this."""
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line
            if words in line:
                return
        raise AssertionError(f"it ended without {words!r}:\n{self.said}")

    def end(self) -> int:
        assert self.process.stdout is not None
        self.said += self.process.stdout.read()
        self.process.stdout.close()
        return self.process.wait(30)


@pytest.fixture
def run() -> Iterator[Callable[..., Running]]:
    started: list[Running] = []

    def start(settings: Mapping[str, str], *words: str) -> Running:
        started.append(Running(settings, *words))
        return started[-1]

    yield start
    for one in started:
        if one.process.poll() is None:
            one.process.kill()
            one.end()


@pytest.fixture
def served(database_url: str, mariadb: MariaDB) -> AnyDatabase:
    """An old database on MariaDB."""
    made = AnyDatabase(database_url, mariadb)
    made.make_old()
    return made


@contextmanager
def reading(database: AnyDatabase, table: str) -> Iterator[None]:
    """A transaction that has read a table and stays open: who changes the table waits for it."""
    named, mariadb = database.name, database.mariadb
    assert mariadb is not None
    with closing(
        pymysql.connect(
            host="127.0.0.1",
            port=mariadb.port,
            user=named.user,
            password=named.password,
            database=named.name,
            ssl_disabled=True,
        )
    ) as connection:
        connection.cursor().execute(f"SELECT * FROM {table}")
        yield


async def test_of_two_at_once_one_does_it_and_the_other_waits(served: AnyDatabase, run: Callable[..., Running]) -> None:
    settings = shared_settings(served.url, "memory://")
    with reading(served, "drops"):
        first = run(settings)
        first.until("applying 0002")
        second = run(settings)
        second.until("changes the schema; waiting for up to 600 s")
    assert (first.end(), second.end()) == (0, 0), first.said + second.said
    assert f"applied {HEAD}" in first.said
    assert "products indexed: 5" in first.said
    assert "next: `dropcast index-products` once more" in first.said
    assert re.search(r"connection \d+ \(dropcast_\w+ from 127\.0\.0\.1.*changes the schema", second.said)
    assert second.said.endswith(f"nothing to do: the database is at revision {HEAD}\n")
    assert "applying" not in second.said
    await served.database.close()


async def test_killed_in_the_middle_of_a_statement_the_next_run_goes_on(
    served: AnyDatabase, run: Callable[..., Running]
) -> None:
    settings = shared_settings(served.url, "memory://")
    with reading(served, "drops"):
        first = run(settings)
        first.until("applying 0002")
        first.process.send_signal(signal.SIGKILL)
        assert first.end() == -signal.SIGKILL
        second = run(settings)
        assert run_command(["migrate", "--check"], settings).returncode == 1
    assert second.end() == 0, second.said
    assert f"applied {HEAD}" in second.said
    await check_schema(served.database)
    assert [violation async for violation in violations(served.database)] == []
    await served.database.close()


@pytest.mark.parametrize("words", ["recognised revision 0001", "applied 0002", "applied 0003"])
async def test_killed_between_two_revisions_the_next_run_goes_on(
    served: AnyDatabase, run: Callable[..., Running], words: str
) -> None:
    settings = shared_settings(served.url, "memory://")
    first = run(settings)
    first.until(words)
    first.process.send_signal(signal.SIGKILL)
    first.end()
    second = run(settings)
    assert second.end() == 0, second.said
    assert f"revision {HEAD}" in second.said or f"applied {HEAD}" in second.said
    await check_schema(served.database)
    await served.database.close()


def test_a_replica_does_without_alembic() -> None:
    asked = "import sys, server.__main__, server.store.schema; sys.exit('alembic' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", asked], env=command_environment({}), check=False, timeout=60)
    assert done.returncode == 0


async def test_on_sqlite_a_revision_is_done_whole_or_not_at_all(tmp_path: Path, newer: Callable[..., Path]) -> None:
    half = AnyDatabase(f"sqlite+aiosqlite:///{tmp_path}/half.db", None)
    half.make_old()
    await migrate(half.database, silent)
    before = half.shape()
    fails = newer("ALTER TABLE drops ADD COLUMN subtitle INTEGER", "ALTER TABLE nothing ADD COLUMN here INTEGER")
    with pytest.raises(MigrationFailed, match=r"revision 9999 could not be applied: .*run `dropcast migrate` again"):
        await migrate(half.database, silent, folder=fails)
    assert half.shape() == before
    await check_schema(half.database)
    await half.database.close()


async def test_who_waits_in_vain_is_told_who_holds_the_lock(old: AnyDatabase) -> None:
    other = open_database(old.url)
    async with sole(old.database) as holder:
        with pytest.raises(Locked, match="nothing was done") as said:
            await migrate(other, silent, wait_s=0)
        if old.mariadb is not None:
            number = (await holder.exec_driver_sql("SELECT CONNECTION_ID()")).scalar()
            assert f"connection {number} (" in str(said.value)
    assert not (await migrate(other, silent, wait_s=0)).is_empty
    await other.close()


async def test_a_table_that_is_held_makes_nobody_wait_for_long(
    served: AnyDatabase, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("server.store.sole.TABLE_LOCK_WAIT_S", 1)
    monkeypatch.setattr("server.store.migrate._PAUSE_S", 0)
    monkeypatch.setattr("server.store.migrate._TRIES_MAX", 2)
    said: list[str] = []
    with reading(served, "drops"), pytest.raises(MigrationFailed, match=r"0002 could not be applied: .*PROCESSLIST"):
        await migrate(served.database, said.append)
    assert said[-1] == "somebody holds a table that 0002 changes; trying again in 0 s"
    assert not (await migrate(served.database, silent)).is_empty
    await check_schema(served.database)
    await served.database.close()


# The command


async def test_check_and_sql_say_what_is_to_be_done_and_do_nothing(served: AnyDatabase) -> None:
    settings = shared_settings(served.url, "memory://")
    before = served.shape()
    checked = run_command(["migrate", "--check"], settings)
    assert (checked.returncode, checked.stderr) == (1, "")
    assert checked.stdout.splitlines()[:2] == [
        "to note: the tables are those of revision 0001",
        "to apply: 0002: A drop tells its product's list price",
    ]
    printed = run_command(["migrate", "--sql"], settings)
    assert (printed.returncode, printed.stderr) == (0, "")
    assert served.shape() == before
    served.execute(*halves(printed.stdout))
    await check_schema(served.database)
    checked = run_command(["migrate", "--check"], settings)
    assert (checked.returncode, checked.stdout) == (0, f"nothing to do: the database is at revision {HEAD}\n")
    printed = run_command(["migrate", "--sql"], settings)
    assert (printed.returncode, printed.stdout) == (0, f"-- nothing to do: the database is at revision {HEAD}\n")
    await served.database.close()


@pytest.mark.parametrize("words", [["--wait-seconds", "-1"], ["--wait-seconds", "86401"]])
def test_a_wait_without_sense_is_refused(words: list[str], tmp_path: Path) -> None:
    done = run_command(["migrate", *words], {"DROPCAST_DATABASE_URL": f"sqlite+aiosqlite:///{tmp_path}/shop.db"})
    assert (done.returncode, done.stderr) == (1, "dropcast: --wait-seconds must be 0..86400\n")


# A rolling deploy: today's code beside a database of a version to come

ADDITIONS = (
    "ALTER TABLE drops ADD COLUMN subtitle VARCHAR(99)",
    "ALTER TABLE orders ADD COLUMN gift INTEGER NOT NULL DEFAULT 0",
    "CREATE TABLE gifts (id INTEGER NOT NULL PRIMARY KEY, words VARCHAR(9) NOT NULL)",
)


async def test_today_works_on_with_what_a_version_to_come_adds(fresh: AnyDatabase, newer: Callable[..., Path]) -> None:
    shop = await Shop.opened(fresh.database)
    drop = await shop.open_drop(5)
    await shop.order(drop, 0)
    await migrate(fresh.database, silent, folder=newer(*ADDITIONS))
    await shop.order(drop, 1)
    await shop.order(await shop.open_drop(5), 1)
    await check_schema(fresh.database)
    assert await init_db(fresh.database) is False
    done = await migrate(fresh.database, silent)  # of an older image, which a rollback runs again
    assert (done.at, done.is_empty) == ("9999", True)
    assert await shop.violations() == []
    assert fresh.execute("SELECT SUM(gift), COUNT(*) FROM orders") == [(0, 3)]


async def test_a_replica_of_today_starts_on_a_database_of_a_version_to_come(
    database_url: str, bus_url: str, newer: Callable[..., Path], start_replica: Callable[[Mapping[str, str]], Replica]
) -> None:
    database = open_database(database_url)
    await init_db(database)
    settings = shared_settings(database_url, bus_url)
    before = start_replica(settings)
    await migrate(database, silent, folder=newer(*ADDITIONS))
    after = start_replica(settings)
    assert before.is_ready()
    assert after.is_ready()
    await database.close()


async def test_a_version_to_come_may_say_that_today_is_too_old(fresh: AnyDatabase, newer: Callable[..., Path]) -> None:
    await migrate(fresh.database, silent, folder=newer(compatible_from="9999"))
    for refused in (check_schema(fresh.database), init_db(fresh.database), migrate(fresh.database, silent)):
        with pytest.raises(
            WrongSchema, match="revision 9999 needs the code of revision 9999 or later: start the newer"
        ):
            await refused


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("DROP TABLE audit", "table audit is missing"),
        ("ALTER TABLE orders DROP COLUMN title", r"orders\.title is missing"),
        ("ALTER TABLE users RENAME COLUMN name TO nickname", r"users\.nickname is unknown here and has no default"),
    ],
)
async def test_what_today_cannot_do_without_is_found_out_whatever_a_revision_says(
    fresh: AnyDatabase, newer: Callable[..., Path], change: str, said: str
) -> None:
    if fresh.mariadb is not None:
        fresh.execute(f"GRANT DROP ON {fresh.name.name}.* TO '{fresh.name.user}'@'127.0.0.1'")
    await migrate(fresh.database, silent, folder=newer(change))
    with pytest.raises(WrongSchema, match=rf"newer than this Dropcast .*{said}.*start the newer version"):
        await check_schema(fresh.database)


async def test_a_revision_nobody_recorded_is_refused(fresh: AnyDatabase) -> None:
    fresh.execute("UPDATE alembic_version SET version_num = 'f00'")
    with pytest.raises(WrongSchema, match="at revision f00, of which neither it nor this Dropcast knows"):
        await check_schema(fresh.database)
