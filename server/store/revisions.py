"""The revisions this code knows, in order, and what the database is told of each."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from functools import cache
from io import StringIO
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Dialect, Executable, create_engine, inspect, literal_column

from server.store.engine import MYSQL_CLOCK, SQLITE_CLOCK
from server.store.tables import Ms, alembic_version, metadata, schema_revisions

FOLDER = Path(__file__).parent / "migrations"
BOOKKEEPING = (alembic_version, schema_revisions)

Shape = dict[str, frozenset[str]]
"""The columns of each table."""

logging.getLogger("alembic").setLevel(logging.WARNING)  # `dropcast migrate` says itself what it does


@dataclass(frozen=True)
class Revision:
    """A file of `migrations/versions`.

    `compatible_from` is the oldest revision whose code works with a database that has this one; `then` a command that
    belongs to it.
    """

    id: str
    title: str
    compatible_from: str
    then: str | None


@cache
def known(folder: Path = FOLDER) -> tuple[Revision, ...]:
    """Oldest first. Raises alembic's `MultipleHeads` where two revisions follow the same one."""
    scripts = ScriptDirectory.from_config(config(folder))
    newest_first = scripts.walk_revisions("base", scripts.get_current_head() or "base")
    return tuple(
        Revision(
            script.revision,
            (script.doc or "").rstrip("."),
            script.module.compatible_from,
            getattr(script.module, "then", None),
        )
        for script in reversed(list(newest_first))
    )


def config(folder: Path, *, connection: Connection | None = None, output: StringIO | None = None) -> Config:
    """What Alembic wants to be told."""
    made = Config(output_buffer=output) if output else Config()
    made.set_main_option("script_location", str(folder).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    return made


def record(revision: str, compatible_from: str, dialect: Dialect) -> Executable:
    """The row of a revision, with the database's own time."""
    clock = SQLITE_CLOCK if dialect.name == "sqlite" else MYSQL_CLOCK
    return schema_revisions.insert().values(
        revision=revision, compatible_from=compatible_from, applied_at=literal_column(clock, Ms)
    )


def stamps(upto: str, dialect: Dialect, folder: Path = FOLDER) -> list[Executable]:
    """The rows that say that a database holds everything up to this revision."""
    ids = [revision.id for revision in known(folder)]
    held = known(folder)[: ids.index(upto) + 1]
    return [
        *(record(revision.id, revision.compatible_from, dialect) for revision in held),
        alembic_version.insert().values(version_num=upto),
    ]


@cache
def shape_at(revision: str, folder: Path = FOLDER) -> Shape:
    """What a database without a word about its revision is compared with: the revisions, done to an empty database."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection, tables=BOOKKEEPING)
        command.upgrade(config(folder, connection=connection), revision)
        shape = shape_of(connection)
    engine.dispose()
    return shape


def shape_of(connection: Connection) -> Shape:
    """What there is, but for the tables that say which revision it is."""
    inspector = inspect(connection)
    ours = {table.name for table in BOOKKEEPING}
    return {
        table: frozenset(column["name"] for column in inspector.get_columns(table))
        for table in inspector.get_table_names()
        if table not in ours
    }
