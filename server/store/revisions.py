"""The revisions this code knows, in order, and what the database is told of each.

The files are read, not run: a replica has to know their names and what they say of themselves, and needs neither
Alembic nor the 11 MiB it takes.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sqlalchemy import Dialect, Executable, literal_column

from server.store.engine import MYSQL_CLOCK, SQLITE_CLOCK
from server.store.tables import Ms, alembic_version, schema_revisions

FOLDER = Path(__file__).parent / "migrations"
BOOKKEEPING = (alembic_version, schema_revisions)


@dataclass(frozen=True)
class Revision:
    """A file of `migrations/versions`.

    `compatible_from` is the oldest revision whose code works with a database that has this one; `then` a command that
    belongs to it.
    """

    id: str
    title: str
    after: str | None
    compatible_from: str
    then: str | None


@cache
def known(folder: Path = FOLDER) -> tuple[Revision, ...]:
    """Oldest first. Raises `ValueError` where they are not one line."""
    read = [_read(path) for path in sorted((folder / "versions").glob("r*.py"))]
    following = {revision.after: revision for revision in read}
    line: list[Revision] = []
    while (following_one := following.get(line[-1].id if line else None)) is not None:
        line.append(following_one)
    if len(line) != len(read):
        ids = ", ".join(f"{revision.id} after {revision.after}" for revision in read)
        raise ValueError(f"revisions must follow each other in one line, and these do not: {ids}")
    return tuple(line)


def _read(path: Path) -> Revision:
    tree = ast.parse(path.read_text("utf-8"))
    says = {
        target.id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Constant)
        for target in node.targets
        if isinstance(target, ast.Name)
    }
    after = says["down_revision"]
    return Revision(
        str(says["revision"]),
        (ast.get_docstring(tree) or "").split("\n")[0].rstrip("."),
        None if after is None else str(after),
        str(says["compatible_from"]),
        str(says["then"]) if "then" in says else None,
    )


def record(revision: Revision, dialect: Dialect) -> list[Executable]:
    """The row of a revision, with the database's own time; anew where one is left of a way that was gone back."""
    clock = SQLITE_CLOCK if dialect.name == "sqlite" else MYSQL_CLOCK
    return [
        schema_revisions.delete().where(schema_revisions.c.revision == revision.id),
        schema_revisions.insert().values(
            revision=revision.id, compatible_from=revision.compatible_from, applied_at=literal_column(clock, Ms)
        ),
    ]


def stamps(upto: str, dialect: Dialect, folder: Path = FOLDER) -> list[Executable]:
    """What notes that a database holds everything up to this revision, whatever was noted before."""
    ids = [revision.id for revision in known(folder)]
    held = known(folder)[: ids.index(upto) + 1]
    return [
        *(statement for revision in held for statement in record(revision, dialect)),
        alembic_version.delete(),
        alembic_version.insert().values(version_num=upto),
    ]
