"""How many SQL statements a MariaDB or MySQL server has been asked: what a crowd costs the database."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import pymysql  # type: ignore[import-untyped,unused-ignore]

from loadtest.errors import CannotGoOn


class Statements:
    """One connection that reads the server's own counter."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self._own = 0

    async def so_far(self) -> int:
        """Statements of everybody else since the server's start."""
        return await asyncio.to_thread(self._read)

    def _read(self) -> int:
        self._own += 1
        with self._connection.cursor() as cursor:
            cursor.execute("SHOW GLOBAL STATUS LIKE 'Questions'")
            return int(cursor.fetchone()[1]) - self._own


@asynccontextmanager
async def statements(url: str) -> AsyncIterator[Statements]:
    """Counts while the block runs. Raises `CannotGoOn` when the server at `mysql://…` does not let us in."""
    address = urlsplit(url)
    try:
        connection = await asyncio.to_thread(
            pymysql.connect,
            host=address.hostname,
            port=address.port or 3306,
            user=unquote(address.username or ""),
            password=unquote(address.password or ""),
            connect_timeout=5,
            read_timeout=5,
            autocommit=True,
        )
    except pymysql.err.MySQLError as error:
        raise CannotGoOn(f"the database does not let us count statements: {error}") from None
    try:
        yield Statements(connection)
    finally:
        connection.close()
