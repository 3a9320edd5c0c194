from __future__ import annotations

import pytest

from server.domain.folding import fold
from server.domain.grams import GRAM_MAX, GRAMS_MAX, QUERY_GRAMS_MAX, TEXT_MAX, asked, entry


def shared(query: str, title: str) -> set[str]:
    return set(asked(fold(query))) & entry(title, "SKU", "").grams.keys()


def test_a_title_is_found_by_its_words_and_their_pieces() -> None:
    grams = entry("Lamp", "", "").grams
    assert set(grams) == {"=lamp", "_l", "_la", "lam", "amp", "mp_", "~amp", "~lmp", "~lap", "~lam"}
    assert grams["=lamp"] > grams["~lap"] > grams["lam"] > 0


@pytest.mark.parametrize("query", ["lamp", "lmap", "lap", "lamps", "laamp", "lanp", "l", "la", "LÁMP"])
def test_a_short_word_shares_something_with_every_way_to_mistype_it(query: str) -> None:
    assert shared(query, "Lamp")


@pytest.mark.parametrize(("query", "title"), [("灯", "青禾台灯"), ("台灯", "青禾台灯"), ("ﾊﾞ", "バッグ")])
def test_one_or_two_characters_are_enough_where_words_have_no_spaces(query: str, title: str) -> None:
    assert shared(query, title)


def test_the_middle_of_a_word_of_two_letters_is_not_asked_for() -> None:
    assert not shared("mp", "Lamps")


def test_a_sku_is_found_with_its_dashes_or_without() -> None:
    grams = entry("Tee", "TEE-BLACK", "", [("TEE-BLACK-M", "M")]).grams
    for typed in ("tee-black", "teeblack", "TEE BLACK", "tee-black-m"):
        assert {"=teeblack", "=teeblackm"} & set(asked(fold(typed))) & grams.keys(), typed


def test_the_title_weighs_most_and_a_short_one_more_than_a_long_one() -> None:
    grams = entry("Merino", "A", "cashmere", [("A-1", "Ochre")]).grams
    assert grams["=merino"] > grams["=ochre"] > grams["=cashmere"]
    assert grams["=merino"] > entry("Merino scarf with a long, long name", "A", "").grams["=merino"]


def test_everything_is_bounded() -> None:
    long = " ".join(f"word{n}" for n in range(5_000))
    unspaced = "".join(map(chr, range(0x4E00, 0x4E00 + 5_000)))
    for text in (long, unspaced, "x" * 5_000, "ﷺ" * 200):
        made = entry(text, "S" * 64, text, [(f"V-{n}", text) for n in range(200)])
        assert len(made.grams) <= GRAMS_MAX
        assert max(map(len, made.grams)) <= GRAM_MAX
        assert max(len(made.title), len(made.also)) <= TEXT_MAX
        assert max(made.grams.values()) < 2**15  # SMALLINT
        assert len(asked(fold(text))) <= QUERY_GRAMS_MAX
    assert asked("") == []
