"""Who may call from where, and what every answer carries."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from server.domain.errors import Reason, Refused, Unavailable
from server.domain.session import SESSION_MAX_S
from server.domain.video import THIS_MACHINE
from server.live.embeds import Embeds
from server.web import embedding
from server.web.answers import refusal

SESSION_COOKIE = "dropcast_session"
SECURE_SESSION_COOKIE = "__Host-dropcast_session"
"""Its name behind TLS: browsers take it only from this very host, over TLS, for all paths (RFC 6265bis, 4.1.3.2)."""

GUEST_COOKIE = "dropcast_guest"
"""A random word for as long as the browser runs, so that a guest's reload is not another viewer. It grants nothing."""

GUEST_MAX = 64

_SAFE_METHODS = frozenset({"GET", "HEAD", "OPTIONS"})
_CSP = (
    "default-src 'self'; img-src 'self' https: data:; media-src 'self' https: blob:; object-src 'none';"
    " base-uri 'none'; form-action 'self'; frame-ancestors 'self'"
)
# hls.js fetches what it plays, from wherever the host's video is (docs/security.md)
_STREAM_CSP = f"{_CSP}; connect-src 'self' https:"
# on a page without TLS the video may be without, too, on this very machine (server/domain/video.py)
_NEAR = " ".join(f"http://{host}:*" for host in THIS_MACHINE)
_STREAM_CSP_WITHOUT_TLS = _STREAM_CSP.replace("https: blob:", f"https: blob: {_NEAR}") + f" {_NEAR}"
# the admin's library writes scripts and styles into its pages
_ADMIN_CSP = (
    "default-src 'none'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:;"
    " font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)


class Origins:
    """The exact origins that may call: those of the settings, and each request's own host."""

    def __init__(self, allowed: Sequence[str]) -> None:
        self._allowed = frozenset(allowed)

    def allow(self, headers: Headers) -> bool:
        """Whether a request's Origin is allowed; one without an Origin is not from a browser page."""
        origin = headers.get("origin")
        if origin is None or origin in self._allowed:
            return True
        scheme, _, host = origin.partition("://")
        return scheme in ("http", "https") and host == headers.get("host")


BODY_MAX_BYTES = 1024 * 1024
"""Largest body of an HTTP call."""


class Guard:
    """Pure ASGI, so that it also sees sockets: refuses foreign origins and endless bodies, adds the security headers.

    A call that changes something and carries the cookie must say its Origin; a socket from another origin gets 403
    before the upgrade; a socket without an Origin is let in, but its cookie does not count (`cookie_counts`). What an
    embed asks for is let in from the origins that its stream's host allows, without its cookies (`embedding.py`).
    """

    def __init__(self, app: ASGIApp, origins: Origins, embeds: Embeds) -> None:
        self._app = app
        self._origins = origins
        self._embeds = embeds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or socket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        headers = Headers(scope=scope)
        trusted = self._origins.allow(headers)
        asked = embedding.asked_by_embeds(scope) if _may_be_embedded(scope, headers, trusted=trusted) else None
        if asked is not None:
            try:
                allowed = await self._allows(asked, headers["origin"])
            except Unavailable:
                if not trusted:
                    said = Refused(Reason.BUSY, "temporarily not available: try again in a second")
                    await _refuse(scope, receive, send, said)
                    return
                allowed = False
            if allowed:
                await self._let_in(asked, scope, receive, send, trusted=trusted)
                return
        only_trusted = scope["type"] == "websocket" or _changes(scope) or (asked and scope["method"] == "OPTIONS")
        if only_trusted and not trusted:
            why = embedding.NOT_EMBEDDED if asked else "this origin is not allowed; see DROPCAST_PUBLIC_ORIGINS"
            await _refuse(scope, receive, send, Refused(Reason.FORBIDDEN, why))
            return
        await self._pass_on(scope, receive, send)

    async def _allows(self, asked: embedding.Asked, origin: str) -> bool:
        if asked.stream is None:
            return await self._embeds.allowed_anywhere(origin)
        return await self._embeds.allowed(asked.stream, origin)

    async def _let_in(
        self, asked: embedding.Asked, scope: Scope, receive: Receive, send: Send, *, trusted: bool
    ) -> None:
        headers = Headers(scope=scope)
        scope = embedding.marked(scope, headers["origin"], trusted=trusted)
        if embedding.is_preflight(scope, headers):
            embedding.let_read(scope, headers["origin"])
            await Response(status_code=204, headers=embedding.preflight_headers(asked))(
                scope, receive, _with_headers(scope, send)
            )
            return
        if asked.stream is not None:  # else its route knows the stream
            embedding.let_read(scope, headers["origin"])
        await self._pass_on(scope, receive, send)

    async def _pass_on(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope)
        if _changes(scope) and SESSION_COOKIE in headers.get("cookie", "") and "origin" not in headers:
            said = "a call that changes something with the cookie needs an Origin header"
            await _refuse(scope, receive, send, Refused(Reason.FORBIDDEN, said))
        elif scope["type"] == "http" and _too_large(headers):
            said = f"a body has at most {BODY_MAX_BYTES} bytes"
            await _refuse(scope, receive, send, Refused(Reason.TOO_LARGE, said))
        else:
            await self._app(scope, receive, _with_headers(scope, send))


def session_cookie(connection: HTTPConnection) -> str | None:
    """The value of a request's session cookie. Over TLS the `__Host-` one alone counts when there is one.

    A plain cookie may have been set by a neighbour of our domain, or by somebody on the way before TLS; without TLS
    the other name means nothing, for any client can send it.
    """
    if is_over_tls(connection) and SECURE_SESSION_COOKIE in connection.cookies:
        return connection.cookies[SECURE_SESSION_COOKIE]
    return connection.cookies.get(SESSION_COOKIE)


def set_session_cookie(answer: Response, request: HTTPConnection, value: str) -> None:
    """Gives the browser a session. The cookie stays as long as a session can; the server knows when it ends."""
    secure = is_over_tls(request)
    answer.set_cookie(
        SECURE_SESSION_COOKIE if secure else SESSION_COOKIE,
        value,
        max_age=SESSION_MAX_S,
        httponly=True,
        samesite="lax",
        secure=secure,
    )


def delete_session_cookie(answer: Response, request: HTTPConnection) -> None:
    """Takes it back, under both names where both may be."""
    secure = is_over_tls(request)
    answer.delete_cookie(SESSION_COOKIE, httponly=True, samesite="lax", secure=secure)
    if secure:
        answer.delete_cookie(SECURE_SESSION_COOKIE, httponly=True, samesite="lax", secure=True)


def is_over_tls(connection: HTTPConnection) -> bool:
    """Whether the client speaks TLS, with us or with a proxy that `DROPCAST_TRUSTED_PROXIES` names."""
    return connection.url.scheme in ("https", "wss")


def host_of(connection: HTTPConnection) -> str:
    """The caller's address: behind a trusted proxy the one it names (`DROPCAST_TRUSTED_PROXIES`)."""
    return connection.client.host if connection.client else ""


def cookie_counts(headers: Headers) -> bool:
    """Whether a socket's cookie says who it is: only with an Origin, which the guard has found allowed."""
    return "origin" in headers


def _changes(scope: Scope) -> bool:
    return scope["type"] == "http" and scope["method"] not in _SAFE_METHODS


def _too_large(headers: Headers) -> bool:
    length = headers.get("content-length", "0")
    return length.isdigit() and int(length) > BODY_MAX_BYTES


def _may_be_embedded(scope: Scope, headers: Headers, *, trusted: bool) -> bool:
    """Whether a stream's list has to be looked at: never for our own pages, nor for sockets that may join anyway."""
    origin = headers.get("origin")
    if origin is None or (trusted and scope["type"] == "websocket"):
        return False
    return origin.partition("://")[2] != headers.get("host")


async def _refuse(scope: Scope, receive: Receive, send: Send, refused: Refused) -> None:
    answer = refusal(refused)
    if scope["type"] == "http":
        await answer(scope, receive, _with_headers(scope, send))
        return
    await receive()  # websocket.connect
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 1008})
        return

    async def deny(message: Message) -> None:
        await send({**message, "type": message["type"].replace("http.", "websocket.http.", 1)})

    await answer({**scope, "type": "http"}, receive, deny)


def _content_policy(scope: Scope) -> str:
    path = scope["path"]
    if path.startswith("/admin"):
        return _ADMIN_CSP
    if path.startswith("/s/"):
        return _STREAM_CSP if scope["scheme"] == "https" else _STREAM_CSP_WITHOUT_TLS
    return _CSP


def _with_headers(scope: Scope, send: Send) -> Send:
    if scope["type"] != "http":
        return send
    policy = _content_policy(scope)

    async def sending(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            headers["Content-Security-Policy"] = policy
            headers["X-Content-Type-Options"] = "nosniff"
            headers["Referrer-Policy"] = "same-origin"
            embedding.set_headers(scope, headers)
            if scope["scheme"] == "https":
                headers["Strict-Transport-Security"] = "max-age=31536000"
        await send(message)

    return sending
