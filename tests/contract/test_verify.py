"""`violations` says nothing of a healthy shop, and each of its invariants can fail.

What a CHECK forbids is broken with the CHECK dropped (MariaDB) or ignored (SQLite): a database that lost its CHECKs,
in a restore or a migration by hand, is what these invariants are for.
"""

from __future__ import annotations

import sqlite3
from contextlib import closing

import pytest
import pytest_asyncio
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from server.domain.drop import Drop
from server.domain.errors import DropcastError
from server.domain.ids import new_id
from server.domain.views import StreamStatus
from server.store.invariants import ALL
from tests.contract.shops import Shop


@pytest_asyncio.fixture
async def sold(shop: Shop) -> Drop:
    """A drop of five with one sold, on a live stream."""
    await shop.streams.change_status(shop.host, shop.stream, StreamStatus.LIVE)
    drop = await shop.open_drop(5, limit=2)
    await shop.order(drop)
    assert await shop.violations() == []
    return drop


async def broken(shop: Shop, statement: str, *, check: tuple[str, str] | None = None, **values: object) -> list[str]:
    """The violations after a statement by hand, behind the back of foreign keys and of one CHECK (table, name)."""
    if check is not None:
        with pytest.raises((DBAPIError, DropcastError)):  # the CHECK stands in the way first
            await shop.sql(statement, **values)
    if shop.database.is_sqlite:
        with closing(sqlite3.connect(str(shop.database.engine.url.database))) as file:
            file.execute("PRAGMA ignore_check_constraints=ON")  # foreign keys are off unless asked for
            file.execute(statement, values)
            file.commit()
    else:
        if check is not None:
            await shop.sql(f"ALTER TABLE {check[0]} DROP CONSTRAINT {check[1]}")
        async with shop.database.engine.connect() as connection:
            await connection.execute(text("SET SESSION foreign_key_checks = 0"))
            await connection.execute(text(statement), values)
            await connection.commit()
            await connection.invalidate()  # its foreign_key_checks go with it
    return await shop.violations()


async def test_a_new_shop_has_no_violations(shop: Shop) -> None:
    assert await shop.violations() == []


@pytest.mark.parametrize(
    ("statement", "check", "said"),
    [
        pytest.param(
            "UPDATE drop_stock SET put_in = 6, held = 0",
            ("drop_stock", "drop_stock_equation"),
            "put in 6, but left 4 + held 0 + sold 1 + given back 0 is 5",
            id="stock equation",
        ),
        pytest.param(
            "UPDATE drop_stock SET `left` = -1, given_back = 5",
            ("drop_stock", "drop_stock_not_negative"),
            "put in 5, but left -1",
            id="negative stock",
        ),
        pytest.param(
            "UPDATE drop_stock SET sold = 2, `left` = 3", None, "sold says 2, its orders add up to 1", id="sold"
        ),
        pytest.param("DELETE FROM orders", None, "sold says 1, its orders add up to 0", id="orders lost"),
        pytest.param("UPDATE orders SET variant_id = :other", None, "was never put into drop", id="foreign variant"),
        pytest.param("UPDATE orders SET drop_id = :other", None, "was never put into drop", id="foreign drop"),
        pytest.param("UPDATE orders SET viewer_id = :other", None, "does not exist", id="viewer"),
        pytest.param("UPDATE orders SET total = total + 1", None, "does not agree with its drop", id="total"),
        pytest.param("UPDATE orders SET currency = 'EUR'", None, "does not agree with its drop", id="currency"),
        pytest.param("UPDATE orders SET stream_id = :other", None, "does not agree with its drop", id="stream"),
        pytest.param("UPDATE orders SET product_id = :other", None, "does not agree with its drop", id="product"),
        pytest.param("UPDATE orders SET quantity = 3, total = 7200", None, "whose limit is 2", id="limit"),
        pytest.param("UPDATE variants SET received = received + 1", None, "is another number", id="goods received"),
        pytest.param("UPDATE drops SET status = 'sold_out'", None, "status sold_out with 4 left", id="not sold out"),
        pytest.param("UPDATE drops SET status = 'closed'", None, "status closed with 4 left", id="closed with stock"),
        pytest.param(
            "UPDATE drop_stock SET `left` = 0, given_back = 4", None, "status open with 0 left", id="open with nothing"
        ),
        pytest.param("DELETE FROM drop_stock", None, "has no stock rows", id="no stock rows"),
        pytest.param("UPDATE streams SET seq = seq + 1", None, "seq 4, but its log holds 3", id="event lost"),
        pytest.param("DELETE FROM events WHERE seq = 2", None, "seq 3, but its log holds 2 events up to 3", id="gap"),
        pytest.param(
            "UPDATE events SET seq = 9 WHERE seq = 3", None, "log holds 3 events up to 9", id="event misnumbered"
        ),
        pytest.param("UPDATE events SET frame = '{' WHERE seq = 2", None, "its log cannot be read", id="log not JSON"),
        pytest.param(
            'UPDATE events SET frame = \'{"type": "tick", "now": 1, "seq": 2, "viewers": 1}\' WHERE seq = 2',
            None,
            "row 2 holds another frame",
            id="log of another frame",
        ),
        pytest.param("UPDATE streams SET status = 'ended'", None, "its log says live, its row ended", id="status"),
        pytest.param("UPDATE drops SET price = 1", None, "its log tells of drop", id="drop's price"),
        pytest.param("DELETE FROM drops", None, "its row says None", id="drop lost"),
    ],
)
async def test_each_invariant_can_fail_and_says_what_is_wrong(
    shop: Shop, sold: Drop, statement: str, check: tuple[str, str] | None, said: str
) -> None:
    values = {"other": new_id()} if ":other" in statement else {}
    found = await broken(shop, statement, check=check, **values)
    assert any(said in violation for violation in found), found


def test_there_is_a_case_above_for_every_invariant() -> None:
    """Ten queries; whoever adds one adds a way to break it."""
    assert len(ALL) == 10
