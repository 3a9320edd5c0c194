"""A viewer's socket: uvicorn's protocol for the handshake, then a slotted connection of our own.

uvicorn keeps a task, a queue, two parsers and a scope alive for every open socket: about 27 KB. After hello the
endpoint hands the transport to a `LiveSocket` and returns, so that all of it is freed. The hook is
`uvicorn.Config(ws=…)`; the internals it needs are named in `check_uvicorn`, which fails the start when one is gone.
The two stand in one file because the hand-over is one act: what one gives up the other must take.
"""

from __future__ import annotations

import asyncio
import logging
import random
import socket
import time
from collections.abc import Callable
from typing import Any, NamedTuple
from typing import Protocol as Port

import uvicorn
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from uvicorn.server import ServerState
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import OPEN, Protocol, Side
from websockets.streams import StreamReader

from server import metrics
from server.domain.drop import Drop
from server.domain.errors import DropcastError, ProtocolViolation, Reason
from server.domain.order import Receipt, Rejected
from server.domain.pace import Pace
from server.domain.user import User
from server.live.ports import Disconnected, Till
from server.live.room import Room
from server.live.wire import close_frame, text_frame
from server.protocol import codec, frames
from server.protocol.codes import CloseCode
from server.protocol.frames import FRAME_MAX_BYTES
from server.protocol.session import ClientSession

log = logging.getLogger(__name__)

HANDSHAKE_WITHIN_S = 10.0
"""From connection to the end of the upgrade; then the connection is cut."""

SEND_BUFFER_BYTES = 64 * 1024
"""SO_SNDBUF: what the kernel may hold for a viewer that does not read (it takes about 96 KB for this)."""

UNACKNOWLEDGED_MS = 30_000
"""TCP_USER_TIMEOUT: a peer that acknowledges nothing for so long is dead; the tick gives it something to do so."""

OUTBOX_HIGH_BYTES, OUTBOX_LOW_BYTES = 32 * 1024, 8 * 1024
"""Waiting in the process for one viewer: above the first it is slow and gets no state; below the second it is not."""

OUTBOX_MAX_BYTES = 96 * 1024
"""Most that may wait in the process for one viewer. When full it is closed with 4008: resume makes that cheap."""

ORDERS_IN_FLIGHT_MAX = 32
"""Orders of one socket that may wait for their receipts; one more is answered `busy` at once."""

_RETRY_IN_MS = 1_000  # by then those before it have their receipts

FRAMES = Pace(per_s=100, at_once=1_000)
"""How fast a client may speak: every frame counts. A further order is answered `rate_limited`, a ping not at all.

No page gets there: `ORDERS_IN_FLIGHT_MAX` orders that are busy and asked again every 0.5 s at the earliest are 64 a
second. A second of the fastest ones costs the replica 4 ms of a core.
"""

SURPLUS = Pace(per_s=100, at_once=1_000)
"""How many frames beyond that are refused one by one. Who goes on is not listening, and is closed with 4500."""

_SLOWER_IN_MS = (500, 1_500)

ASKED_MAX = 32
"""Orders a socket that buys remembers, those in flight among them; the oldest give way."""

CLOSE_WITHIN_S = 5.0
"""From our close frame to the end of the connection; then it is cut."""

_FRAMES_REFUSED = metrics.LIMITED.labels("frames")
_EXTENSION = "dropcast.handover"
_AT_EOF = StreamReader.at_eof.__code__
_REFUSED = b"HTTP/1.1 431 Request Header Fields Too Large\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_LEAVING = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
_PARSER_LOG = logging.getLogger("websockets.server")
_spare: list[Protocol] = []
"""A parser between frames, if there is one: making one anew for each frame was an eighth of what an order costs."""


class Incompatible(DropcastError):
    """The installed uvicorn or websockets is not one this code was checked with."""


class Following(Port):
    """The stream a socket follows."""

    room: Room[LiveSocket]

    def refresh(self, member: LiveSocket) -> None:
        """Tells one viewer the state of now."""
        ...

    def known(self, drop_id: str) -> Drop | None:
        """One of the stream's drops, as this replica knows it."""
        ...

    def bring(self, viewer: str, receipt: Receipt, asked_at_s: float | None) -> None:
        """Takes a receipt that could not be given to its socket."""
        ...


class LiveWSProtocol(WebSocketsSansIOProtocol):
    """Stock until `hand_over`, but for time, memory and honest answers: see the constants above.

    An upgrade whose headers are too large gets 431 instead of hanging, and an upgrade that the app refuses is not
    logged as an error. Routes that do not hand over behave as uvicorn's.
    """

    _impatience: asyncio.TimerHandle | None = None
    _http: asyncio.BaseProtocol | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """A connection asks for an upgrade."""
        super().connection_made(transport)
        self._http = self.transport.get_protocol()
        limit_kernel_buffers(transport)
        self._impatience = self.loop.call_later(HANDSHAKE_WITHIN_S, self._give_up)

    def connection_lost(self, exc: Exception | None) -> None:
        """The connection ended before it was handed over."""
        self._be_patient()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Bytes of the upgrade, or of the frames before the hand-over."""
        if self.handshake_initiated:
            super().data_received(data)
            return
        self.conn.receive_data(data)
        if self.conn.parser_exc is not None or self.conn.handshake_exc is not None:
            self.transport.write(_REFUSED)
            self.handshake_complete = self.close_sent = True
            self.transport.close()
            return
        self.handle_events()

    def handle_connect(self, event: Request) -> None:
        """The upgrade is asked for; the app's task exists from here on, but has not run yet."""
        super().handle_connect(event)
        if self.response.status_code == 101:
            extensions: dict[str, Any] = self.scope["extensions"]  # ours are objects
            extensions[_EXTENSION] = self

    def send_receive_event_to_app(self) -> None:
        """A whole message. One that is not UTF-8 is its client's mistake: uvicorn would log it as an error of ours."""
        if self.curr_msg_data_type == "text" and not _is_utf8(b"".join(self.frames)):
            self.frames = []
            if not self.close_sent:
                self.conn.fail(CloseCode.NOT_UTF8)
                self.handle_parser_exception()
            return
        super().send_receive_event_to_app()

    def shutdown(self) -> None:
        """The server ends. An upgrade that is not answered yet gets 503, and a proxy asks the next replica."""
        if self.handshake_complete:
            super().shutdown()
            return
        self.disconnected = True  # what the app says now would be a second answer, and an error in the log
        if self.initial_response is None:
            self.transport.write(_LEAVING)
        self.transport.close()

    async def send(self, message: Any) -> None:
        """Sends an ASGI message of the app."""
        await super().send(message)
        if message["type"] == "websocket.accept":
            self._be_patient()
        elif message["type"] == "websocket.http.response.body" and not message.get("more_body", False):
            self.handshake_complete = True  # a refusal completes the handshake as well

    def hand_over(self, live: LiveSocket) -> list[str]:
        """Gives the connection to `live`, and back what its client has said meanwhile, for `live.begin`.

        uvicorn keeps nothing but an empty shell, which ends when the endpoint returns. Raises `Disconnected` when the
        client has left meanwhile: uvicorn then knows of its end, and `live` would never hear of it.
        """
        if self.transport.is_closing():
            raise Disconnected
        self.stop_keepalive()
        self._be_patient()
        transport, self.transport = self.transport, _Gone()  # type: ignore[assignment]  # run_asgi closes what it finds
        self.connections.discard(self)
        self.connections.add(live)  # type: ignore[arg-type]  # all uvicorn does with it is shutdown()
        live.take(transport, self.connections, self.conn, self.frames if self.conn.current_size is not None else None)
        transport.set_protocol(live)
        said = []
        while not self.queue.empty():
            message = self.queue.get_nowait()
            if message["type"] == "websocket.receive":
                said.append(message.get("text") or "")
        if self.conn.current_size is not None and self.curr_msg_data_type == "bytes":
            said.append("")  # as a whole binary message: no frame of ours
        self._untie()
        return said

    def _untie(self) -> None:
        """Unties what holds itself, so that it is freed now: 80 objects, else left to the cycle collector."""
        extensions: dict[str, Any] = self.scope["extensions"]
        del extensions[_EXTENSION]
        if self._http is not None:
            self._http.parser = None  # type: ignore[attr-defined]  # as uvicorn does at the end of a connection
            self._http = None

    def _give_up(self) -> None:
        if not self.handshake_complete:
            self.transport.abort()

    def _be_patient(self) -> None:
        if self._impatience is not None:
            self._impatience.cancel()
            self._impatience = None


class _Gone:
    """What uvicorn finds in place of a transport that was handed over."""

    def write(self, data: bytes) -> None:
        """Nowhere."""

    def close(self) -> None:
        """Not ours to close any more."""

    abort = pause_reading = resume_reading = close

    def is_closing(self) -> bool:
        """For uvicorn it is over."""
        return True


class _Asked(NamedTuple):
    """An order this socket asked for, when (monotonic seconds), and what came or will come of it."""

    order: frames.PlaceOrder
    at_s: float
    decided: asyncio.Future[Receipt]


class LiveSocket(asyncio.Protocol):
    """A viewer after hello: what it costs is this object, uvloop's transport and the kernel's socket.

    `write` and `close` never wait and never raise. A parser exists only while bytes are being read, or while a frame or
    a message is cut in half. `gone` is called once, when the connection has ended. `came_by` is the id of the viewer's
    session.
    """

    __slots__ = (
        "_asked",
        "_closing",
        "_connections",
        "_fragments",
        "_full_at_s",
        "_gone",
        "_in_flight",
        "_outbox_max",
        "_paced",
        "_parser",
        "_session",
        "_stream",
        "_surplus_full_at_s",
        "_till",
        "_transport",
        "joined_at_s",
        "person",
        "place",
        "session",
        "skip",
        "viewer",
        "write_bytes",
    )

    _transport: asyncio.Transport
    _connections: set[Any]
    write_bytes: Callable[[bytes], None]

    def __init__(
        self,
        stream: Following,
        viewer: User | None,
        person: str,
        session: ClientSession,
        till: Till,
        gone: Callable[[], None],
        came_by: str | None = None,
        *,
        paced: bool = True,
    ) -> None:
        self.viewer = viewer
        self.person = person
        self.session = came_by
        self.place = -1
        self.skip = 0
        self.joined_at_s = time.monotonic()
        self._stream = stream
        self._session = session
        self._till = till
        self._gone = gone
        self._in_flight = 0
        self._paced = paced
        self._full_at_s = 0.0
        self._surplus_full_at_s = 0.0
        self._asked: dict[str, _Asked] | None = None
        self._outbox_max = OUTBOX_MAX_BYTES
        self._parser: Protocol | None = None
        self._fragments: bytearray | None = None
        self._closing: asyncio.TimerHandle | None = None

    def take(
        self, transport: asyncio.Transport, connections: set[Any], parser: Protocol, fragments: list[bytes] | None
    ) -> None:
        """The connection is ours from here on; a frame or message that is cut in half comes with its parser."""
        self._transport = transport
        self._connections = connections
        self.write_bytes = transport.write
        self._fragments = bytearray().join(fragments) if fragments is not None else None
        self._parser = parser if fragments is not None or not _between_frames(parser) else None
        if self._parser is None:
            parser.parser.close()  # a generator that holds its parser
        transport.set_write_buffer_limits(high=OUTBOX_HIGH_BYTES, low=OUTBOX_LOW_BYTES)

    def begin(self, said: list[str]) -> None:
        """Takes what the client said since hello, then reads on. Comes after the welcome."""
        now_s = time.monotonic()
        for text in said:
            self._hear(text, now_s, self._is_in_pace(now_s))
        self._transport.resume_reading()

    # The way out

    def welcome(self, text: str) -> None:
        """The first frame. However large, it does not make its viewer too slow."""
        frame = text_frame(text)
        self._outbox_max = OUTBOX_MAX_BYTES + len(frame)
        self.write_bytes(frame)

    def write(self, text: str) -> bool:
        """Sends a frame of this viewer's own, ahead of any fan-out. False when it was too late, or too much."""
        if self._over():
            return False
        self.write_bounded(text_frame(text))
        return not self._over()

    def write_bounded(self, data: bytes) -> None:
        """Writes, or closes with 4008 when too much is waiting already."""
        if self._transport.get_write_buffer_size() + len(data) > self._outbox_max:
            self.close(CloseCode.TOO_SLOW)
        else:
            self.write_bytes(data)

    def close(self, code: int) -> None:
        """Says goodbye behind what is written; cuts the connection when the client does not answer in time."""
        if self._over():
            return
        self._stream.room.remove(self)
        self.write_bytes(close_frame(code))
        self._closing = asyncio.get_running_loop().call_later(CLOSE_WITHIN_S, self._transport.abort)
        metrics.SOCKETS_CLOSED.labels(code).inc()

    def shutdown(self) -> None:
        """The last word, at the end of a drain; called by uvicorn."""
        self.close(CloseCode.RESTARTING)
        self._transport.close()

    def _over(self) -> bool:
        return self._closing is not None or self._transport.is_closing()

    def _end(self) -> None:
        """The connection ends behind what is written; it is cut when the client does not read that in time."""
        self._stream.room.remove(self)
        if self._closing is None:
            self._closing = asyncio.get_running_loop().call_later(CLOSE_WITHIN_S, self._transport.abort)
        self._transport.close()

    # What the transport tells

    def pause_writing(self) -> None:
        """The client reads too slowly: no more state until it has caught up."""
        self._stream.room.slow_down(self)

    def resume_writing(self) -> None:
        """The client has caught up: the state of now, then everything again."""
        self._outbox_max = OUTBOX_MAX_BYTES  # its welcome is out
        if self._stream.room.speed_up(self):
            self._stream.refresh(self)

    def eof_received(self) -> None:
        """The client says no more; a WebSocket is not open on one side only."""
        self._end()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """The end, whoever wanted it."""
        if self._closing is not None:
            self._closing.cancel()
        self._stream.room.remove(self)
        self._connections.discard(self)
        self._parser = None
        self._gone()

    def data_received(self, data: bytes) -> None:
        """Bytes of the client, cut anywhere."""
        parser = self._parser or (_spare.pop() if _spare else _new_parser())
        parser.receive_data(data)
        now_s = time.monotonic()
        answers = iter(parser.data_to_send())
        for frame in parser.events_received():
            if isinstance(frame, Frame):
                pong = next(answers) if frame.opcode is Opcode.PING else None
                in_pace = self._is_in_pace(now_s)
                if pong is None:
                    self._take_frame(frame, now_s, in_pace)
                elif in_pace and self._closing is None:
                    self.write_bounded(pong)
        if parser.close_expected():
            last = b"".join(answers)  # the echo of a close, or a 10xx close for broken bytes
            if self._closing is None:
                self.write_bytes(last)
            self._end()
        if self._fragments is not None or not _between_frames(parser):
            self._parser = parser
            return
        self._parser = None
        if not _spare and parser.state is OPEN and parser.current_size is None:
            _spare.append(parser)  # it knows nothing of this client: the next bytes of anybody can be read with it

    # What the client says

    def _is_in_pace(self, now_s: float) -> bool:
        """Counts one more frame; False when it comes too soon. Closes the socket when far too many do."""
        if not self._paced:
            return True
        full_at_s = FRAMES.take(self._full_at_s, now_s)
        if full_at_s is not None:
            self._full_at_s = full_at_s
            return True
        _FRAMES_REFUSED.inc()
        surplus_full_at_s = SURPLUS.take(self._surplus_full_at_s, now_s)
        if surplus_full_at_s is not None:
            self._surplus_full_at_s = surplus_full_at_s
        elif self._closing is None:
            said = f"frames come faster than {FRAMES.per_s:.0f} a second, and being refused changed nothing"
            self.fail(ProtocolViolation(said, code=CloseCode.BAD_FRAME, reason=Reason.RATE_LIMITED))
        return False

    def _take_frame(self, frame: Frame, now_s: float, in_pace: bool) -> None:
        if self._closing is not None:
            return
        if frame.opcode is Opcode.BINARY:
            self.fail(ProtocolViolation("frames are JSON texts, not binary", code=CloseCode.BAD_FRAME))
        elif frame.opcode is Opcode.TEXT and frame.fin:
            self._hear_bytes(bytes(frame.data), now_s, in_pace)
        elif frame.opcode is Opcode.TEXT:
            self._fragments = bytearray(frame.data)
        elif frame.opcode is Opcode.CONT and self._fragments is not None:
            self._fragments += frame.data
            if frame.fin:
                whole, self._fragments = bytes(self._fragments), None
                self._hear_bytes(whole, now_s, in_pace)

    def _hear_bytes(self, data: bytes, now_s: float, in_pace: bool) -> None:
        try:
            text = data.decode()
        except UnicodeDecodeError:
            self.close(CloseCode.NOT_UTF8)
            return
        self._hear(text, now_s, in_pace)

    def _hear(self, text: str, now_s: float, in_pace: bool) -> None:
        if self._closing is not None:
            return
        try:
            order = self._session.receive(text)
            assert isinstance(order, frames.PlaceOrder)
            if not in_pace:
                retry_in_ms = random.randint(*_SLOWER_IN_MS)  # noqa: S311  jitter, no secret
                self.write(codec.encode_receipt(Rejected(order.ref, Reason.RATE_LIMITED, retry_in_ms)))
                return
            if self._in_flight >= ORDERS_IN_FLIGHT_MAX:
                self.write(codec.encode_receipt(Rejected(order.ref, Reason.BUSY, _RETRY_IN_MS)))
                return
            self._in_flight += 1
            self._decided(order, now_s).add_done_callback(self._answer)
        except ProtocolViolation as violation:
            self.fail(violation)
        except Exception:
            metrics.BUGS.labels("socket").inc()
            log.exception("a socket failed")
            self.close(CloseCode.TOO_BUSY)

    def _decided(self, order: frames.PlaceOrder, now_s: float) -> asyncio.Future[Receipt]:
        """Asks for an order. The same one again, a double click, gets the first receipt: were it asked for anew, a
        restock in between would make it accepted after its viewer was told that it is sold out.
        """
        if self._asked is None:
            self._asked = {}
        before = self._asked.get(order.ref)
        if before is not None and before.order == order:
            return before.decided
        decided = self._till.place(self.viewer, order, self._stream.known(order.drop), self.joined_at_s)
        if before is None:
            self._asked[order.ref] = _Asked(order, now_s, decided)
            if len(self._asked) > ASKED_MAX:
                del self._asked[next(iter(self._asked))]
        return decided

    def _answer(self, decided: asyncio.Future[Receipt]) -> None:
        self._in_flight -= 1
        if decided.cancelled():
            return
        receipt = decided.result()
        written = self.write(codec.encode_receipt(receipt))
        asked = self._asked.get(receipt.ref) if self._asked is not None else None
        if isinstance(receipt, Rejected) and receipt.reason.retry:
            if asked is not None and self._asked is not None and asked.decided is decided:
                del self._asked[receipt.ref]  # not decided: whoever decides it later has to tell
        elif not written and self.viewer is not None:
            self._stream.bring(self.viewer.id, receipt, asked.at_s if asked else self.joined_at_s)

    def has_asked(self, ref: str) -> bool:
        """Whether this socket, if it lives, asked for this order itself: its answer was given, or is on its way."""
        return self._asked is not None and ref in self._asked and not self._over()

    def fail(self, violation: ProtocolViolation) -> None:
        """Says what was wrong, then closes."""
        self.write(codec.encode(frames.Fault(violation.reason, violation.detail)))
        self.close(violation.code)


def limit_kernel_buffers(transport: asyncio.BaseTransport) -> None:
    """Bounds what the kernel holds for a viewer, and how long for a dead one. TCP only: Unix sockets have neither."""
    sock = transport.get_extra_info("socket")
    if sock is not None and sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER_BYTES)
        if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, UNACKNOWLEDGED_MS)


def handover_of(scope: Any) -> LiveWSProtocol:
    """The protocol behind an ASGI scope. Raises `KeyError` when the server does not run with `LiveWSProtocol`."""
    protocol: LiveWSProtocol = scope["extensions"][_EXTENSION]
    return protocol


def check_uvicorn(config: uvicorn.Config) -> None:
    """Raises `Incompatible` when the installed uvicorn or websockets lack something `hand_over` relies on."""
    protocol = LiveWSProtocol(config, ServerState(), {}, asyncio.get_running_loop())
    uvicorns = "uvicorn's WebSocketsSansIOProtocol"
    needed = [
        (  # asked of the class, for `LiveWSProtocol` has some of these itself
            uvicorns,
            WebSocketsSansIOProtocol,
            "connection_lost connection_made data_received handle_connect handle_events handle_parser_exception"
            " run_asgi send send_receive_event_to_app shutdown stop_keepalive",
        ),
        (
            uvicorns,
            protocol,
            "close_sent conn connections curr_msg_data_type disconnected frames handshake_complete handshake_initiated"
            " initial_response loop queue transport",
        ),
        (
            "websockets' ServerProtocol",
            getattr(protocol, "conn", None),
            "current_size fail handshake_exc parser parser_exc",
        ),
    ]
    for owner, thing, names in needed:
        for name in names.split():
            if not hasattr(thing, name):
                raise Incompatible(f"{owner} has no {name} any more: pin the version in requirements.lock")
    if not _between_frames(Protocol(Side.SERVER, state=OPEN)):
        raise Incompatible("websockets' parser waits elsewhere between frames: pin the version in requirements.lock")


def _new_parser() -> Protocol:
    return Protocol(Side.SERVER, state=OPEN, max_size=FRAME_MAX_BYTES, logger=_PARSER_LOG)


def _is_utf8(text: bytes) -> bool:
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _between_frames(parser: Protocol) -> bool:
    """Whether everything read so far was whole frames: the parser then waits for a first byte, and can be made anew."""
    waiting: Any = parser.parser
    while waiting.gi_yieldfrom is not None:
        waiting = waiting.gi_yieldfrom
    return waiting.gi_code is _AT_EOF
