"""Products are found by pieces of their words."""

from __future__ import annotations

import sqlalchemy as sa

from server.store.migrations import steps
from server.store.migrations.columns import exact, fixed, text

revision = "0003"
down_revision = "0002"
compatible_from = "0001"
then = "index-products"


def upgrade() -> None:
    """Two tables. Replicas of before do not fill them: products they change are found after `index-products`."""
    steps.create_table(
        "product_index",
        sa.Column("number", sa.Integer, nullable=False, autoincrement=True),
        sa.Column("product_id", fixed(32), nullable=False),
        sa.Column("title", exact(250), nullable=False),
        sa.Column("also", exact(250), nullable=False),
        sa.Column("description", text(exactly=True), nullable=False),
        sa.Column("grams", text(exactly=True), nullable=False),
        sa.PrimaryKeyConstraint("number"),
        sa.UniqueConstraint("product_id", name="product_index_product"),
    )
    steps.create_index("product_index_title", "product_index", "title")
    steps.create_table(
        "product_grams",
        sa.Column("gram", exact(24), nullable=False),
        sa.Column("number", sa.Integer, nullable=False, autoincrement=False),
        sa.Column("weight", sa.SmallInteger, nullable=False),
        sa.PrimaryKeyConstraint("gram", "number"),
        sqlite_with_rowid=False,
    )
