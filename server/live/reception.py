"""The reception: hello, who you are, welcome; then the socket is handed over and the endpoint is done."""

from __future__ import annotations

import asyncio
import logging

from server import metrics
from server.domain.errors import ProtocolViolation, Refused, Unavailable
from server.domain.events import Position
from server.domain.ids import new_id
from server.domain.session import Caller
from server.live.bouncer import Bouncer
from server.live.embeds import Embeds, Page
from server.live.ports import Disconnected, Tickets, Till, Wire
from server.live.relay import Relay
from server.live.socket import LiveSocket, LiveWSProtocol
from server.live.stream import LiveStream
from server.live.turnstile import Entry, Turnstile
from server.protocol import codec, frames
from server.protocol.codes import CloseCode
from server.protocol.session import HELLO_WITHIN_S, ClientSession

log = logging.getLogger(__name__)


class Reception:
    """Receives viewers. A socket costs a task only until its welcome."""

    def __init__(
        self, relay: Relay, bouncer: Bouncer, till: Till, tickets: Tickets, turnstile: Turnstile, embeds: Embeds
    ) -> None:
        self._embeds = embeds
        self._relay = relay
        self._bouncer = bouncer
        self._till = till
        self._tickets = tickets
        self._turnstile = turnstile

    async def receive(
        self,
        wire: Wire,
        protocol: LiveWSProtocol,
        slug: str,
        caller: Caller | None,
        guest: str,
        entry: Entry,
        page: Page,
    ) -> None:
        """Leads one accepted socket to its welcome, or closes it. Cancelling it closes the socket.

        `caller` is who the cookie stands for; None is a guest, who is counted as the person `guest`. When it returns
        and `entry` was not handed over, the socket is over and the caller counts it out.
        """
        try:
            await self._receive(wire, protocol, slug, caller, guest, entry, page)
        except Disconnected:
            return
        except ProtocolViolation as violation:
            await _part(wire, violation.code, codec.encode(frames.Fault(violation.reason, violation.detail)))
        except Refused as refused:  # the bearer of a ticket holds too many sockets
            await _part(wire, CloseCode.TOO_BUSY, codec.encode(frames.Fault(refused.reason, refused.detail)))
        except Unavailable:
            await _part(wire, CloseCode.TOO_BUSY)
        except Exception:
            metrics.BUGS.labels("socket").inc()
            log.exception("a socket failed", extra={"stream": slug})
            await _part(wire, CloseCode.TOO_BUSY)

    async def _receive(
        self,
        wire: Wire,
        protocol: LiveWSProtocol,
        slug: str,
        caller: Caller | None,
        guest: str,
        entry: Entry,
        page: Page,
    ) -> None:
        stream = await self._relay.hold(slug)
        if stream is None:
            await _part(wire, CloseCode.UNKNOWN_STREAM)
            return
        handed_over = False
        try:
            session = ClientSession()
            try:
                async with asyncio.timeout(HELLO_WITHIN_S):
                    hello = session.receive(await wire.receive())
            except TimeoutError:
                await _part(wire, CloseCode.NO_HELLO)
                return
            assert isinstance(hello, frames.Hello)
            caller = await self._who(hello, slug, caller, page)
            viewer, came_by = (caller.user, caller.session) if caller else (None, None)
            if viewer is not None:
                self._turnstile.name(entry, viewer.id)
            position = await self._position(stream, hello)
            person = viewer.id if viewer else guest
            live = LiveSocket(
                stream,
                viewer,
                person,
                session,
                self._till,
                lambda: self._gone(stream, entry),
                came_by,
                paced=self._turnstile.on,
            )
            # no await from here to the end: nothing falls between the welcome and the first fan-out,
            # and no revocation between the bouncer's look and the room
            if (objection := self._bouncer.objection(live)) is not None:
                raise objection
            said = protocol.hand_over(live)
            handed_over = entry.handed_over = True
            metrics.VIEWERS.inc()
            if page.foreign and page.origin is not None:
                self._embeds.enter(entry, slug, page.origin, live)
            stream.join(live, new_id(), frames.Viewer(viewer.id, viewer.name) if viewer else None, position)
            live.begin(said)
        finally:
            if not handed_over:
                self._relay.release(stream)

    def _gone(self, stream: LiveStream, entry: Entry) -> None:
        self._embeds.leave(entry)
        self._turnstile.leave(entry)
        metrics.VIEWERS.dec()
        self._relay.release(stream)

    async def _who(self, hello: frames.Hello, slug: str, caller: Caller | None, page: Page) -> Caller | None:
        if hello.ticket is None:
            return caller
        bearer = await self._tickets.redeem(hello.ticket, slug, page.origin)
        if bearer is None:
            raise ProtocolViolation(
                "hello.ticket was used, has expired or been revoked, or is for another stream or site:"
                " ask POST /api/ticket for a new one",
                code=CloseCode.NOT_ALLOWED,
                reason="not_allowed",
            )
        return bearer

    @staticmethod
    async def _position(stream: LiveStream, hello: frames.Hello) -> Position | None:
        if hello.position is None:
            return None
        if hello.position.seq > stream.seq:
            await stream.catch_up()  # the viewer heard more on another replica than this one has heard yet
        return Position(hello.position.epoch, hello.position.seq)


async def _part(wire: Wire, code: int, last: str | None = None) -> None:
    """Closes a socket that was not handed over, with a last word."""
    metrics.SOCKETS_CLOSED.labels(code).inc()
    try:
        if last is not None:
            await wire.send(last)
        await wire.close(code)
    except Disconnected:
        return
