"""The two things every request of the admin goes through: who asks, and one unit of work with a deadline."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from urllib.parse import urlencode

from jinja2 import Environment, PackageLoader
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncSession
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from starlette_admin.auth import AdminUser, BaseAuthProvider
from starlette_admin.helpers import run_on_commit_callbacks

from server.domain.errors import Unavailable
from server.domain.user import Role, User
from server.store.engine import Database
from server.store.users import Users

Identify = Callable[[Request], Awaitable[User | None]]
"""The signed-in user of a request. May raise `Unavailable`."""

WORK_MAX_S = 30.0
"""Longest unit of work: an export of many rows; single statements end after the database's own deadline."""

_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_UNWELL = (Unavailable, TimeoutError, PoolTimeoutError, OperationalError, InterfaceError, ConnectionError)
_pages = Environment(loader=PackageLoader("admin_ui"), autoescape=True)


class UnitOfWork:
    """Gives each request `request.state.session`; commits, then does what waits for that, before the answer begins.

    The session takes a connection at its first statement and gives it back when the answer begins, so a slow reader
    holds none. A safe request only reads and is never committed; an answer of 400 and above, an error, a cancelled
    request and one past `WORK_MAX_S` are rolled back. A database that does not answer becomes a 503 page.
    """

    def __init__(self, app: ASGIApp, database: Database) -> None:
        self._app = app
        self._writing = database.engine
        self._reading = database.engine.execution_options(dropcast_reading=True)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        reads_only = scope["method"] in _SAFE
        answered = False

        async def send_after_commit(message: Message) -> None:
            nonlocal answered
            if message["type"] == "http.response.start":
                committed = not reads_only and message["status"] < 400
                if committed:
                    await session.commit()
                await session.close()  # what was not committed is rolled back
                if committed:
                    await run_on_commit_callbacks(Request(scope))
                deadline.reschedule(None)
                answered = True
            await send(message)

        try:
            async with (
                asyncio.timeout(WORK_MAX_S) as deadline,
                AsyncSession(self._reading if reads_only else self._writing, expire_on_commit=False) as session,
            ):
                scope.setdefault("state", {})["session"] = session
                await self._app(scope, receive, send_after_commit)
        except _UNWELL:
            if answered:
                raise
            sentence = "The database does not answer. Nothing was changed; try again in a moment."
            await _page(503, "Try again in a moment", sentence)(scope, receive, send)


class Gate:
    """Lets only users with role admin pass, as `request.state.actor`; before any body is read.

    A session may have begun before a role was given or taken: what counts is the role in the database now.

    Nobody signed in is sent to the sign-in page and comes back; anyone else gets a page that says why not. Style
    sheets and scripts are open: they are public software.
    """

    def __init__(self, app: ASGIApp, identify: Identify, users: Users) -> None:
        self._app = app
        self._identify = identify
        self._users = users

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] != "http" or scope["path"].startswith(scope.get("root_path", "") + "/static/"):
            await self._app(scope, receive, send)
            return
        request = Request(scope, receive)
        signed_in = await self._identify(request)
        user = await self._users.by_id(signed_in.id) if signed_in else None
        if user is None:
            answer: Response = RedirectResponse("/login?" + urlencode({"next": _address(request)}), status_code=303)
        elif not user.role.includes(Role.ADMIN):
            sentence = (
                f"You are signed in as {user.name or user.email} with the role {user.role}. Only admins come in here."
            )
            answer = _page(403, "This is the admin's side", sentence)
        else:
            request.state.actor = user
            await self._send_private(scope, receive, send)
            return
        await answer(scope, receive, send)

    async def _send_private(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_unstored(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], (b"cache-control", b"no-store")]
            await send(message)

        await self._app(scope, receive, send_unstored)


class SignedIn(BaseAuthProvider):
    """Tells starlette-admin's pages who is there; `Gate` has decided already."""

    async def authenticate(self, request: Request) -> AdminUser | None:
        """The admin of this request; None only on the way to the public style sheets."""
        actor: User | None = getattr(request.state, "actor", None)
        return AdminUser(username=actor.name or actor.email) if actor else None


def _address(request: Request) -> str:
    # where to come back to, on this site only; a form that was sent is not sent again
    if request.method not in _SAFE:
        return f"{request.scope.get('root_path', '')}/"
    return request.url.path + (f"?{request.url.query}" if request.url.query else "")


def _page(status: int, title: str, sentence: str) -> HTMLResponse:
    html = _pages.get_template("notice.html").render(title=title, sentence=sentence)
    headers = {"cache-control": "no-store"} | ({"retry-after": "5"} if status == 503 else {})
    return HTMLResponse(html, status_code=status, headers=headers)
