"""Applying the schema to an empty database, and telling whether this code works with one."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from sqlalchemy import Connection, select

from server.store.engine import Database
from server.store.revisions import known, stamps
from server.store.sole import sole
from server.store.standing import Standing, standing
from server.store.standing import WrongSchema as WrongSchema
from server.store.tables import deployment, metadata

SCHEMA_SQL = Path(__file__).resolve().parents[2] / "schema.sql"


async def init_db(database: Database) -> bool:
    """Applies the schema; False when it is there already. Raises `WrongSchema` when something else is, `Locked`."""
    found = await _found_unless_empty(database)
    if found is not None and (refusal := found.refusal()):
        raise WrongSchema(f"nothing was changed: {refusal}")
    return found is None


async def init_if_empty(database: Database) -> bool:
    """Applies the schema to an empty database; False when anything is there. Raises `Locked`."""
    async with database.reading() as connection:
        found = await connection.run_sync(standing)
    return found.empty and await _found_unless_empty(database) is None  # who waits for the lock there says nothing


async def _found_unless_empty(database: Database) -> Standing | None:
    async with sole(database) as connection:
        found = await connection.run_sync(standing)
        if not found.empty:
            await connection.rollback()
            return found
        await connection.run_sync(_create)
        now = await database.now_ms(connection)
        await connection.execute(deployment.insert().values(id=1, epoch=_any_epoch(), created_at=now))
        for stamp in stamps(known()[-1].id, connection.dialect):
            await connection.execute(stamp)
        await connection.commit()
        return None


async def check_schema(database: Database) -> None:
    """Raises `WrongSchema` with what to do when this code does not work with the database as it is."""
    async with database.reading() as connection:
        found = await connection.run_sync(standing)
    if refusal := found.refusal():
        raise WrongSchema(refusal)


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


def _create(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        metadata.create_all(connection)
        return
    for statement in statements(SCHEMA_SQL.read_text("utf-8")):
        connection.exec_driver_sql(statement)
