"""Resume, without a socket: each event once and in order, whatever breaks when."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dropcast.errors import BadAnswer
from dropcast.following import Following, Gap
from dropcast.news import Event, News, Stock, Viewers, Whole
from dropcast.shapes import Position
from server.domain.drop import DropStatus, StockLine
from server.domain.events import EventKind
from tests.unit.client import said


def hears(following: Following, *texts: str) -> list[News]:
    news: list[News] = []
    for text in texts:
        frame = following.read(text)
        if frame is not None:
            news += following.hear(frame)
    return news


def seqs(news: list[News]) -> list[int]:
    return [item.seq for item in news if isinstance(item, Event)]


def at(seq: int, *drops: Any) -> Following:
    following = Following()
    hears(following, said.welcome(seq, *drops))
    return following


def test_it_begins_whole_and_then_tells_each_event_once() -> None:
    following = Following()
    assert following.position is None
    news = hears(following, said.welcome(4, said.drop()), said.event(5), said.event(5), said.later_kind(6))
    assert isinstance(news[0], Whole)
    assert news[0].state.drops["d"].left == 9
    assert seqs(news) == [5, 6]
    assert (news[1].kind, news[1].drop.id) == ("drop_opened", "d")  # type: ignore[union-attr]
    assert (news[2].kind, news[2].drop) == ("fireworks", None)  # type: ignore[union-attr]
    assert following.position == Position("e", 6)


def test_stock_and_viewers_are_news_only_when_they_are_new() -> None:
    following = at(4, said.drop(9, 5))
    old_new_old = hears(following, said.stock(3, 4), said.stock(8, 6), said.stock(9, 5), said.stock(1, 99, "unknown"))
    assert [line.left for item in old_new_old if isinstance(item, Stock) for line in item.lines] == [8]
    assert following.state is not None
    assert following.state.drops["d"].left == 8
    assert hears(following, said.tick(4, 3), said.tick(4, 3)) == [Viewers(3)]


def test_missed_is_told_and_its_stock_is_newer_than_its_events() -> None:
    following = at(4, said.drop(9, 1))
    gone = said.event(5, said.drop(0, 7, DropStatus.SOLD_OUT), EventKind.DROP_SOLD_OUT)
    news = hears(following, said.welcome(6, missed=[gone, said.later_kind(6)], stock=[StockLine("d", "v", 2, 8)]))
    assert seqs(news) == [5, 6]
    assert news[-1] == Stock((news[-1].lines[0],))  # type: ignore[union-attr]
    assert following.state is not None
    assert (following.state.drops["d"].status, following.state.drops["d"].left) == ("sold_out", 2)


@pytest.mark.parametrize(
    "breaks",
    [
        pytest.param(said.event(6), id="an event is skipped"),
        pytest.param(said.welcome(6, missed=[said.event(6)]), id="missed begins late"),
        pytest.param(said.welcome(6, missed=[said.event(5)]), id="missed ends early"),
        pytest.param(said.welcome(6, missed=[said.event(5)], epoch="other"), id="missed of another epoch"),
        pytest.param(said.welcome(7, missed=[said.event(5), said.event(7)]), id="missed has a hole"),
    ],
)
def test_a_hole_is_never_taken_for_whole_and_a_second_one_asks_for_everything(breaks: str) -> None:
    following = at(4)
    for position in (Position("e", 4), None):
        with pytest.raises(Gap):
            hears(following, breaks)
        assert following.state is not None
        assert following.state.seq == 4
        assert following.position == position
    news = hears(following, said.welcome(9, said.drop()))
    assert isinstance(news[0], Whole)
    assert following.position == Position("e", 9)


def test_a_gap_that_was_healed_does_not_count_against_the_next_one() -> None:
    following = at(4)
    for seq in (6, 9):
        with pytest.raises(Gap):
            hears(following, said.event(seq))
        assert following.position == Position("e", seq - 2)
        hears(following, said.welcome(seq, missed=[said.event(seq - 1), said.event(seq)]), said.event(seq + 1))


def test_a_tick_that_is_ahead_shows_what_is_missing() -> None:
    following = at(4)
    hears(following, said.tick(5))
    assert following.behind
    hears(following, said.event(5))
    assert not following.behind


def test_a_replica_that_lags_turns_nothing_back() -> None:
    following = at(4, said.drop(9, 5))
    hears(following, said.event(5, said.drop(7, 6)))
    news = hears(following, said.welcome(3, said.drop(9, 5)), said.event(4), said.event(5), said.event(6))
    assert seqs(news) == [6]
    assert not any(isinstance(item, Whole) for item in news)


def test_another_epoch_is_another_history() -> None:
    following = at(40, said.drop(9, 50))
    news = hears(following, said.welcome(3, said.drop(4, 2), epoch="restored"))
    assert isinstance(news[0], Whole)
    assert following.position == Position("restored", 3)
    assert following.state is not None
    assert following.state.drops["d"].left == 4


@pytest.mark.parametrize("text", ["{", '{"type": "tick"}', "[]", "[" * 100_000, b"\xff"])
def test_what_cannot_be_read_is_said_so(text: str | bytes) -> None:
    with pytest.raises(BadAnswer):
        at(4).read(text)


def test_an_event_of_a_known_kind_that_cannot_be_read_is_not_passed_over() -> None:
    broken = json.dumps({"type": "event", "seq": 5, "at": 1, "event": {"kind": "drop_opened", "drop": {"id": 1}}})
    with pytest.raises(BadAnswer, match="event 5"):
        hears(at(4), broken)


@dataclass(frozen=True)
class Connection:
    """What one connection brings: events come twice, in disorder or not at all; a replica lags or knows no past."""

    goes_on_by: int
    knows_the_past: bool
    lags_by: int
    live: tuple[int, ...]


CONNECTIONS = st.lists(
    st.builds(
        Connection,
        st.integers(0, 6),
        st.booleans(),
        st.integers(0, 9),
        st.lists(st.integers(-3, 4), max_size=6).map(tuple),
    ),
    max_size=12,
)


@given(CONNECTIONS)
def test_over_any_connections_each_event_is_told_once_and_in_order(connections: list[Connection]) -> None:
    following = Following()
    told: list[int] = []
    head = 0
    for connection in connections:
        head += connection.goes_on_by
        position = following.position
        if position is not None and position.seq <= head and connection.knows_the_past:
            missed = [said.later_kind(seq) for seq in range(position.seq + 1, head + 1)]
            texts = [said.welcome(head, missed=missed)]
        else:
            texts = [said.welcome(max(0, head - connection.lags_by))]
        texts += [said.later_kind(max(1, head + step)) for step in connection.live]
        try:
            for text in texts:
                for item in hears(following, text):
                    if isinstance(item, Whole):
                        assert not told or item.state.seq > told[-1]
                        told.append(item.state.seq)
                    elif isinstance(item, Event):
                        assert item.seq == told[-1] + 1
                        told.append(item.seq)
        except Gap:
            pass
        head = max([head, *told])
    assert not told or (following.state is not None and following.state.seq == told[-1])
