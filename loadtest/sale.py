"""What a host and a shopper decide, without I/O: which product next, how much of it, when to buy what."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from dropcast import Drop, DropStatus, DropVariant, Product, State

CUT_MIN_PERCENT, CUT_MAX_PERCENT = 20, 40
"""How far below the list price a drop goes."""

QUANTITY_MIN, QUANTITY_MAX = 12, 40
"""Units of a variant put into a drop."""

SELL_FOR_S = 24.0
"""How long a drop should live: what the shoppers' pace aims at."""

ORDER_EVERY_S = 1.25
"""The longest a watcher should wait for the next order, on average."""

LASTS_S = (28.0, 40.0)
"""When a host closes a drop that did not sell out, from opening: anywhere between."""

_ORDER_UNITS = 1.25  # a quarter of the orders are for two
_RESTOCK_CHANCE = 0.35


@dataclass(frozen=True, slots=True)
class Plan:
    """One sale: a drop to be, how long it lasts, and how many units of one variant come back when it sells out."""

    product: Product
    price: int
    limit: int
    stock: Mapping[str, int]
    lasts_s: float
    restock: tuple[str, int] | None

    @property
    def units(self) -> int:
        """All units put in."""
        return sum(self.stock.values())


def plan(product: Product, shoppers: int, chance: random.Random) -> Plan | None:
    """A sale of this product to so many shoppers; None when its shelf is too small.

    About as much is put in as the shoppers may buy under the limit, so that stock keeps falling to the end: products
    with few variants mostly sell out, those with many are closed with a few left.
    """
    on_shelf = [variant for variant in product.variants if variant.stock >= QUANTITY_MIN]
    if not on_shelf:
        return None
    limit = 3 if len(on_shelf) > 1 else chance.choice((2, 3))
    may_buy = shoppers * limit
    share = int(may_buy * chance.uniform(0.55, 0.8)) // len(on_shelf)
    stock = {v.id: min(max(QUANTITY_MIN, share + chance.randint(-2, 2)), QUANTITY_MAX, v.stock) for v in on_shelf}
    again: tuple[str, int] | None = None
    spare = may_buy - sum(stock.values())
    if spare >= 10 and chance.random() < _RESTOCK_CHANCE:
        variant = chance.choice(on_shelf)
        units = min(chance.randint(4, 8), variant.stock - stock[variant.id])
        again = (variant.id, units) if units > 0 else None
    return Plan(product, cut_price(product.price, chance), limit, stock, chance.uniform(*LASTS_S), again)


def cut_price(price: int, chance: random.Random) -> int:
    """A price 20–40 % below the list price, in minor units: a multiple of 50 where one lies in between."""
    lowest, highest = -(-price * (100 - CUT_MAX_PERCENT) // 100), price * (100 - CUT_MIN_PERCENT) // 100
    if lowest > highest:  # a cent or two
        return price
    round_ones = range(-(-lowest // 50) * 50, highest + 1, 50)
    return chance.choice(round_ones) if round_ones else chance.randint(lowest, highest)


class Rotation:
    """Every product in turn, in an order of its own each round, and never the same twice running if there are two."""

    def __init__(self, chance: random.Random) -> None:
        self._chance = chance
        self._round: list[str] = []
        self._last = ""

    def next(self, products: Sequence[Product]) -> Product:
        """The next of these products, which must not be empty; they may change from call to call."""
        by_sku = {product.sku: product for product in products}
        self._round = [sku for sku in self._round if sku in by_sku]
        if not self._round:
            self._round = self._chance.sample(sorted(by_sku), len(by_sku))
            if len(self._round) > 1 and self._round[-1] == self._last:
                self._round.insert(0, self._round.pop())
        self._last = self._round.pop()
        return by_sku[self._last]


# A shopper's side


def open_drop(state: State) -> Drop | None:
    """The drop a shopper looks at: of those on sale with something left, the one opened last."""
    on_sale = [drop for drop in state.drops.values() if drop.status is DropStatus.OPEN and left(drop)]
    return max(on_sale, key=lambda drop: drop.opens_at or 0, default=None)


def left(drop: Drop) -> int:
    """What is left of all variants."""
    return sum(variant.left for variant in drop.variants)


def pause_s(units: int, hungry: int, chance: random.Random) -> float:
    """How long one of `hungry` shoppers thinks before the next order: exponential, so that arrivals are independent.

    Together they sell `units` in about `SELL_FOR_S`, at the same pace however few of them are still buying, and at
    least at one order in `ORDER_EVERY_S`.
    """
    together_s = min(SELL_FOR_S * _ORDER_UNITS / max(1, units), ORDER_EVERY_S)
    return chance.expovariate(1 / (together_s * max(1, hungry)))


def choose(variants: Iterable[DropVariant], may_buy: int, chance: random.Random) -> tuple[str, int] | None:
    """A variant and a quantity for one order; None when nothing is left or no more may be bought."""
    there = [variant for variant in variants if variant.left > 0]
    if not there or may_buy < 1:
        return None
    variant = chance.choices(there, weights=[v.left for v in there])[0]
    wanted = 2 if chance.random() < _ORDER_UNITS - 1 else 1
    return variant.id, min(wanted, may_buy, variant.left)
