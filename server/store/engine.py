"""The database: an engine for each dialect, and units of work with a deadline."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, event, literal_column, select
from sqlalchemy.engine import make_url
from sqlalchemy.exc import DBAPIError, IntegrityError, InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from server.domain.errors import Unavailable
from server.store.tables import Ms

T = TypeVar("T")

TRIES_MAX = 4
_BACKOFF_S = 0.02
# deadlock; lock wait timeout; row changed since read (MariaDB >= 11.6); lock not available: the server rolled back or
# we do, and the whole transaction is done again
_AGAIN = frozenset({1213, 1205, 1020, 3572})

_CHECK_VIOLATED = frozenset({3819, 4025})  # MySQL, MariaDB: drivers call it an operational error

MYSQL_CLOCK = "UTC_TIMESTAMP(6)"
SQLITE_CLOCK = "strftime('%Y-%m-%d %H:%M:%f000', 'now')"


class Database:
    """Connections to one database, handed out for one unit of work at a time.

    A unit of work that is cancelled or runs past its deadline is rolled back, and the pool survives it. At most
    `pool_size` units run at once; further ones wait for a connection until their deadline.
    """

    def __init__(self, engine: AsyncEngine, *, deadline_s: float) -> None:
        self.engine = engine
        self.is_sqlite = engine.dialect.name == "sqlite"
        self.clock_sql = SQLITE_CLOCK if self.is_sqlite else MYSQL_CLOCK
        self._deadline_s = deadline_s

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncConnection]:
        """Reads and writes, committed when the block ends. Raises `Unavailable` when the database does not answer."""
        with _translated():
            async with asyncio.timeout(self._deadline_s), self.engine.begin() as connection:
                yield connection

    async def run(
        self,
        work: Callable[[AsyncConnection], Awaitable[T]],
        *,
        again_on_duplicate: bool = False,
        within_s: float | None = None,
    ) -> T:
        """Does `work` in a transaction, and all of it again (at most `TRIES_MAX` times) when the server says so.

        `again_on_duplicate` also repeats after a duplicate key: for work that looks before it inserts, so that the
        next try finds the row that was faster. `within_s` bounds all tries together, where the deadline of each is
        too long. Raises `Unavailable`, and whatever `work` raises.
        """
        with _translated():
            async with asyncio.timeout(within_s):
                return await self._try(work, again_on_duplicate=again_on_duplicate)

    async def _try(self, work: Callable[[AsyncConnection], Awaitable[T]], *, again_on_duplicate: bool) -> T:
        for attempt in range(1, TRIES_MAX + 1):
            try:
                async with self.transaction() as connection:
                    return await work(connection)
            except _Again:
                if attempt == TRIES_MAX:
                    raise
            except IntegrityError as error:
                if attempt == TRIES_MAX or not (again_on_duplicate and is_duplicate(error)):
                    raise
            await asyncio.sleep(random.uniform(0, _BACKOFF_S * 2**attempt))  # noqa: S311  full jitter, no secret
        raise AssertionError("unreachable")

    @asynccontextmanager
    async def reading(self, *, one_moment: bool = False) -> AsyncIterator[AsyncConnection]:
        """Reads only; with `one_moment` all its statements see the same commit. Raises `Unavailable`."""
        with _translated():
            async with asyncio.timeout(self._deadline_s), self.engine.connect() as connection:
                await connection.execution_options(**self._reading(one_moment=one_moment))
                yield connection

    @asynccontextmanager
    async def apart(self, *, unhurried: bool = False, writing: bool = False) -> AsyncIterator[AsyncConnection]:
        """A connection beside the pool's, for who reads for long: each of its transactions sees one moment.

        No deadline lies on the block, only the server's on each statement, and with `unhurried` not even that one.
        With `writing` its transactions are those of `transaction`. Closed at the end, and all that belongs to a session
        with it, such as named locks. Raises `Unavailable`.
        """
        with _translated():
            async with AsyncExitStack() as stack:
                async with asyncio.timeout(self._deadline_s):
                    connection = await stack.enter_async_context(self.engine.connect())
                    if not writing:
                        await connection.execution_options(**self._reading(one_moment=True))
                    await connection.run_sync(lambda pooled: pooled.detach())  # the pool makes another in its place
                    if unhurried and not self.is_sqlite:
                        await connection.exec_driver_sql(_session_settings(0))  # no limit, to MariaDB and to MySQL
                        await connection.rollback()
                yield connection

    def _reading(self, *, one_moment: bool) -> dict[str, Any]:
        level = {"isolation_level": "REPEATABLE READ"} if one_moment and not self.is_sqlite else {}
        return {"dropcast_reading": True, **level}

    def clock(self) -> ColumnElement[int]:
        """The database's clock in ms, as a column: it decides when a drop opens and closes, whichever replica asks."""
        return literal_column(self.clock_sql, Ms)

    async def now_ms(self, connection: AsyncConnection) -> int:
        """What the clock says."""
        return int((await connection.execute(select(self.clock()))).scalar_one())

    async def close(self) -> None:
        """Closes every connection."""
        await self.engine.dispose()


class _Again(Unavailable):
    """The server asks to do the whole transaction again."""


def open_database(url: str, *, pool_size: int = 10, deadline_s: float = 5.0) -> Database:
    """A database by its URL: `mysql+aiomysql://…` or `sqlite+aiosqlite:///file`. Connects on first use."""
    address = make_url(url)
    if address.get_backend_name() == "sqlite":
        engine = create_async_engine(address, pool_size=pool_size, max_overflow=0, pool_timeout=deadline_s)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
    else:
        engine = create_async_engine(
            address,
            isolation_level="READ COMMITTED",  # gap locks of REPEATABLE READ deadlock buyers of missing rows
            pool_size=pool_size,
            max_overflow=0,
            pool_timeout=deadline_s,
            pool_recycle=1800,  # below the server's wait_timeout
            # every unit of work ends its own transaction; the pool's ROLLBACK would be a round trip before each receipt
            pool_reset_on_return=None,
            connect_args={
                "connect_timeout": deadline_s,
                "init_command": _session_settings(deadline_s),
                "charset": "utf8mb4",
            },
        )
    return Database(engine, deadline_s=deadline_s)


def is_duplicate(error: IntegrityError) -> bool:
    """Whether a row with this key is already there."""
    return code_of(error) == 1062 or "UNIQUE constraint failed" in str(error.orig)


@contextmanager
def _translated() -> Iterator[None]:
    """Driver errors as ours: what may go away by itself becomes `Unavailable`, the rest stays a bug.

    A cancellation stays one: the ROLLBACK it sends over a connection that is dead would otherwise be all that is heard
    of it, and whoever waits for the task's end would wait for ever.
    """
    try:
        yield
    except (TimeoutError, PoolTimeoutError) as error:
        raise Unavailable("the database did not answer in time") from error
    except (OperationalError, InterfaceError) as error:
        task = asyncio.current_task()
        if task is not None and task.cancelling():
            raise asyncio.CancelledError from error
        if code_of(error) in _AGAIN:
            raise _Again("the database asks to repeat the transaction") from error
        if code_of(error) in _CHECK_VIOLATED:
            raise  # a bug, or a poisoned row: repeating it would not help
        raise Unavailable(f"the database of DROPCAST_DATABASE_URL does not answer: {error.orig}") from error
    except DBAPIError as error:
        if error.connection_invalidated:
            raise Unavailable("the connection to the database was lost") from error
        raise
    except OSError as error:
        raise Unavailable(f"the database cannot be reached: {error}") from error


def _session_settings(deadline_s: float) -> str:
    # the server gives up by itself too: a statement whose client has left would run on and hold its locks.
    # Each server heeds only its own comment: MariaDB counts seconds, MySQL ms (and only of SELECTs).
    # NO_BACKSLASH_ESCAPES: a batch of 2,000 orders as one JSON text is quoted in 0.1 ms, with backslashes in 8 ms.
    return (
        "SET sql_mode = CONCAT(@@sql_mode, ',NO_BACKSLASH_ESCAPES'),"
        f" time_zone = '+00:00', innodb_lock_wait_timeout = {max(1, int(deadline_s * 0.6))}"
        f" /*M! , max_statement_time = {deadline_s} */ /*!80000 , max_execution_time = {int(deadline_s * 1000)} */"
    )


def code_of(error: DBAPIError) -> int | None:
    """The number MySQL and MariaDB give an error; None for others."""
    code = error.orig.args[0] if error.orig is not None and error.orig.args else None
    return code if isinstance(code, int) else None


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # the driver must not begin transactions of its own: ours begin below
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA busy_timeout=5000")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Any) -> None:
    # a write lock from the first statement on: a deferred transaction that turns into a writer loses updates
    reading = connection.get_execution_options().get("dropcast_reading", False)
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")
