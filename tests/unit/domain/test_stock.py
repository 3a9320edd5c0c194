from __future__ import annotations

from dataclasses import replace

import pytest

from server.domain.drop import DropStatus
from server.domain.errors import Reason
from server.domain.order import Accepted, Order, OrderStatus, Rejected, receipt_of

from .examples import MUG, NOON, OFFER, decided, wish


def reason_of(*requests, **world) -> Reason:
    """Why the last of the requests was turned away."""
    receipt = decided(*requests, **world).receipts[-1]
    assert isinstance(receipt, Rejected)
    assert receipt.ref == requests[-1].ref
    return receipt.reason


def test_an_accepted_order_says_what_was_bought_for_how_much():
    request = wish(variant="S", quantity=2)
    decision = decided(request)
    assert decision.receipts == (Accepted("r1", request.order, quantity=2, total=4800, currency="USD"),)
    assert decision.orders == (
        Order(
            id=request.order,
            viewer="ann",
            ref="r1",
            stream="friday",
            drop="hoodie",
            product="p1",
            variant="S",
            title="Hoodie",
            quantity=2,
            total=4800,
            currency="USD",
            status=OrderStatus.ACCEPTED,
            placed_at=NOON,
        ),
    )
    assert decision.taken == {"S": 2}
    assert not decision.sold_out


def test_a_batch_of_nothing_takes_nothing():
    decision = decided()
    assert (decision.receipts, decision.orders, decision.taken, decision.sold_out) == ((), (), {}, False)


def test_deciding_leaves_what_it_was_given_as_it_was():
    stock, bought, earlier = {"S": 3, "M": 1}, {"bob": 1}, {}
    decided(wish(), wish("bob"), offer=replace(OFFER, left=stock), bought=bought, earlier=earlier)
    assert (stock, bought, earlier) == ({"S": 3, "M": 1}, {"bob": 1}, {})


def test_first_come_is_first_served():
    first, second = decided(wish("ann", variant="M"), wish("bob", variant="M")).receipts
    assert isinstance(first, Accepted)
    assert second == Rejected("r1", Reason.SOLD_OUT)


def test_more_than_is_left_is_sold_out_though_some_are_left():
    assert reason_of(wish(variant="M", quantity=2)) is Reason.SOLD_OUT


def test_who_asks_for_less_is_served_after_who_asked_for_too_much():
    decision = decided(wish("ann", variant="M", quantity=2), wish("bob", variant="M"))
    assert [type(receipt) for receipt in decision.receipts] == [Rejected, Accepted]


def test_the_drop_is_sold_out_only_with_the_last_unit_of_its_last_variant():
    assert not decided(wish(variant="M")).sold_out
    assert decided(wish("ann", variant="M"), wish("bob", variant="S", quantity=2), wish("cy", variant="S")).sold_out


def test_a_batch_that_takes_nothing_of_an_empty_drop_did_not_sell_it_out():
    assert not decided(wish(), offer=replace(OFFER, left={"S": 0, "M": 0})).sold_out


@pytest.mark.parametrize("quantity", [0, -1, -(2**70), 3, 2**70])
def test_a_quantity_outside_one_to_the_limit_is_a_bad_quantity(quantity):
    assert reason_of(wish(quantity=quantity)) is Reason.BAD_QUANTITY


def test_the_limit_counts_what_was_bought_before():
    assert reason_of(wish(quantity=2), bought={"ann": 1}) is Reason.LIMIT_REACHED
    assert reason_of(wish(quantity=1), bought={"ann": 2}) is Reason.LIMIT_REACHED


def test_the_limit_counts_what_was_bought_in_the_same_batch_over_all_variants():
    assert reason_of(wish(ref="r1", variant="S", quantity=2), wish(ref="r2", variant="M")) is Reason.LIMIT_REACHED


def test_one_viewers_limit_is_not_anothers():
    assert isinstance(decided(wish("bob"), bought={"ann": 2}).receipts[0], Accepted)


def test_a_scheduled_drop_is_not_open():
    assert reason_of(wish(), offer=replace(OFFER, status=DropStatus.SCHEDULED)) is Reason.NOT_OPEN


def test_a_closed_drop_is_closed():
    assert reason_of(wish(), offer=replace(OFFER, status=DropStatus.CLOSED)) is Reason.DROP_CLOSED


def test_the_window_includes_its_opening_and_excludes_its_closing():
    offer = replace(OFFER, opens_at=NOON, closes_at=NOON + 10)
    assert reason_of(wish(), offer=offer, now_ms=NOON - 1) is Reason.NOT_OPEN
    assert isinstance(decided(wish(), offer=offer, now_ms=NOON).receipts[0], Accepted)
    assert isinstance(decided(wish(), offer=offer, now_ms=NOON + 9).receipts[0], Accepted)
    assert reason_of(wish(), offer=offer, now_ms=NOON + 10) is Reason.DROP_CLOSED


def test_a_drop_that_does_not_exist_is_unknown():
    assert reason_of(wish(), offer=None) is Reason.UNKNOWN_DROP


def test_a_variant_that_does_not_exist_is_unknown():
    assert reason_of(wish(variant="XXL")) is Reason.UNKNOWN_DROP


def test_the_only_variant_need_not_be_named():
    request = wish(drop="mug", variant=None)
    assert decided(request, offer=MUG).taken == {"one": 1}


def test_of_several_variants_one_must_be_named():
    assert reason_of(wish(variant=None)) is Reason.UNKNOWN_DROP


def test_a_variant_with_nothing_left_is_sold_out_while_others_sell():
    assert reason_of(wish(variant="M"), offer=replace(OFFER, left={"S": 3, "M": 0})) is Reason.SOLD_OUT


def test_the_same_ref_twice_in_a_batch_buys_once_and_gets_the_same_receipt():
    decision = decided(wish(), wish())
    assert decision.receipts[0] == decision.receipts[1]
    assert decision.taken == {"S": 1}


def test_a_ref_of_an_earlier_batch_gets_its_first_receipt_whatever_became_of_the_drop():
    order = decided(wish(quantity=2)).orders[0]
    earlier = {("ann", "r1"): order}
    for offer in (OFFER, replace(OFFER, status=DropStatus.CLOSED), replace(OFFER, left={"S": 0}), None):
        decision = decided(wish(quantity=2), offer=offer, earlier=earlier, bought={"ann": 2})
        assert decision.receipts == (receipt_of(order),)
        assert not decision.orders
        assert not decision.taken


@pytest.mark.parametrize(
    "other", [wish(quantity=2), wish(variant="M"), wish(drop="mug")], ids=["quantity", "variant", "drop"]
)
def test_the_same_ref_with_another_body_is_a_conflict(other):
    order = decided(wish()).orders[0]
    assert reason_of(wish(), other) is Reason.CONFLICT
    assert reason_of(other, earlier={("ann", "r1"): order}) is Reason.CONFLICT


def test_a_ref_of_another_drop_is_a_conflict_and_buys_nothing():
    order = decided(wish(drop="mug", variant="one"), offer=MUG).orders[0]
    assert reason_of(wish(variant="S"), earlier={("ann", "r1"): order}) is Reason.CONFLICT


def test_two_viewers_may_use_the_same_ref():
    assert len(decided(wish("ann"), wish("bob")).orders) == 2


def test_a_rejected_ref_may_be_tried_again():
    assert reason_of(wish(), offer=replace(OFFER, status=DropStatus.SCHEDULED)) is Reason.NOT_OPEN
    assert isinstance(decided(wish()).receipts[0], Accepted)
