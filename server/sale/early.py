"""Early refusals: sold out and closed are answered from memory, to those who surely have nothing of the drop.

Whoever has an order of the drop under way here is not refused so (`Intake`): it may be accepted yet, and may be asked
for again meanwhile. Else two things must be known. That the drop is over: the stream's view on this replica says so,
and un-says it with the first news of a restock. And that nobody asks again for an order that was accepted: who has
bought is read from the database once (in the background, after the drop was known to be over) and kept; whoever is
among them is sent to the database, which gives the first receipt again.

Who bought is complete for a question because

- a **closed** drop accepts nothing any more: what was read after it closed is the whole truth for ever;
- an order of a **sold-out** variant that was accepted before the reading began is in what was read. One accepted later
  must follow a restock, which is a newer version of the stock: once this replica has heard of it the list no longer
  speaks for that variant. Before that, an acceptance on this replica is added as soon as its COMMIT returns (a batch
  of unknown outcome as a whole), and one on another replica belongs to a viewer who was there: when they move here
  their socket is younger than the list, and the list does not speak to it.

What remains: a viewer with sockets on two replicas at once, or one who moved while their order was not decided, buys on
the other replica what was restocked a moment ago, and asks for that very order here before the news of the restock is
here (the bus's milliseconds; a second when it lost the message; `TRUSTED_S` whatever happens): they hear `sold_out`,
and a moment later get their receipt. A `ref` that was accepted in *another* drop would be a `conflict` and is answered
`sold_out` or `drop_closed`: all of them refuse, and nothing is bought.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from server import metrics, tasks
from server.domain.drop import Drop, DropStatus, DropVariant
from server.domain.errors import Reason, Unavailable
from server.domain.news import News
from server.domain.order import Accepted, OrderRequest, Receipt
from server.protocol.frames import PlaceOrder
from server.sale.ports import BuyersBook

log = logging.getLogger(__name__)

BUYERS_MAX = 50_000
"""Buyers of one drop that are kept, about 7 MB. A drop with more has no shortcut: its orders all go to the database."""

KEPT_MAX = 100_000
"""Buyers of all drops together. When more, the drops that were asked for longest ago are forgotten."""

DROPS_MAX = 200
"""Drops whose buyers are kept, and drops that may wait to be read; a further one has to wait for its shortcut."""

READ_EVERY_S = 1.0
"""A drop's buyers are read at most this often; meanwhile orders that the list does not speak for go to the database."""

TRUSTED_S = 10.0
"""How long the buyers of a sold-out drop are believed without being read again: bounds what a deaf replica can miss."""

CLOCKS_AGREE_MS = 10_000
"""Around a drop's closing time the database's clock decides; beyond this ours will do. Longer than any transaction."""


@dataclass(slots=True)
class _Buyers:
    """Who bought, as of a reading that began at `begun_at_s` and for stock of these `versions`."""

    begun_at_s: float
    final: bool
    versions: dict[str, int]
    viewers: set[str] | None = field(default_factory=set)  # None: too many to keep

    def add(self, viewers: set[str]) -> None:
        if self.viewers is not None:
            self.viewers |= viewers
            if len(self.viewers) > BUYERS_MAX:
                self.viewers = None


@dataclass(frozen=True, slots=True)
class _Verdict:
    """What `decide` would say to somebody who has nothing of the drop. `final`: at any later time too."""

    reason: Reason
    variant: DropVariant
    final: bool


class EarlyRefusals:
    """Knows who may be refused without asking the database. It never grants.

    Stands around the book of orders, so that it sees who buys here. Owns one task, which lives while there is somebody
    to read and ends with `close()`.
    """

    def __init__(
        self,
        book: BuyersBook,
        *,
        now_s: Callable[[], float] = time.monotonic,
        now_ms: Callable[[], int] = lambda: time.time_ns() // 1_000_000,
    ) -> None:
        self._book = book
        self._now_s = now_s
        self._now_ms = now_ms
        self._buyers: OrderedDict[str, _Buyers] = OrderedDict()
        self._to_read: dict[str, _Buyers] = {}
        self._reader: asyncio.Task[None] | None = None

    async def close(self) -> None:
        """Ends the reading."""
        await tasks.stop(self._reader)

    async def commit(self, drop_id: str, batch: Sequence[OrderRequest]) -> tuple[tuple[Receipt, ...], News | None]:
        """The book's own `commit`; who was, or may have been, accepted counts as a buyer from here on."""
        try:
            receipts, news = await self._book.commit(drop_id, batch)
        except BaseException:
            self._bought(drop_id, batch)
            raise
        self._bought(drop_id, [r for r, said in zip(batch, receipts, strict=True) if isinstance(said, Accepted)])
        return receipts, news

    async def look_up(self, drop_id: str, batch: Sequence[OrderRequest]) -> tuple[Receipt | None, ...]:
        """The book's own; whoever is in such a batch counts as a buyer already."""
        return await self._book.look_up(drop_id, batch)

    async def ping(self) -> None:
        """The book's own."""
        await self._book.ping()

    def refusal(self, drop: Drop, order: PlaceOrder, viewer: str, joined_at_s: float) -> Reason | None:
        """Why the order is refused, if that is sure; None: ask the database.

        `drop` is this replica's view of it, `joined_at_s` the monotonic second in which the viewer's socket joined.
        """
        verdict = _judge(drop, order, self._now_ms)
        if verdict is None:
            return None
        buyers = self._buyers.get(drop.id)
        if buyers is None or not self._speaks(buyers, verdict, joined_at_s):
            if buyers is None or buyers.viewers is not None:
                self._want(drop, buyers, final=verdict.final)
            return None
        self._buyers.move_to_end(drop.id)
        if buyers.viewers is None or viewer in buyers.viewers:
            return None
        metrics.RECEIPTS.labels(verdict.reason.value).inc()
        metrics.REFUSED_EARLY.inc()
        return verdict.reason

    def _speaks(self, buyers: _Buyers, verdict: _Verdict, joined_at_s: float) -> bool:
        """Whether a list of buyers is complete for this question: see the top."""
        if verdict.final:
            return buyers.final
        return (
            buyers.versions.get(verdict.variant.id) == verdict.variant.version
            and joined_at_s < buyers.begun_at_s
            and self._now_s() - buyers.begun_at_s < TRUSTED_S
        )

    def _bought(self, drop_id: str, requests: Sequence[OrderRequest]) -> None:
        for buyers in (self._buyers.get(drop_id), self._to_read.get(drop_id)):
            if buyers is not None and requests:
                buyers.add({request.viewer for request in requests})

    def _want(self, drop: Drop, last: _Buyers | None, *, final: bool) -> None:
        now = self._now_s()
        if drop.id in self._to_read or len(self._to_read) >= DROPS_MAX:
            return
        if last is not None and now - last.begun_at_s < READ_EVERY_S:
            return
        self._to_read[drop.id] = _Buyers(now, final, {variant.id: variant.version for variant in drop.variants})
        if self._reader is None or self._reader.done():
            self._reader = tasks.start(self._read_all(), "early refusals: buyers", may_end=True)

    async def _read_all(self) -> None:
        while self._to_read:
            drop_id, buyers = next(iter(self._to_read.items()))
            try:
                read = await self._book.buyers(drop_id, BUYERS_MAX)
            except Unavailable as error:
                log.warning("who bought cannot be read", extra={"drop": drop_id, "error": str(error)})
                await asyncio.sleep(READ_EVERY_S)  # while it is wanted nobody else wants it
            else:
                if read is None:
                    buyers.viewers = None
                else:
                    buyers.add(set(read))
                self._keep(drop_id, buyers)
            finally:
                del self._to_read[drop_id]

    def _keep(self, drop_id: str, buyers: _Buyers) -> None:
        self._buyers[drop_id] = buyers
        self._buyers.move_to_end(drop_id)
        kept = sum(len(known.viewers or ()) for known in self._buyers.values())
        while len(self._buyers) > DROPS_MAX or kept > KEPT_MAX:
            _, forgotten = self._buyers.popitem(last=False)
            kept -= len(forgotten.viewers or ())


def _judge(drop: Drop, order: PlaceOrder, now_ms: Callable[[], int]) -> _Verdict | None:
    """`decide` for a viewer without orders, as far as it is over: None when it may be bought, or when it is unsure."""
    variant = _variant(drop, order)
    if variant is None or drop.status is DropStatus.SCHEDULED or not 1 <= order.quantity <= drop.limit:
        return None
    if drop.status is DropStatus.CLOSED:
        return _Verdict(Reason.DROP_CLOSED, variant, final=True) if _has_opened(drop) else None
    if drop.closes_at is not None and now_ms() > drop.closes_at - CLOCKS_AGREE_MS:
        past = now_ms() > drop.closes_at + CLOCKS_AGREE_MS and _has_opened(drop)
        return _Verdict(Reason.DROP_CLOSED, variant, final=True) if past else None
    return _Verdict(Reason.SOLD_OUT, variant, final=False) if variant.left == 0 else None


def _has_opened(drop: Drop) -> bool:
    """Whether the time to open is past now that the drop has closed; before it, `decide` says `not_open`."""
    return drop.opens_at is None or (drop.closes_at is not None and drop.opens_at <= drop.closes_at)


def _variant(drop: Drop, order: PlaceOrder) -> DropVariant | None:
    """As `decide` finds it."""
    if order.variant is None:
        return drop.variants[0] if len(drop.variants) == 1 else None
    return next((variant for variant in drop.variants if variant.id == order.variant), None)
