# ruff: noqa: ARG002  the signatures are the library's
"""Products and variants: what can be created, edited, received and, while nothing refers to it, deleted."""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, func, select, update
from starlette.requests import Request
from starlette_admin import BaseField, ComputedField, HasMany, IntegerField, StringField, row_action
from starlette_admin.exceptions import ActionFailed
from starlette_admin.flash import flash

from admin_ui.fields import LongText, Ref, Text, Time, WholeNumber, holds, matches, named, refuse
from admin_ui.rows import ProductRow, VariantRow
from admin_ui.trail import actor_of, connection_of
from admin_ui.views import View
from server.domain import money
from server.domain.drop import QUANTITY_MAX
from server.domain.errors import Refused
from server.domain.ids import new_id
from server.domain.order import REF_MAX
from server.store import audit
from server.store.tables import variants

_SKU = matches(r"[A-Za-z0-9][A-Za-z0-9._/-]*", "Use letters A–Z, digits, and . _ - / only, such as TEE-BLACK-M.")
_SKU_HELP = "Names it in lists, imports and on the host's run sheet. Letters A–Z, digits, and . _ - / only."
_POSITION_MAX = 1_000_000


class ProductView(View):
    """Products: what a drop offers. A product that was never on a drop and has no variants may be deleted."""

    table = ProductRow
    searched = (ProductRow.title, ProductRow.sku, ProductRow.description)
    key, menu_label, display_name, icon = "product", "Products", "Product", "fa-solid fa-tag"
    may_create = may_edit = may_delete = True
    duplicates: ClassVar[Mapping[str, tuple[str, str]]] = {"sku": ("sku", "Another product has this SKU.")}
    kept_because = "This product cannot be deleted: it has variants, or was on a drop."

    def columns(self) -> Sequence[BaseField]:
        """The fields."""
        return (
            StringField("id", exclude_from_list=True),
            Text("title", required=True, maxlength=200, help_text="As viewers read it. A drop keeps the title it had."),
            Text("sku", "SKU", required=True, maxlength=64, validators=_SKU, help_text=_SKU_HELP),
            LongText("description", maxlength=10_000, exclude_from_list=True),
            Text(
                "image",
                "Picture",
                maxlength=500,
                exclude_from_list=True,
                validators=matches(
                    r"(https?://[^\s/]+(/\S*)?|/(?!/)\S*)", "Use an address such as /pictures/tee.webp or https://…"
                ),
                help_text="Address of the picture: on this site (/pictures/tee.webp) or absolute (https://…).",
            ),
            WholeNumber(
                "price",
                "Price (minor units)",
                required=True,
                min=0,
                max=money.PRICE_MAX,
                help_text="List price as a whole number of the currency's smallest unit: 2400 is 24.00 USD"
                " or 2400 JPY. A drop has its own price.",
            ),
            Text(
                "currency",
                required=True,
                minlength=3,
                maxlength=3,
                placeholder="USD",
                validators=matches("[A-Z]{3}", "Use three capital letters, such as USD."),
                help_text="ISO 4217: three capital letters, such as USD, EUR, JPY.",
            ),
            HasMany(
                "variants",
                key="variant",
                exclude_from_list=True,
                exclude_from_create=True,
                exclude_from_edit=True,
                exclude_from_export=True,
            ),
            Time("created_at", "Created", exclude_from_create=True, exclude_from_edit=True),
        )

    async def before_create(self, request: Request, data: dict[str, Any], obj: Any) -> None:
        """Gives the product its id and time."""
        obj.id = new_id()
        obj.created_at = await self._database.now_ms(await connection_of(request))


def _receive_form(_request: Request, variant: Any) -> str:
    # `ref` is new with each form shown: a form sent twice is answered twice and done once
    # Enter does what the button does: by itself it would load the list again
    enter = "this.closest('.modal').querySelector('[data-sa-action=action-submit]').click(); return false"
    return f"""<form onsubmit="{enter}">
      <p class="mt-3 mb-1">{html.escape(variant.label)} ({html.escape(variant.sku)}): {variant.stock} on the shelf</p>
      <input type="hidden" name="ref" value="{new_id()}">
      <label class="form-label required" for="receive-quantity">Units</label>
      <input class="form-control" id="receive-quantity" name="quantity" type="number" step="1" required autofocus>
      <small class="form-hint">A negative number writes goods off, at most what is on the shelf.</small>
    </form>"""


class VariantView(View):
    """Variants and the goods on the shelf, which move by "Receive goods" and by drops alone."""

    table = VariantRow
    searched = (VariantRow.label, VariantRow.sku)
    key, menu_label, display_name, icon = "variant", "Variants", "Variant", "fa-solid fa-boxes-stacked"
    may_create = may_edit = may_delete = True
    duplicates: ClassVar[Mapping[str, tuple[str, str]]] = {
        "position": ("position", "Another variant of this product has this position."),
        "sku": ("sku", "Another variant has this SKU."),
    }
    kept_because = "This variant cannot be deleted: it was on a drop."

    def columns(self) -> Sequence[BaseField]:
        """The fields."""
        form_only: dict[str, Any] = dict.fromkeys(
            ("exclude_from_list", "exclude_from_detail", "exclude_from_export"), True
        )
        return (
            StringField("id", exclude_from_list=True),
            Ref(
                "product",
                key="product",
                required=True,
                exclude_from_edit=True,
                filters=named(ProductRow.title, ProductRow.sku),
            ),
            ComputedField("product_name", "Product", getter=lambda _request, row: row.product.title, **form_only),
            Text("label", required=True, maxlength=100, help_text="Size, colour, …: what viewers choose between."),
            Text("sku", "SKU", required=True, maxlength=64, validators=_SKU, help_text=_SKU_HELP),
            WholeNumber(
                "position",
                min=0,
                max=_POSITION_MAX,
                help_text="Place in the product's list, from 0; left empty on a new variant it comes last.",
            ),
            WholeNumber(
                "goods_received",
                "Goods received",
                required=True,
                min=0,
                max=QUANTITY_MAX,
                default=0,
                exclude_from_edit=True,
                help_text='Units on the shelf to begin with. Later ones come in by the action "Receive goods".',
                **form_only,
            ),
            IntegerField("received", "Ever received", read_only=True, disabled=True, exclude_from_create=True),
            IntegerField("stock", "On the shelf", read_only=True, disabled=True, exclude_from_create=True),
            ComputedField("on_drops", "On drops or sold", getter=lambda _r, row: row.received - row.stock),
        )

    def get_search_query(self, request: Request, term: str) -> ColumnElement[bool]:
        """Finds variants by their product as well."""
        of_product = VariantRow.product.has(holds(term.strip(), ProductRow.title, ProductRow.sku))
        return super().get_search_query(request, term) | of_product

    async def validate(self, request: Request, data: dict[str, Any]) -> None:
        """Raises when the product does not exist (any more)."""
        if "product" in data and data["product"] is None:
            raise refuse("product", "Choose the product this is a variant of.")

    async def before_create(self, request: Request, data: dict[str, Any], obj: Any) -> None:
        """Gives the variant its id, its place, and the goods it arrives with."""
        obj.id = new_id()
        obj.received = obj.stock = data["goods_received"]
        if data["position"] is None:
            last = select(func.max(variants.c.position)).where(variants.c.product_id == data["product"].id)
            highest = (await (await connection_of(request)).execute(last)).scalar()
            obj.position = 0 if highest is None else highest + 1

    async def before_edit(self, request: Request, data: dict[str, Any], obj: Any) -> None:
        """Raises when the place was emptied."""
        if data["position"] is None:
            raise refuse("position", "Say the place in the product's list, from 0.")

    @row_action(
        name="receive",
        text="Receive goods",
        confirmation="Adds to the goods ever received and to the shelf.",
        header="Receive goods",
        submit_btn_text="Receive",
        icon_class="fa-solid fa-truck-ramp-box",
        form=_receive_form,
    )
    async def receive(self, request: Request, pk: Any) -> None:
        """Adds units to `received` and `stock`; raises `ActionFailed` when the shelf holds less than is written off."""
        form = await request.form()
        quantity = _quantity(str(form.get("quantity") or ""))
        ref = str(form.get("ref") or "")
        if not 0 < len(ref) <= REF_MAX or not ref.isascii():
            raise ActionFailed("This form is incomplete: reload the page and try again.")
        connection, actor, action = await connection_of(request), actor_of(request), "variant.receive"
        detail = {"quantity": quantity}
        # the row is locked first: the same form sent twice at once waits here, and then finds it done
        row = (
            await connection.execute(
                select(variants.c.label, variants.c.stock).where(variants.c.id == str(pk)).with_for_update()
            )
        ).one_or_none()
        if row is None:
            raise ActionFailed("There is no such variant any more.")
        try:
            done = await audit.done_before(connection, actor, action, str(pk), detail, ref)
        except Refused as refused:
            raise ActionFailed(refused.detail) from None
        if not done:
            moved = await connection.execute(
                update(variants)
                .where(
                    variants.c.id == str(pk),
                    variants.c.stock + quantity >= 0,
                    variants.c.received + quantity <= QUANTITY_MAX,
                )
                .values(received=variants.c.received + quantity, stock=variants.c.stock + quantity)
            )
            if moved.rowcount != 1:
                raise ActionFailed(
                    f"Only {row.stock} of {row.label} are on the shelf: what is on drops cannot be written off."
                    if quantity < 0
                    else f"More than {QUANTITY_MAX} units of one variant cannot be kept."
                )
            now = await self._database.now_ms(connection)
            await audit.record(connection, now, actor, action, str(pk), detail, ref)
        flash(request, f"{row.label}: {quantity:+} units. {row.stock + (0 if done else quantity)} on the shelf.")


def _quantity(text: str) -> int:
    try:
        quantity = int(text)
    except ValueError:
        quantity = 0
    if not 0 < abs(quantity) <= QUANTITY_MAX:
        raise ActionFailed("Say how many units: a whole number that is not 0.")
    return quantity
