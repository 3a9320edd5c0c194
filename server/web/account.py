"""Signing in and out, who am I, tickets, and one's own orders."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.domain.errors import Reason, Refused
from server.domain.ids import is_id
from server.domain.order import OrderSeen
from server.domain.user import User
from server.domain.views import is_slug
from server.web.answers import Json, body
from server.web.edge import Edge
from server.web.embedding import NOT_EMBEDDED, embedder, is_foreign, let_read
from server.web.security import delete_session_cookie, host_of, session_cookie, set_session_cookie


class SignIn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/login`."""

    email: str
    password: str


class AskTicket(msgspec.Struct, frozen=True, forbid_unknown_fields=True, rename={"shown": "pass"}):
    """Body of `POST /api/ticket`. With a `pass` a page of another site asks, and the cookie does not count."""

    stream: str
    shown: str | None = None


class AccountRoutes:
    """The signed-in person's own calls."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def login(self, request: Request) -> Response:
        """`POST /api/login`: a session, in a cookie."""
        asked = await body(request, SignIn)
        device = request.headers.get("user-agent", "")
        cookie, user = await self._edge.porter.sign_in(asked.email, asked.password, device, host=host_of(request))
        return with_session(request, cookie, user)

    async def logout(self, request: Request) -> Response:
        """`POST /api/logout`: ends the session; harmless without one."""
        await self._edge.door.sign_out(session_cookie(request))
        answer = Json({})
        delete_session_cookie(answer, request)
        return answer

    async def me(self, request: Request) -> Response:
        """`GET /api/me`."""
        return Json({"user": await self._edge.require(request)})

    async def ticket(self, request: Request) -> Response:
        """`POST /api/ticket`: one use, 30 s, one stream; made with a pass, for sockets from its origin only."""
        asked = await body(request, AskTicket)
        if not is_slug(asked.stream):
            raise Refused(Reason.NOT_FOUND, "there is no such stream")
        page = embedder(request)
        if page is not None and await self._edge.embeds.allowed(asked.stream, page):
            let_read(request.scope, page)
        elif asked.shown is not None or is_foreign(request):
            raise Refused(Reason.FORBIDDEN, NOT_EMBEDDED)
        if asked.shown is not None and page is not None:
            bearer = await self._edge.passes.caller(asked.shown, asked.stream, page)
            return Json({"ticket": await self._edge.porter.ticket(bearer, asked.stream, page)})
        caller = await self._edge.require_caller(request)
        return Json({"ticket": await self._edge.porter.ticket(caller, asked.stream)})

    async def orders(self, request: Request) -> Response:
        """`GET /api/orders?stream=&cursor=`: one's own, of all streams or of one, newest first, paged."""
        user = await self._edge.require(request)
        stream = request.query_params.get("stream")
        if stream is not None and not is_slug(stream):
            raise Refused(Reason.BAD_REQUEST, "stream must be a stream's slug, or be left out", field="stream")
        found, following = await self._edge.orders.of_viewer(user.id, stream=stream, after=cursor(request))
        return Json({"orders": [_shown(seen) for seen in found], "next": following})


def with_session(request: Request, cookie: str, user: User) -> Json:
    """The answer to whoever has just signed in, one way or another."""
    answer = Json({"user": user})
    set_session_cookie(answer, request, cookie)
    return answer


def cursor(request: Request) -> str | None:
    """The page asked for, as the last answer's `next` said. Raises `Refused` for anything else."""
    after = request.query_params.get("cursor") or request.query_params.get("after")
    if after is not None and not is_id(after):
        raise Refused(Reason.BAD_REQUEST, "cursor must be the `next` of the page before")
    return after


def _shown(seen: OrderSeen) -> dict[str, Any]:
    order = seen.order
    return {
        "id": order.id,
        "ref": order.ref,
        "stream": seen.stream,
        "stream_title": seen.stream_title,
        "drop": order.drop,
        "product": order.product,
        "variant": order.variant,
        "title": order.title,
        "image": seen.image,
        "quantity": order.quantity,
        "total": order.total,
        "currency": order.currency,
        "status": order.status,
        "placed_at": order.placed_at,
    }
