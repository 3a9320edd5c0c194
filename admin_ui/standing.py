"""What follows when an admin changes who somebody is: sessions and sockets must not outlive it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable

from starlette_admin.events import AdminEvent, AdminEventSubscriber, AfterEditContext, on
from starlette_admin.helpers import on_commit

from admin_ui.trail import connection_of
from server.domain.session import Revoked
from server.store.engine import Database
from server.store.sessions import change_standing

Revoke = Callable[[Revoked, Iterable[str]], Awaitable[None]]
"""Makes known what is committed already: what no longer holds, and the sessions whose copies are out of date."""


class Standing(AdminEventSubscriber):
    """Hears of every edited user: another role or another `disabled_at` is made known after COMMIT, and before the
    answer, so that the very next request finds it.
    """

    def __init__(self, database: Database, revoke: Revoke) -> None:
        self._database = database
        self._revoke = revoke

    @on(AdminEvent.AFTER_EDIT)
    async def edited(self, ctx: AfterEditContext) -> None:
        """In the transaction of the change: stamps the user, and ends the sessions of one who is disabled."""
        if ctx.view_key != "user" or all(ctx.old_data[name] == getattr(ctx.obj, name) for name in _STANDING):
            return
        connection = await connection_of(ctx.request)
        stale, revoked = await change_standing(connection, self._database, ctx.obj.id)
        on_commit(ctx.request, lambda: self._revoke(revoked, stale))


_STANDING = ("role", "disabled_at")
