"""What Alembic runs revisions in: the connection that `dropcast migrate` holds the lock on, and the record it keeps."""

from __future__ import annotations

from typing import Any

from alembic import context
from alembic.runtime.migration import MigrationContext

from server.domain.errors import DropcastError
from server.store.revisions import known, record


def _record(ctx: MigrationContext, step: Any, heads: object, run_args: object) -> None:  # noqa: ARG001  Alembic's words
    """In the transaction in which Alembic notes the revision: either both are there, or none."""
    (revision,) = (one for one in known(folder) if one.id == step.up_revision_id)
    for statement in record(revision, ctx.dialect):
        ctx.execute(statement)


connection = context.config.attributes.get("connection")
folder = context.config.attributes.get("folder")
if connection is None:
    raise DropcastError("Alembic has no lock and no database here: run `dropcast migrate`, or with --check or --sql")
context.configure(connection=connection, literal_binds=context.is_offline_mode(), on_version_apply=_record)
with context.begin_transaction():
    context.run_migrations()
