"""A viewer's connection: its way out, bounded, and the session that reads what it says."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from contextlib import suppress

from server import metrics
from server.domain.errors import ProtocolViolation, Reason, Unavailable
from server.domain.events import Position
from server.domain.ids import new_id
from server.domain.order import Receipt, Rejected
from server.domain.user import User
from server.live.ports import Tickets, Till, Wire
from server.live.relay import Relay
from server.live.stream import LiveStream
from server.protocol import codec, frames
from server.protocol.codes import CloseCode
from server.protocol.session import HELLO_WITHIN_S, ClientSession

log = logging.getLogger(__name__)

OUTBOX_MAX_BYTES = 256 * 1024
"""What may wait for one viewer besides its welcome, whose size is its stream's.

When full, the viewer is closed with 4008: resume is exact, so being cut is cheap.
"""

OUTBOX_SLOW_BYTES = 32 * 1024
"""From here on a viewer gets no state frames: newer ones will come."""

ORDERS_IN_FLIGHT_MAX = 32
"""Orders of one socket that may wait for their receipts; one more is answered `busy` at once."""

_CLOSE_WITHIN_S = 5.0


class Disconnected(Exception):
    """The other side is gone."""


class Connection:
    """One viewer's outlet: frames wait here, in order, until the socket takes them."""

    def __init__(self, wire: Wire) -> None:
        self.person = ""
        self._wire = wire
        self._outbox: deque[str] = deque()
        self._waiting_bytes = 0
        self._max_bytes: int | None = None
        self._wake = asyncio.Event()
        self._close_code: int | None = None
        self._patience: asyncio.Timeout | None = None
        self.closed = False

    def write(self, frame: str, *, state: bool = False) -> None:
        """Queues a frame. Frames after `close` are dropped; a viewer that does not keep up is closed with 4008."""
        if self._close_code is not None or (state and self._waiting_bytes > OUTBOX_SLOW_BYTES):
            return
        size = _size(frame)
        if self._max_bytes is None:  # the first frame: cut for its size, the viewer would come back to the same
            self._max_bytes = OUTBOX_MAX_BYTES + size
        if self._waiting_bytes + size > self._max_bytes:
            self._outbox.clear()
            self.close(CloseCode.TOO_SLOW)
            return
        self._outbox.append(frame)
        self._waiting_bytes += size
        self._wake.set()

    def close(self, code: int) -> None:
        """Closes once what was written is sent, or in `_CLOSE_WITHIN_S` when it cannot be; the first code counts."""
        if self._close_code is None:
            self._close_code = code
            self._wake.set()
            if self._patience is not None:
                self._patience.reschedule(asyncio.get_running_loop().time() + _CLOSE_WITHIN_S)

    async def run(self) -> None:
        """Sends what is written until closed or disconnected; ends with the socket closed."""
        try:
            # a socket that takes nothing would hold the sender for ever: from `close` on, time is short
            async with asyncio.timeout(None if self._close_code is None else _CLOSE_WITHIN_S) as self._patience:
                await self._send()
        except (Disconnected, TimeoutError):
            pass
        finally:
            self.closed = True
            if self._close_code is None:
                self._close_code = CloseCode.DONE
        metrics.SOCKETS_CLOSED.labels(self._close_code).inc()
        with suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_WITHIN_S):
                await self._wire.close(self._close_code)

    async def _send(self) -> None:
        while self._outbox or self._close_code is None:
            if not self._outbox:
                self._wake.clear()
                await self._wake.wait()
                continue
            frame = self._outbox.popleft()
            await self._wire.send(frame)
            self._waiting_bytes -= _size(frame)


class Reception:
    """Receives viewers: hello, welcome, then orders, until one side leaves."""

    def __init__(self, relay: Relay, till: Till, tickets: Tickets) -> None:
        self._relay = relay
        self._till = till
        self._tickets = tickets

    async def receive(self, wire: Wire, slug: str, user: User | None) -> None:
        """Serves one socket to its end. `user` is who the cookie stands for, None a guest."""
        connection = Connection(wire)
        reading = asyncio.create_task(self._read(connection, wire, slug, user), name="connection: read")
        try:
            await connection.run()
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self, connection: Connection, wire: Wire, slug: str, user: User | None) -> None:
        try:
            await self._serve(connection, wire, slug, user)
        except Disconnected:
            connection.close(CloseCode.DONE)
        except ProtocolViolation as violation:
            connection.write(codec.encode(frames.Fault(violation.reason, violation.detail)))
            connection.close(violation.code)
        except Unavailable:
            connection.close(CloseCode.TOO_BUSY)
        except Exception:
            metrics.BUGS.labels("socket").inc()
            log.exception("a socket failed", extra={"stream": slug})
            connection.close(CloseCode.TOO_BUSY)

    async def _serve(self, connection: Connection, wire: Wire, slug: str, user: User | None) -> None:
        async with self._relay.watching(slug) as stream:
            if stream is None:
                connection.close(CloseCode.UNKNOWN_STREAM)
                return
            session = ClientSession()
            try:
                async with asyncio.timeout(HELLO_WITHIN_S):
                    hello = session.receive(await wire.receive())
            except TimeoutError:
                connection.close(CloseCode.NO_HELLO)
                return
            assert isinstance(hello, frames.Hello)
            viewer = await self._who(hello, slug, user)
            position = await self._position(stream, hello)
            session_id = new_id()
            connection.person = viewer.id if viewer else session_id
            seen = frames.Viewer(viewer.id, viewer.name) if viewer else None
            stream.join(connection, session_id, seen, position)
            metrics.VIEWERS.inc()
            try:
                await self._take_orders(connection, wire, session, viewer)
            finally:
                metrics.VIEWERS.dec()
                stream.room.remove(connection)

    async def _who(self, hello: frames.Hello, slug: str, user: User | None) -> User | None:
        if hello.ticket is None:
            return user
        viewer = await self._tickets.redeem(hello.ticket, slug)
        if viewer is None:
            raise ProtocolViolation(
                "hello.ticket was used, has expired, or is for another stream: ask POST /api/ticket for a new one",
                code=CloseCode.NOT_ALLOWED,
                reason="not_allowed",
            )
        return viewer

    @staticmethod
    async def _position(stream: LiveStream, hello: frames.Hello) -> Position | None:
        if hello.position is None:
            return None
        if hello.position.seq > stream.seq:
            await stream.catch_up()  # the viewer heard more on another replica than this one has heard yet
        return Position(hello.position.epoch, hello.position.seq)

    async def _take_orders(
        self, connection: Connection, wire: Wire, session: ClientSession, viewer: User | None
    ) -> None:
        in_flight = 0

        def answer(done: asyncio.Future[Receipt]) -> None:
            nonlocal in_flight
            in_flight -= 1
            if not done.cancelled():
                connection.write(codec.encode_receipt(done.result()))

        while True:
            order = session.receive(await wire.receive())
            assert isinstance(order, frames.PlaceOrder)
            if in_flight >= ORDERS_IN_FLIGHT_MAX:
                connection.write(codec.encode_receipt(Rejected(order.ref, Reason.BUSY)))
                continue
            in_flight += 1
            self._till.place(viewer, order).add_done_callback(answer)


def _size(frame: str) -> int:
    return len(frame) if frame.isascii() else len(frame.encode())
