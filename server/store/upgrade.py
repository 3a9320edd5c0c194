"""Alembic, as far as it is needed: one revision after another, done or printed, and what a revision looks like."""

from __future__ import annotations

from functools import cache
from io import StringIO
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, create_engine, inspect

from server.store.revisions import BOOKKEEPING
from server.store.tables import metadata

Shape = dict[str, frozenset[str]]
"""The columns of each table."""


def upgrade(connection: Connection, revision: str, folder: Path) -> None:
    """Applies what is missing up to this revision. Commits, unless a transaction of the caller's is open on SQLite."""
    command.upgrade(_config(folder, connection, None), revision)


def upgrade_sql(connection: Connection, at: str, revision: str, folder: Path) -> str:
    """The SQL of `upgrade` for a database that is at another revision."""
    out = StringIO()
    command.upgrade(_config(folder, connection, out), f"{at}:{revision}", sql=True)
    return out.getvalue()


@cache
def shape_at(revision: str, folder: Path) -> Shape:
    """What a database without a word about its revision is compared with: the revisions, done to an empty database."""
    engine = create_engine("sqlite://")
    with engine.connect() as connection:
        metadata.create_all(connection, tables=BOOKKEEPING)
        upgrade(connection, revision, folder)
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


def _config(folder: Path, connection: Connection, output: StringIO | None) -> Config:
    made = Config(output_buffer=output) if output else Config()
    made.set_main_option("script_location", str(folder).replace("%", "%%"))
    made.set_main_option("path_separator", "os")
    made.attributes["connection"] = connection
    made.attributes["folder"] = folder
    return made
