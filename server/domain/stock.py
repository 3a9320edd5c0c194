"""`decide`: who gets what of a drop, never more than there is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from server.domain import money
from server.domain.drop import DropStatus
from server.domain.errors import Reason
from server.domain.order import Accepted, Order, OrderRequest, OrderStatus, Receipt, Rejected, receipt_of


@dataclass(frozen=True, slots=True)
class Offer:
    """A drop as the transaction sees it: its stock rows are locked, so nothing here can change before COMMIT.

    `left` holds every variant of the drop; times in ms since the epoch.
    """

    drop: str
    stream: str
    product: str
    title: str
    status: DropStatus
    price: int
    currency: str
    limit: int
    opens_at: int | None
    closes_at: int | None
    left: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Decision:
    """What a batch comes to: one receipt per request, in order; the orders to insert; the stock to take."""

    receipts: tuple[Receipt, ...]
    orders: tuple[Order, ...]
    taken: Mapping[str, int]
    sold_out: bool
    """Whether this batch took the drop's very last unit."""


def decide(
    offer: Offer | None,
    requests: Iterable[OrderRequest],
    *,
    earlier: Mapping[tuple[str, str], Order],
    bought: Mapping[str, int],
    now_ms: int,
) -> Decision:
    """Decides a batch of requests for one drop, first come first served.

    `offer` is None when the drop does not exist. `earlier` holds the orders these viewers already have under
    these refs (of whatever drop), `bought` the units each viewer already has of this drop. A `ref` decided
    before gets its first receipt again; the same `ref` with another body is a `conflict`.
    """
    left = dict(offer.left) if offer else {}
    only = next(iter(left)) if len(left) == 1 else None
    had = dict(bought)
    placed = dict(earlier)
    taken: dict[str, int] = {}
    receipts: list[Receipt] = []
    orders: list[Order] = []
    for request in requests:
        known = placed.get((request.viewer, request.ref))
        if known is not None:
            receipts.append(again(known, request))
            continue
        # the variant asked for; the only one when none is named
        variant = only if request.variant is None else request.variant if request.variant in left else None
        reason = _refusal(offer, request, variant, left, had, now_ms)
        if reason is not None or offer is None or variant is None:
            receipts.append(Rejected(request.ref, reason or Reason.UNKNOWN_DROP))
            continue
        order = Order(
            id=request.order,
            viewer=request.viewer,
            ref=request.ref,
            stream=offer.stream,
            drop=offer.drop,
            product=offer.product,
            variant=variant,
            title=offer.title,
            quantity=request.quantity,
            total=money.total(offer.price, request.quantity),
            currency=offer.currency,
            status=OrderStatus.ACCEPTED,
            placed_at=now_ms,
        )
        left[variant] -= request.quantity
        taken[variant] = taken.get(variant, 0) + request.quantity
        had[request.viewer] = had.get(request.viewer, 0) + request.quantity
        placed[request.viewer, request.ref] = order
        orders.append(order)
        receipts.append(Accepted(order.ref, order.id, order.quantity, order.total, order.currency))
    return Decision(tuple(receipts), tuple(orders), taken, sold_out=bool(taken) and not any(left.values()))


def again(known: Order, request: OrderRequest) -> Receipt:
    """The answer to a request whose `ref` stands for an order already."""
    return receipt_of(known) if _same(known, request) else Rejected(request.ref, Reason.CONFLICT)


def _refusal(
    offer: Offer | None,
    request: OrderRequest,
    variant: str | None,
    left: Mapping[str, int],
    had: Mapping[str, int],
    now_ms: int,
) -> Reason | None:
    if offer is None or variant is None:
        return Reason.UNKNOWN_DROP
    if not 1 <= request.quantity <= offer.limit:
        return Reason.BAD_QUANTITY
    if offer.status is DropStatus.SCHEDULED or (offer.opens_at is not None and now_ms < offer.opens_at):
        return Reason.NOT_OPEN
    if offer.status is DropStatus.CLOSED or (offer.closes_at is not None and now_ms >= offer.closes_at):
        return Reason.DROP_CLOSED
    if had.get(request.viewer, 0) + request.quantity > offer.limit:
        return Reason.LIMIT_REACHED
    if left[variant] < request.quantity:
        return Reason.SOLD_OUT
    return None


def _same(order: Order, request: OrderRequest) -> bool:
    return (
        order.drop == request.drop
        and order.quantity == request.quantity
        and (request.variant is None or order.variant == request.variant)
    )
