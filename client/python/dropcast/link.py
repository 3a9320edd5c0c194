"""The link to one stream: connects, follows, comes back, until it is told not to."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from time import monotonic

import httpx
from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed, WebSocketException

from dropcast import comeback, frames
from dropcast.comeback import Backoff
from dropcast.door import Door
from dropcast.errors import LinkOver, Refused, Unreachable
from dropcast.following import Following, Gap
from dropcast.news import LinkChange, LinkState, News

BEHIND_S = 2.0
"""How long a tick may be ahead of the events before that counts as a gap."""

_WELCOME_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Listener:
    """Who is told what the link hears."""

    tell: Callable[[list[News]], None]
    welcome: Callable[[], Awaitable[None]]
    """The link is live, and what it brought is told."""

    room: Callable[[], Awaitable[None]]
    """Returns when one more frame may be read."""


class Link:
    """Keeps one connection at a time. `run` is its task, owned by whoever made it."""

    def __init__(self, door: Door, listener: Listener, backoff: Backoff, give_up_after_s: float | None) -> None:
        self._door = door
        self._listener = listener
        self._backoff = backoff
        self._give_up_after_s = give_up_after_s
        self.following = Following()
        self.state = LinkState.CONNECTING
        self.reconnects = 0
        self.trouble = "no answer"
        """What went wrong last."""
        self._socket: ClientConnection | None = None
        self._live_since = 0.0
        self._come_back_at: float | None = None
        self._ticket_refused = False
        self._fault = ""

    async def run(self) -> None:
        """Never returns.

        Raises `LinkOver`, `Refused` for an upgrade that will not pass, `BadAnswer`, `Unreachable` when nobody has
        answered for `give_up_after_s`, and what the ticket's callable raises unless that may pass.
        """
        attempt, heard_at = 0, monotonic()
        while True:
            await self._listener.room()
            self.become(LinkState.CONNECTING)
            code, asked_s = await self._once()
            now = monotonic()
            if self.state is LinkState.LIVE:
                heard_at = now
                attempt = 0 if now - self._live_since >= comeback.STABLE_S else attempt
            if self._give_up_after_s is not None and now - heard_at > self._give_up_after_s:
                raise Unreachable(f"nobody for {self._give_up_after_s} s: {self.trouble}")
            drain_left_s = None if self._come_back_at is None else self._come_back_at - now
            luck = random.random()  # noqa: S311  jitter, no secret
            wait_s = comeback.wait_s(self._backoff, code, attempt, luck, drain_left_s)
            self.become(LinkState.WAITING, code)
            await asyncio.sleep(asked_s + wait_s)
            attempt += 1
            self.reconnects += 1

    async def say(self, order: frames.PlaceOrder) -> None:
        """Sends an order if the link is live."""
        if self.state is LinkState.LIVE and self._socket is not None:
            with contextlib.suppress(ConnectionClosed):  # whoever reads finds out, and comes back
                await self._socket.send(frames.encode(order))

    def become(self, state: LinkState, code: int | None = None) -> None:
        """Changes the state, and tells."""
        self.state = state
        self._listener.tell([LinkChange(state, code)])

    async def _once(self) -> tuple[int, float]:
        """One connection from beginning to end: what it was closed with, and how long the shop asked to stay away."""
        self._come_back_at = None
        self._fault = ""
        try:
            socket = await self._door.enter(self.following.position)
        except Refused as refused:
            if not refused.passing:
                raise
            self.trouble = str(refused)
            return comeback.TOO_BUSY, refused.retry_after_s or 0.0
        except (Unreachable, WebSocketException, OSError, httpx.TransportError) as error:
            self.trouble = f"{type(error).__name__}: {error}"
            return comeback.LOST, 0.0
        self._socket = socket
        try:
            code = await self._follow(socket)
        except Gap as gap:
            self.trouble, code = str(gap), comeback.LOST
        except ConnectionClosed as closed:
            code = closed.rcvd.code if closed.rcvd is not None else comeback.LOST
            self.trouble = f"closed with {code}"
        finally:
            self._socket = None
            await socket.close()
        self._obey(code)
        return code, 0.0

    async def _follow(self, socket: ClientConnection) -> int:
        """Reads until it is time to leave by oneself; as which code. Raises `Gap`, `ConnectionClosed`, `BadAnswer`."""
        following = self.following
        heard_at = monotonic()
        behind_since: float | None = None
        while True:
            await self._listener.room()
            live = self.state is LinkState.LIVE
            leave_at = heard_at + (comeback.dead_after_s(following.tick_s) if live else _WELCOME_WITHIN_S)
            if behind_since is not None:
                leave_at = min(leave_at, behind_since + BEHIND_S)
            if self._come_back_at is not None:
                leave_at = min(leave_at, self._come_back_at)
            try:
                async with asyncio.timeout(leave_at - monotonic()):
                    text = await socket.recv(decode=False)
            except TimeoutError:
                if self._come_back_at is not None:
                    return comeback.RESTARTING
                if behind_since is not None:
                    raise following.gap() from None
                self.trouble = "silence"
                return comeback.LOST
            frame = following.read(text)
            if frame is not None:
                await self._hear(frame)
            heard_at = monotonic()
            behind_since = (behind_since or heard_at) if following.behind else None

    async def _hear(self, frame: frames.ServerFrame) -> None:
        news = self.following.hear(frame)
        match frame:
            case frames.Welcome():
                self._live_since = monotonic()
                self._ticket_refused = False
                self.become(LinkState.LIVE)
                self._listener.tell(news)
                await self._listener.welcome()
                return
            case frames.Drain(reconnect_in_ms=reconnect_in_ms):
                self._come_back_at = monotonic() + reconnect_in_ms / 1000
            case frames.Fault(reason=reason, detail=detail):
                self._fault = f"{reason}: {detail}"
        self._listener.tell(news)

    def _obey(self, code: int) -> None:
        """Raises `LinkOver` for a code that says: do not come back."""
        fresh_ticket = code == comeback.NOT_ALLOWED and self._door.has_tickets and self.state is not LinkState.LIVE
        if fresh_ticket and not self._ticket_refused:  # it may have expired on the way; another one is another question
            self._ticket_refused = True
        elif not comeback.comes_back(code):
            raise LinkOver(code, self._fault)
