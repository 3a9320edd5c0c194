"""The schema in Python: what `schema.sql` says, for queries and for the embedded SQLite default.

In one file, as that is. Who changes the two adds a revision in `server/store/migrations` (docs/migrations.md).
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    CHAR,
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Dialect,
    ForeignKeyConstraint,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    SmallInteger,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.dialects import mysql

metadata = MetaData()


class Ms(TypeDecorator[int]):
    """A time: ms since the epoch in Python, DATETIME(6) in UTC in the database."""

    impl = DateTime
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> Any:
        """DATETIME(6) on MySQL and MariaDB."""
        return dialect.type_descriptor(mysql.DATETIME(fsp=6) if dialect.name in ("mysql", "mariadb") else DateTime())

    def process_bind_param(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Ms to naive UTC."""
        return None if value is None else datetime_of(value)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Naive UTC to ms."""
        return None if value is None else ms_of(value)


def datetime_of(ms: int) -> datetime:
    """Ms since the epoch as a naive UTC time. Raises `OverflowError` beyond the year 9999."""
    return datetime.fromtimestamp(ms // 1000, UTC).replace(tzinfo=None, microsecond=ms % 1000 * 1000)


def ms_of(at: datetime) -> int:
    """A naive UTC time as ms since the epoch."""
    whole = at.replace(tzinfo=UTC)
    return int(whole.timestamp()) * 1000 + whole.microsecond // 1000


def _ascii(length: int) -> Any:
    return String(length).with_variant(
        mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"), "mysql", "mariadb"
    )


def _fixed(length: int) -> Any:
    return CHAR(length).with_variant(mysql.CHAR(length, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")


def _exact(length: int) -> Any:
    return String(length).with_variant(
        mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
    )


_ID = _fixed(32)
_STATUS = _ascii(16)
_EMAIL = _exact(254)
_TINY = SmallInteger().with_variant(mysql.TINYINT(), "mysql", "mariadb")
_LONG_TEXT = Text().with_variant(mysql.MEDIUMTEXT(), "mysql", "mariadb")
_EXACT_TEXT = Text().with_variant(mysql.TEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")


def _table(name: str, *args: Any, **options: Any) -> Table:
    return Table(
        name,
        metadata,
        *args,
        **options,
        mysql_engine="InnoDB",
        mysql_charset="utf8mb4",
        mysql_collate="utf8mb4_unicode_520_ci",
        mariadb_engine="InnoDB",
        mariadb_charset="utf8mb4",
        mariadb_collate="utf8mb4_unicode_520_ci",
    )


deployment = _table(
    "deployment",
    Column("id", _TINY, nullable=False, autoincrement=False),
    Column("epoch", _ascii(16), nullable=False),
    Column("created_at", Ms, nullable=False),
    PrimaryKeyConstraint("id"),
    CheckConstraint("id = 1", name="deployment_is_one_row"),
)

alembic_version = _table(
    "alembic_version",
    Column("version_num", _ascii(32), nullable=False),
    PrimaryKeyConstraint("version_num"),
)

schema_revisions = _table(
    "schema_revisions",
    Column("revision", _ascii(32), nullable=False),
    Column("compatible_from", _ascii(32), nullable=False),
    Column("applied_at", Ms, nullable=False),
    PrimaryKeyConstraint("revision"),
)

users = _table(
    "users",
    Column("id", _ID, nullable=False),
    Column("email", _EMAIL),
    Column("name", String(100), nullable=False),
    Column("role", _STATUS, nullable=False),
    Column("password_hash", _ascii(255)),
    Column("created_at", Ms, nullable=False),
    Column("disabled_at", Ms),
    Column("changed_at", Ms),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("email", name="users_email"),
    Index("users_changed", "changed_at"),
    CheckConstraint("role IN ('viewer', 'host', 'admin')", name="users_role_known"),
)

sessions = _table(
    "sessions",
    Column("id", _ID, nullable=False),
    Column("user_id", _ID, nullable=False),
    Column("device", String(64), nullable=False),
    Column("created_at", Ms, nullable=False),
    Column("seen_at", Ms, nullable=False),
    Column("ends_at", Ms, nullable=False),
    Column("revoked_at", Ms),
    PrimaryKeyConstraint("id"),
    Index("sessions_user", "user_id"),
    Index("sessions_revoked", "revoked_at"),
    ForeignKeyConstraint(["user_id"], ["users.id"], name="sessions_user_known"),
)

products = _table(
    "products",
    Column("id", _ID, nullable=False),
    Column("sku", _ascii(64), nullable=False),
    Column("title", String(200), nullable=False),
    Column("description", Text, nullable=False),
    Column("image", String(500)),
    Column("price", BigInteger, nullable=False),
    Column("currency", _fixed(3), nullable=False),
    Column("created_at", Ms, nullable=False),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("sku", name="products_sku"),
    CheckConstraint("price >= 0", name="products_price_not_negative"),
)

variants = _table(
    "variants",
    Column("id", _ID, nullable=False),
    Column("product_id", _ID, nullable=False),
    Column("sku", _ascii(64), nullable=False),
    Column("label", String(100), nullable=False),
    Column("position", Integer, nullable=False),
    Column("received", Integer, nullable=False),
    Column("stock", Integer, nullable=False),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("sku", name="variants_sku"),
    UniqueConstraint("product_id", "position", name="variants_product_position"),
    ForeignKeyConstraint(["product_id"], ["products.id"], name="variants_product"),
    CheckConstraint("stock >= 0 AND stock <= received", name="variants_stock_within_received"),
)

product_index = _table(
    "product_index",
    Column("number", Integer, nullable=False, autoincrement=True),
    Column("product_id", _ID, nullable=False),
    Column("title", _exact(250), nullable=False),
    Column("also", _exact(250), nullable=False),
    Column("description", _EXACT_TEXT, nullable=False),
    Column("grams", _EXACT_TEXT, nullable=False),
    PrimaryKeyConstraint("number"),
    UniqueConstraint("product_id", name="product_index_product"),
    Index("product_index_title", "title"),
)

product_grams = _table(
    "product_grams",
    Column("gram", _exact(24), nullable=False),
    Column("number", Integer, nullable=False, autoincrement=False),
    Column("weight", SmallInteger, nullable=False),
    PrimaryKeyConstraint("gram", "number"),
    sqlite_with_rowid=False,  # clustered, as InnoDB's are
)

streams = _table(
    "streams",
    Column("id", _ID, nullable=False),
    Column("slug", _ascii(64), nullable=False),
    Column("host_id", _ID, nullable=False),
    Column("title", String(200), nullable=False),
    Column("status", _STATUS, nullable=False),
    Column("starts_at", Ms),
    Column("video", String(500)),
    Column("seq", BigInteger, nullable=False),
    Column("created_at", Ms, nullable=False),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("slug", name="streams_slug"),
    Index("streams_host", "host_id", "id"),
    Index("streams_status", "status", "id"),
    ForeignKeyConstraint(["host_id"], ["users.id"], name="streams_host_user"),
    CheckConstraint("status IN ('scheduled', 'live', 'ended')", name="streams_status_known"),
    CheckConstraint("seq >= 0", name="streams_seq_counts"),
)

embed_origins = _table(
    "embed_origins",
    Column("stream_id", _ID, nullable=False),
    Column("origin", _ascii(270), nullable=False),
    PrimaryKeyConstraint("stream_id", "origin"),
    Index("embed_origins_origin", "origin"),
    ForeignKeyConstraint(["stream_id"], ["streams.id"], name="embed_origins_stream"),
)

drops = _table(
    "drops",
    Column("id", _ID, nullable=False),
    Column("stream_id", _ID, nullable=False),
    Column("product_id", _ID, nullable=False),
    Column("title", String(200), nullable=False),
    Column("image", String(500)),
    Column("price", BigInteger, nullable=False),
    Column("currency", _fixed(3), nullable=False),
    Column("list_price", BigInteger),
    Column("viewer_limit", Integer, nullable=False),
    Column("opens_at", Ms),
    Column("closes_at", Ms),
    Column("status", _STATUS, nullable=False),
    Column("created_at", Ms, nullable=False),
    PrimaryKeyConstraint("id"),
    Index("drops_stream", "stream_id", "id"),
    Index("drops_opening", "status", "opens_at"),
    Index("drops_closing", "status", "closes_at"),
    ForeignKeyConstraint(["stream_id"], ["streams.id"], name="drops_stream_known"),
    ForeignKeyConstraint(["product_id"], ["products.id"], name="drops_product"),
    CheckConstraint("status IN ('scheduled', 'open', 'sold_out', 'closed')", name="drops_status_known"),
    CheckConstraint("price >= 0", name="drops_price_not_negative"),
    CheckConstraint("list_price >= 0", name="drops_list_price_not_negative"),
    CheckConstraint("viewer_limit >= 1", name="drops_limit_positive"),
)

drop_stock = _table(
    "drop_stock",
    Column("drop_id", _ID, nullable=False),
    Column("variant_id", _ID, nullable=False),
    Column("label", String(100), nullable=False),
    Column("position", Integer, nullable=False),
    Column("put_in", Integer, nullable=False),
    Column("left", Integer, nullable=False),
    Column("held", Integer, nullable=False),
    Column("sold", Integer, nullable=False),
    Column("given_back", Integer, nullable=False),
    Column("version", BigInteger, nullable=False),
    PrimaryKeyConstraint("drop_id", "variant_id"),
    Index("drop_stock_variant", "variant_id"),
    ForeignKeyConstraint(["drop_id"], ["drops.id"], name="drop_stock_drop"),
    ForeignKeyConstraint(["variant_id"], ["variants.id"], name="drop_stock_variant_known"),
    CheckConstraint("`left` >= 0 AND held >= 0 AND sold >= 0 AND given_back >= 0", name="drop_stock_not_negative"),
    CheckConstraint("put_in = `left` + held + sold + given_back", name="drop_stock_equation"),
)

orders = _table(
    "orders",
    Column("id", _ID, nullable=False),
    Column("viewer_id", _ID, nullable=False),
    Column("ref", _ascii(64), nullable=False),
    Column("stream_id", _ID, nullable=False),
    Column("drop_id", _ID, nullable=False),
    Column("product_id", _ID, nullable=False),
    Column("variant_id", _ID, nullable=False),
    Column("title", String(200), nullable=False),
    Column("quantity", Integer, nullable=False),
    Column("total", BigInteger, nullable=False),
    Column("currency", _fixed(3), nullable=False),
    Column("status", _STATUS, nullable=False),
    Column("placed_at", Ms, nullable=False),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("viewer_id", "ref", name="orders_viewer_ref"),
    Index("orders_drop_viewer", "drop_id", "viewer_id", "quantity"),
    Index("orders_viewer", "viewer_id", "id"),
    CheckConstraint("status IN ('accepted')", name="orders_status_known"),
    CheckConstraint("quantity >= 1", name="orders_quantity_positive"),
    CheckConstraint("total >= 0", name="orders_total_not_negative"),
)

events = _table(
    "events",
    Column("stream_id", _ID, nullable=False),
    Column("seq", BigInteger, nullable=False, autoincrement=False),
    Column("kind", _ascii(32), nullable=False),
    Column("at", Ms, nullable=False),
    Column("frame", _LONG_TEXT, nullable=False),
    PrimaryKeyConstraint("stream_id", "seq"),
    ForeignKeyConstraint(["stream_id"], ["streams.id"], name="events_stream"),
    CheckConstraint("seq >= 1", name="events_seq_positive"),
)

audit = _table(
    "audit",
    Column("id", _ID, nullable=False),
    Column("at", Ms, nullable=False),
    Column("actor_id", _ID),
    Column("action", _ascii(64), nullable=False),
    Column("subject_id", _ID, nullable=False),
    Column("detail", Text, nullable=False),
    Column("ref", _ascii(64)),
    PrimaryKeyConstraint("id"),
    UniqueConstraint("actor_id", "ref", name="audit_actor_ref"),
    Index("audit_subject", "subject_id", "id"),
)

mails = _table(
    "mails",
    Column("id", _ID, nullable=False),
    Column("purpose", _STATUS, nullable=False),
    Column("address", _EMAIL, nullable=False),
    Column("nonce", _ascii(64), nullable=False),
    Column("tries", Integer, nullable=False),
    Column("due_at", Ms, nullable=False),
    Column("expires_at", Ms, nullable=False),
    PrimaryKeyConstraint("id"),
    Index("mails_due", "due_at", "id"),
    Index("mails_address", "address"),
    CheckConstraint("tries >= 0", name="mails_tries_count"),
)
