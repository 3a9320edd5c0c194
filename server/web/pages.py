"""The pages: files of `client/`, served at their addresses; everything on them is asked for by their scripts."""

from __future__ import annotations

import secrets
from functools import cached_property
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import Scope

from server.web.edge import Edge
from server.web.security import GUEST_COOKIE
from server.web.vendor import vendored


class PageRoutes:
    """One file per page."""

    def __init__(self, edge: Edge) -> None:
        self._client_dir = edge.client_dir

    @cached_property
    def static(self) -> StaticFiles:
        """`/static/`."""
        return _Static(self._client_dir)

    async def index(self, _request: Request) -> Response:
        """`/`: the streams."""
        return self._page("viewer/index.html")

    async def stream(self, request: Request) -> Response:
        """`/s/{stream}`: where people watch and buy."""
        page = self._page("viewer/stream.html")
        if GUEST_COOKIE not in request.cookies:
            word = secrets.token_urlsafe(12)
            page.set_cookie(GUEST_COOKIE, word, httponly=True, samesite="lax", secure=request.url.scheme == "https")
        return page

    async def login(self, _request: Request) -> Response:
        """`/login`."""
        return self._page("viewer/login.html")

    async def register(self, _request: Request) -> Response:
        """`/register`: address, then code."""
        return self._page("viewer/register.html")

    async def forgot(self, _request: Request) -> Response:
        """`/forgot`: a new password by code."""
        return self._page("viewer/forgot.html")

    async def account(self, _request: Request) -> Response:
        """`/account`: one's own name, password, address, sessions, and leaving."""
        return self._page("viewer/account.html")

    async def orders(self, _request: Request) -> Response:
        """`/orders`."""
        return self._page("viewer/orders.html")

    async def host(self, _request: Request) -> Response:
        """`/host`: where hosts sell."""
        return self._page("host/host.html")

    def _page(self, name: str) -> Response:
        return FileResponse(self._client_dir / name, headers={"Cache-Control": "no-cache"})


class _Static(StaticFiles):
    """Scripts, styles and pictures: kept by browsers, but asked about each time, so that a deploy shows at once."""

    def __init__(self, client_dir: Path) -> None:
        super().__init__(directory=client_dir)
        self._vendored = vendored(client_dir)

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, with the caching rule. What only tools read is not there: packages, and files of no folder."""
        if file := self._vendored.get(path):
            response: Response = FileResponse(file, media_type="text/javascript")
        elif "/" not in path or path.startswith("node_modules/") or path.endswith(".ts"):
            raise HTTPException(404)
        else:
            response = await super().get_response(path, scope)
        response.headers["Cache-Control"] = "no-cache"
        return response
