"""What a page of another site leads to: the script, the pop-up on our own site, and the pass that is allowed there."""

from __future__ import annotations

from urllib.parse import quote

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from server.domain.errors import Reason, Refused
from server.web.answers import Json, body
from server.web.edge import Edge
from server.web.embedding import NOT_EMBEDDED
from server.web.pages import PageRoutes

_SCRIPT_KEPT_S = 300


class AskPass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/embed/pass`: what its sender allows, a page of this origin to buy for them on one stream."""

    stream: str
    origin: str


class EmbedRoutes:
    """The way of a viewer on another site to buying there."""

    def __init__(self, edge: Edge, pages: PageRoutes) -> None:
        self._edge = edge
        self._pages = pages

    async def script(self, _request: Request) -> Response:
        """`/embed.js`: a name that stays, for where the element's script is.

        Sent on rather than sent, because a module's own imports start from where it was found at last.
        """
        return RedirectResponse(
            self._pages.assets.at("embed/embed.js"), headers={"Cache-Control": f"public, max-age={_SCRIPT_KEPT_S}"}
        )

    async def sign_in(self, request: Request) -> Response:
        """`/embed/sign-in?stream=&origin=`: asks whether a page of another site may buy in one's name.

        Who is not signed in is sent there first, and comes back.
        """
        stream, origin = (request.query_params.get(name, "") for name in ("stream", "origin"))
        if not await self._edge.embeds.allowed(stream, origin):
            return self._pages.embed_refused(request)
        if await self._edge.caller(request) is None:
            back = f"/embed/sign-in?stream={quote(stream, safe='')}&origin={quote(origin, safe='')}"
            return RedirectResponse(f"/login?next={quote(back, safe='')}", 303, {"Cache-Control": "no-store"})
        return self._pages.embed_sign_in(request)

    async def give_pass(self, request: Request) -> Response:
        """`POST /api/embed/pass`: a pass for one stream on the pages of one origin, which the host allows."""
        caller = await self._edge.require_caller(request)
        asked = await body(request, AskPass)
        if not await self._edge.embeds.allowed(asked.stream, asked.origin):
            raise Refused(Reason.FORBIDDEN, NOT_EMBEDDED)
        made, ends_at = await self._edge.passes.issue(caller, asked.stream, asked.origin)
        return Json({"pass": made, "expires_at": ends_at})
