"""Every text has its translations, is said somewhere, and says the same things in each language."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from server.web import modules, texts
from server.web.assets import Assets

CLIENT = Path(__file__).resolve().parents[2] / "client"
TABLES = texts.read(CLIENT / "texts")
ENGLISH = TABLES[texts.DEFAULT]
SCRIPTS = Assets(CLIENT).scripts
PAGES = {path: path.read_text() for folder in ("viewer", "host") for path in (CLIENT / folder).glob("*.html")}


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_say_only_texts_that_there_are(script: str) -> None:
    assert modules.keys_in(SCRIPTS[script], ENGLISH) <= ENGLISH.keys()


@pytest.mark.parametrize("script", SCRIPTS)
def test_the_key_of_a_text_can_be_read_where_it_is_said(script: str) -> None:
    odd = re.findall(r"(?<![\w.$])t\((?!\"[a-z0-9_.]+\"[,)]|`[a-z0-9_.]+\$\{)[^)]*\)", SCRIPTS[script])
    assert [call for call in odd if script != "shared/texts.js"] == []


def test_pages_show_only_texts_that_there_are() -> None:
    for path, page in PAGES.items():
        assert modules.keys_in_html(page) <= ENGLISH.keys() | {"lang"}, path.name


def test_every_text_is_said_somewhere() -> None:
    said = {key for source in SCRIPTS.values() for key in modules.keys_in(source, ENGLISH)}
    shown = {key for page in PAGES.values() for key in modules.keys_in_html(page)}
    assert ENGLISH.keys() - said - shown == set()


@pytest.mark.parametrize("language", TABLES)
def test_a_text_names_the_same_values_in_every_language(language: str) -> None:
    def named(text: str) -> set[str]:
        return set(re.findall(r"\{(\w+)\}", text))

    for key, text in TABLES[language].items():
        assert text.strip(), key
        assert named(text) == named(ENGLISH[key]), key


@pytest.mark.parametrize("language", TABLES)
def test_tables_are_sorted(language: str) -> None:
    assert list(TABLES[language]) == sorted(TABLES[language])
