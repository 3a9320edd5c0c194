from __future__ import annotations

from loadtest.shoppers import Hunger
from server.catalog.demo import DEMO_PRODUCTS
from server.domain import money


def test_hunger_is_counted_for_one_drop_at_a_time_and_each_shopper_once() -> None:
    hunger = Hunger(3)
    hunger.sated("d1", "ann")
    hunger.sated("d1", "ann")
    assert (hunger.still("d1"), hunger.still("d2")) == (2, 3)
    hunger.sated("d2", "bob")
    assert (hunger.still("d1"), hunger.still("d2")) == (3, 2)


def test_the_demo_catalogue_is_what_checks_and_load_tests_rely_on() -> None:
    assert len(DEMO_PRODUCTS) >= 8
    first = DEMO_PRODUCTS[0]
    assert (first.sku, [(variant.sku, variant.stock) for variant in first.variants]) == (
        "DEMO-1",
        [("DEMO-1-1", 1_000_000)],
    )
    assert [product.image for product in DEMO_PRODUCTS] == [
        f"/static/pictures/demo-{n}.svg" for n in range(1, len(DEMO_PRODUCTS) + 1)
    ]
    skus = [product.sku for product in DEMO_PRODUCTS] + [v.sku for product in DEMO_PRODUCTS for v in product.variants]
    assert len(set(skus)) == len(skus)
    assert all(1 <= len(product.variants) <= 4 for product in DEMO_PRODUCTS)
    assert all(money.is_currency(product.currency) and product.price > 0 for product in DEMO_PRODUCTS)
