"""Which other sites may show a stream."""

from __future__ import annotations

import sqlalchemy as sa

from server.store.migrations import steps
from server.store.migrations.columns import ascii_, fixed

revision = "0004"
down_revision = "0003"
compatible_from = "0001"


def upgrade() -> None:
    """One table and its index."""
    steps.create_table(
        "embed_origins",
        sa.Column("stream_id", fixed(32), nullable=False),
        sa.Column("origin", ascii_(270), nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "origin"),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name="embed_origins_stream"),
    )
    steps.create_index("embed_origins_origin", "embed_origins", "origin")
