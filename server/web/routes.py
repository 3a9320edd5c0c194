"""The whole surface in one list. A surface that a replica does not serve does not exist there: 404.

A `Call` says beside its address what goes in and out; `GET /api/openapi.json` is made of that.
"""

from __future__ import annotations

from starlette.routing import BaseRoute, Route, WebSocketRoute

from server.domain.user import Role
from server.web import shapes
from server.web.account import AccountRoutes, AskTicket, SignIn
from server.web.assets import Assets
from server.web.calendar import MEDIA_TYPE as CALENDAR
from server.web.edge import Edge
from server.web.embed import AskPass, EmbedRoutes
from server.web.health import HealthRoutes
from server.web.host import Embed, HostRoutes, NewDrop, NewStream, Restock
from server.web.openapi import Call, Description
from server.web.pages import PageRoutes
from server.web.profile import Code, Leave, NewAddress, NewName, NewPassword, ProfileRoutes
from server.web.registration import Address, Register, RegistrationRoutes, Reset, Verify
from server.web.sessions import SessionRoutes
from server.web.viewer import ViewerRoutes

_POST = "POST"
_ANYBODY_SIGNED_IN, _HOST = Role.VIEWER, Role.HOST
_WRONG_CODE_OR_PASSWORD, _NOT_THERE, _NOT_AS_THINGS_STAND = 401, 404, 409


def routes(edge: Edge) -> list[BaseRoute]:
    """Every route of the surfaces this replica serves; the admin's is mounted by `app.py`."""
    assets = Assets(edge.client_dir)
    pages = PageRoutes(edge.client_dir, assets)
    everywhere = [*_pages_for_all(edge, pages, assets), *_sign_in(edge), *_own_account(edge)]
    description = Description()
    everywhere.append(Call("/api/openapi.json", description.openapi, gives=shapes.OpenApi))
    served = [
        *everywhere,
        *(_for_viewers(edge, pages) if "viewer" in edge.surfaces else []),
        *(_for_hosts(edge, pages) if "host" in edge.surfaces else []),
        *(_for_both(edge) if {"viewer", "host"} & edge.surfaces else []),
    ]
    description.of(route for route in served if isinstance(route, Call))
    return served


def _pages_for_all(edge: Edge, pages: PageRoutes, assets: Assets) -> list[BaseRoute]:
    health = HealthRoutes(edge)
    return [
        Route("/livez", health.livez),
        Route("/readyz", health.readyz),
        Route("/metrics", health.metrics),
        Route("/login", pages.login),
        Route("/forgot", pages.forgot),
        Route("/account", pages.account),
        Route("/offline", pages.offline),
        Route("/manifest.webmanifest", pages.manifest),
        Route("/sw.js", pages.worker),
        Route("/static/{file:path}", assets.get),
    ]


def _sign_in(edge: Edge) -> list[BaseRoute]:
    account, registration, sessions = AccountRoutes(edge), RegistrationRoutes(edge), SessionRoutes(edge)
    wrong, needs, user = (_WRONG_CODE_OR_PASSWORD,), _ANYBODY_SIGNED_IN, shapes.UserAnswer
    return [
        Call("/api/login", account.login, method=_POST, takes=SignIn, gives=user, refuses=wrong, sets_cookie=True),
        Call("/api/logout", account.logout, method=_POST),
        Call("/api/me", account.me, needs=needs, gives=user),
        Call("/api/sessions", sessions.listed, needs=needs, gives=shapes.SessionList),
        Call("/api/sessions/end-others", sessions.end_others, method=_POST, needs=needs),
        Call("/api/sessions/end-all", sessions.end_all, method=_POST, needs=needs),
        Call("/api/sessions/{session}/end", sessions.end, method=_POST, needs=needs),
        Call("/api/forgot", registration.forgot, method=_POST, takes=Address, status=202),
        Call("/api/reset", registration.reset, method=_POST, takes=Reset, gives=user, refuses=wrong, sets_cookie=True),
    ]


def _own_account(edge: Edge) -> list[BaseRoute]:
    profile = ProfileRoutes(edge)

    def call(path: str, endpoint: object, takes: type, gives: type = shapes.UserAnswer, status: int = 200) -> Call:
        refuses = (_WRONG_CODE_OR_PASSWORD, _NOT_AS_THINGS_STAND)
        return Call(
            f"/api/account/{path}",
            endpoint,
            method=_POST,
            needs=_ANYBODY_SIGNED_IN,
            takes=takes,
            gives=gives,
            refuses=refuses,
            sets_cookie=gives is shapes.UserAnswer,
            status=status,
        )

    return [
        call("password", profile.change_password, NewPassword),
        call("email", profile.ask_address, NewAddress, shapes.Nothing, status=202),
        call("email/confirm", profile.confirm_address, Code),
        call("name", profile.change_name, NewName),
        call("delete", profile.delete, Leave, shapes.Nothing),
    ]


def _for_viewers(edge: Edge, pages: PageRoutes) -> list[BaseRoute]:
    account, registration = AccountRoutes(edge), RegistrationRoutes(edge)
    embed = EmbedRoutes(edge, pages)
    viewer, wrong, user = ViewerRoutes(edge), (_WRONG_CODE_OR_PASSWORD,), shapes.UserAnswer
    return [
        Route("/", pages.index),
        Route("/s/{stream}", pages.stream),
        Route("/shop", pages.shop),
        Route("/orders", pages.orders),
        Route("/register", pages.register),
        Route("/embed.js", embed.script),
        Route("/embed/sign-in", embed.sign_in),
        Call(
            "/api/embed/pass",
            embed.give_pass,
            method=_POST,
            needs=_ANYBODY_SIGNED_IN,
            takes=AskPass,
            gives=shapes.PassAnswer,
        ),
        Call("/api/register", registration.register, method=_POST, takes=Register, status=202),
        Call("/api/resend", registration.resend, method=_POST, takes=Address, status=202),
        Call(
            "/api/verify",
            registration.verify,
            method=_POST,
            takes=Verify,
            gives=user,
            refuses=(*wrong, _NOT_AS_THINGS_STAND),
            sets_cookie=True,
        ),
        Call(
            "/api/ticket",
            account.ticket,
            method=_POST,
            needs=_ANYBODY_SIGNED_IN,
            takes=AskTicket,
            gives=shapes.TicketAnswer,
            refuses=(_NOT_THERE,),
        ),
        Call(
            "/api/orders", account.orders, needs=_ANYBODY_SIGNED_IN, query=("stream", "cursor"), gives=shapes.OrderList
        ),
        Call("/api/streams", viewer.streams, query=("status", "cursor"), gives=shapes.StreamList),
        Call("/api/streams/{stream}/calendar", viewer.calendar, gives=shapes.CalendarFile, media_type=CALENDAR),
    ]


def _for_both(edge: Edge) -> list[BaseRoute]:
    viewer = ViewerRoutes(edge)
    return [
        Call("/api/streams/{stream}", viewer.stream, gives=shapes.StreamWhole),
        Call("/api/products", viewer.products, query=("q", "cursor"), gives=shapes.ProductList),
        WebSocketRoute("/ws/{stream}", viewer.socket),
    ]


def _for_hosts(edge: Edge, pages: PageRoutes) -> list[BaseRoute]:
    host = HostRoutes(edge)

    def command(
        path: str, endpoint: object, takes: type | None = None, status: int = 200, gives: type | None = None
    ) -> Call:
        gives = gives or (shapes.DropAnswer if "drop" in path else shapes.StreamAnswer)
        return Call(
            f"/api/host/{path}",
            endpoint,
            method=_POST,
            needs=_HOST,
            takes=takes,
            gives=gives,
            status=status,
            refuses=(_NOT_AS_THINGS_STAND,),
        )

    return [
        Route("/host", pages.host),
        Call("/api/host/streams", host.streams, needs=_HOST, query=("cursor",), gives=shapes.HostStreamList),
        command("streams", host.create_stream, NewStream, 201),
        command("streams/{stream}/embed", host.embed_stream, Embed, gives=shapes.EmbedList),
        command("streams/{stream}/start", host.start_stream),
        command("streams/{stream}/end", host.end_stream),
        command("streams/{stream}/drops", host.create_drop, NewDrop, 201),
        command("drops/{drop}/open", host.open_drop),
        command("drops/{drop}/close", host.close_drop),
        command("drops/{drop}/restock", host.restock_drop, Restock),
    ]
