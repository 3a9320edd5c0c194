"""Whatever is ordered, restocked, closed and asked again, on two replicas that hear of it late: memory wrongs nobody.

A refusal from memory is one that `decide` would have given at the moment this replica's view is of; and whoever asks
again for an order of theirs that was accepted is sent to the database. A viewer has one socket at a time, and moves
only when their orders are answered: what else can happen is told at the top of `server/sale/early.py`.
"""

# ruff: noqa: ARG002  every step of a story has the same shape

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from copy import deepcopy
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from server.domain.drop import Drop, DropStatus, DropVariant
from server.domain.errors import Unavailable
from server.domain.ids import new_id
from server.domain.news import News
from server.domain.order import Accepted, OrderRequest, Receipt, Rejected
from server.domain.stock import Offer, decide
from server.protocol.frames import PlaceOrder
from server.sale import early as early_module
from server.sale.early import EarlyRefusals

from .shops import NOON, Shop

VIEWERS = ("ann", "bob", "cat")
REFS = ("r1", "r2", "r3")
DROP = Drop(
    id="hoodie",
    title="Hoodie",
    image=None,
    price=2400,
    currency="USD",
    limit=2,
    opens_at=NOON,
    closes_at=None,
    variants=(DropVariant("S", "Small", 1, 1), DropVariant("M", "Medium", 1, 1)),
    status=DropStatus.OPEN,
    product="p1",
)

Step = tuple[str, int, int, int]
Make = Callable[["Book", Callable[[], float]], EarlyRefusals]


class Truth:
    """The database: the drop as it is, what was ordered, and how both were at every moment."""

    def __init__(self) -> None:
        self.drop = DROP
        self.shop = Shop(_offer(DROP))
        self.history: list[tuple[Drop, Shop]] = []
        self.remember()

    def remember(self) -> None:
        self.history.append((self.drop, deepcopy(self.shop)))

    def order(self, requests: Sequence[OrderRequest]) -> tuple[Receipt, ...]:
        self.shop.offer = _offer(self.drop)
        decision = self.shop.commit(requests, NOON)
        self.change(
            lambda v: (
                replace(v, left=v.left - decision.taken[v.id], version=v.version + 1) if v.id in decision.taken else v
            )
        )
        return decision.receipts

    def change(self, how: Callable[[DropVariant], DropVariant], status: DropStatus | None = None) -> None:
        variants = tuple(map(how, self.drop.variants))
        if status is None:
            status = self.drop.status
            if status is not DropStatus.CLOSED:
                status = DropStatus.OPEN if any(v.left for v in variants) else DropStatus.SOLD_OUT
        self.drop = replace(self.drop, variants=variants, status=status)
        self.remember()


def _offer(drop: Drop) -> Offer:
    return Offer(
        drop.id, "friday", drop.product, drop.title, drop.status, drop.price, drop.currency, drop.limit,
        drop.opens_at, drop.closes_at, {v.id: v.left for v in drop.variants},
    )  # fmt: skip


@dataclass
class Book:
    """The book of one replica. `gates` hold back what a test wants to be slow."""

    truth: Truth
    unsure: bool = False
    slow: asyncio.Event | None = None
    reading: asyncio.Event = field(default_factory=asyncio.Event)
    reads_late: bool = False

    async def commit(self, drop_id: str, batch: Sequence[OrderRequest]) -> tuple[tuple[Receipt, ...], News | None]:
        slow, unsure = self.slow, self.unsure
        if slow is not None:
            await slow.wait()
        receipts = self.truth.order(batch)
        if unsure:
            raise Unavailable("committed, but nobody knows")
        return receipts, None

    async def buyers(self, drop_id: str, most: int) -> frozenset[str] | None:
        self.reading = asyncio.Event()
        early = frozenset(self.truth.shop.bought)
        await self.reading.wait()
        read = frozenset(self.truth.shop.bought) if self.reads_late else early
        return read if len(read) <= most else None


class Play:
    """Two replicas, three viewers, one clock."""

    def __init__(self, make: Make) -> None:
        self.now = 0.0
        self.truth = Truth()
        self.books = [Book(self.truth), Book(self.truth)]
        self.earlies = [make(book, lambda: self.now) for book in self.books]
        self.views = [0, 0]
        self.where = {viewer: (n % 2, self.now) for n, viewer in enumerate(VIEWERS)}
        self.pending: dict[str, int] = dict.fromkeys(VIEWERS, 0)
        self.orders: list[asyncio.Task[None]] = []
        self.refused = 0

    async def run(self, steps: list[Step]) -> int:
        """Plays all steps; how often memory refused."""
        try:
            for kind, a, b, c in steps:
                self.now += 0.01
                getattr(self, kind)(a, b, c)
                for _ in range(4):
                    await asyncio.sleep(0)
            for book in self.books:
                if book.slow:
                    book.slow.set()
            await asyncio.gather(*self.orders)
        finally:
            for early in self.earlies:
                await early.close()
        return self.refused

    def order(self, a: int, b: int, c: int) -> None:
        viewer, ref, variant = VIEWERS[a % 3], REFS[b % 3], "SSSM"[c % 4]
        replica, joined_at = self.where[viewer]
        drop, then = self.truth.history[self.views[replica]]
        reason = self.earlies[replica].refusal(drop, PlaceOrder(ref, drop.id, 1, variant), viewer, joined_at)
        request = OrderRequest(new_id(), viewer, ref, drop.id, variant, 1)
        if reason is None:
            self.pending[viewer] += 1
            self.orders.append(asyncio.create_task(self._ordered(replica, request)))
            return
        self.refused += 1
        assert (viewer, ref) not in self.truth.shop.earlier, "an accepted order was refused when asked for again"
        offer = _offer(drop)
        (said,) = decide(offer, [request], earlier=then.earlier, bought=then.bought, now_ms=NOON).receipts
        assert said == Rejected(ref, reason), "refused what could be bought"

    async def _ordered(self, replica: int, request: OrderRequest) -> None:
        known = self.truth.shop.earlier.get((request.viewer, request.ref))
        try:
            (receipt,), _ = await self.earlies[replica].commit(request.drop, [request])
        except Unavailable:
            return
        finally:
            self.pending[request.viewer] -= 1
        if known is not None and known.variant == request.variant:
            assert isinstance(receipt, Accepted)
            assert receipt.order == known.id

    def move(self, a: int, b: int, c: int) -> None:
        viewer = VIEWERS[a % 3]
        if not self.pending[viewer]:
            self.where[viewer] = (b % 2, self.now)

    def hear(self, a: int, b: int, c: int) -> None:
        last = len(self.truth.history) - 1
        self.views[a % 2] = last if c % 2 else min(last, self.views[a % 2] + 1)

    def restock(self, a: int, b: int, c: int) -> None:
        if self.truth.drop.status is not DropStatus.CLOSED:
            variant = "SM"[a % 2]
            self.truth.change(lambda v: replace(v, left=v.left + 1, version=v.version + 1) if v.id == variant else v)

    def close(self, a: int, b: int, c: int) -> None:
        if c % 4 == 0:
            self.truth.change(lambda v: replace(v, left=0, version=v.version + 1), DropStatus.CLOSED)

    def read(self, a: int, b: int, c: int) -> None:
        self.books[a % 2].reads_late = bool(b % 2)
        self.books[a % 2].reading.set()

    def slow(self, a: int, b: int, c: int) -> None:
        book = self.books[a % 2]
        if book.slow is None:
            book.slow = asyncio.Event()
        else:
            book.slow.set()
            book.slow = None

    def unsure(self, a: int, b: int, c: int) -> None:
        self.books[a % 2].unsure = not self.books[a % 2].unsure

    def wait(self, a: int, b: int, c: int) -> None:
        self.now += (0.3, 1.1, 11.0)[a % 3]


def real(book: Book, now_s: Callable[[], float]) -> EarlyRefusals:
    return EarlyRefusals(book, now_s=now_s, now_ms=lambda: NOON)


KINDS = ["order"] * 7 + ["hear"] * 3 + ["read"] * 3 + ["restock", "move", "slow", "unsure", "wait", "wait", "close"]
numbers = st.integers(0, 11)


# The drop sells out, and its buyers are read on both replicas; from there on anything may happen.
SOLD_OUT: list[Step] = [
    ("order", 0, 0, 0),  # ann, on the first replica, takes the only S
    ("hear", 0, 0, 1),
    ("hear", 1, 0, 1),
    ("wait", 0, 0, 0),
]
READ_HERE: list[Step] = [("order", 2, 0, 0), ("read", 0, 0, 0)]  # cat, on the first replica too
READ_THERE: list[Step] = [("order", 1, 0, 0), ("read", 1, 0, 0)]  # bob, on the second
histories = st.lists(st.tuples(st.sampled_from(KINDS), numbers, numbers, numbers), min_size=10, max_size=60).map(
    lambda steps: [*SOLD_OUT, *READ_HERE, *READ_THERE, *steps]
)


@settings(max_examples=400, deadline=None)
@given(histories)
def test_memory_refuses_only_what_the_database_would_and_never_an_accepted_order(steps: list[Step]) -> None:
    asyncio.run(Play(real).run(steps))


class Young(EarlyRefusals):
    """Speaks to sockets that are younger than the list."""

    def _speaks(self, buyers: early_module._Buyers, verdict: early_module._Verdict, joined_at_s: float) -> bool:
        return super()._speaks(buyers, verdict, -1.0)


class Absent(EarlyRefusals):
    """Does not see who buys here."""

    def _bought(self, drop_id: str, requests: Sequence[OrderRequest]) -> None: ...


class Certain(EarlyRefusals):
    """Takes a commit of unknown outcome for none."""

    async def commit(self, drop_id: str, batch: Sequence[OrderRequest]) -> tuple[tuple[Receipt, ...], News | None]:
        receipts, news = await self._book.commit(drop_id, batch)
        self._bought(drop_id, batch)
        return receipts, news


# A story for each rule: restocked unheard, sold, and asked for again.
STORIES: dict[str, tuple[type[EarlyRefusals], list[Step]]] = {
    "a socket younger than the list": (
        Young,
        [*SOLD_OUT, *READ_HERE, ("restock", 0, 0, 0), ("order", 1, 0, 0), ("move", 1, 0, 0), ("order", 1, 0, 0)],
    ),
    "bought here before the news": (
        Absent,
        [*SOLD_OUT, ("slow", 0, 0, 0), ("order", 2, 1, 0), ("read", 0, 0, 0), ("restock", 0, 0, 0), ("slow", 0, 0, 0),
         ("order", 2, 1, 0)],
    ),
    "bought here with an unknown outcome": (
        Certain,
        [*SOLD_OUT, ("slow", 0, 0, 0), ("unsure", 0, 0, 0), ("order", 2, 1, 0), ("read", 0, 0, 0), ("restock", 0, 0, 0),
         ("slow", 0, 0, 0), ("unsure", 0, 0, 0), ("order", 2, 1, 0)],
    ),
}  # fmt: skip


@pytest.mark.parametrize("story", STORIES)
def test_the_law_needs_the_rule_about(story: str) -> None:
    broken, steps = STORIES[story]
    asyncio.run(Play(real).run(steps))
    with pytest.raises(AssertionError, match="accepted order was refused"):
        asyncio.run(Play(lambda book, now_s: broken(book, now_s=now_s, now_ms=lambda: NOON)).run(steps))


def test_the_stories_of_the_law_do_refuse_from_memory() -> None:
    refused = 0

    @settings(max_examples=300, deadline=None, database=None, derandomize=True, phases=[Phase.generate])
    @given(histories)
    def count(steps: list[Step]) -> None:
        nonlocal refused
        refused += asyncio.run(Play(real).run(steps))

    count()
    assert refused > 100
