"""The two other ways to sell that ours is measured against: each keeps the promises a shop needs, or it is no peer."""

from __future__ import annotations

import asyncio

import pytest

from loadtest.ledger import Ledger, audit_rows
from loadtest.peers.orders import WAYS, order_once, sell
from tests.contract.shops import Shop


@pytest.fixture
def url(database_url: str) -> str:
    return database_url.replace("mysql+aiomysql://", "mysql://")


@pytest.fixture
def any_url(database_url: str) -> str:
    """MariaDB alone: for `database` and `shop`."""
    return database_url


@pytest.mark.parametrize("way", WAYS)
async def test_it_sells_each_order_once_and_the_books_agree(way: str, shop: Shop, url: str) -> None:
    drop = await shop.open_drop(5_000, limit=1_000)
    sold = await sell(way, url, drop.id, seconds=0.3, connections=8)
    assert sold.accepted
    assert sold.per_s > 0
    assert audit_rows(sold.accepted, await Ledger(url).drop(drop.id)) == []
    assert await shop.violations() == []


@pytest.mark.parametrize("way", WAYS)
async def test_it_never_sells_more_than_there_is(way: str, shop: Shop, url: str) -> None:
    drop = await shop.open_drop(7, limit=1_000)
    sold = await sell(way, url, drop.id, seconds=0.5, connections=8)
    rows = await Ledger(url).drop(drop.id)
    assert (len(sold.accepted), rows.sold, rows.left) == (7, 7, 0)
    assert audit_rows(sold.accepted, rows) == []


@pytest.mark.parametrize("way", WAYS)
async def test_a_ref_is_one_order_and_a_viewer_has_a_limit(way: str, shop: Shop, url: str) -> None:
    drop = await shop.open_drop(10, limit=2)
    viewer = shop.viewers[0]
    first = await order_once(way, url, drop.id, viewer, "a")
    assert first is not None
    assert await order_once(way, url, drop.id, viewer, "a") == first
    assert await order_once(way, url, drop.id, viewer, "b") is not None
    assert await order_once(way, url, drop.id, viewer, "c") is None
    assert await order_once(way, url, drop.id, viewer, "b") is not None  # known, limit or not
    assert (await Ledger(url).drop(drop.id)).sold == 2


@pytest.mark.parametrize("way", WAYS)
async def test_two_orders_at_once_do_not_pass_the_limit_together(way: str, shop: Shop, url: str) -> None:
    drop = await shop.open_drop(100, limit=3)
    refs = [f"r{number}" for number in range(8)]
    orders = await asyncio.gather(*(order_once(way, url, drop.id, shop.viewers[0], ref) for ref in refs))
    assert sum(order is not None for order in orders) == 3
    assert (await Ledger(url).drop(drop.id)).sold == 3
