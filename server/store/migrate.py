"""Bringing a database of an older version up to date, one revision after the other, beside a working shop."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from sqlalchemy import Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.schema import CreateTable

from server.domain.errors import DropcastError
from server.store.engine import Database, code_of
from server.store.revisions import BOOKKEEPING, FOLDER, Revision, known, stamps
from server.store.sole import WAIT_S, sole
from server.store.standing import WrongSchema, standing
from server.store.tables import metadata
from server.store.upgrade import Shape, shape_at, shape_of, upgrade, upgrade_sql

_TRIES_MAX = 6
_PAUSE_S = 2
"""In which who waited behind us for the table goes ahead."""

_TABLE_IS_HELD = 1205

Say = Callable[[str], None]


class MigrationFailed(DropcastError):
    """A revision could not be applied; those before it are, and the same command goes on with it."""


@dataclass(frozen=True)
class Plan:
    """What there is to do: first to note the revision that the shape tells, then to apply others."""

    at: str
    recognised: bool
    todo: tuple[Revision, ...]

    @property
    def is_empty(self) -> bool:
        """Nothing."""
        return not self.recognised and not self.todo


async def plan(database: Database, *, folder: Path = FOLDER) -> Plan:
    """What `migrate` would do. Raises `WrongSchema` where it could do nothing, `Unavailable`."""
    async with database.reading() as connection:
        return await connection.run_sync(partial(_plan, folder=folder))


async def migrate(database: Database, say: Say, *, wait_s: float = WAIT_S, folder: Path = FOLDER) -> Plan:
    """Does what is missing; returns what it did. Raises `WrongSchema`, `Locked`, `MigrationFailed`, `Unavailable`.

    Safe beside replicas at work and other runs of itself, and to be killed at any moment: the next run goes on.
    """
    async with sole(database, wait_s=wait_s, say=say) as connection:
        done = await connection.run_sync(partial(_migrate, say=say, folder=folder))
        await connection.commit()
        return done


async def sql(database: Database, *, folder: Path = FOLDER) -> str:
    """What `migrate` would do, for who does it by hand. Raises as `plan`."""
    async with database.reading() as connection:
        return await connection.run_sync(partial(_sql, folder=folder))


def _plan(connection: Connection, *, folder: Path) -> Plan:
    found = standing(connection, folder)
    if found.empty or found.foreign:
        raise WrongSchema(f"nothing was changed: {found.refusal(folder)}")
    if found.at is None:
        at = _recognised(shape_of(connection), folder)
        ids = [revision.id for revision in known(folder)]
        return Plan(at, recognised=True, todo=known(folder)[ids.index(at) + 1 :])
    if not found.behind and (refusal := found.refusal(folder)):
        raise WrongSchema(f"nothing was changed: {refusal}")
    return Plan(found.at, recognised=False, todo=found.behind)


def _recognised(shape: Shape, folder: Path) -> str:
    """The revision whose tables and columns these are. Raises `WrongSchema` with what is between it and the nearest."""
    ever = set(shape_at(known(folder)[-1].id, folder))
    between: dict[str, list[str]] = {}
    for revision in known(folder):
        between[revision.id] = _differences(shape, shape_at(revision.id, folder), ever)
        if not between[revision.id]:
            return revision.id  # the oldest of this shape: what later ones of the same shape did is looked for again
    nearest = min(between, key=lambda id_: len(between[id_]))
    raise WrongSchema(
        "nothing was changed: the database does not say which revision it is, and its tables are those of none;"
        f" nearest is {nearest}, but {'; '.join(between[nearest])}"
    )


def _differences(has: Shape, wants: Shape, ever: set[str]) -> list[str]:
    found = [f"table {table} is missing" for table in sorted(wants.keys() - has.keys())]
    found += [f"there is a table {table}" for table in sorted((has.keys() & ever) - wants.keys())]
    for table in sorted(wants.keys() & has.keys()):
        found += [f"{table}.{column} is missing" for column in sorted(wants[table] - has[table])]
        found += [f"there is a column {table}.{column}" for column in sorted(has[table] - wants[table])]
    return found


def _migrate(connection: Connection, *, say: Say, folder: Path) -> Plan:
    found = _plan(connection, folder=folder)
    if found.recognised:
        metadata.create_all(connection, tables=BOOKKEEPING)
        for stamp in stamps(found.at, connection.dialect, folder):
            connection.execute(stamp)
        say(f"recognised revision {found.at} by its tables and columns, and noted that")
    for revision in found.todo:
        _end(connection)
        say(f"applying {revision.id}: {revision.title}")
        start = time.monotonic()
        _apply(connection, revision, say, folder)
        say(f"applied {revision.id} in {time.monotonic() - start:.1f} s")
    return found


def _end(connection: Connection) -> None:
    # on SQLite all of it is one transaction, whose write lock is the lock
    if connection.dialect.name != "sqlite":
        connection.commit()


def _apply(connection: Connection, revision: Revision, say: Say, folder: Path) -> None:
    for attempt in range(1, _TRIES_MAX + 1):
        try:
            return upgrade(connection, revision.id, folder)
        except DBAPIError as error:
            connection.rollback()
            held = code_of(error) == _TABLE_IS_HELD
            if not held or attempt == _TRIES_MAX:
                hint = ": a transaction that stays open holds the table, SHOW PROCESSLIST tells whose" if held else ""
                raise MigrationFailed(
                    f"revision {revision.id} could not be applied: {error.orig}{hint}."
                    " What is done stays done; run `dropcast migrate` again to go on"
                ) from error
        say(f"somebody holds a table that {revision.id} changes; trying again in {_PAUSE_S} s")
        time.sleep(_PAUSE_S)
    raise AssertionError("unreachable")


def _sql(connection: Connection, *, folder: Path) -> str:
    found = _plan(connection, folder=folder)
    dialect = connection.dialect
    said = ""
    if found.recognised:
        first: list[Any] = [
            *(CreateTable(table, if_not_exists=True) for table in BOOKKEEPING),
            *stamps(found.at, dialect, folder),
        ]
        for one in first:
            compiled = one.compile(dialect=dialect, compile_kwargs={"literal_binds": True})
            said += f"{str(compiled).strip()};\n\n"
    return said + upgrade_sql(connection, found.at, found.todo[-1].id, folder) if found.todo else said
