"""The auditor finds every kind of lie: each forged history differs from a true one in one thing."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from tests.faults.audit import Books, History, Row, Stock, Told, audit


def true_history() -> History:
    """Ann buys one, is asked to come again, and gets it; Bob buys two and asks twice; Cid comes too late."""
    return History(
        asked={("ann", "a1"), ("bob", "b1"), ("cid", "c1")},
        told=[
            Told("ann", "a1", 1, None, "busy", retry=True),
            Told("bob", "b1", 2, "o2"),
            Told("ann", "a1", 1, "o1"),
            Told("bob", "b1", 2, "o2"),
            Told("cid", "c1", 1, None, "sold_out"),
        ],
        seen={"ann": (3, [4, 5, 6]), "bob": (6, [])},
    )


TRUE_BOOKS = Books(
    orders=(Row("o1", "ann", "a1", 1), Row("o2", "bob", "b1", 2)),
    stock=(Stock("mug", put_in=5, left=0, sold=3, given_back=2),),
    seq=6,
)

Forge = Callable[[History], Books]


def but(**changed: object) -> Forge:
    return lambda _: replace(TRUE_BOOKS, **changed)  # type: ignore[arg-type]


def told(*receipts: Told) -> Forge:
    def forge(history: History) -> Books:
        history.told.extend(receipts)
        return TRUE_BOOKS

    return forge


def unheard(ref: str) -> Forge:
    def forge(history: History) -> Books:
        history.told = [one for one in history.told if one.ref != ref or one.retry]
        return TRUE_BOOKS

    return forge


def seen(*numbers: int) -> Forge:
    def forge(history: History) -> Books:
        history.seen["ann"] = (3, [*numbers])
        return TRUE_BOOKS

    return forge


O1, O2 = TRUE_BOOKS.orders


def test_a_true_history_has_no_problems() -> None:
    assert audit(true_history(), TRUE_BOOKS) == []


@pytest.mark.parametrize(
    ("forge", "problem"),
    [
        pytest.param(but(orders=(O1,)), "b1 of bob was accepted as 2 in order o2, which has no such row", id="lost"),
        pytest.param(but(orders=(O1, replace(O2, id="o9"))), "in order o2, which has no such row", id="another id"),
        pytest.param(but(orders=(O1, replace(O2, quantity=1))), "accepted as 2 in order o2", id="another quantity"),
        pytest.param(but(orders=(O1, O2, replace(O2, id="o3"))), "b1 of bob has 2 rows", id="doubled ref"),
        pytest.param(
            but(orders=(O1, O2, Row("o3", "cid", "c1", 1))), "c1 of cid was refused (sold_out), but", id="refused"
        ),
        pytest.param(but(orders=(O1, O2, Row("o3", "cid", "c9", 1))), "but nobody asked for it", id="unasked"),
        pytest.param(unheard("a1"), "a1 of ann never got an answer, only ['busy']", id="unanswered"),
        pytest.param(unheard("b1"), "b1 of bob never got an answer, only []", id="never answered"),
        pytest.param(told(Told("ann", "a1", 1, "o5")), "a1 of ann was told different things", id="two orders"),
        pytest.param(told(Told("ann", "a1", 1, None, "sold_out")), "different things", id="taken back"),
        pytest.param(told(Told("ann", "a1", 1, None, "internal", retry=True)), "`internal`: a bug", id="internal"),
        pytest.param(but(stock=(Stock("mug", 5, 1, 3, 2),)), "mug: Stock(", id="equation"),
        pytest.param(but(stock=(Stock("mug", 2, -1, 3, 0),)), "mug: 3 sold of 2", id="oversold"),
        pytest.param(but(violations=("drop mug: status open with 0 left",)), "status open with 0 left", id="verify"),
        pytest.param(seen(4, 6), "missed [5], twice []", id="a hole"),
        pytest.param(seen(4, 5, 5, 6), "missed [], twice [5]", id="twice"),
        pytest.param(seen(4, 5), "missed [6], twice []", id="too short"),
        pytest.param(seen(4, 6, 5), "in order", id="out of order"),
    ],
)
def test_a_forged_history_is_found(forge: Forge, problem: str) -> None:
    history = true_history()
    books = forge(history)
    assert any(problem in found for found in audit(history, books)), audit(history, books)
