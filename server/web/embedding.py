"""What a page of another site may ask for, so that the overlay works there: three calls, read by CORS, never a cookie.

The guard (`security.py`) lets them in and marks them; the marks are what the routes and the header step go by.
"""

from __future__ import annotations

from dataclasses import dataclass

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.types import Scope

from server.domain.views import is_slug

NOT_EMBEDDED = (
    "a page of this origin may not embed this stream: its host adds the origin with"
    " POST /api/host/streams/{stream}/embed. An origin of the shop's own goes into DROPCAST_PUBLIC_ORIGINS"
)

PREFLIGHT_S = 600
"""How long a browser may remember that it may ask; whether it gets an answer is looked at each time."""

_STREAM, _TICKET, _SOCKET = "/api/streams/", "/api/ticket", "/ws/"
_METHODS = {_STREAM: ("GET", "HEAD"), _TICKET: ("POST",)}

# what a page reached by the pop-up of an embed must not cut: the window that opened it
_POPUPS = frozenset({"/embed/sign-in", "/login", "/register", "/forgot"})


@dataclass(frozen=True, slots=True)
class Asked:
    """A call that embeds make. `stream` None: its body names the stream, which its route looks at."""

    stream: str | None
    methods: tuple[str, ...] = ()


def asked_by_embeds(scope: Scope) -> Asked | None:
    """What a request asks for, when it is something that embeds need."""
    path, kind = scope["path"], _kind(scope["path"])
    if scope["type"] == "websocket":
        slug = path.removeprefix(_SOCKET)
        return Asked(slug) if path != slug and is_slug(slug) else None
    if kind is None or scope["method"] not in (*_METHODS[kind], "OPTIONS"):
        return None
    return Asked(path.removeprefix(_STREAM) if kind == _STREAM else None, _METHODS[kind])


def is_preflight(scope: Scope, headers: Headers) -> bool:
    """Whether a browser asks before a call (Fetch standard, CORS-preflight request)."""
    return scope["type"] == "http" and scope["method"] == "OPTIONS" and "access-control-request-method" in headers


def marked(scope: Scope, origin: str, *, trusted: bool) -> Scope:
    """The scope of a call of an embed. Unless its origin is `trusted` anyway, nobody behind here sees its cookies."""
    marks = {"embedder": origin, "foreign": not trusted}
    found = {**scope, "state": {**scope.get("state", {}), **marks}}
    if not trusted:
        found["headers"] = [(name, value) for name, value in scope["headers"] if name.lower() != b"cookie"]
    return found


def embedder(connection: HTTPConnection) -> str | None:
    """The origin of another site whose page makes a call of embeds, and may embed something; None for all others."""
    origin: str | None = getattr(connection.state, "embedder", None)
    return origin


def is_foreign(connection: HTTPConnection) -> bool:
    """Whether a call was let in for the sake of an embed alone."""
    return bool(getattr(connection.state, "foreign", False))


def let_read(scope: Scope, origin: str) -> None:
    """Pages of this origin may read the answer."""
    scope.setdefault("state", {})["readable_by"] = origin


def set_headers(scope: Scope, headers: MutableHeaders) -> None:
    """Who may read and use an answer: the public files all, an embed's calls the one page, everything else nobody."""
    path = scope["path"]
    if path.startswith("/static/") or path == "/embed.js":
        headers["Access-Control-Allow-Origin"] = "*"
        headers["Cross-Origin-Resource-Policy"] = "cross-origin"
    headers["Cross-Origin-Opener-Policy"] = "unsafe-none" if path in _POPUPS else "same-origin"
    if _kind(path) is None:
        return
    headers.add_vary_header("Origin")
    readable_by = scope.get("state", {}).get("readable_by")
    if readable_by is not None:
        headers["Access-Control-Allow-Origin"] = readable_by
        headers["Access-Control-Expose-Headers"] = "Retry-After"


def preflight_headers(asked: Asked) -> dict[str, str]:
    """What a browser is told that asks before a call."""
    return {
        "Access-Control-Allow-Methods": ", ".join(asked.methods),
        "Access-Control-Allow-Headers": "Content-Type",
        "Access-Control-Max-Age": str(PREFLIGHT_S),
    }


def _kind(path: str) -> str | None:
    if path == _TICKET:
        return _TICKET
    return _STREAM if path.startswith(_STREAM) and is_slug(path.removeprefix(_STREAM)) else None
