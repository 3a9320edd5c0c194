"""One's own account, for whoever is signed in."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.web.answers import Json, body
from server.web.edge import Edge
from server.web.security import delete_session_cookie, host_of


class NewPassword(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/account/password`."""

    old: str
    new: str


class NewAddress(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/account/email`."""

    password: str
    email: str


class Code(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/account/email/confirm`."""

    code: str


class NewName(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/account/name`."""

    name: str


class Leave(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/account/delete`."""

    password: str


class ProfileRoutes:
    """Changes of one's own account. Whoever makes one stays signed in, here and on the sockets of this session."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def change_password(self, request: Request) -> Response:
        """`POST /api/account/password`: every other session ends."""
        caller = await self._edge.require_caller(request)
        asked = await body(request, NewPassword)
        return Json({"user": await self._edge.profile.change_password(caller, asked.old, asked.new)})

    async def ask_address(self, request: Request) -> Response:
        """`POST /api/account/email`: 202, and a code to the new address."""
        user = await self._edge.require(request)
        asked = await body(request, NewAddress)
        await self._edge.profile.ask_address(user, asked.password, asked.email, host=host_of(request))
        return Json({}, 202)

    async def confirm_address(self, request: Request) -> Response:
        """`POST /api/account/email/confirm`: the new address counts, the old one is told."""
        user = await self._edge.require(request)
        asked = await body(request, Code)
        return Json({"user": await self._edge.profile.confirm_address(user, asked.code)})

    async def change_name(self, request: Request) -> Response:
        """`POST /api/account/name`."""
        user = await self._edge.require(request)
        asked = await body(request, NewName)
        return Json({"user": await self._edge.profile.change_name(user, asked.name)})

    async def delete(self, request: Request) -> Response:
        """`POST /api/account/delete`: the person goes, the orders stay."""
        user = await self._edge.require(request)
        asked = await body(request, Leave)
        await self._edge.profile.delete(user, asked.password)
        answer = Json({})
        delete_session_cookie(answer, request)
        return answer
