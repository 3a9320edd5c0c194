"""A viewer in Python: follows one stream over the socket, comes back with its position, orders exactly once.

    async with Viewer("http://127.0.0.1:8080", "demo", ticket=lambda: person.ticket("demo")) as viewer:
        state = await viewer.until(lambda state: any_open(state))
        receipt = await viewer.order(drop.id, 1, variant.id)

What it does by itself, after docs/protocol.md:

- folds events and stock into `state` with `server.domain.stream`, as every page does in JavaScript;
- after a lost connection comes back with its position and full jitter; `missed` and `snapshot` are one to its user;
- obeys `drain` (comes back when it was told to) and close codes (4500 and above: never again);
- sends an order again, under the same `ref`, after every reconnect until its receipt is there;
- takes silence of more than two ticks, a hole in `seq`, or a frame that cannot be read for a broken link.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from types import MappingProxyType, TracebackType
from typing import Self

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from loadtest.backoff import Backoff
from loadtest.errors import Gone, Over, Refusal
from server.domain import stream as fold
from server.domain.drop import StockLine
from server.domain.stream import StreamState
from server.protocol import codec, frames
from server.protocol.codes import CloseCode

ORDERS_MAX = 16
"""Orders of one viewer that may wait for their receipts; one more waits until there is room."""

GIVE_UP_AFTER_S = 30.0
"""How long a viewer tries to come back before it gives up with `Gone`."""

WELCOME_MAX_BYTES = 4 * 1024 * 1024
"""Largest frame taken from a server: a snapshot or a thousand events."""

LOST = 1006
"""What RFC 6455 calls a connection that ended without a close frame."""

_SETTLED_S = 5.0  # a link that lasted this long starts its next backoff from the beginning
_WELCOME_WITHIN_S = 10.0
_OPEN_WITHIN_S = 5.0
_CLOSE_WITHIN_S = 0.5


class Broken(Exception):
    """The link cannot be used any longer: what to do is to come back."""


class Viewer:
    """One viewer of one stream. `ticket` gives a fresh ticket for each connection; None watches as a guest.

    Owns one task, from `async with` to its end. When the link ends for good, everybody who waits gets its error:
    `Gone` (nobody answered for `give_up_after_s`), `Over` (told not to come back), `CannotGoOn`, `Refusal`.
    """

    def __init__(
        self,
        url: str,
        stream: str,
        *,
        ticket: Callable[[], Awaitable[str]] | None = None,
        backoff: Backoff | None = None,
        give_up_after_s: float = GIVE_UP_AFTER_S,
        chance: random.Random | None = None,
    ) -> None:
        self._address = socket_address(url, stream)
        self._ticket = ticket
        self._backoff = backoff or Backoff()
        self._give_up_after_s = give_up_after_s
        self._chance = chance or random.Random()
        self.state: StreamState | None = None
        """The stream as this viewer sees it; None before the first welcome. It stays while the link is down."""
        self.linked = False
        """Whether the viewer is connected and welcome now."""
        self.reconnects = 0
        """How often the viewer had to come back."""
        self._epoch = ""
        self._tick_s = 15.0
        self._come_back_at: float | None = None
        self._ticket_refused = False
        self._socket: ClientConnection | None = None
        self._orders: dict[str, tuple[frames.PlaceOrder, asyncio.Future[frames.Receipt]]] = {}
        self._room = asyncio.BoundedSemaphore(ORDERS_MAX)
        self._changed: asyncio.Future[None] | None = None
        self._end: Exception | None = None
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._task = asyncio.create_task(self._keep_linked(), name=f"viewer: {self._address}")
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def until(self, condition: Callable[[StreamState], bool]) -> StreamState:
        """The stream's state as soon as `condition` holds for it. Raises the link's error when it ends before."""
        while True:
            if self.state is not None and condition(self.state):
                return self.state
            await self._change()

    async def order(
        self, drop: str, quantity: int, variant: str | None = None, *, ref: str | None = None
    ) -> frames.Receipt:
        """Orders and waits for the receipt, over as many connections as it takes; it is never bought twice.

        A rejection with `retry` may be asked again with the same `ref`, after `retry_in_ms` if it says when. Cancelling
        stops the waiting only: the order may be taken all the same. Raises the link's error when it ends before the
        answer.
        """
        order = frames.PlaceOrder(ref or secrets.token_hex(8), drop, quantity, variant)
        async with self._room:
            self._raise_if_ended()
            answer: asyncio.Future[frames.Receipt] = asyncio.get_running_loop().create_future()
            self._orders[order.ref] = order, answer
            try:
                if self.linked and self._socket is not None:
                    await self._say(self._socket, order)
                return await answer
            finally:
                self._orders.pop(order.ref, None)

    # The link

    async def _keep_linked(self) -> None:
        """Connects, follows, comes back; ends with the error everybody then gets."""
        attempt, heard_at = 0, time.monotonic()
        try:
            while True:
                began = time.monotonic()
                asked_s = await self._link_once()
                now = time.monotonic()
                if self.linked or asked_s is not None:
                    heard_at = now
                if self.linked and now - began > _SETTLED_S:
                    attempt = 0
                self._unlink()
                if now - heard_at > self._give_up_after_s:
                    raise Gone(f"no answer from {self._address} for {self._give_up_after_s:.0f} s")
                await asyncio.sleep(self._backoff.delay_s(attempt, self._chance) if asked_s is None else asked_s)
                attempt += 1
                self.reconnects += 1
        except Exception as end:  # a bug as well: it goes to those who wait, who would wait for ever otherwise
            self._finish(end)
        except asyncio.CancelledError:
            self._finish(Over(CloseCode.DONE, "left"))
            raise

    async def _link_once(self) -> float | None:
        """Follows until the link breaks; how long the server asked to stay away, None when it did not say."""
        self._come_back_at = None
        try:
            await self._follow()
        except Refusal as refusal:
            if not refusal.passing:
                raise
            if refusal.status == 429:  # the crowd's other members were told the same: spread out
                return (refusal.retry_after_s or 0.0) + self._backoff.delay_s(1, self._chance)
        except (Broken, ConnectionClosed, InvalidHandshake, OSError, httpx.TransportError):
            pass  # whatever it was: come back
        return self._come_back_in_s()

    async def _follow(self) -> None:
        """One connection, to its end. Raises `Over` when it was the last one, else what broke it."""
        ticket = await self._ticket() if self._ticket is not None else None
        async with connect(
            self._address,
            compression=None,
            ping_interval=None,  # ticks show a dead link
            max_size=WELCOME_MAX_BYTES,
            open_timeout=_OPEN_WITHIN_S,
            close_timeout=_CLOSE_WITHIN_S,
            proxy=None,  # proxies of the machine are not for a load test
        ) as socket:
            self._socket = socket
            position = frames.Position(self._epoch, self.state.seq) if self.state is not None else None
            try:
                await self._say(socket, frames.Hello(1, ticket, position))
                while True:
                    async with asyncio.timeout(self._patience_s()):
                        text = await socket.recv()
                    welcomed = self._hear(text)
                    if welcomed:
                        for order, _ in list(self._orders.values()):
                            await self._say(socket, order)
            except ConnectionClosed as closed:
                self._obey(closed.rcvd.code if closed.rcvd else LOST, closed.rcvd.reason if closed.rcvd else "")
            finally:
                self._socket = None

    def _obey(self, code: int, reason: str) -> None:
        """Raises what a close code asks for: `Broken` to come back, `Over` not to."""
        fresh_ticket = code == CloseCode.NOT_ALLOWED and self._ticket is not None and not self._ticket_refused
        self._ticket_refused = code == CloseCode.NOT_ALLOWED
        if fresh_ticket or comes_back(code):  # a ticket may have expired on the way; another one is another question
            raise Broken(f"closed with {code}")
        raise Over(code, reason)

    def _patience_s(self) -> float:
        """How long the next frame may take: two ticks and a bit, or until the server told us to come back."""
        if not self.linked:
            return _WELCOME_WITHIN_S
        come_back_in_s = self._come_back_in_s()
        return 2 * self._tick_s + 5.0 if come_back_in_s is None else come_back_in_s

    def _come_back_in_s(self) -> float | None:
        """How long the server that leaves asked to stay away, from now; None when it did not."""
        return None if self._come_back_at is None else max(0.0, self._come_back_at - time.monotonic())

    @staticmethod
    async def _say(socket: ClientConnection, frame: frames.ClientFrame) -> None:
        # whoever reads finds out that the link is gone, and an order is said again after the next welcome
        with contextlib.suppress(ConnectionClosed):
            await socket.send(codec.encode(frame))

    def _unlink(self) -> None:
        self.linked = False
        self._tell_change()

    def _finish(self, end: Exception) -> None:
        self._end = end
        self.linked = False
        for _, answer in self._orders.values():
            if not answer.done():
                answer.set_exception(end)
        self._tell_change()

    def _raise_if_ended(self) -> None:
        if self._end is not None:
            raise self._end

    async def _change(self) -> None:
        """Waits for the next change of the state or the link. Raises the link's error once it has ended."""
        self._raise_if_ended()
        if self._changed is None:
            self._changed = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._changed)  # shared by all who wait: one of them leaving must not cancel it
        self._raise_if_ended()

    def _tell_change(self) -> None:
        if self._changed is not None:
            self._changed.set_result(None)
            self._changed = None

    # What is heard

    def _hear(self, text: str | bytes) -> bool:
        """Takes in one frame; True after a welcome. Raises `Broken` before anything that cannot be right."""
        try:
            frame = codec.decode_server(text)
            match frame:
                case frames.Welcome():
                    self._welcome(frame)
                case frames.EventFrame():
                    self._event(frame)
                case frames.Stock(stock=lines):
                    self.state = fold.with_stock(self._known(), lines)
                case frames.Receipt(ref=ref):
                    _, answer = self._orders.get(ref, (None, None))
                    if answer is not None and not answer.done():
                        answer.set_result(frame)
                case frames.Tick(seq=seq, viewers=viewers):
                    state = self._known()
                    if seq > state.seq:
                        raise Broken(f"the stream is at {seq}, heard {state.seq}")
                    self.state = replace(state, stream=replace(state.stream, viewers=viewers))
                case frames.DrainFrame(reconnect_in_ms=reconnect_in_ms):
                    self._come_back_at = time.monotonic() + reconnect_in_ms / 1000
                case frames.Fault():
                    pass  # its close code follows and says it all
        except msgspec.DecodeError as error:
            raise Broken(f"a frame cannot be read: {error}") from None
        self._tell_change()
        return isinstance(frame, frames.Welcome)

    def _welcome(self, welcome: frames.Welcome) -> None:
        if isinstance(welcome.missed, msgspec.UnsetType):
            if isinstance(welcome.snapshot, msgspec.UnsetType):
                raise Broken("a welcome with neither snapshot nor missed")
            whole = msgspec.json.decode(welcome.snapshot, type=frames.Snapshot)
            drops = MappingProxyType({drop.id: drop for drop in whole.drops})
            self.state = StreamState(whole.stream, drops, welcome.position.seq)
        else:
            for event in msgspec.json.decode(welcome.missed, type=list[frames.EventFrame]):
                self._event(event)
        stock = msgspec.json.decode(welcome.stock, type=tuple[StockLine, ...])
        self.state = fold.with_stock(self._known(), stock)
        self._epoch = welcome.position.epoch
        self._tick_s = welcome.tick_ms / 1000
        self.linked = True

    def _event(self, frame: frames.EventFrame) -> None:
        state = self._known()
        if frame.seq > state.seq + 1:
            raise Broken(f"event {frame.seq} after {state.seq}")
        self.state = fold.apply(state, codec.read_event(frame), frame.seq)

    def _known(self) -> StreamState:
        if self.state is None:
            raise Broken("something before the first welcome")
        return self.state


def comes_back(code: int) -> bool:
    """Whether a client should connect again after this close code: after ours as they say, after a lost link always."""
    if code in set(CloseCode):
        return CloseCode(code).come_back
    return 4000 <= code < 4500 or code in (1001, 1005, LOST, 1011, 1014)


def socket_address(url: str, stream: str) -> str:
    """The address of a stream's socket at the shop whose address is `url`."""
    scheme, _, rest = url.rstrip("/").partition("://")
    return f"{'wss' if scheme == 'https' else 'ws'}://{rest}/ws/{stream}"
