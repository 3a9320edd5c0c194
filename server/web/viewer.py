"""What every viewer calls: streams, products, and the socket."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from server.accounts.limits import network_of
from server.domain import stream as fold
from server.domain.errors import ProtocolViolation, Reason, Refused, Unavailable
from server.domain.ids import new_id
from server.domain.views import StreamStatus, is_slug
from server.live.embeds import Page
from server.live.ports import Disconnected
from server.live.socket import handover_of
from server.protocol.codes import CloseCode
from server.web.account import cursor
from server.web.answers import Json, refusal
from server.web.calendar import calendar_file, invitation_to
from server.web.edge import Edge
from server.web.embedding import is_foreign
from server.web.security import GUEST_COOKIE, GUEST_MAX, cookie_counts, host_of


class ViewerRoutes:
    """Streams, products, and the socket."""

    def __init__(self, edge: Edge) -> None:
        self._edge = edge

    async def streams(self, request: Request) -> Response:
        """`GET /api/streams?status=&cursor=`: live and coming streams, or those of the statuses asked for."""
        statuses = _statuses(request.query_params.get("status", "live,scheduled"))
        found, following = await self._edge.streams.listed(statuses, after=cursor(request))
        counted = [replace(stream, viewers=self._edge.relay.viewers(stream.slug)) for stream in found]
        return Json({"streams": counted, "next": following})

    async def stream(self, request: Request) -> Response:
        """`GET /api/streams/{stream}`: one stream whole, as the database has it at this moment."""
        slug = request.path_params["stream"]
        state = await self._edge.streams.whole(slug) if is_slug(slug) else None
        if state is None:
            raise Refused(Reason.NOT_FOUND, "there is no such stream")
        return Json(
            {
                "stream": replace(state.stream, viewers=self._edge.relay.viewers(slug)),
                "drops": list(state.drops.values()),
                "stock": fold.stock_of(state),
                "position": {"epoch": self._edge.epoch, "seq": state.seq},
            }
        )

    async def calendar(self, request: Request) -> Response:
        """`GET /api/streams/{stream}/calendar`: a coming stream as a file for calendars, an hour long."""
        slug = request.path_params["stream"]
        found = await self._edge.streams.named(slug) if is_slug(slug) else None
        if found is None:
            raise Refused(Reason.NOT_FOUND, "there is no such stream")
        stream_id, stream = found
        page = str(request.url.replace(path=f"/s/{slug}", query=""))
        return calendar_file(invitation_to(stream, uid=stream_id, page=page, now=datetime.now(UTC)), slug)

    async def products(self, request: Request) -> Response:
        """`GET /api/products?q=&cursor=`."""
        found, following = await self._edge.search.find(request.query_params.get("q", ""), cursor(request))
        return Json({"products": found, "next": following})

    async def socket(self, websocket: WebSocket) -> None:
        """`GET /ws/{stream}`: the handshake; everything after it is `live.connection`'s."""
        if self._edge.draining():
            await websocket.send_denial_response(refusal(Refused(Reason.DRAINING, "this replica is leaving")))
            return
        try:
            caller = await self._edge.caller(websocket) if cookie_counts(websocket.headers) else None
        except Unavailable:
            await websocket.send_denial_response(refusal(Refused(Reason.BUSY, "try again in a second")))
            return
        network = network_of(host_of(websocket))
        try:
            entry = self._edge.turnstile.enter(network, caller.user.id if caller else None)
        except Refused as refused:
            await websocket.send_denial_response(refusal(refused))
            return
        guest = websocket.cookies.get(GUEST_COOKIE, "")[:GUEST_MAX] if cookie_counts(websocket.headers) else ""
        slug = websocket.path_params["stream"]
        page = Page(websocket.headers.get("origin"), is_foreign(websocket))
        try:
            await websocket.accept()
            await self._edge.reception.receive(
                _Wire(websocket), handover_of(websocket.scope), slug, caller, guest or new_id(), entry, page
            )
        finally:
            if not entry.handed_over:
                self._edge.turnstile.leave(entry)


def _statuses(asked: str) -> frozenset[StreamStatus]:
    try:
        return frozenset(StreamStatus(word) for word in asked.split(","))
    except ValueError:
        one_of = ", ".join(StreamStatus)
        detail = f"status must be one of {one_of}, or several with commas between them"
        raise Refused(Reason.BAD_REQUEST, detail, field="status") from None


class _Wire:
    """A Starlette WebSocket as the live side wants it."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def receive(self) -> str:
        """The next text. Raises `Disconnected`, or `ProtocolViolation` for a binary frame."""
        try:
            message = await self._websocket.receive()
        except (WebSocketDisconnect, RuntimeError):
            raise Disconnected from None
        if message["type"] == "websocket.disconnect":
            raise Disconnected
        text = message.get("text")
        if text is None:
            raise ProtocolViolation("frames are JSON texts, not binary", code=CloseCode.BAD_FRAME)
        return str(text)

    async def send(self, text: str) -> None:
        """Sends a text. Raises `Disconnected`."""
        try:
            await self._websocket.send({"type": "websocket.send", "text": text})
        except (WebSocketDisconnect, RuntimeError, OSError):
            raise Disconnected from None

    async def close(self, code: int) -> None:
        """Closes; harmless when closed already."""
        if self._websocket.application_state is not WebSocketState.DISCONNECTED:
            try:
                await self._websocket.close(code)
            except (WebSocketDisconnect, RuntimeError, OSError):
                return
