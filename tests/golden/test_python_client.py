"""The Python client's fold over the same examples as the server's and the browser's."""

from __future__ import annotations

import json
from typing import Any

import msgspec
import pytest

from dropcast import fold, frames
from dropcast.fold import State
from dropcast.shapes import Drop, Stream

from .make import REDUCE

CASES = json.loads(REDUCE.read_text(encoding="utf-8"))["cases"]


def read(said: dict[str, Any]) -> State:
    return fold.whole(msgspec.convert(said["stream"], Stream), msgspec.convert(said["drops"], list[Drop]), said["seq"])


def written(state: State) -> dict[str, Any]:
    told = {"stream": state.stream, "drops": tuple(state.drops.values()), "seq": state.seq}
    return dict(json.loads(msgspec.json.encode(told)))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_the_client_makes_the_same_of_it(case: dict[str, Any]) -> None:
    state = read(case["start"])
    for said in case["frames"]:
        match frames.decode(json.dumps(said)):
            case frames.EventFrame() as event:
                _, drop, stream = frames.read_event(event)
                state = fold.apply(state, event.seq, drop, stream)
            case frames.Stock(stock=lines):
                state = fold.with_stock(state, lines)
    assert written(state) == case["end"]
