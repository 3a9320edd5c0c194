"""What there is to attack, as the code itself says: every route of a replica, the admin's too, and every frame."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any, get_args

from starlette.applications import Starlette
from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from admin_ui import build_admin
from server.protocol import frames
from server.store.engine import open_database
from server.web.edge import Edge
from server.web.routes import routes

ALL_SURFACES = ("viewer", "host")
_NOTHING: Any = None
_CLIENT = Path(__file__).resolve().parents[2] / "client"


def served(surfaces: Collection[str] = ALL_SURFACES) -> list[BaseRoute]:
    """The routes of a replica with these surfaces; their parts are missing, so none can be called."""
    parts = {field.name: _NOTHING for field in fields(Edge)}
    return routes(Edge(**parts | {"surfaces": frozenset(surfaces), "client_dir": _CLIENT}))


def calls(routes_: Collection[BaseRoute], prefix: str = "") -> Iterator[str]:
    """`METHOD path` of every route, HEAD left out: it is GET without the body. Sockets are `WS path`."""
    for route in routes_:
        match route:
            case Mount(routes=inner) if inner:
                yield from calls(inner, prefix + route.path)
            case Mount():
                yield f"GET {prefix}{route.path}/{{file}}"
            case WebSocketRoute():
                yield f"WS {prefix}{route.path}"
            case Route():
                path = route.path.replace(":path}", "}")
                yield from (f"{method} {prefix}{path}" for method in sorted((route.methods or set()) - {"HEAD"}))
            case _:
                raise AssertionError(f"a route of a kind nobody looks at: {route!r}")


def admin_calls() -> set[str]:
    """The same of the admin's side."""
    app, database = Starlette(), open_database("sqlite+aiosqlite:///never-opened.db", pool_size=10, deadline_s=5)
    build_admin(database, identify=_NOTHING, secret_keys=["x" * 32], revoke=_NOTHING).mount_to(app)
    return set(calls(app.routes))


def client_frames() -> set[str]:
    """The type of every frame that a client may send."""
    return {str(frame.__struct_config__.tag) for frame in get_args(frames.ClientFrame)}
