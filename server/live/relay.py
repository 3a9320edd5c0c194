"""The relay: for every stream that is watched here, one subscription, one timeline, one room."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from server import metrics, tasks
from server.domain.errors import Unavailable
from server.domain.order import Receipt
from server.domain.views import is_slug
from server.live.courier import Courier
from server.live.hub import Hub
from server.live.ports import Doorbell, Log
from server.live.stream import LiveStream
from server.protocol import codec

log = logging.getLogger(__name__)

SWEEP_S = 1.0
"""How often the log is asked where the watched streams stand: bounds what a lost message on the bus can cost."""

KEPT_S = 30.0
"""How long a stream nobody watches is kept, so that a reload does not open it anew."""

_PRESENCE_EVERY = 3  # sweeps


@dataclass(slots=True)
class _Open:
    stream: LiveStream
    ready: asyncio.Future[bool]
    task: asyncio.Task[None] | None = None
    held: int = 0
    idle_since: float = field(default_factory=time.monotonic)


class Relay:
    """Opens a stream with its first viewer and closes it `KEPT_S` after the last; sweeps, ticks, counts.

    Owns one listening task per open stream, one that sweeps and one that ticks; all end with `close()`.
    """

    def __init__(
        self,
        hub: Hub,
        log_: Log,
        bus: Doorbell,
        courier: Courier,
        *,
        replica: str,
        epoch: str,
        tick_ms: int = 15_000,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._hub = hub
        self._log = log_
        self._bus = bus
        self._courier = courier
        self._replica = replica
        self._epoch = epoch
        self._tick_ms = tick_ms
        self._now_ms = now_ms
        self._open: dict[str, _Open] = {}
        self._sweeper: asyncio.Task[None] | None = None
        self._ticker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Starts to sweep and to tick."""
        self._sweeper = tasks.start(self._sweep_for_ever(), "relay: sweep")
        self._ticker = tasks.start(self._tick_for_ever(), "relay: tick")

    async def close(self) -> None:
        """Ends every task."""
        await tasks.stop(self._sweeper, self._ticker, *(entry.task for entry in self._open.values()))
        self._open.clear()

    async def hold(self, slug: str) -> LiveStream | None:
        """A stream that stays open and true until `release`; None when there is none of that slug.

        Raises `Unavailable` when it has to be opened and the database does not answer.
        """
        entry = self._open.get(slug)
        if entry is None:
            if not is_slug(slug):
                return None
            # asked first, so that a slug nobody has costs no subscription
            heads, _ = await self._log.heads([slug])
            if slug not in heads:
                return None
            entry = self._open.get(slug) or self._start(slug)
        entry.held += 1
        try:
            if await asyncio.shield(entry.ready):
                return entry.stream
        except BaseException:
            self._let_go(entry)
            raise
        self._let_go(entry)
        return None

    def release(self, stream: LiveStream) -> None:
        """One holder less."""
        entry = self._open.get(stream.slug)
        if entry is not None and entry.stream is stream:
            self._let_go(entry)

    @staticmethod
    def _let_go(entry: _Open) -> None:
        entry.held -= 1
        entry.idle_since = time.monotonic()

    def viewers(self, slug: str) -> int:
        """How many people watch a stream, as far as this replica has heard."""
        entry = self._open.get(slug)
        return entry.stream.viewers if entry else 0

    def deliver(self, drop_id: str, viewer_id: str, receipt: Receipt) -> None:
        """A receipt that comes late: its order was answered `busy`, and turned out to be decided. Never waits.

        Goes to every socket of this viewer in the drop's stream, or is told when they come back. When nobody follows
        that stream here it is dropped: asking again with the same `ref` finds it.
        """
        for entry in self._open.values():
            if entry.stream.known(drop_id) is not None:
                entry.stream.bring(viewer_id, receipt, None)
                return

    def _start(self, slug: str) -> _Open:
        stream = LiveStream(
            slug,
            self._hub.room(slug),
            self._log,
            self._courier,
            replica=self._replica,
            epoch=self._epoch,
            tick_ms=self._tick_ms,
            now_ms=self._now_ms,
        )
        entry = self._open[slug] = _Open(stream, asyncio.get_running_loop().create_future())
        entry.task = tasks.start(self._follow(entry), f"relay: {slug}", may_end=True)
        metrics.STREAMS.set(len(self._open))
        return entry

    async def _follow(self, entry: _Open) -> None:
        """Subscribes, then loads, then listens: nothing published in between is missed."""
        slug = entry.stream.slug
        try:
            async with self._bus.listen(slug) as messages:
                entry.ready.set_result(await entry.stream.load())
                await entry.stream.listen(messages)
        except Exception as error:
            if entry.ready.done():
                raise
            entry.ready.set_exception(error)
            entry.ready.exception()  # nobody may be waiting any more: not a bug
            if not isinstance(error, Unavailable):
                raise
        finally:
            if not entry.ready.done():
                entry.ready.cancel()
            if self._open.get(slug) is entry:
                del self._open[slug]
            metrics.STREAMS.set(len(self._open))

    async def _sweep_for_ever(self) -> None:
        sweeps, put_off = 0, False
        while True:
            await asyncio.sleep(SWEEP_S)
            sweeps += 1
            await self._close_idle()
            try:
                await self._sweep()
                if sweeps % _PRESENCE_EVERY == 0:
                    await self._announce_presence()
                put_off = False
            except Unavailable as error:
                if not put_off:  # once an outage, not once a second
                    log.warning("the sweep is put off", extra={"error": str(error)})
                put_off = True

    async def _sweep(self) -> None:
        loaded = {slug: entry.stream for slug, entry in self._open.items() if entry.ready.done()}
        if not loaded:
            return
        heads, stock = await self._log.heads(list(loaded))
        for slug, stream in loaded.items():
            behind = heads.get(slug, 0) - stream.seq
            try:
                if behind > 0:
                    metrics.HEALED.inc(behind)
                    await stream.catch_up()
                stream.restock(stock.get(slug, []))
            except Unavailable:
                raise
            except Exception:  # one stream that cannot be read must not keep the others from being healed
                metrics.BUGS.labels("sweep").inc()
                log.exception("a stream cannot be healed", extra={"stream": slug})

    async def _announce_presence(self) -> None:
        for slug, entry in list(self._open.items()):
            await self._bus.ring(slug, codec.encode(entry.stream.audience.said()))

    async def _close_idle(self) -> None:
        before = time.monotonic() - KEPT_S
        for slug, entry in list(self._open.items()):
            if not entry.held and entry.idle_since < before:
                del self._open[slug]
                self._hub.forget(slug)  # before the await: who opens the stream anew meanwhile gets a room of its own
                await tasks.stop(entry.task)
        metrics.STREAMS.set(len(self._open))

    async def _tick_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self._tick_ms / 1000)
            for entry in self._open.values():
                if entry.ready.done():
                    entry.stream.tick()
