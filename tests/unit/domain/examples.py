"""The drop, the offer and the orders the examples speak of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import count

from server.domain.drop import Drop, DropStatus, DropVariant
from server.domain.order import Order, OrderRequest
from server.domain.stock import Decision, Offer, decide
from server.domain.stream import StreamState
from server.domain.views import Stream, StreamStatus

NOON = 1_767_225_600_000

OFFER = Offer(
    drop="hoodie",
    stream="friday",
    product="p1",
    title="Hoodie",
    status=DropStatus.OPEN,
    price=2400,
    currency="USD",
    limit=2,
    opens_at=None,
    closes_at=None,
    left={"S": 3, "M": 1},
)
MUG = replace(OFFER, drop="mug", title="Mug", left={"one": 5})

STREAM = Stream("friday", "Friday drops", "Mara", StreamStatus.LIVE, NOON, "/video/friday.m3u8", viewers=1284)
DROP = Drop(
    id="hoodie",
    title="Hoodie",
    image="/pictures/hoodie.jpg",
    price=2400,
    currency="USD",
    limit=2,
    opens_at=None,
    closes_at=None,
    variants=(DropVariant("S", "Small", 3, 1), DropVariant("M", "Medium", 1, 1)),
    status=DropStatus.OPEN,
    product="p1",
)
STATE = StreamState(STREAM, {"hoodie": DROP}, seq=41)

_numbers = count(1)


def wish(
    viewer: str = "ann", ref: str = "r1", *, variant: str | None = "S", quantity: int = 1, drop: str = "hoodie"
) -> OrderRequest:
    return OrderRequest(f"order-{next(_numbers)}", viewer, ref, drop, variant, quantity)


def decided(
    *requests: OrderRequest,
    offer: Offer | None = OFFER,
    earlier: Mapping[tuple[str, str], Order] | None = None,
    bought: Mapping[str, int] | None = None,
    now_ms: int = NOON,
) -> Decision:
    return decide(offer, requests, earlier=earlier or {}, bought=bought or {}, now_ms=now_ms)
