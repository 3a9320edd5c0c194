"""Who changes the schema is alone: one command at a time over all machines, in the order they came."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from sqlalchemy import Connection, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.errors import DropcastError
from server.store.engine import Database

WAIT_S = 600
"""Unless told otherwise: longer than most changes take."""

TABLE_LOCK_WAIT_S = 5
"""A change that waits for a table makes everybody wait who comes after it, orders too: so it gives up soon."""

NAME = "LEFT(CONCAT('dropcast schema ', DATABASE()), 64)"


class Locked(DropcastError):
    """Somebody else changes the schema, and went on for longer than one would wait."""


@asynccontextmanager
async def sole(
    database: Database, *, wait_s: float = WAIT_S, say: Callable[[str], None] = lambda _: None
) -> AsyncIterator[AsyncConnection]:
    """A connection that may change the schema, as long as the block runs. Raises `Locked`, `Unavailable`.

    On MySQL and MariaDB the lock is the server's named one, held by the connection that does the work: it cannot be
    lost while a change is under way, and a change whose client was killed keeps it until the server has ended it. On
    SQLite it is the write lock of one transaction, which the caller commits: who is killed has done nothing.
    """
    async with database.apart(unhurried=True, writing=True) as connection:
        if database.is_sqlite:
            await connection.run_sync(_be_patient, wait_s)
            try:
                await connection.exec_driver_sql("SELECT 1")  # begins the transaction, and so takes the lock
            except OperationalError as error:
                raise Locked(
                    f"somebody has been writing to this SQLite database for {wait_s:g} s, and nothing was done:"
                    " end what holds it and run this again"
                ) from error
        else:
            await _wait(connection, wait_s, say)
            seconds = {"seconds": TABLE_LOCK_WAIT_S}
            await connection.execute(text("SET lock_wait_timeout = :seconds"), seconds)
            await connection.rollback()
        yield connection


def _be_patient(connection: Connection, wait_s: float) -> None:
    cursor = connection.connection.cursor()  # past SQLAlchemy, which would begin a transaction, and wait, before
    cursor.execute(f"PRAGMA busy_timeout={int(wait_s * 1000)}")
    cursor.close()


async def _wait(connection: AsyncConnection, wait_s: float, say: Callable[[str], None]) -> None:
    take = text(f"SELECT GET_LOCK({NAME}, :wait)")
    if (await connection.execute(take, {"wait": 0})).scalar() == 1:
        return
    holder = await _holder(connection)
    say(f"{holder} changes the schema; waiting for up to {wait_s:g} s")
    if (await connection.execute(take, {"wait": wait_s})).scalar() != 1:
        holder = await _holder(connection)
        raise Locked(
            f"{holder} still changes the schema after {wait_s:g} s, and nothing was done: run this again when it has"
            " ended. If its program is gone, the server is ending its last statement; KILL and its number end that too"
        )


async def _holder(connection: AsyncConnection) -> str:
    number = (await connection.execute(text(f"SELECT IS_USED_LOCK({NAME})"))).scalar()
    row = (
        await connection.execute(
            text("SELECT user, host, time FROM information_schema.processlist WHERE id = :id"), {"id": number}
        )
    ).one_or_none()
    await connection.rollback()
    if row is None:
        return "another connection"
    return f"connection {number} ({row[0]} from {row[1]}, at its statement for {row[2]} s)"
