"""What the laws of stock are about: stories of batches, and `decide`s that forget something."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol

import msgspec
from hypothesis import strategies as st

from server.domain.drop import DropStatus
from server.domain.order import Order, OrderRequest
from server.domain.stock import Decision, Offer, decide

NOON = 1_767_225_600_000
LIMIT_MAX = 4
VIEWERS = ("ann", "bob")
MUG = Offer("mug", "friday", "p2", "Mug", DropStatus.OPEN, 900, "USD", LIMIT_MAX, None, None, {"one": 9})
"""Another drop, under whose orders some refs are taken already."""


class Decide(Protocol):
    def __call__(
        self,
        offer: Offer | None,
        requests: Iterable[OrderRequest],
        *,
        earlier: Mapping[tuple[str, str], Order],
        bought: Mapping[str, int],
        now_ms: int,
    ) -> Decision: ...


@dataclass
class Shop:
    """What the database would hold between batches."""

    offer: Offer | None
    earlier: dict[tuple[str, str], Order] = field(default_factory=dict)
    bought: dict[str, int] = field(default_factory=dict)

    def commit(self, requests: Iterable[OrderRequest], now_ms: int, decide_: Decide = decide) -> Decision:
        """Decides a batch and keeps what it comes to, checking nothing: the laws do."""
        decision = decide_(self.offer, requests, earlier=self.earlier, bought=self.bought, now_ms=now_ms)
        for order in decision.orders:
            self.earlier[order.viewer, order.ref] = order
            self.bought[order.viewer] = self.bought.get(order.viewer, 0) + order.quantity
        if self.offer is not None:
            left = {variant: n - decision.taken.get(variant, 0) for variant, n in self.offer.left.items()}
            self.offer = replace(self.offer, left=left)
        return decision


@dataclass(frozen=True)
class Batch:
    now_ms: int
    requests: tuple[OrderRequest, ...]


@dataclass(frozen=True)
class Story:
    """A drop, what its viewers had ordered elsewhere, and the batches that come."""

    offer: Offer | None
    elsewhere: tuple[Order, ...]
    batches: tuple[Batch, ...]

    def shop(self) -> Shop:
        return Shop(self.offer, {(order.viewer, order.ref): order for order in self.elsewhere})

    def play(self, decide_: Decide) -> Iterator[tuple[Batch, Decision, Shop]]:
        """Each batch, what it came to, and the shop after it."""
        shop = self.shop()
        for batch in self.batches:
            yield batch, shop.commit(batch.requests, batch.now_ms, decide_), shop

    def in_batches_of_one(self) -> Story:
        return replace(
            self, batches=tuple(Batch(batch.now_ms, (one,)) for batch in self.batches for one in batch.requests)
        )


def forgetting(what: str) -> Decide:
    """A `decide` that decides one by one and, within a batch, carries over everything but `what`."""

    def broken(
        offer: Offer | None,
        requests: Iterable[OrderRequest],
        *,
        earlier: Mapping[tuple[str, str], Order],
        bought: Mapping[str, int],
        now_ms: int,
    ) -> Decision:
        shop = Shop(offer, dict(earlier), dict(bought))
        decisions = []
        for request in requests:
            decisions.append(shop.commit((request,), now_ms))
            if what == "stock":
                shop.offer = offer
            elif what == "limits":
                shop.bought = dict(bought)
            elif what == "refs":
                shop.earlier = dict(earlier)
        taken: dict[str, int] = {}
        for decision in decisions:
            for variant, quantity in decision.taken.items():
                taken[variant] = taken.get(variant, 0) + quantity
        return Decision(
            receipts=tuple(receipt for decision in decisions for receipt in decision.receipts),
            orders=tuple(order for decision in decisions for order in decision.orders),
            taken=taken,
            sold_out=any(decision.sold_out for decision in decisions),
        )

    return broken


WISHES = [
    OrderRequest("", viewer, ref, "hoodie", variant, quantity)
    for viewer in VIEWERS
    for ref in ("r1", "r2", "r3")
    for variant in (*["S"] * 7, *["M"] * 2, None, None, "XXL")
    for quantity in (*[1] * 10, *[2] * 6, 3, 3, LIMIT_MAX, LIMIT_MAX, LIMIT_MAX + 1, 0, -1, 2**70)
]
"""Everything that may be wished for; what usually works is there more than once."""


def wishes() -> st.SearchStrategy[OrderRequest]:
    return st.sampled_from(range(len(WISHES))).map(_nth_wish)


def _nth_wish(n: int) -> OrderRequest:
    return WISHES[n]


def offers() -> st.SearchStrategy[Offer]:
    """Scarce drops: mostly open and without a window, so that most stories sell something."""
    times = st.sampled_from([None] * 12 + [NOON - 1, NOON, NOON + 1])
    return st.builds(
        lambda status, limit, opens_at, closes_at, units: Offer(
            drop="hoodie",
            stream="friday",
            product="p1",
            title="Hoodie",
            status=status,
            price=2400,
            currency="USD",
            limit=limit,
            opens_at=opens_at,
            closes_at=closes_at,
            left=dict(zip("SML", units, strict=False)),
        ),
        st.sampled_from([DropStatus.OPEN] * 16 + [*DropStatus]),
        st.sampled_from([1, 2, 2, 3, LIMIT_MAX, LIMIT_MAX]),
        times,
        times,
        st.lists(st.sampled_from([1, 2, 3, 1, 2, 3, 4, 6, 0]), min_size=1, max_size=3),
    )


@st.composite
def stories(draw: st.DrawFn) -> Story:
    """Few viewers, refs and wishes, drawn again and again: double taps, retries and conflicts are the rule."""
    offer = draw(offers()) if draw(st.integers(0, 15)) else None
    wished = draw(st.lists(wishes(), min_size=4, max_size=8))
    ids = map("order-{}".format, range(10_000))
    batches = tuple(
        Batch(NOON + later_ms, tuple(msgspec.structs.replace(wished[n], order=next(ids)) for n in numbers))
        for later_ms, numbers in draw(
            st.lists(
                st.tuples(st.integers(-2, 2), st.lists(st.integers(0, len(wished) - 1), min_size=3, max_size=10)),
                min_size=1,
                max_size=5,
            )
        )
    )
    asked = [
        msgspec.structs.replace(one, order=next(ids), drop="mug", variant=None)
        for one in wished[: draw(st.integers(0, 2))]
    ]
    elsewhere = decide(MUG, asked, earlier={}, bought={}, now_ms=NOON).orders
    return Story(offer, elsewhere, batches)
