"""A lock for those set-ups in which a second replica would be wrong: SQLite, or the in-process bus."""

from __future__ import annotations

import fcntl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from sqlalchemy import text

from server.domain.errors import DropcastError
from server.store.engine import Database


class SecondReplica(DropcastError):
    """Another replica uses this database, and the settings allow only one."""


@asynccontextmanager
async def only_replica(database: Database) -> AsyncIterator[None]:
    """Holds the database for one process while the block runs. Raises `SecondReplica`.

    The lock goes when the process does, however it ends. On MySQL it is the server's named lock, which an idle
    connection may lose after `wait_timeout` (8 h by default): enough to catch a second start by mistake.
    """
    if database.is_sqlite:
        path = Path(str(database.engine.url.database)).with_suffix(".lock")
        with path.open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                raise _second("SQLite") from None
            yield
        return
    async with database.engine.connect() as connection:
        name = text("SELECT GET_LOCK(CONCAT('dropcast single ', DATABASE()), 0)")
        if (await connection.execute(name)).scalar() != 1:
            raise _second("memory://")
        await connection.rollback()
        yield


def _second(what: str) -> SecondReplica:
    return SecondReplica(
        f"another replica is running on this database, and {what} allows only one:"
        " set DROPCAST_DATABASE_URL to mysql+aiomysql://… and DROPCAST_BUS_URL to redis://… for more"
    )
