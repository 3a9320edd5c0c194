"""Applying the schema to an empty database, and telling whether one has it."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from sqlalchemy import Connection, inspect, select

from server.domain.errors import DropcastError
from server.store.engine import Database
from server.store.tables import deployment, metadata

SCHEMA_SQL = Path(__file__).resolve().parents[2] / "schema.sql"


class WrongSchema(DropcastError):
    """The database has tables, but not ours, or not in this shape."""


async def init_db(database: Database) -> bool:
    """Applies the schema; False when it is there already. Raises `WrongSchema` when something else is there."""
    async with database.transaction() as connection:
        problems = await connection.run_sync(_differences)
        if problems == ["empty"]:
            if database.is_sqlite:
                await connection.run_sync(metadata.create_all)
            else:
                for statement in statements(SCHEMA_SQL.read_text("utf-8")):
                    await connection.exec_driver_sql(statement)
            now = await database.now_ms(connection)
            await connection.execute(deployment.insert().values(id=1, epoch=_any_epoch(), created_at=now))
            return True
    if problems:
        raise WrongSchema("the database has tables of another shape, nothing was changed: " + "; ".join(problems))
    return False


async def check_schema(database: Database) -> None:
    """Raises `WrongSchema` with what to do when the database is not ready to serve."""
    async with database.reading() as connection:
        problems = await connection.run_sync(_differences)
    if problems == ["empty"]:
        raise WrongSchema("the database is empty: run `dropcast init-db` first")
    if problems:
        raise WrongSchema("the database has tables of another shape: " + "; ".join(problems))


async def begin_epoch(database: Database) -> tuple[str, str]:
    """Gives the log another epoch: positions of the one before count for nothing. Returns both, the old one first."""
    async with database.transaction() as connection:
        old = (await connection.execute(select(deployment.c.epoch).with_for_update())).scalar_one()
        new = _any_epoch()
        await connection.execute(deployment.update().values(epoch=new))
    return str(old), new


def _any_epoch() -> str:
    return secrets.token_hex(4)


def statements(sql: str) -> list[str]:
    """The statements of a schema file whose comments begin a line and whose strings hold no semicolon."""
    bare = re.sub(r"^\s*--.*$", "", sql, flags=re.MULTILINE)
    return [statement.strip() for statement in bare.split(";") if statement.strip()]


def _differences(connection: Connection) -> list[str]:
    inspector = inspect(connection)
    there = set(inspector.get_table_names())
    ours = set(metadata.tables)
    if not there & ours:
        return ["empty"] if not there else [f"tables that are not Dropcast's: {', '.join(sorted(there)[:5])}"]
    problems = [f"table {name} is missing" for name in sorted(ours - there)]
    for name in sorted(ours & there):
        has = {column["name"] for column in inspector.get_columns(name)}
        wants = {column.name for column in metadata.tables[name].columns}
        problems += [f"{name}.{column} is missing" for column in sorted(wants - has)]
        problems += [f"{name}.{column} is unknown" for column in sorted(has - wants)]
    return problems
