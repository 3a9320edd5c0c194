"""The version that is to come: this tree, and a revision that adds to the tables every order writes."""

from __future__ import annotations

import shutil
from pathlib import Path

from server.store.revisions import known
from tests.services.release import ROOT, Release

_REVISION = '''"""Gifts."""

import sqlalchemy as sa

from server.store.migrations import steps
from server.store.migrations.columns import fixed

revision = "{next}"
down_revision = "{last}"
compatible_from = "{compatible_from}"


def upgrade() -> None:
    """A column in each table that orders write, and a table."""
    for table in ("orders", "drop_stock", "streams", "events"):
        steps.add_column(table, "gift", servers="INTEGER NULL, ALGORITHM=INSTANT", sqlite="INTEGER NULL")
    steps.create_table("gifts", sa.Column("order_id", fixed(32), primary_key=True))
'''


def next_release(folder: Path) -> Release:
    """Put into an empty folder."""
    for name in ("server", "admin_ui"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("client", "schema.sql"):
        (folder / name).symlink_to(ROOT / name)
    last = known()[-1]
    number = f"{int(last.id) + 1:04}"
    text = _REVISION.format(next=number, last=last.id, compatible_from=last.compatible_from)
    (folder / f"server/store/migrations/versions/r{number}_gifts.py").write_text(text, "utf-8")
    return Release(folder)
