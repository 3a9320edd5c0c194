from __future__ import annotations

from dataclasses import replace

import pytest

from server.domain.drop import (
    LIMIT_MAX,
    QUANTITY_MAX,
    TIME_MAX_MS,
    VARIANTS_MAX,
    Drop,
    DropPlan,
    DropStatus,
    StockLine,
    lines_of,
    turn_of,
)
from server.domain.errors import Reason, Refused
from server.domain.money import PRICE_MAX

from .examples import DROP, NOON

PLAN = DropPlan("hoodie", 2400, "USD", (("S", 3), ("M", 1)), limit=2, opens_at=NOON, closes_at=NOON + 1)


def test_a_drops_stock_lines_are_its_variants():
    assert lines_of(DROP) == (StockLine("hoodie", "S", 3, 1), StockLine("hoodie", "M", 1, 1))


@pytest.mark.parametrize(
    "plan",
    [
        PLAN,
        replace(PLAN, price=0),
        replace(PLAN, price=PRICE_MAX, limit=LIMIT_MAX, stock=(("S", QUANTITY_MAX),)),
        replace(PLAN, opens_at=None),
        replace(PLAN, closes_at=None),
        replace(PLAN, opens_at=0, closes_at=TIME_MAX_MS),
        replace(PLAN, stock=tuple((f"v{n}", 1) for n in range(VARIANTS_MAX))),
    ],
)
def test_a_plan_within_bounds_is_fine(plan):
    plan.check()


@pytest.mark.parametrize(
    ("wrong", "field"),
    [
        ({"product": ""}, "product"),
        ({"product": "p" * 65}, "product"),
        ({"product": "кружка"}, "product"),
        ({"price": -1}, "price"),
        ({"price": PRICE_MAX + 1}, "price"),
        ({"currency": "usd"}, "currency"),
        ({"limit": 0}, "limit"),
        ({"limit": LIMIT_MAX + 1}, "limit"),
        ({"stock": ()}, "stock"),
        ({"stock": tuple((f"v{n}", 1) for n in range(VARIANTS_MAX + 1))}, "stock"),
        ({"stock": (("S", 1), ("S", 2))}, "stock"),
        ({"stock": (("S", 0),)}, "stock.quantity"),
        ({"stock": (("S", QUANTITY_MAX + 1),)}, "stock.quantity"),
        ({"opens_at": -1}, "opens_at"),
        ({"closes_at": TIME_MAX_MS + 1}, "closes_at"),
        ({"closes_at": NOON}, "closes_at"),
    ],
)
def test_a_plan_out_of_bounds_is_refused_by_the_fields_name(wrong, field):
    with pytest.raises(Refused, match=rf"^bad_request: {field} ") as refused:
        replace(PLAN, **wrong).check()
    assert refused.value.reason is Reason.BAD_REQUEST


# Turns

OPENS, CLOSES = 1_000, 2_000


@pytest.mark.parametrize(
    ("status", "times", "now", "over", "turn"),
    [
        (DropStatus.SCHEDULED, (OPENS, CLOSES), OPENS - 1, False, None),
        (DropStatus.SCHEDULED, (OPENS, CLOSES), OPENS, False, DropStatus.OPEN),
        (DropStatus.SCHEDULED, (OPENS, None), OPENS, False, DropStatus.OPEN),
        (DropStatus.SCHEDULED, (None, None), CLOSES, False, None),
        (DropStatus.SCHEDULED, (OPENS, CLOSES), CLOSES, False, DropStatus.CLOSED),
        (DropStatus.SCHEDULED, (None, CLOSES), CLOSES, False, DropStatus.CLOSED),
        (DropStatus.SCHEDULED, (OPENS, CLOSES), OPENS - 1, True, None),
        (DropStatus.SCHEDULED, (OPENS, CLOSES), OPENS, True, DropStatus.CLOSED),
        (DropStatus.OPEN, (OPENS, CLOSES), CLOSES - 1, False, None),
        (DropStatus.OPEN, (OPENS, CLOSES), CLOSES, False, DropStatus.CLOSED),
        (DropStatus.OPEN, (CLOSES, None), CLOSES, False, None),
        (DropStatus.SOLD_OUT, (OPENS, CLOSES), CLOSES, False, DropStatus.CLOSED),
        (DropStatus.SOLD_OUT, (OPENS, None), CLOSES, False, None),
        (DropStatus.CLOSED, (OPENS, CLOSES), CLOSES, False, None),
        (DropStatus.CLOSED, (OPENS, CLOSES), OPENS, True, None),
    ],
)
def test_a_drops_times_make_of_it_what_was_planned(
    status: DropStatus, times: tuple[int | None, int | None], now: int, over: bool, turn: DropStatus | None
) -> None:
    drop = Drop("d1", "Hoodie", None, 2400, "USD", 2, *times, (), status, "p1")
    assert turn_of(drop, over=over, now_ms=now) is turn
