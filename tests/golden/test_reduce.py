"""The golden file is what its maker writes, and what the fold reproduces from the file alone."""

from __future__ import annotations

import json

import pytest

from .make import CASES, REDUCE, fold, golden, read, written

COMMITTED = json.loads(REDUCE.read_text(encoding="utf-8"))["cases"]


def test_the_committed_file_is_what_the_maker_writes():
    assert REDUCE.read_text(encoding="utf-8") == golden(), "run: python -m tests.golden.make, and read the diff"


@pytest.mark.parametrize("case", COMMITTED, ids=lambda case: case["name"])
def test_the_fold_reproduces(case):
    end = fold(read(case["start"]), map(json.dumps, case["frames"]))
    assert written(end) == case["end"]
    assert [drop["id"] for drop in written(end)["drops"]] == [drop["id"] for drop in case["end"]["drops"]]


def test_every_case_has_a_name_of_its_own():
    assert len({case.name for case in CASES}) == len(CASES)


def by_name(name: str) -> dict:
    return next(case for case in COMMITTED if case["name"] == name)


def test_a_few_ends_are_checked_by_hand():
    """So that a wrong judge cannot bless its own golden file unnoticed."""
    started = by_name("the stream starts and keeps the viewer count of now")
    assert started["end"]["stream"] == started["frames"][0]["event"]["stream"] | {"viewers": 37}
    unknown = by_name("an event of a kind not known is ignored but counted")
    assert unknown["end"] == unknown["start"] | {"seq": 11}
    life = by_name("a drop's whole life")["end"]
    assert life["seq"] == 7
    assert life["stream"]["status"] == "ended"
    assert life["drops"][0]["status"] == "closed"
    assert life["drops"][0]["variants"] == [{"id": "one", "label": "One size", "left": 0, "version": 9}]
    mixed = by_name("in an event each variant takes the newer of the two")["end"]["drops"][0]["variants"]
    assert [(v["left"], v["version"]) for v in mixed] == [(1, 8), (1, 2), (0, 1)]
    twice = by_name("an event heard twice changes nothing")
    assert [drop["id"] for drop in twice["end"]["drops"]] == ["mug"]
    crossed = by_name("of two lines of a variant in one frame the newer wins though it stands first")
    assert crossed["end"]["drops"][0]["variants"][0]["left"] == 1


def test_a_fold_that_lets_old_stock_win_does_not_reproduce_the_file():
    """The control: the file can tell a wrong fold from a right one."""
    wrong = [case["name"] for case in COMMITTED if last_heard_wins(case) != case["end"]]
    assert "older stock changes nothing" in wrong
    assert "stock heard in the wrong order ends at the newest" not in wrong  # its last line is the newest
    assert "the restock is heard before its event" in wrong


def last_heard_wins(case: dict) -> dict:
    state = json.loads(json.dumps(case["start"]))
    for frame in case["frames"]:
        if frame["type"] == "stock":
            for line in frame["stock"]:
                for drop in state["drops"]:
                    for variant in drop["variants"]:
                        if (drop["id"], variant["id"]) == (line["drop"], line["variant"]):
                            variant |= {"left": line["left"], "version": line["version"]}
        else:
            state = written(fold(read(state), [json.dumps(frame)]))
            for drop in state["drops"]:
                if drop["id"] == frame["event"].get("drop", {}).get("id"):
                    drop |= frame["event"]["drop"]
    return state
