"""Streams, drops, orders and the audit trail: to be read only. Hosts and buyers make them, by their own roads."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement
from starlette.requests import Request
from starlette_admin import BaseField, EnumField, IntegerField, StringField, TextAreaField
from starlette_admin.contrib.sqla.view import InlineModelView

from admin_ui.fields import Ref, Time, holds, named
from admin_ui.rows import AuditRow, DropRow, DropStockRow, OrderRow, StreamRow, UserRow, VariantRow
from admin_ui.views import View, words
from server.domain.drop import DropStatus
from server.domain.order import OrderStatus
from server.domain.views import StreamStatus


class StreamView(View):
    """Streams, which hosts run from their own pages."""

    table = StreamRow
    searched = (StreamRow.slug, StreamRow.title)
    key, menu_label, display_name, icon = "stream", "Streams", "Stream", "fa-solid fa-tower-broadcast"

    def columns(self) -> Sequence[BaseField]:
        """The fields."""
        return (
            StringField("id", exclude_from_list=True),
            StringField("slug"),
            StringField("title"),
            Ref("host", key="user", filters=named(UserRow.name, UserRow.email)),
            EnumField("status", choices=words(StreamStatus)),
            Time("starts_at", "Starts"),
            StringField("video", exclude_from_list=True),
            IntegerField("seq", "Events"),
            Time("created_at", "Created"),
        )


class DropStockInline(InlineModelView):
    """Where the units of a drop are, variant by variant."""

    model = DropStockRow  # type: ignore[misc]  # ClassVar in one base, not in the other
    fk_attr = "drop_id"
    display_name = menu_label = "Stock"
    importers = ()

    def __init__(self, parent_view: Any = None) -> None:
        self.fields = (
            StringField("label", "Variant"),
            IntegerField("put_in", "Put in"),
            IntegerField("left"),
            IntegerField("held"),
            IntegerField("sold"),
            IntegerField("given_back", "Given back"),
            IntegerField("version"),
        )
        super().__init__(parent_view)

    async def find_by_parent(self, request: Request, parent: Any) -> Sequence[Any]:
        """The lines, in the order viewers see them."""
        return sorted(await super().find_by_parent(request, parent), key=lambda line: line.position)


class DropView(View):
    """Drops, which hosts open and close; put in = left + held + sold + given back, always."""

    table = DropRow
    searched = (DropRow.title,)
    key, menu_label, display_name, icon = "drop", "Drops", "Drop", "fa-solid fa-bolt"

    def columns(self) -> Sequence[BaseField]:
        """The fields."""
        return (
            StringField("id", exclude_from_list=True),
            StringField("title"),
            Ref("stream", key="stream", filters=named(StreamRow.slug, StreamRow.title)),
            Ref("product", key="product", exclude_from_list=True),
            EnumField("status", choices=words(DropStatus)),
            IntegerField("put_in", "Put in"),
            IntegerField("left"),
            IntegerField("sold"),
            IntegerField("price", "Price (minor units)"),
            StringField("currency"),
            IntegerField("list_price", "List price (minor units)", exclude_from_list=True),
            IntegerField("viewer_limit", "Limit per viewer", exclude_from_list=True),
            Time("opens_at", "Opens"),
            Time("closes_at", "Closes"),
            Time("created_at", "Created", exclude_from_list=True),
        )

    inlines = (DropStockInline,)


class OrderView(View):
    """Orders; an order is a fact and is never changed."""

    table = OrderRow
    searched = (OrderRow.title,)
    key, menu_label, display_name, icon = "order", "Orders", "Order", "fa-solid fa-receipt"

    def columns(self) -> Sequence[BaseField]:
        """The fields."""
        return (
            StringField("id", exclude_from_list=True),
            Time("placed_at", "Placed"),
            Ref("viewer", key="user", filters=named(UserRow.name, UserRow.email)),
            StringField("title"),
            Ref("variant", key="variant", filters=named(VariantRow.sku, VariantRow.label)),
            IntegerField("quantity"),
            IntegerField("total", "Total (minor units)"),
            StringField("currency"),
            EnumField("status", choices=words(OrderStatus)),
            Ref("stream", key="stream", filters=named(StreamRow.slug, StreamRow.title)),
            Ref("drop", key="drop", exclude_from_list=True, exclude_from_export=True),
            StringField("drop_id", "Drop id", exclude_from_list=True, exclude_from_detail=True),
            StringField("ref", exclude_from_list=True),
        )

    def get_search_query(self, request: Request, term: str) -> ColumnElement[bool]:
        """Finds orders by their viewer as well."""
        of_viewer = OrderRow.viewer.has(holds(term.strip(), UserRow.name, UserRow.email))
        return super().get_search_query(request, term) | of_viewer


class AuditView(View):
    """Who did what: hosts, admins, and the system itself where nobody is named."""

    table = AuditRow
    searched = (AuditRow.action, AuditRow.__table__.c.subject_id, AuditRow.__table__.c.detail)
    key, menu_label, display_name, icon = "audit", "Audit", "Audit line", "fa-solid fa-clock-rotate-left"

    def columns(self) -> Sequence[BaseField]:
        """The fields."""
        return (
            StringField("id", exclude_from_list=True),
            Time("at"),
            Ref("actor", key="user", filters=named(UserRow.name, UserRow.email)),
            StringField("action"),
            StringField("subject_id", "Subject"),
            TextAreaField("detail"),
        )
