"""What `dropcast init-db` made before there were revisions."""

from __future__ import annotations

import sqlalchemy as sa

from server.store.migrations import steps
from server.store.migrations.columns import ascii_, exact, fixed, moment, text, tiny

revision = "0001"
down_revision = None
compatible_from = "0001"


def upgrade() -> None:
    """For tests, and for telling a database of this shape: a new one gets `schema.sql`."""
    steps.create_table(
        "deployment",
        sa.Column("id", tiny(), nullable=False, autoincrement=False),
        sa.Column("epoch", ascii_(16), nullable=False),
        sa.Column("created_at", moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("id = 1", name="deployment_is_one_row"),
    )
    steps.create_table(
        "users",
        sa.Column("id", fixed(32), nullable=False),
        sa.Column("email", exact(254)),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("role", ascii_(16), nullable=False),
        sa.Column("password_hash", ascii_(255)),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("disabled_at", moment()),
        sa.Column("changed_at", moment()),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("email", name="users_email"),
        sa.CheckConstraint("role IN ('viewer', 'host', 'admin')", name="users_role_known"),
    )
    steps.create_index("users_changed", "users", "changed_at")
    steps.create_table(
        "sessions",
        sa.Column("id", fixed(32), nullable=False),
        sa.Column("user_id", fixed(32), nullable=False),
        sa.Column("device", sa.String(64), nullable=False),
        sa.Column("created_at", moment(), nullable=False),
        sa.Column("seen_at", moment(), nullable=False),
        sa.Column("ends_at", moment(), nullable=False),
        sa.Column("revoked_at", moment()),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="sessions_user_known"),
    )
    steps.create_index("sessions_user", "sessions", "user_id")
    steps.create_index("sessions_revoked", "sessions", "revoked_at")
    steps.create_table(
        "products",
        sa.Column("id", fixed(32), nullable=False),
        sa.Column("sku", ascii_(64), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("description", text(), nullable=False),
        sa.Column("image", sa.String(500)),
        sa.Column("price", sa.BigInteger, nullable=False),
        sa.Column("currency", fixed(3), nullable=False),
        sa.Column("created_at", moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sku", name="products_sku"),
        sa.CheckConstraint("price >= 0", name="products_price_not_negative"),
    )
    steps.create_table(
        "variants",
        sa.Column("id", fixed(32), nullable=False),
        sa.Column("product_id", fixed(32), nullable=False),
        sa.Column("sku", ascii_(64), nullable=False),
        sa.Column("label", sa.String(100), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("received", sa.Integer, nullable=False),
        sa.Column("stock", sa.Integer, nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("sku", name="variants_sku"),
        sa.UniqueConstraint("product_id", "position", name="variants_product_position"),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name="variants_product"),
        sa.CheckConstraint("stock >= 0 AND stock <= received", name="variants_stock_within_received"),
    )
    steps.create_table(
        "streams",
        sa.Column("id", fixed(32), nullable=False),
        sa.Column("slug", ascii_(64), nullable=False),
        sa.Column("host_id", fixed(32), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("status", ascii_(16), nullable=False),
        sa.Column("starts_at", moment()),
        sa.Column("video", sa.String(500)),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sa.Column("created_at", moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("slug", name="streams_slug"),
        sa.ForeignKeyConstraint(["host_id"], ["users.id"], name="streams_host_user"),
        sa.CheckConstraint("status IN ('scheduled', 'live', 'ended')", name="streams_status_known"),
        sa.CheckConstraint("seq >= 0", name="streams_seq_counts"),
    )
    steps.create_index("streams_host", "streams", "host_id", "id")
    steps.create_index("streams_status", "streams", "status", "id")
    steps.create_table(
        "drops",
        sa.Column("id", fixed(32), nullable=False),
        sa.Column("stream_id", fixed(32), nullable=False),
        sa.Column("product_id", fixed(32), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("image", sa.String(500)),
        sa.Column("price", sa.BigInteger, nullable=False),
        sa.Column("currency", fixed(3), nullable=False),
        sa.Column("viewer_limit", sa.Integer, nullable=False),
        sa.Column("opens_at", moment()),
        sa.Column("closes_at", moment()),
        sa.Column("status", ascii_(16), nullable=False),
        sa.Column("created_at", moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name="drops_stream_known"),
        sa.ForeignKeyConstraint(["product_id"], ["products.id"], name="drops_product"),
        sa.CheckConstraint("status IN ('scheduled', 'open', 'sold_out', 'closed')", name="drops_status_known"),
        sa.CheckConstraint("price >= 0", name="drops_price_not_negative"),
        sa.CheckConstraint("viewer_limit >= 1", name="drops_limit_positive"),
    )
    steps.create_index("drops_stream", "drops", "stream_id", "id")
    steps.create_index("drops_opening", "drops", "status", "opens_at")
    steps.create_index("drops_closing", "drops", "status", "closes_at")
    steps.create_table(
        "drop_stock",
        sa.Column("drop_id", fixed(32), nullable=False),
        sa.Column("variant_id", fixed(32), nullable=False),
        sa.Column("label", sa.String(100), nullable=False),
        sa.Column("position", sa.Integer, nullable=False),
        sa.Column("put_in", sa.Integer, nullable=False),
        sa.Column("left", sa.Integer, nullable=False),
        sa.Column("held", sa.Integer, nullable=False),
        sa.Column("sold", sa.Integer, nullable=False),
        sa.Column("given_back", sa.Integer, nullable=False),
        sa.Column("version", sa.BigInteger, nullable=False),
        sa.PrimaryKeyConstraint("drop_id", "variant_id"),
        sa.ForeignKeyConstraint(["drop_id"], ["drops.id"], name="drop_stock_drop"),
        sa.ForeignKeyConstraint(["variant_id"], ["variants.id"], name="drop_stock_variant_known"),
        sa.CheckConstraint(
            "`left` >= 0 AND held >= 0 AND sold >= 0 AND given_back >= 0", name="drop_stock_not_negative"
        ),
        sa.CheckConstraint("put_in = `left` + held + sold + given_back", name="drop_stock_equation"),
    )
    steps.create_index("drop_stock_variant", "drop_stock", "variant_id")
    steps.create_table(
        "orders",
        sa.Column("id", fixed(32), nullable=False),
        sa.Column("viewer_id", fixed(32), nullable=False),
        sa.Column("ref", ascii_(64), nullable=False),
        sa.Column("stream_id", fixed(32), nullable=False),
        sa.Column("drop_id", fixed(32), nullable=False),
        sa.Column("product_id", fixed(32), nullable=False),
        sa.Column("variant_id", fixed(32), nullable=False),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("quantity", sa.Integer, nullable=False),
        sa.Column("total", sa.BigInteger, nullable=False),
        sa.Column("currency", fixed(3), nullable=False),
        sa.Column("status", ascii_(16), nullable=False),
        sa.Column("placed_at", moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("viewer_id", "ref", name="orders_viewer_ref"),
        sa.CheckConstraint("status IN ('accepted')", name="orders_status_known"),
        sa.CheckConstraint("quantity >= 1", name="orders_quantity_positive"),
        sa.CheckConstraint("total >= 0", name="orders_total_not_negative"),
    )
    steps.create_index("orders_drop_viewer", "orders", "drop_id", "viewer_id", "quantity")
    steps.create_index("orders_viewer", "orders", "viewer_id", "id")
    steps.create_table(
        "events",
        sa.Column("stream_id", fixed(32), nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False, autoincrement=False),
        sa.Column("kind", ascii_(32), nullable=False),
        sa.Column("at", moment(), nullable=False),
        sa.Column("frame", text(long=True), nullable=False),
        sa.PrimaryKeyConstraint("stream_id", "seq"),
        sa.ForeignKeyConstraint(["stream_id"], ["streams.id"], name="events_stream"),
        sa.CheckConstraint("seq >= 1", name="events_seq_positive"),
    )
    steps.create_table(
        "audit",
        sa.Column("id", fixed(32), nullable=False),
        sa.Column("at", moment(), nullable=False),
        sa.Column("actor_id", fixed(32)),
        sa.Column("action", ascii_(64), nullable=False),
        sa.Column("subject_id", fixed(32), nullable=False),
        sa.Column("detail", text(), nullable=False),
        sa.Column("ref", ascii_(64)),
        sa.PrimaryKeyConstraint("id"),
        sa.UniqueConstraint("actor_id", "ref", name="audit_actor_ref"),
    )
    steps.create_index("audit_subject", "audit", "subject_id", "id")
    steps.create_table(
        "mails",
        sa.Column("id", fixed(32), nullable=False),
        sa.Column("purpose", ascii_(16), nullable=False),
        sa.Column("address", exact(254), nullable=False),
        sa.Column("nonce", ascii_(64), nullable=False),
        sa.Column("tries", sa.Integer, nullable=False),
        sa.Column("due_at", moment(), nullable=False),
        sa.Column("expires_at", moment(), nullable=False),
        sa.PrimaryKeyConstraint("id"),
        sa.CheckConstraint("tries >= 0", name="mails_tries_count"),
    )
    steps.create_index("mails_due", "mails", "due_at", "id")
    steps.create_index("mails_address", "mails", "address")
