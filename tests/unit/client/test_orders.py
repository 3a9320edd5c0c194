"""What an answer to an order means."""

from __future__ import annotations

import pytest

from dropcast.comeback import Backoff
from dropcast.frames import Receipt
from dropcast.orders import ANSWER_WITHIN_S, again_in_s, place
from server.domain.errors import Reason

BACKOFF = Backoff(1.0, 4.0)


def rejected(reason: str, *, retry: bool, retry_in_ms: int | None = None) -> Receipt:
    return Receipt("r", "rejected", reason=reason, retry=retry, retry_in_ms=retry_in_ms)


def test_an_accepted_order_and_one_that_cannot_be_had_are_final() -> None:
    assert again_in_s(Receipt("r", "accepted", order="o"), 0, BACKOFF, 0.5) is None
    for reason in Reason:
        assert (again_in_s(rejected(reason, retry=reason.retry), 0, BACKOFF, 0.5) is None) is not reason.retry


def test_the_shop_says_when_and_else_it_is_full_jitter() -> None:
    assert again_in_s(rejected("busy", retry=True, retry_in_ms=700), 3, BACKOFF, 0.9) == 0.7
    assert [again_in_s(rejected("busy", retry=True), n, BACKOFF, 0.5) for n in (0, 1, 2, 9)] == [0.5, 1.0, 2.0, 2.0]


def test_an_order_that_met_a_leaving_replica_waits_for_the_next_one() -> None:
    assert again_in_s(rejected("draining", retry=True), 0, BACKOFF, 0.0) == ANSWER_WITHIN_S


def test_each_order_has_a_ref_of_its_own_unless_it_is_given_one() -> None:
    assert place("d", 1, None, None).ref != place("d", 1, None, None).ref
    assert place("d", 1, None, "mine").ref == "mine"


@pytest.mark.parametrize(
    ("wish", "named"),
    [
        (("", 1, None, None), "drop"),
        (("d", True, None, None), "quantity"),
        (("d", 1.0, None, None), "quantity"),
        (("d", 2**60, None, None), "quantity"),
        (("d", 1, "", None), "variant"),
        (("d", 1, None, ""), "ref"),
        (("d", 1, None, "two words"), "ref"),
        (("d", 1, None, "x" * 65), "ref"),
    ],
)
def test_what_would_break_the_link_is_not_sent(wish: tuple[str, int, str | None, str | None], named: str) -> None:
    with pytest.raises(ValueError, match=f"^{named} must be"):
        place(*wish)
