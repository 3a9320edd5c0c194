from __future__ import annotations

import pytest

from server.domain.errors import DropcastError, ProtocolViolation, Reason, Refused, Unavailable

RETRY = {
    "sold_out": False,
    "drop_closed": False,
    "not_open": True,
    "limit_reached": False,
    "bad_quantity": False,
    "unknown_drop": False,
    "login_required": False,
    "conflict": False,
    "busy": True,
    "draining": True,
    "rate_limited": True,
    "internal": True,
}
"""The contract: every reason a receipt may give, and whether the same order may succeed later."""

HTTP_ONLY = {"bad_request", "bad_credentials", "forbidden", "not_found", "no_stock", "too_large"}


@pytest.mark.parametrize(("reason", "retry"), RETRY.items())
def test_a_reason_says_whether_to_try_again(reason, retry):
    assert Reason(reason).retry is retry


def test_there_are_no_reasons_but_these():
    assert {reason.value for reason in Reason} == set(RETRY) | HTTP_ONLY


@pytest.mark.parametrize("reason", sorted(HTTP_ONLY))
def test_what_only_http_refuses_is_not_worth_repeating(reason):
    assert not Reason(reason).retry


def test_every_error_on_purpose_has_one_root():
    for error in (Refused(Reason.SOLD_OUT, "gone"), ProtocolViolation("no", code=4500), Unavailable("database")):
        assert isinstance(error, DropcastError)


def test_a_refusal_carries_its_reason_and_a_sentence():
    error = Refused(Reason.NO_STOCK, "only 3 are left of M")
    assert (error.reason, error.detail) == (Reason.NO_STOCK, "only 3 are left of M")
    assert str(error) == "no_stock: only 3 are left of M"


def test_a_violation_is_a_bad_frame_unless_it_says_otherwise():
    error = ProtocolViolation("order.ref: too long", code=4500)
    assert (error.detail, error.code, error.reason) == ("order.ref: too long", 4500, "bad_frame")
