"""A drop's whole life in any order: put in = left + sold + given back, after every step."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

import msgspec
import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from server.domain.drop import DropStatus
from server.domain.order import Accepted, OrderRequest
from server.domain.stock import decide

from .shops import NOON, VIEWERS, Decide, Shop, forgetting, offers, wishes


class LifeOfADrop(RuleBasedStateMachine):
    """The host opens, restocks and closes; viewers order, tap twice and come back with old refs."""

    decide: Decide = staticmethod(decide)

    def __init__(self) -> None:
        super().__init__()
        self.put_in: Counter[str] = Counter()
        self.sold: Counter[str] = Counter()
        self.given_back: Counter[str] = Counter()
        self.receipts: dict[tuple[str, str], tuple[OrderRequest, Accepted]] = {}
        self.now_ms = NOON
        self.numbers = iter(range(1_000_000))

    @initialize(offer=offers(), status=st.sampled_from([DropStatus.OPEN, DropStatus.OPEN, DropStatus.SCHEDULED]))
    def put_in_stock(self, offer, status):
        self.shop = Shop(replace(offer, status=status))
        self.put_in.update(offer.left)

    @property
    def offer(self):
        assert self.shop.offer is not None
        return self.shop.offer

    def become(self, **changes):
        self.shop.offer = replace(self.offer, **changes)

    @precondition(lambda self: self.offer.status is DropStatus.SCHEDULED)
    @rule()
    def open(self):
        self.become(status=DropStatus.OPEN)

    @precondition(lambda self: self.offer.status is not DropStatus.CLOSED)
    @rule(variant=st.sampled_from("SML"), quantity=st.integers(1, 5))
    def restock(self, variant, quantity):
        if variant not in self.offer.left:
            return
        self.put_in[variant] += quantity
        self.become(left={**self.offer.left, variant: self.offer.left[variant] + quantity})
        if self.offer.status is DropStatus.SOLD_OUT:
            self.become(status=DropStatus.OPEN)

    @precondition(lambda self: self.offer.status is not DropStatus.CLOSED and sum(self.sold.values()) > 2)
    @rule()
    def close(self):
        self.given_back.update(self.offer.left)
        self.become(status=DropStatus.CLOSED, left=dict.fromkeys(self.offer.left, 0))

    @rule(ms=st.integers(0, 1))
    def wait(self, ms):
        self.now_ms += ms

    @rule(
        wished=st.lists(wishes(), min_size=1, max_size=12), refs=st.sampled_from(["fresh", "as wished", "tapped twice"])
    )
    def order(self, wished, refs):
        requests = [
            msgspec.structs.replace(
                wish, order=f"order-{number}", ref=wish.ref if refs == "as wished" else f"ref-{number}"
            )
            for wish, number in zip(wished, self.numbers, strict=False)
        ]
        if refs == "tapped twice":
            requests += [msgspec.structs.replace(request, order=f"{request.order}-again") for request in requests]
        before = sum(self.offer.left.values())
        decision = self.shop.commit(requests, self.now_ms, self.decide)
        self.sold.update(decision.taken)
        assert decision.sold_out is (before > 0 and sum(self.offer.left.values()) == 0)
        if decision.sold_out:
            self.become(status=DropStatus.SOLD_OUT)
        for request, receipt in zip(requests, decision.receipts, strict=True):
            if isinstance(receipt, Accepted):
                asked, first = self.receipts.setdefault((request.viewer, request.ref), (request, receipt))
                assert receipt == first
                assert request.quantity == asked.quantity

    @precondition(lambda self: self.receipts)
    @rule(data=st.data())
    def come_back_with_an_old_ref(self, data):
        request, receipt = self.receipts[data.draw(st.sampled_from(sorted(self.receipts)))]
        decision = self.shop.commit([msgspec.structs.replace(request, order="never")], self.now_ms, self.decide)
        assert decision.receipts == (receipt,)
        assert not decision.taken

    @invariant()
    def put_in_is_left_and_sold_and_given_back(self):
        for variant, left in self.offer.left.items():
            assert left >= 0
            assert self.put_in[variant] == left + self.sold[variant] + self.given_back[variant]

    @invariant()
    def what_is_sold_is_what_receipts_say(self):
        assert sum(self.sold.values()) == sum(receipt.quantity for _, receipt in self.receipts.values())
        assert sum(self.sold.values()) == sum(order.quantity for order in self.shop.earlier.values())

    @invariant()
    def nobody_has_more_than_the_limit(self):
        assert all(self.shop.bought.get(viewer, 0) <= self.offer.limit for viewer in VIEWERS)


TestTheLifeOfADrop = LifeOfADrop.TestCase
TestTheLifeOfADrop.settings = settings(max_examples=150, stateful_step_count=30, deadline=None)


@pytest.mark.parametrize("forgotten", ["stock", "limits", "refs"])
def test_the_machine_catches_a_decide_that_forgets_within_a_batch(forgotten: str):
    class Broken(LifeOfADrop):
        decide = staticmethod(forgetting(forgotten))

    control = settings(
        max_examples=300,
        stateful_step_count=25,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
    )
    with pytest.raises(AssertionError):
        run_state_machine_as_test(Broken, settings=control)
