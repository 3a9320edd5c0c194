"""Becoming a customer, and a new password for who forgot theirs. The answers tell nobody which addresses are known."""

from __future__ import annotations

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from server.domain.user import User
from server.web.account import with_session
from server.web.answers import Json, body
from server.web.edge import Edge
from server.web.security import host_of


class Register(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/register`."""

    email: str
    password: str
    name: str


class Address(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/resend` and `POST /api/forgot`."""

    email: str


class Verify(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/verify`. A `password` replaces the one of the registration."""

    email: str
    code: str
    password: str | None = None


class Reset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Body of `POST /api/reset`."""

    email: str
    code: str
    password: str


class RegistrationRoutes:
    """Calls of people who are not signed in."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def register(self, request: Request) -> Response:
        """`POST /api/register`: 202, and a mail."""
        asked = await body(request, Register)
        await self._edge.porter.admit(host_of(request), "passwords.new")
        await self._edge.registration.register(asked.email, asked.password, asked.name, host=host_of(request))
        return Json({}, 202)

    async def resend(self, request: Request) -> Response:
        """`POST /api/resend`: 202, and a new code if there was one."""
        asked = await body(request, Address)
        await self._edge.registration.resend(asked.email, host=host_of(request))
        return Json({}, 202)

    async def verify(self, request: Request) -> Response:
        """`POST /api/verify`: the new account, signed in."""
        asked = await body(request, Verify)
        rules = ("codes.guess",) if asked.password is None else ("codes.guess", "passwords.new")
        await self._edge.porter.admit(host_of(request), *rules)
        user = await self._edge.registration.verify(asked.email, asked.code, asked.password)
        return await signed_in(self._edge, request, user)

    async def forgot(self, request: Request) -> Response:
        """`POST /api/forgot`: 202, and a mail."""
        asked = await body(request, Address)
        await self._edge.registration.forgot(asked.email, host=host_of(request))
        return Json({}, 202)

    async def reset(self, request: Request) -> Response:
        """`POST /api/reset`: the new password counts, every session but the new one has ended."""
        asked = await body(request, Reset)
        await self._edge.porter.admit(host_of(request), "codes.guess", "passwords.new")
        user = await self._edge.registration.reset(asked.email, asked.code, asked.password)
        return await signed_in(self._edge, request, user)


async def signed_in(edge: Edge, request: Request, user: User) -> Json:
    """The user with a session of their own."""
    cookie = await edge.door.open_session(user, request.headers.get("user-agent", ""))
    return with_session(request, cookie, user)
