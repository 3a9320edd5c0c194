from __future__ import annotations

import random
from itertools import pairwise
from types import MappingProxyType

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropcast import Drop, DropStatus, DropVariant, Product, State, Stream, StreamStatus, Variant
from loadtest import sale

seeds = st.integers(0, 2**32).map(random.Random)


def product(*shelf: int, sku: str = "P", price: int = 4_900) -> Product:
    variants = tuple(Variant(f"v{n}", f"{sku}-{n}", f"{n}", stock) for n, stock in enumerate(shelf))
    return Product("p", sku, "A thing", "", None, price, "USD", variants)


def drop(id_: str, status: DropStatus = DropStatus.OPEN, *, left: int = 5, opens_at: int = 1) -> Drop:
    variants = (DropVariant("v", "V", left, 1),)
    return Drop(id_, "A thing", None, 1, "USD", 2, opens_at, None, variants, status, "p")


def state(*drops: Drop) -> State:
    stream = Stream("demo", "T", "H", StreamStatus.LIVE, None, None)
    return State(stream, MappingProxyType({each.id: each for each in drops}), 1)


@given(st.integers(5, 1_000_000), seeds)
def test_a_drop_is_sold_20_to_40_percent_below_the_list_price(price: int, chance: random.Random) -> None:
    assert price * 60 <= sale.cut_price(price, chance) * 100 <= price * 80


@given(st.integers(300, 1_000_000), seeds)
def test_a_cut_price_is_a_round_one_where_there_is_one(price: int, chance: random.Random) -> None:
    assert sale.cut_price(price, chance) % 50 == 0


@pytest.mark.parametrize("price", [0, 1, 2])
def test_a_price_too_small_to_cut_is_not_raised(price: int) -> None:
    assert 0 <= sale.cut_price(price, random.Random(1)) <= price


@given(st.lists(st.integers(0, 2_000), min_size=1, max_size=4), st.integers(0, 40), seeds)
def test_a_plan_never_asks_for_more_than_is_on_the_shelf(
    shelf: list[int], shoppers: int, chance: random.Random
) -> None:
    found = sale.plan(product(*shelf), shoppers, chance)
    stock = {f"v{n}": units for n, units in enumerate(shelf)}
    if found is None:
        assert max(shelf) < sale.QUANTITY_MIN
        return
    assert found.limit in (2, 3)
    assert all(sale.QUANTITY_MIN <= units <= sale.QUANTITY_MAX for units in found.stock.values())
    if found.restock is not None:
        assert found.restock[1] > 0
        assert found.units + found.restock[1] <= shoppers * found.limit, "a restock nobody may buy of is no show"
    asked = {**found.stock}
    if found.restock is not None:
        asked[found.restock[0]] += found.restock[1]
    assert all(units <= stock[variant] for variant, units in asked.items())


def test_a_product_with_one_variant_can_sell_out_to_the_demos_twelve_shoppers() -> None:
    for seed in range(200):
        found = sale.plan(product(1_000_000), 12, random.Random(seed))
        assert found is not None
        assert found.units < 12 * found.limit


def test_the_rotation_shows_every_product_once_a_round_and_none_twice_running() -> None:
    products = [product(50, sku=sku) for sku in "ABCDE"]
    for seed in range(50):
        rotation = sale.Rotation(random.Random(seed))
        shown = [rotation.next(products).sku for _ in range(20)]
        assert all(sorted(shown[start : start + 5]) == list("ABCDE") for start in range(0, 20, 5))
        assert all(one != other for one, other in pairwise(shown))


def test_the_rotation_goes_on_when_products_come_and_go() -> None:
    rotation = sale.Rotation(random.Random(1))
    both = [product(50, sku="A"), product(50, sku="B")]
    assert {rotation.next(both).sku, rotation.next(both).sku} == {"A", "B"}
    assert [rotation.next(both[:1]).sku for _ in range(3)] == ["A", "A", "A"]
    assert {rotation.next(both).sku, rotation.next(both).sku} == {"A", "B"}


def test_a_shopper_looks_at_the_drop_opened_last_that_has_something_left() -> None:
    early, late = drop("early", opens_at=1), drop("late", opens_at=2)
    empty, closed = drop("empty", left=0, opens_at=3), drop("closed", DropStatus.CLOSED, opens_at=4)
    assert sale.open_drop(state(early, late, empty, closed)) is late
    assert sale.open_drop(state(empty, closed)) is None


@given(st.lists(st.integers(0, 5), max_size=4), st.integers(-1, 3), seeds)
def test_a_shopper_never_chooses_more_than_there_is_or_than_it_may_buy(
    lefts: list[int], may_buy: int, chance: random.Random
) -> None:
    variants = [DropVariant(f"v{n}", "", left, 1) for n, left in enumerate(lefts)]
    choice = sale.choose(variants, may_buy, chance)
    if choice is None:
        assert may_buy < 1 or not any(lefts)
        return
    variant, quantity = choice
    assert 1 <= quantity <= min(may_buy, lefts[int(variant[1:])])


@pytest.mark.parametrize("hungry", [1, 3, 12])
def test_shoppers_sell_thirty_units_in_about_25_seconds_however_few_still_buy(hungry: int) -> None:
    chance = random.Random(7)
    pauses = [sale.pause_s(30, hungry, chance) for _ in range(4_000)]
    units_a_second = hungry * 1.25 / (sum(pauses) / len(pauses))
    assert 22 < 30 / units_a_second < 27


def test_shoppers_do_not_dawdle_over_a_small_drop() -> None:
    chance = random.Random(7)
    pauses = [sale.pause_s(3, 12, chance) for _ in range(4_000)]
    assert sum(pauses) / len(pauses) / 12 < sale.ORDER_EVERY_S * 1.1
