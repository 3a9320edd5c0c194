from __future__ import annotations

import pytest

from server.domain import money
from server.domain.drop import LIMIT_MAX


def test_a_total_is_price_times_quantity_in_whole_minor_units():
    assert money.total(2400, 3) == 7200


def test_the_dearest_order_fits_javascripts_integers():
    assert money.total(money.PRICE_MAX, LIMIT_MAX) < 2**53


@pytest.mark.parametrize("code", ["USD", "EUR", "JPY"])
def test_three_capital_letters_are_a_currency(code):
    assert money.is_currency(code)


@pytest.mark.parametrize("code", ["", "usd", "US", "USDT", "US1", "USD\n", "ÄÖÜ", " USD"])
def test_anything_else_is_not(code):
    assert not money.is_currency(code)
