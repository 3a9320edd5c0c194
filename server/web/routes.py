"""The whole surface in one list. A surface that a replica does not serve does not exist there: 404."""

from __future__ import annotations

from starlette.routing import BaseRoute, Mount, Route, WebSocketRoute

from server.web.account import AccountRoutes
from server.web.edge import Edge
from server.web.health import HealthRoutes
from server.web.host import HostRoutes
from server.web.pages import PageRoutes
from server.web.profile import ProfileRoutes
from server.web.registration import RegistrationRoutes
from server.web.sessions import SessionRoutes
from server.web.viewer import ViewerRoutes


def routes(edge: Edge) -> list[BaseRoute]:
    """Every route of the surfaces this replica serves; the admin's is mounted by `app.py`."""
    account, health, host = AccountRoutes(edge), HealthRoutes(edge), HostRoutes(edge)
    pages, profile, registration = PageRoutes(edge), ProfileRoutes(edge), RegistrationRoutes(edge)
    sessions, viewer = SessionRoutes(edge), ViewerRoutes(edge)
    everywhere: list[BaseRoute] = [
        Route("/livez", health.livez),
        Route("/readyz", health.readyz),
        Route("/metrics", health.metrics),
        Route("/login", pages.login),
        Route("/api/login", account.login, methods=["POST"]),
        Route("/api/logout", account.logout, methods=["POST"]),
        Route("/api/me", account.me),
        Route("/api/sessions", sessions.listed),
        Route("/api/sessions/end-others", sessions.end_others, methods=["POST"]),
        Route("/api/sessions/end-all", sessions.end_all, methods=["POST"]),
        Route("/api/sessions/{session}/end", sessions.end, methods=["POST"]),
        Route("/forgot", pages.forgot),
        Route("/api/forgot", registration.forgot, methods=["POST"]),
        Route("/api/reset", registration.reset, methods=["POST"]),
        Route("/account", pages.account),
        Route("/api/account/password", profile.change_password, methods=["POST"]),
        Route("/api/account/email", profile.ask_address, methods=["POST"]),
        Route("/api/account/email/confirm", profile.confirm_address, methods=["POST"]),
        Route("/api/account/name", profile.change_name, methods=["POST"]),
        Route("/api/account/delete", profile.delete, methods=["POST"]),
        Mount("/static", pages.static),
    ]
    for_viewers: list[BaseRoute] = [
        Route("/", pages.index),
        Route("/s/{stream}", pages.stream),
        Route("/orders", pages.orders),
        Route("/register", pages.register),
        Route("/api/register", registration.register, methods=["POST"]),
        Route("/api/resend", registration.resend, methods=["POST"]),
        Route("/api/verify", registration.verify, methods=["POST"]),
        Route("/api/ticket", account.ticket, methods=["POST"]),
        Route("/api/orders", account.orders),
        Route("/api/streams", viewer.streams),
    ]
    for_both: list[BaseRoute] = [
        Route("/api/streams/{stream}", viewer.stream),
        Route("/api/products", viewer.products),
        WebSocketRoute("/ws/{stream}", viewer.socket),
    ]
    for_hosts: list[BaseRoute] = [
        Route("/host", pages.host),
        Route("/api/host/streams", host.streams),
        Route("/api/host/streams", host.create_stream, methods=["POST"]),
        Route("/api/host/streams/{stream}/start", host.start_stream, methods=["POST"]),
        Route("/api/host/streams/{stream}/end", host.end_stream, methods=["POST"]),
        Route("/api/host/streams/{stream}/drops", host.create_drop, methods=["POST"]),
        Route("/api/host/drops/{drop}/open", host.open_drop, methods=["POST"]),
        Route("/api/host/drops/{drop}/close", host.close_drop, methods=["POST"]),
        Route("/api/host/drops/{drop}/restock", host.restock_drop, methods=["POST"]),
    ]
    return [
        *everywhere,
        *(for_viewers if "viewer" in edge.surfaces else []),
        *(for_hosts if "host" in edge.surfaces else []),
        *(for_both if {"viewer", "host"} & edge.surfaces else []),
    ]
