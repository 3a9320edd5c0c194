"""What a page's scripts need, read from their sources."""

from __future__ import annotations

import pytest

from server.web import modules

SOURCES = {
    "viewer/page.js": 'import{a}from"../shared/a.js";import"./side.js";t("page.hello");',
    "viewer/side.js": 'if(x)await import("../shared/late.js");',
    "shared/a.js": 'export*from"./b.js";t(`why.${reason}`);',
    "shared/b.js": 'import{a}from"./a.js";t("b.left",{n:3});',
    "shared/late.js": 't("late.only")',
}
KNOWN = {
    "page.hello": "",
    "why.busy": "",
    "why.gone": "",
    "b.left.one": "",
    "b.left.other": "",
    "late.only": "",
    "x": "",
}


def test_a_page_loads_what_its_scripts_import_each_once() -> None:
    assert modules.imported("viewer/page.js", SOURCES) == [
        "viewer/page.js",
        "shared/a.js",
        "viewer/side.js",
        "shared/b.js",
    ]


def test_a_page_has_every_text_its_scripts_may_say_and_no_other() -> None:
    assert modules.texts_said("viewer/page.js", SOURCES, KNOWN) == KNOWN.keys() - {"x"}


def test_texts_stand_in_a_page_where_their_keys_were() -> None:
    assert modules.filled("<p>{{page.hello}}</p>", {"page.hello": "Hola"}) == "<p>Hola</p>"
    with pytest.raises(KeyError):
        modules.filled("<p>{{page.bye}}</p>", {})
