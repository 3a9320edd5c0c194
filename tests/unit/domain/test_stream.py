from __future__ import annotations

from dataclasses import replace

from server.domain.drop import DropStatus, DropVariant, StockLine, lines_of
from server.domain.events import DropEvent, EventKind, StreamEvent, type_of_kind
from server.domain.stream import apply, stock_of, with_stock
from server.domain.views import StreamStatus

from .examples import DROP, STATE, STREAM

MUG = replace(DROP, id="mug", title="Mug", variants=(DropVariant("one", "", 5, 1),))


def left(state, drop="hoodie") -> dict[str, int]:
    return {v.id: v.left for v in state.drops[drop].variants}


def test_an_event_moves_the_position_on():
    assert apply(STATE, DropEvent(EventKind.DROP_SCHEDULED, MUG), 42).seq == 42


def test_an_event_already_contained_changes_nothing():
    closed = DropEvent(EventKind.DROP_CLOSED, replace(DROP, status=DropStatus.CLOSED))
    assert apply(STATE, closed, 41) is STATE
    assert apply(STATE, closed, 7) is STATE


def test_an_event_of_a_kind_not_known_only_counts():
    assert apply(STATE, None, 42) == replace(STATE, seq=42)
    assert apply(STATE, None, 41) is STATE


def test_the_viewer_count_is_state_and_no_event_turns_it_back():
    ended = StreamEvent(EventKind.STREAM_ENDED, replace(STREAM, status=StreamStatus.ENDED, viewers=3))
    after = apply(STATE, ended, 42).stream
    assert after.status is StreamStatus.ENDED
    assert after.viewers == 1284


def test_drops_stand_in_the_order_they_were_scheduled():
    state = apply(STATE, DropEvent(EventKind.DROP_SCHEDULED, MUG), 42)
    state = apply(state, DropEvent(EventKind.DROP_CLOSED, replace(DROP, status=DropStatus.CLOSED)), 43)
    assert list(state.drops) == ["hoodie", "mug"]


def test_stock_in_an_event_does_not_replace_newer_stock():
    state = with_stock(STATE, [StockLine("hoodie", "S", left=1, version=9)])
    opened = DropEvent(EventKind.DROP_OPENED, replace(DROP, variants=(replace(DROP.variants[0], left=3, version=8),)))
    assert left(apply(state, opened, 42)) == {"S": 1}


def test_stock_in_an_event_replaces_older_stock():
    restocked = replace(DROP, variants=tuple(replace(v, left=50, version=2) for v in DROP.variants))
    assert left(apply(STATE, DropEvent(EventKind.DROP_OPENED, restocked), 42)) == {"S": 50, "M": 50}


def test_stock_of_an_older_or_equal_version_changes_nothing():
    state = with_stock(STATE, [StockLine("hoodie", "S", left=2, version=5)])
    assert with_stock(state, [StockLine("hoodie", "S", left=7, version=4)]) == state
    assert with_stock(state, [StockLine("hoodie", "S", left=7, version=5)]) == state


def test_of_two_lines_of_a_variant_in_one_frame_the_newer_wins_wherever_it_stands():
    old, new = StockLine("hoodie", "S", left=2, version=2), StockLine("hoodie", "S", left=1, version=3)
    assert left(with_stock(STATE, [new, old])) == left(with_stock(STATE, [old, new])) == {"S": 1, "M": 1}


def test_stock_of_a_drop_or_variant_not_known_changes_nothing():
    assert with_stock(STATE, [StockLine("mug", "one", 5, 9)]) is STATE
    assert with_stock(STATE, [StockLine("hoodie", "XXL", 5, 9)]) == STATE


def test_a_state_once_made_is_never_changed():
    before = dict(STATE.drops)
    with_stock(STATE, [StockLine("hoodie", "S", left=0, version=9)])
    apply(STATE, DropEvent(EventKind.DROP_SCHEDULED, MUG), 42)
    assert STATE.drops == before


def test_stock_lines_are_those_of_drops_that_are_or_may_be_on_sale():
    closed = apply(STATE, DropEvent(EventKind.DROP_SCHEDULED, replace(MUG, status=DropStatus.CLOSED)), 42)
    assert stock_of(closed) == lines_of(DROP)
    for status in (DropStatus.SCHEDULED, DropStatus.OPEN, DropStatus.SOLD_OUT):
        state = apply(STATE, DropEvent(EventKind.DROP_SCHEDULED, replace(MUG, status=status)), 42)
        assert stock_of(state) == lines_of(DROP) + lines_of(MUG)


def test_every_kind_of_event_is_about_the_stream_or_about_a_drop():
    assert {kind for kind, type_ in type_of_kind.items() if type_ is StreamEvent} == {
        EventKind.STREAM_STARTED,
        EventKind.STREAM_ENDED,
    }
    assert set(type_of_kind) == set(EventKind)
