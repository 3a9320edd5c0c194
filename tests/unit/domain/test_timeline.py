from __future__ import annotations

import pytest

from server.domain.timeline import MISSED_MAX, Gap, Timeline


def timeline(first: int, last: int, capacity: int = MISSED_MAX) -> Timeline:
    events = Timeline(first, capacity)
    for seq in range(first + 1, last + 1):
        events.append(seq, f"event {seq}")
    return events


def test_a_viewer_who_returns_within_the_timeline_misses_nothing():
    assert timeline(40, 43).since(41) == ("event 42", "event 43")


def test_a_viewer_who_missed_nothing_gets_nothing():
    assert timeline(40, 43).since(43) == ()


def test_a_thousand_events_back_are_answered_exactly_and_one_more_is_not():
    events = timeline(0, 1_500)
    assert events.since(500) == tuple(f"event {seq}" for seq in range(501, 1_501))
    assert events.since(499) is None


def test_a_position_before_the_timeline_began_is_not_answered_in_part():
    assert timeline(40, 43).since(40) == ("event 41", "event 42", "event 43")
    assert timeline(40, 43).since(39) is None


def test_a_position_from_the_future_is_not_answered():
    assert timeline(40, 43).since(44) is None


def test_an_event_that_is_already_here_is_not_added_again():
    events = timeline(40, 43)
    assert events.append(44, "event 44") is True
    assert events.append(44, "event 44 again") is False
    assert events.append(41, "event 41 again") is False
    assert events.since(42) == ("event 43", "event 44")


def test_a_hole_is_a_gap_and_adds_nothing():
    events = timeline(40, 43)
    with pytest.raises(Gap, match="event 45 after 43"):
        events.append(45, "event 45")
    assert events.seq == 43
    assert len(events) == 3


def test_a_full_timeline_lets_the_oldest_go():
    events = timeline(0, 5, capacity=3)
    assert len(events) == 3
    assert events.since(2) == ("event 3", "event 4", "event 5")
    assert events.since(1) is None
