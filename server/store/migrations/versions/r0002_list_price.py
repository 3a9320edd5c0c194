"""A drop tells its product's list price."""

from __future__ import annotations

from server.store.migrations import steps

revision = "0002"
down_revision = "0001"
compatible_from = "0001"


def upgrade() -> None:
    """One statement: with its CHECK the servers copy the table, in which drops are read but not changed meanwhile.

    A shop has some thousand drops, which is well below a second.
    """
    steps.add_column(
        "drops",
        "list_price",
        servers="BIGINT NULL AFTER currency, ADD CONSTRAINT drops_list_price_not_negative CHECK (list_price >= 0)",
        sqlite="BIGINT CONSTRAINT drops_list_price_not_negative CHECK (list_price >= 0)",
    )
