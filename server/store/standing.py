"""How far a database has come, and whether this code works with it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, inspect, select
from sqlalchemy.engine.reflection import Inspector

from server.domain.errors import DropcastError
from server.store.revisions import FOLDER, Revision, known
from server.store.tables import alembic_version, metadata, schema_revisions


class WrongSchema(DropcastError):
    """The database has tables, but not ours, or not in a shape this code works with."""


@dataclass(frozen=True)
class Standing:
    """What there is beside what this code needs.

    A replica and its database need not be of one age: in a rolling deploy old and new replicas share one that is as new
    as the newest. It may have what this code does not know, as long as rows of ours can be written without it, and as
    long as each revision unknown here says in `schema_revisions` that it works with a revision known here.
    """

    empty: bool
    foreign: tuple[str, ...]
    """Tables, where none is ours."""
    at: str | None
    """The revision the database says it holds."""
    behind: tuple[Revision, ...]
    """What this code knows and the database lacks; empty where it says nothing."""
    ahead: tuple[str, ...]
    """What it has and this code does not know."""
    forbidding: tuple[str, ...]
    """In words: which of these this code is too old for."""
    missing: tuple[str, ...]
    """In words: tables and columns this code needs."""
    unfillable: tuple[str, ...]
    """In words: columns that rows written by this code would lack."""

    def refusal(self, folder: Path = FOLDER) -> str | None:
        """Why this code does not work with the database, and what to do; None: it does."""
        newest = known(folder)[-1].id
        lacking = "".join(f"; {what}" for what in self.missing)
        if self.empty:
            return "the database is empty: run `dropcast init-db` first"
        if self.foreign:
            return f"the database has tables that are not Dropcast's: {', '.join(self.foreign[:5])}"
        if self.ahead:
            wrong = self.forbidding + self.missing + self.unfillable
            if not wrong:
                return None
            return (
                f"the database is newer than this Dropcast (revision {self.at}, here {newest}), and this one does not"
                f" work with it any more: {'; '.join(wrong)}: start the newer version"
            )
        if self.at is None:
            return f"the database does not say which revision it is{lacking}: run `dropcast migrate` first"
        if self.behind:
            return (
                f"the database is older than this Dropcast (revision {self.at}, here {newest}){lacking}:"
                " run `dropcast migrate` first"
            )
        if self.missing or self.unfillable:
            return (
                f"the database says it is at revision {self.at}, but somebody has changed it:"
                f" {'; '.join(self.missing + self.unfillable)}"
            )
        return None


def standing(connection: Connection, folder: Path = FOLDER) -> Standing:
    """Looks; changes nothing. Raises `WrongSchema` where the database's own word about it makes no sense."""
    inspector = inspect(connection)
    tables = set(inspector.get_table_names())
    if not tables & set(metadata.tables):
        return Standing(not tables, tuple(sorted(tables)), None, (), (), (), (), ())
    at, ahead = _said(connection, tables, folder)
    ids = [revision.id for revision in known(folder)]
    behind = known(folder)[ids.index(at) + 1 :] if at in ids else ()
    forbidding = tuple(
        f"revision {id_} needs the code of revision {needs} or later" for id_, needs in ahead if needs not in ids
    )
    missing, unfillable = _columns(inspector, tables)
    return Standing(False, (), at, behind, tuple(id_ for id_, _ in ahead), forbidding, missing, unfillable)


def _said(connection: Connection, tables: set[str], folder: Path) -> tuple[str | None, list[tuple[str, str]]]:
    """The revision it is at, and those unknown here with the oldest code they work with."""
    if not {alembic_version.name, schema_revisions.name} <= tables:
        return None, []
    at = connection.execute(select(alembic_version.c.version_num)).scalars().all()
    if len(at) > 1:
        raise WrongSchema(f"the database says it is at several revisions at once: {', '.join(sorted(at))}")
    rows = connection.execute(select(schema_revisions).order_by(schema_revisions.c.revision)).all()
    ids = {revision.id for revision in known(folder)}
    ahead = [(str(row.revision), str(row.compatible_from)) for row in rows if row.revision not in ids]
    if at and at[0] not in ids and at[0] not in dict(ahead):
        raise WrongSchema(f"the database is at revision {at[0]}, of which neither it nor this Dropcast knows anything")
    return (at[0] if at else None), ahead


def _columns(inspector: Inspector, tables: set[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    missing = [f"table {name} is missing" for name in sorted(set(metadata.tables) - tables)]
    unfillable = []
    for name in sorted(tables & set(metadata.tables)):
        has = {column["name"]: column for column in inspector.get_columns(name)}
        wants = {column.name for column in metadata.tables[name].columns}
        missing += [f"{name}.{column} is missing" for column in sorted(wants - has.keys())]
        unfillable += [
            f"{name}.{column} is unknown here and has no default"
            for column in sorted(has.keys() - wants)
            if not _fills_itself(has[column])
        ]
    return tuple(missing), tuple(unfillable)


def _fills_itself(column: Any) -> bool:
    return bool(
        column["nullable"]
        or column.get("default") is not None
        or column.get("computed")
        or column.get("autoincrement") is True
    )
