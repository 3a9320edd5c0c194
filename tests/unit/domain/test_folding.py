from __future__ import annotations

import pytest

from server.domain.folding import fold, is_unspaced


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Moonrise  LAMP!", "moonrise lamp"),
        ("Crème Brûlée", "creme brulee"),
        ("Ångström Ørsted Łódź", "angstrom orsted lodz"),
        ("Straße", "strasse"),
        ("men's men’s", "mens mens"),
        ("long-weekend/scarf_2", "long weekend scarf 2"),
        ("ＡＢＣ　１２３", "abc 123"),
        ("ｶﾞﾗｽ ガラス がらす", "がらす がらす がらす"),
        ("iPhone手机壳", "iphone 手机壳"),
        ("マグカップ500ml", "まぐかっぷ 500ml"),
        ("한국어", "한국어"),
        ("ΣΊΣΥΦΟΣ σίσυφος", "σισυφοσ σισυφοσ"),
        ("ёлка Йод", "елка иод"),
        ("हिन्दी", "हिन्दी"),
        ("🎧 ()", ""),
        ("", ""),
    ],
)
def test_what_people_type_and_what_it_is_compared_as(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_the_marks_of_kana_are_not_accents() -> None:
    assert fold("バス") != fold("パス") != fold("ハス")


@pytest.mark.parametrize(("word", "unspaced"), [("手机", True), ("がらす", True), ("한국어", True), ("lamp", False)])
def test_scripts_without_spaces(word: str, unspaced: bool) -> None:
    assert is_unspaced(word) is unspaced
