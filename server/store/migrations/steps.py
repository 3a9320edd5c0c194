"""Steps that do nothing when they are done: DDL on MySQL and MariaDB is not undone when a revision dies half-way.

Each is one statement, which the servers do whole or not at all (MySQL 8, MariaDB >= 10.6). Offline, when the SQL is
only printed, nothing can be looked up, and every step is written down.
"""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from alembic import context, op

from server.store.migrations.columns import OPTIONS


def create_table(name: str, *parts: Any, **options: Any) -> None:
    """A table with its columns, constraints and options; its indexes are steps of their own."""
    if context.is_offline_mode() or not sa.inspect(op.get_bind()).has_table(name):
        op.create_table(name, *parts, **{**OPTIONS, **options})


def create_index(name: str, table: str, *columns: str) -> None:
    """An index of a table that is there; other sessions go on writing while it is made."""
    if context.is_offline_mode() or name not in _names(sa.inspect(op.get_bind()).get_indexes(table)):
        op.create_index(name, table, list(columns))


def add_column(table: str, column: str, *, servers: str, sqlite: str) -> None:
    """A column with all that belongs to it: what follows `ALTER TABLE … ADD COLUMN …` on the servers and on SQLite."""
    if context.is_offline_mode() or column not in _names(sa.inspect(op.get_bind()).get_columns(table)):
        what = sqlite if op.get_context().dialect.name == "sqlite" else servers
        op.execute(f"ALTER TABLE {table} ADD COLUMN {column} {what}")


def _names(things: Any) -> set[str]:
    return {thing["name"] for thing in things}
