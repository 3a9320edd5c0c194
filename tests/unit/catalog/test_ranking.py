from __future__ import annotations

import pytest

from server.catalog.ranking import ranked
from server.domain.folding import fold
from server.domain.grams import entry
from server.domain.product import Candidate


def candidate(title: str, sku: str = "", description: str = "", *labels: str) -> Candidate:
    made = entry(title, sku, description, [("", label) for label in labels])
    return Candidate(title, made.title, made.also, made.description)


def order(query: str, *candidates: Candidate) -> list[str]:
    return [one.id for one in ranked(fold(query), candidates)]


def test_the_whole_word_then_its_beginning_then_its_middle() -> None:
    titles = [candidate(title) for title in ("Carpenter", "Pencil", "Pen")]
    assert order("pen", *titles) == ["Pen", "Pencil", "Carpenter"]


def test_the_title_then_the_label_then_the_description() -> None:
    found = order(
        "merino", candidate("Hat", "A", "Merino."), candidate("Cap", "B", "", "Merino"), candidate("Merino", "C")
    )
    assert found == ["Merino", "Cap", "Hat"]


def test_a_sku_typed_in_full_is_meant() -> None:
    assert order("tee-7", candidate("Tee 70"), candidate("Shirt", "TEE-7"))[0] == "Shirt"


def test_equals_keep_their_order() -> None:
    twins = [Candidate(str(n), "lamp", "", "") for n in range(9)]
    assert [one.id for one in ranked("lamp", twins)] == list("012345678")


@pytest.mark.parametrize(
    "query", ["moonrse lamp", "lamp moonrise", "mooonrise", "moonr", "moomr", "amp moonrise", "moon rise"]
)
def test_the_likest_comes_first(query: str) -> None:
    assert (
        order(query, candidate("Sunrise lamp"), candidate("Moonrise lamp"), candidate("Moss tray"))[0]
        == "Moonrise lamp"
    )


@pytest.mark.parametrize("query", ["蓝牙耳机", "耳机", "蓝牙无线耳机", "蓝耳机", "云杉耳机"])
def test_parts_of_a_run_without_spaces(query: str) -> None:
    assert order(query, candidate("青禾台灯"), candidate("云杉蓝牙耳机"), candidate("云杉茶壶"))[0] == "云杉蓝牙耳机"


def test_what_is_not_like_the_query_is_left_out() -> None:
    assert order("headphones", candidate("Lamp"), candidate("Phone case"), candidate("Headphones")) == ["Headphones"]
    assert ranked("lamp", []) == []
