"""Which language a reader gets."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.web import texts


@pytest.mark.parametrize(
    ("accepted", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("es-MX", "es"),
        ("de-DE, es;q=0.5, en;q=0.4", "es"),
        ("de, fr", "en"),
        ("en;q=0.1, ES;q=0.9", "es"),
        ("es;q=0, en", "en"),
        ("es;q=much", "en"),
        ("*", "en"),
    ],
)
def test_a_reader_gets_the_language_they_like_best_of_those_there_are(accepted: str, language: str) -> None:
    assert texts.language_of(accepted) == language


@given(st.text())
def test_whatever_a_browser_sends_there_is_a_language(accepted: str) -> None:
    assert texts.language_of(accepted) in texts.TAGS


def test_tables_with_different_keys_stop_the_start(tmp_path: Path) -> None:
    for name in texts.TAGS:
        (tmp_path / f"{name}.json").write_text('{"a": "A"}')
    (tmp_path / "es.json").write_text('{"a": "A", "b": "B"}')
    with pytest.raises(ValueError, match=r"texts/es\.json .*: b"):
        texts.read(tmp_path)
