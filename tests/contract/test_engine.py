"""What the database's units of work promise to whoever runs them."""

from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from server.domain.errors import Unavailable
from server.store.engine import open_database
from tests.services.mariadb import MariaDB


@pytest.mark.parametrize("kind", ["transaction", "reading", "apart"])
async def test_a_task_that_is_cancelled_ends_although_its_connection_is_dead(
    mariadb: MariaDB, database_url: str, kind: str
) -> None:
    """Its ROLLBACK finds the connection broken; that must not take the place of the cancellation."""
    database = open_database(database_url)
    inside = asyncio.Event()

    async def work() -> None:
        while not inside.is_set():  # as background tasks do, which go on after `Unavailable`
            try:
                async with getattr(database, kind)() as connection:
                    await connection.execute(text("SELECT 1"))
                    inside.set()
                    await asyncio.Event().wait()
            except Unavailable:
                continue
        await asyncio.Event().wait()  # it was not cancelled

    task = asyncio.create_task(work())
    await asyncio.wait_for(inside.wait(), 5)
    await asyncio.to_thread(mariadb.kill)
    task.cancel()
    done, _ = await asyncio.wait([task], timeout=5)
    assert done
    assert task.cancelled()
    await database.close()
