"""Applying the schema to an empty database, and telling whether this code works with one."""

from __future__ import annotations

import re
import secrets
from pathlib import Path

from sqlalchemy import Connection

from server.store.engine import Database
from server.store.revisions import known, stamps
from server.store.sole import sole
from server.store.standing import WrongSchema as WrongSchema
from server.store.standing import standing
from server.store.tables import deployment, metadata

SCHEMA_SQL = Path(__file__).resolve().parents[2] / "schema.sql"


async def init_db(database: Database) -> bool:
    """Applies the schema; False when it is there already. Raises `WrongSchema` when something else is, `Locked`."""
    async with sole(database) as connection:
        found = await connection.run_sync(standing)
        if found.empty:
            await connection.run_sync(_create)
            now = await database.now_ms(connection)
            await connection.execute(deployment.insert().values(id=1, epoch=secrets.token_hex(4), created_at=now))
            for stamp in stamps(known()[-1].id, connection.dialect):
                await connection.execute(stamp)
            await connection.commit()
            return True
        await connection.rollback()
    if refusal := found.refusal():
        raise WrongSchema(f"nothing was changed: {refusal}")
    return False


async def check_schema(database: Database) -> None:
    """Raises `WrongSchema` with what to do when this code does not work with the database as it is."""
    async with database.reading() as connection:
        found = await connection.run_sync(standing)
    if refusal := found.refusal():
        raise WrongSchema(refusal)


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
