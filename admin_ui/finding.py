"""What an admin changes in the catalogue is found by its new words as soon as it is committed."""

from __future__ import annotations

from starlette_admin.events import (
    AdminEvent,
    AdminEventSubscriber,
    AfterCreateContext,
    AfterDeleteContext,
    AfterEditContext,
    on,
)

from admin_ui.trail import connection_of
from server.store.product_index import index_products

_PRODUCT_OF = {"product": "id", "variant": "product_id"}


class Finding(AdminEventSubscriber):
    """Hears of every product and variant that is created, edited or deleted, before the COMMIT."""

    @on(AdminEvent.AFTER_CREATE)
    async def created(self, ctx: AfterCreateContext) -> None:
        """A new product, or a new variant of one."""
        await self._index(ctx)

    @on(AdminEvent.AFTER_EDIT)
    async def edited(self, ctx: AfterEditContext) -> None:
        """Another title, SKU, label or description."""
        await self._index(ctx)

    @on(AdminEvent.AFTER_DELETE)
    async def deleted(self, ctx: AfterDeleteContext) -> None:
        """A product or a variant less."""
        await self._index(ctx)

    async def _index(self, ctx: AfterCreateContext | AfterEditContext | AfterDeleteContext) -> None:
        if attribute := _PRODUCT_OF.get(ctx.view_key):
            await index_products(await connection_of(ctx.request), [getattr(ctx.obj, attribute)])
