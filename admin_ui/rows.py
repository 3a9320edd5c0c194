"""The tables of `server.store.tables` as classes, which starlette-admin needs; columns are declared there alone.

`users.password_hash` is left out of the mapping: no page, export or JSON answer can show or set what is not loaded.
"""

from __future__ import annotations

from sqlalchemy import Integer, ScalarSelect, cast, func, select
from sqlalchemy.orm import DeclarativeBase, Mapped, column_property, relationship
from starlette.requests import Request

from server.store import tables


class Row(DeclarativeBase):
    """Base of every class here; all are rows of the shop's own metadata."""

    metadata = tables.metadata


class UserRow(Row):
    """A user without the password hash."""

    __table__ = tables.users
    __mapper_args__ = {"exclude_properties": ["password_hash"]}  # noqa: RUF012  read once, by SQLAlchemy

    id: Mapped[str]
    email: Mapped[str | None]
    name: Mapped[str]
    role: Mapped[str]
    created_at: Mapped[int]
    disabled_at: Mapped[int | None]
    changed_at: Mapped[int | None]

    def __admin_repr__(self, request: Request) -> str:
        """The name, with the address when there is one."""
        return f"{self.name} <{self.email}>" if self.email else self.name


class ProductRow(Row):
    """A product."""

    __table__ = tables.products

    id: Mapped[str]
    sku: Mapped[str]
    title: Mapped[str]
    description: Mapped[str]
    image: Mapped[str | None]
    price: Mapped[int]
    currency: Mapped[str]
    created_at: Mapped[int]
    variants: Mapped[list[VariantRow]] = relationship(
        viewonly=True, order_by="VariantRow.position", back_populates="product"
    )

    def __admin_repr__(self, request: Request) -> str:
        """Title and SKU."""
        return f"{self.title} ({self.sku})"


class VariantRow(Row):
    """A variant; `goods_received` is what a new one arrives with, no column."""

    __table__ = tables.variants

    id: Mapped[str]
    product_id: Mapped[str]
    sku: Mapped[str]
    label: Mapped[str]
    position: Mapped[int]
    received: Mapped[int]
    stock: Mapped[int]
    product: Mapped[ProductRow] = relationship(lazy="joined", innerjoin=True)

    def __admin_repr__(self, request: Request) -> str:
        """Label and SKU."""
        return f"{self.label} ({self.sku})"


class StreamRow(Row):
    """A stream."""

    __table__ = tables.streams

    id: Mapped[str]
    slug: Mapped[str]
    title: Mapped[str]
    status: Mapped[str]
    host: Mapped[UserRow] = relationship(viewonly=True)

    def __admin_repr__(self, request: Request) -> str:
        """The slug, by which everyone names a stream."""
        return self.slug


def _units_of_drop(column: str) -> ScalarSelect[int]:
    stock = tables.drop_stock
    units = func.coalesce(func.sum(stock.c[column]), 0)
    of_this_drop = stock.c.drop_id == tables.drops.c.id
    return select(cast(units, Integer)).where(of_this_drop).correlate(tables.drops).scalar_subquery()


class DropRow(Row):
    """A drop, with the units of all its variants added up."""

    __table__ = tables.drops

    id: Mapped[str]
    title: Mapped[str]
    stream: Mapped[StreamRow] = relationship(viewonly=True)
    product: Mapped[ProductRow] = relationship(viewonly=True)
    stock_lines: Mapped[list[DropStockRow]] = relationship(viewonly=True)
    put_in: Mapped[int] = column_property(_units_of_drop("put_in"))
    left: Mapped[int] = column_property(_units_of_drop("left"))
    sold: Mapped[int] = column_property(_units_of_drop("sold"))

    def __admin_repr__(self, request: Request) -> str:
        """The title."""
        return self.title


class DropStockRow(Row):
    """The stock of one variant of a drop."""

    __table__ = tables.drop_stock

    drop_id: Mapped[str]
    variant_id: Mapped[str]


class OrderRow(Row):
    """An order. The table has no foreign keys (schema.sql says why), so the joins are spelled out."""

    __table__ = tables.orders

    id: Mapped[str]
    title: Mapped[str]
    viewer: Mapped[UserRow | None] = relationship(
        viewonly=True, primaryjoin="foreign(OrderRow.viewer_id) == UserRow.id"
    )
    stream: Mapped[StreamRow | None] = relationship(
        viewonly=True, primaryjoin="foreign(OrderRow.stream_id) == StreamRow.id"
    )
    drop: Mapped[DropRow | None] = relationship(viewonly=True, primaryjoin="foreign(OrderRow.drop_id) == DropRow.id")
    variant: Mapped[VariantRow | None] = relationship(
        viewonly=True, primaryjoin="foreign(OrderRow.variant_id) == VariantRow.id"
    )

    def __admin_repr__(self, request: Request) -> str:
        """What was bought."""
        return self.title


class AuditRow(Row):
    """A line of the audit trail; without an actor it was the system itself."""

    __table__ = tables.audit

    id: Mapped[str]
    action: Mapped[str]
    actor: Mapped[UserRow | None] = relationship(viewonly=True, primaryjoin="foreign(AuditRow.actor_id) == UserRow.id")

    def __admin_repr__(self, request: Request) -> str:
        """The action."""
        return self.action
