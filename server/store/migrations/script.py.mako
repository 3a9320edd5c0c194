"""${message}."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from server.store.migrations import steps
from server.store.migrations.columns import ascii_, exact, fixed, moment, text

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
compatible_from = ${repr(down_revision)}  # the oldest revision whose code works with this database; docs/migrations.md


def upgrade() -> None:
    """Every step looks first whether it is done: a run that died in the middle is run again."""
