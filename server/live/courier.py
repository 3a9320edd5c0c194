"""The courier: a receipt whose socket is gone finds its viewer, on whichever replica they come back.

    decided, socket gone ──▶ another socket of theirs here that joined since the order was sent: written there
                        └──▶ remembered here, and rung ──▶ every replica of the stream: written there, or remembered
    they join ──▶ what is remembered follows the welcome, and the others are told to forget it

It is a courtesy, not the promise: the promise is that the same `ref`, asked again anywhere, gets its receipt. So what
is forgotten, or rung while the bus was away, costs one question. What is told twice (on two replicas at the same
moment) is the same frame. A join costs neither a query nor a message, but for those who had something to be told.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict, deque
from collections.abc import Callable

from server import metrics, tasks
from server.domain.errors import Unavailable
from server.live.ports import Doorbell
from server.live.room import Room
from server.live.socket import LiveSocket
from server.protocol import codec, frames

log = logging.getLogger(__name__)

REMEMBERED_MAX = 10_000
"""Receipts remembered on one replica, about 5 MB: a full crowd cut in the middle of a sale. The oldest give way."""

REMEMBERED_S = 300.0
"""How long: a page that comes back later than after a few minutes looks at its orders anyway."""

RINGS_MAX = 10_000
"""Entries waiting to be rung. When full the oldest are not rung: this replica alone remembers them, or tells twice."""

BATCH_MAX = 500
"""Entries of one message, about 150 KB: a replica whose crowd is cut speaks in tens of messages, not in thousands."""

_LAST_RINGS_S = 2.0  # at the end; a bus that is away must not keep a replica from leaving
_NEWS_TAKES_S = 1.0  # from queue to ears: who joined elsewhere no longer ago than that may have come after the order


class Courier:
    """Remembers untold receipts of all streams of this replica.

    Everything but `close` is plain and never waits. Owns one task, ended by `close()` after the last ring.
    """

    def __init__(self, bus: Doorbell, replica: str, *, now_s: Callable[[], float] = time.monotonic) -> None:
        self._bus = bus
        self._replica = replica
        self._now_s = now_s
        self._kept: OrderedDict[tuple[str, str, str], tuple[float, str]] = OrderedDict()  # (stream, viewer, ref)
        self._refs: dict[tuple[str, str], list[str]] = {}
        self._rings: deque[tuple[str, frames.Parcel]] = deque(maxlen=RINGS_MAX)
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts to ring."""
        self._task = tasks.start(self._run(), "courier", may_end=True)

    async def close(self) -> None:
        """Rings what is left, as far as that goes within two seconds, then ends."""
        self._closing = True
        self._wake.set()
        try:
            async with asyncio.timeout(_LAST_RINGS_S):
                if self._task is not None:
                    await asyncio.wait([self._task])
                await self._ring_all()
        except TimeoutError:
            log.warning("receipts were not rung", extra={"left": len(self._rings)})
        await tasks.stop(self._task)

    def bring(
        self, slug: str, room: Room[LiveSocket], viewer: str, ref: str, receipt: str, asked_at_s: float | None
    ) -> None:
        """A receipt that could not be given to its socket.

        `asked_at_s` is the monotonic second in which the order was sent: older sockets of this viewer are other pages,
        which know nothing of it. None: it was sent on a socket that was told something else, any of theirs will do.
        """
        if self._write(room, viewer, ref, receipt, asked_at_s):
            return
        self._keep(slug, viewer, ref, receipt)
        ago = None if asked_at_s is None else max(0, round((self._now_s() - asked_at_s) * 1000))
        self._ring(slug, frames.Parcel(viewer, ref, receipt, ago))

    def hear(self, slug: str, room: Room[LiveSocket], news: frames.Parcels) -> None:
        """What another replica could not give, or has given; our own words come back to us and are ignored."""
        if news.replica == self._replica:
            return
        for parcel in news.parcels:
            if parcel.receipt is None:
                self._forget(slug, parcel.viewer, parcel.ref)
                continue
            ago = parcel.asked_ms_ago
            since = None if ago is None else self._now_s() - ago / 1000 - _NEWS_TAKES_S
            if self._write(room, parcel.viewer, parcel.ref, parcel.receipt, since):
                self._ring(slug, frames.Parcel(parcel.viewer, parcel.ref))
            else:
                self._keep(slug, parcel.viewer, parcel.ref, parcel.receipt)

    def tell(self, slug: str, viewer: str, member: LiveSocket) -> None:
        """A viewer was welcomed: tells what was decided while they were away."""
        for ref in self._refs.get((slug, viewer), [])[:]:
            until, receipt = self._kept[slug, viewer, ref]
            if until < self._now_s():
                self._forget(slug, viewer, ref)
            elif member.write(receipt):
                self._forget(slug, viewer, ref)
                self._ring(slug, frames.Parcel(viewer, ref))
                metrics.UNTOLD.labels("told").inc()

    @staticmethod
    def _write(room: Room[LiveSocket], viewer: str, ref: str, receipt: str, since_s: float | None) -> bool:
        """Writes to the viewer's sockets that joined since. A socket that asked for this ref itself has its answer."""
        found = False
        for member in room.of(viewer):
            if member.viewer is None or (since_s is not None and member.joined_at_s < since_s):
                continue  # a guest may call themselves anything
            if member.has_asked(ref) or member.write(receipt):
                found = True
        if found:
            metrics.UNTOLD.labels("elsewhere").inc()
        return found

    def _keep(self, slug: str, viewer: str, ref: str, receipt: str) -> None:
        self._forget(slug, viewer, ref)
        now = self._now_s()
        self._kept[slug, viewer, ref] = (now + REMEMBERED_S, receipt)
        self._refs.setdefault((slug, viewer), []).append(ref)
        while len(self._kept) > REMEMBERED_MAX or next(iter(self._kept.values()))[0] < now:
            self._forget(*next(iter(self._kept)))
            metrics.UNTOLD.labels("forgotten").inc()
        metrics.REMEMBERED.set(len(self._kept))

    def _forget(self, slug: str, viewer: str, ref: str) -> None:
        if self._kept.pop((slug, viewer, ref), None) is None:
            return
        refs = self._refs[slug, viewer]
        refs.remove(ref)
        if not refs:
            del self._refs[slug, viewer]
        metrics.REMEMBERED.set(len(self._kept))

    def _ring(self, slug: str, parcel: frames.Parcel) -> None:
        if len(self._rings) == RINGS_MAX:
            metrics.RINGS_LOST.inc()
        self._rings.append((slug, parcel))
        self._wake.set()

    async def _run(self) -> None:
        while not self._closing:
            await self._wake.wait()
            self._wake.clear()
            await self._ring_all()

    async def _ring_all(self) -> None:
        """In order, so that nobody hears of a receipt after they were told to forget it."""
        while self._rings:
            batches: dict[str, list[frames.Parcel]] = {}
            for _ in range(min(len(self._rings), BATCH_MAX)):
                slug, parcel = self._rings.popleft()
                batches.setdefault(slug, []).append(parcel)
            for slug, parcels in batches.items():
                try:
                    await self._bus.ring(slug, codec.encode(frames.Parcels(self._replica, tuple(parcels))))
                except Unavailable as error:
                    metrics.RINGS_LOST.inc()
                    log.warning("receipts were not rung", extra={"stream": slug, "error": str(error)})
