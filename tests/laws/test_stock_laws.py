"""Whoever orders what, how often and in which batches: these hold after every batch.

Each law takes the `decide` it is about, so that the controls below can show it one that breaks it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from server.domain.drop import DropStatus
from server.domain.errors import Reason
from server.domain.order import Accepted, Order, OrderRequest, Rejected, receipt_of
from server.domain.stock import Decision, decide

from .shops import Decide, Shop, Story, forgetting, stories

Law = Callable[[Decide, Story], None]


def never_more_is_taken_than_there_was(decide_: Decide, story: Story) -> None:
    taken: Counter[str] = Counter()
    for _, decision, _ in story.play(decide_):
        taken.update(decision.taken)
    there_was = story.offer.left if story.offer else {}
    assert all(quantity <= there_was.get(variant, 0) for variant, quantity in taken.items())
    assert all(quantity >= 0 for quantity in taken.values())


def nobody_gets_more_than_the_limit(decide_: Decide, story: Story) -> None:
    bought: Counter[str] = Counter()
    for _, decision, _ in story.play(decide_):
        for order in decision.orders:
            assert order.quantity >= 1
            bought[order.viewer] += order.quantity
    assert all(quantity <= story.offer.limit for quantity in bought.values() if story.offer)


def a_viewers_ref_buys_once(decide_: Decide, story: Story) -> None:
    orders = [*story.elsewhere, *(order for _, decision, _ in story.play(decide_) for order in decision.orders)]
    assert len({(order.viewer, order.ref) for order in orders}) == len(orders)
    assert len({order.id for order in orders}) == len(orders)


def what_is_taken_is_what_is_ordered(decide_: Decide, story: Story) -> None:
    for batch, decision, _ in story.play(decide_):
        ordered: Counter[str] = Counter()
        for order in decision.orders:
            ordered[order.variant] += order.quantity
            assert story.offer is not None
            assert order.drop == story.offer.drop
            assert order.total == order.quantity * story.offer.price
            assert order.placed_at == batch.now_ms
        assert dict(ordered) == dict(decision.taken)


def every_request_gets_its_receipt(decide_: Decide, story: Story) -> None:
    known: dict[tuple[str, str], Order] = {(order.viewer, order.ref): order for order in story.elsewhere}
    for batch, decision, _ in story.play(decide_):
        known |= {(order.viewer, order.ref): order for order in decision.orders}
        assert len(decision.receipts) == len(batch.requests)
        for request, receipt in zip(batch.requests, decision.receipts, strict=True):
            assert receipt.ref == request.ref
            if isinstance(receipt, Accepted):
                order = known.get((request.viewer, request.ref))
                assert order is not None
                assert receipt == receipt_of(order)


def a_ref_gets_its_first_receipt_for_ever(decide_: Decide, story: Story) -> None:
    known: dict[tuple[str, str], Order] = {(order.viewer, order.ref): order for order in story.elsewhere}
    for batch, decision, _ in story.play(decide_):
        orders = {order.id: order for order in decision.orders}
        for request, receipt in zip(batch.requests, decision.receipts, strict=True):
            first = known.get((request.viewer, request.ref))
            if first is None:
                if isinstance(receipt, Accepted):
                    known[request.viewer, request.ref] = orders[receipt.order]
            elif (first.drop, first.quantity) == (request.drop, request.quantity) and (
                request.variant in (None, first.variant)
            ):
                assert receipt == receipt_of(first)
            else:
                assert receipt == Rejected(request.ref, Reason.CONFLICT)


def a_batch_decides_as_one_by_one_would(decide_: Decide, story: Story) -> None:
    in_one = [(list(d.receipts), list(d.orders), d.sold_out) for _, d, _ in story.play(decide_)]
    alone = list(story.in_batches_of_one().play(decide_))
    ones = iter(alone)
    for batch, (receipts, orders, sold_out) in zip(story.batches, in_one, strict=True):
        decisions = [next(ones)[1] for _ in batch.requests]
        assert receipts == [receipt for decision in decisions for receipt in decision.receipts]
        assert orders == [order for decision in decisions for order in decision.orders]
        assert sold_out is any(decision.sold_out for decision in decisions)
    assert _end(story, decide_) == _end(story.in_batches_of_one(), decide_)


def a_drop_sells_out_exactly_with_its_last_unit(decide_: Decide, story: Story) -> None:
    units = sum(story.offer.left.values()) if story.offer else 0
    for _, decision, _ in story.play(decide_):
        before, units = units, units - sum(order.quantity for order in decision.orders)
        assert decision.sold_out is (before > 0 and units == 0)


def nobody_is_turned_away_without_cause(decide_: Decide, story: Story) -> None:
    """Each reason given, checked against the shop as it stood when that one request was decided."""
    shop = story.shop()
    for batch, decision, _ in story.play(decide_):
        orders = {order.id: order for order in decision.orders}
        for request, receipt in zip(batch.requests, decision.receipts, strict=True):
            if isinstance(receipt, Rejected):
                assert _is_true(receipt.reason, request, shop, batch.now_ms), (request, receipt)
            elif receipt.order in orders:
                _take(shop, orders.pop(receipt.order))


def _is_true(reason: Reason, request: OrderRequest, shop: Shop, now_ms: int) -> bool:
    offer = shop.offer
    if reason is Reason.CONFLICT:
        return (request.viewer, request.ref) in shop.earlier
    if offer is None or (len(offer.left) > 1 and request.variant is None) or request.variant not in (None, *offer.left):
        return reason is Reason.UNKNOWN_DROP
    variant = request.variant or next(iter(offer.left))
    opens, closes = offer.opens_at, offer.closes_at
    return {
        Reason.BAD_QUANTITY: request.quantity < 1 or request.quantity > offer.limit,
        Reason.NOT_OPEN: offer.status is DropStatus.SCHEDULED or (opens is not None and now_ms < opens),
        Reason.DROP_CLOSED: offer.status is DropStatus.CLOSED or (closes is not None and closes <= now_ms),
        Reason.LIMIT_REACHED: shop.bought.get(request.viewer, 0) + request.quantity > offer.limit,
        Reason.SOLD_OUT: offer.left[variant] < request.quantity,
    }.get(reason, False)


def _take(shop: Shop, order: Order) -> None:
    assert shop.offer is not None
    shop.earlier[order.viewer, order.ref] = order
    shop.bought[order.viewer] = shop.bought.get(order.viewer, 0) + order.quantity
    left = dict(shop.offer.left)
    left[order.variant] -= order.quantity
    shop.offer = replace(shop.offer, left=left)


def _end(story: Story, decide_: Decide) -> Shop:
    shop = story.shop()
    for batch in story.batches:
        shop.commit(batch.requests, batch.now_ms, decide_)
    return shop


LAWS: list[Law] = [
    never_more_is_taken_than_there_was,
    nobody_gets_more_than_the_limit,
    a_viewers_ref_buys_once,
    what_is_taken_is_what_is_ordered,
    every_request_gets_its_receipt,
    a_ref_gets_its_first_receipt_for_ever,
    a_batch_decides_as_one_by_one_would,
    a_drop_sells_out_exactly_with_its_last_unit,
    nobody_is_turned_away_without_cause,
]


@settings(max_examples=500, deadline=None)
@given(stories())
def test_whatever_is_ordered_every_law_of_stock_holds(story: Story):
    for law in LAWS:
        law(decide, story)


# Controls: the same laws, shown a `decide` with one fault, fail. A law that cannot fail says nothing.


def _selling_out_early(offer, requests, **known) -> Decision:
    decision = decide(offer, requests, **known)
    left = {variant: n - decision.taken.get(variant, 0) for variant, n in offer.left.items()} if offer else {}
    return replace(decision, sold_out=bool(decision.taken) and not all(left.values()))


def _answering_backwards(offer, requests, **known) -> Decision:
    decision = decide(offer, requests, **known)
    return replace(decision, receipts=decision.receipts[::-1])


def _taking_one_too_many(offer, requests, **known) -> Decision:
    decision = decide(offer, requests, **known)
    return replace(decision, taken={variant: n + 1 for variant, n in decision.taken.items()})


def _turning_the_last_away(offer, requests, **known) -> Decision:
    return decide(
        replace(offer, left={v: max(0, n - 1) for v, n in offer.left.items()}) if offer else None, requests, **known
    )


def _forgetting_earlier_batches(offer, requests, *, earlier, bought, now_ms) -> Decision:
    return decide(offer, requests, earlier={}, bought=bought, now_ms=now_ms)


@pytest.mark.parametrize(
    ("law", "broken"),
    [
        pytest.param(never_more_is_taken_than_there_was, forgetting("stock"), id="check-then-take oversells"),
        pytest.param(never_more_is_taken_than_there_was, _taking_one_too_many, id="taking one too many oversells"),
        pytest.param(nobody_gets_more_than_the_limit, forgetting("limits"), id="check-then-take passes the limit"),
        pytest.param(a_viewers_ref_buys_once, forgetting("refs"), id="a double tap buys twice"),
        pytest.param(a_viewers_ref_buys_once, _forgetting_earlier_batches, id="a retry buys twice"),
        pytest.param(what_is_taken_is_what_is_ordered, _taking_one_too_many, id="stock leaks"),
        pytest.param(every_request_gets_its_receipt, _answering_backwards, id="receipts go astray"),
        pytest.param(a_ref_gets_its_first_receipt_for_ever, forgetting("refs"), id="a double tap gets two receipts"),
        pytest.param(a_batch_decides_as_one_by_one_would, forgetting("stock"), id="a batch sees old stock"),
        pytest.param(a_batch_decides_as_one_by_one_would, forgetting("limits"), id="a batch sees old limits"),
        pytest.param(a_drop_sells_out_exactly_with_its_last_unit, _selling_out_early, id="sold out too early"),
        pytest.param(nobody_is_turned_away_without_cause, _turning_the_last_away, id="the last unit never sells"),
    ],
)
def test_the_law_catches(law: Law, broken: Decide):
    @settings(max_examples=1_000, deadline=None, database=None, derandomize=True, phases=[Phase.generate])
    @given(stories())
    def holds(story: Story) -> None:
        law(broken, story)

    with pytest.raises(AssertionError):
        holds()


@settings(max_examples=50, deadline=None)
@given(stories())
def test_a_decide_that_forgets_nothing_is_the_real_one(story: Story):
    careful = [decision for _, decision, _ in story.play(forgetting("nothing"))]
    assert careful == [decision for _, decision, _ in story.play(decide)]


@settings(max_examples=100, deadline=None)
@given(stories(), st.data())
def test_the_order_of_viewers_in_a_batch_changes_who_gets_it_not_how_much_there_is(story: Story, data: st.DataObject):
    shuffled = replace(
        story,
        batches=tuple(replace(b, requests=tuple(data.draw(st.permutations(b.requests)))) for b in story.batches),
    )
    for law in (never_more_is_taken_than_there_was, nobody_gets_more_than_the_limit, a_viewers_ref_buys_once):
        law(decide, shuffled)
