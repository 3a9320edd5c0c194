"""The admin's side, on starlette-admin: `build_admin(…).mount_to(app)` serves it under /admin."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from starlette.middleware import Middleware
from starlette_admin.base import BaseAdmin

from admin_ui.catalog import ProductView, VariantView
from admin_ui.dashboard import Dashboard
from admin_ui.finding import Finding
from admin_ui.gate import Gate, Identify, SignedIn, UnitOfWork
from admin_ui.people import UserView
from admin_ui.records import AuditView, DropView, OrderView, StreamView
from admin_ui.standing import Revoke, Standing
from admin_ui.trail import Trail
from admin_ui.views import View
from server.store.engine import Database
from server.store.users import Users

__all__ = ["build_admin"]

_VIEWS: tuple[type[View], ...] = (ProductView, VariantView, StreamView, DropView, OrderView, UserView, AuditView)
_HERE = Path(__file__).parent


def build_admin(database: Database, *, identify: Identify, secret_keys: Sequence[str], revoke: Revoke) -> BaseAdmin:
    """The admin, for `mount_to(app)`; its address is /admin.

    `identify` says who is signed in, on every request; the role is read from the database, so that one taken away
    counts at once. The newest of `secret_keys`, the first, signs the CSRF token and the messages shown after a
    redirect; all are accepted: the same on every replica. `revoke` makes known that a user's role was changed, or that
    one was disabled.
    """
    admin = BaseAdmin(
        title="Dropcast",
        base_url="/admin",
        route_name="admin",
        templates_dir=str(_HERE / "templates"),
        static_dir=str(_HERE / "statics"),
        index_view=Dashboard(database),
        auth_provider=SignedIn(),
        secret_key=list(reversed(secret_keys)),  # type: ignore[arg-type]  # goes to itsdangerous as it is: newest last
        middlewares=[
            Middleware(UnitOfWork, database=database),
            Middleware(Gate, identify=identify, users=Users(database)),
        ],
        timezone_config=None,  # times are shown in UTC, whoever looks
    )
    admin.events.subscribe(Finding())
    admin.events.subscribe(Trail(database))
    admin.events.subscribe(Standing(database, revoke))
    for view in _VIEWS:
        admin.add_view(view(database))
    return admin
