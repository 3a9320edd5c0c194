from __future__ import annotations

import pytest

from loadtest.errors import CannotGoOn
from loadtest.fan_out import Watcher, audit, started_at
from loadtest.report import latency, percentile


def watcher(*seqs: int, start: int = 1) -> Watcher:
    return Watcher(seq=start, seen=[(seq, b"%d" % seq) for seq in seqs])


def test_an_audit_passes_when_everybody_saw_everything_in_order() -> None:
    assert audit([watcher(2, 3, 4), watcher(2, 3, 4)], 1, 4) == []


@pytest.mark.parametrize(
    ("seqs", "told"),
    [
        ((2, 4), "missing [3]"),
        ((2, 3), "missing [4]"),
        ((2, 3, 3, 4), "twice"),
        ((3, 2, 4), "out of order"),
        ((), "0 of 3"),
    ],
)
def test_an_audit_finds_who_missed_an_event_or_saw_it_twice_or_out_of_order(seqs: tuple[int, ...], told: str) -> None:
    (problem,) = audit([watcher(2, 3, 4), watcher(*seqs)], 1, 4)
    assert problem.startswith("viewer 2 ")
    assert told in problem


def test_an_audit_finds_an_event_told_in_two_ways() -> None:
    other = Watcher(seq=1, seen=[(2, b"another")])
    assert audit([watcher(2), other], 1, 2) == ["viewer 2 saw an event with another text than the others"]


def test_an_audit_finds_who_was_cut_off_even_after_the_last_event() -> None:
    cut = watcher(2)
    cut.ended = "closed with 4008"
    assert audit([cut], 1, 2) == ["viewer 1 was cut off: closed with 4008"]


def test_guests_who_join_at_different_events_cannot_be_audited() -> None:
    assert started_at([watcher(start=3), watcher(start=3)]) == 3
    with pytest.raises(CannotGoOn):
        started_at([watcher(start=3), watcher(start=4)])


def test_percentiles_are_values_that_were_measured() -> None:
    values = [float(value) for value in range(1, 101)]
    assert [percentile(values, percent) for percent in (0, 1, 50, 99, 100)] == [1, 1, 50, 99, 100]
    assert latency([3.0, 1.0]) == {"p50": 1.0, "p90": 3.0, "p99": 3.0, "max": 3.0}
    assert latency([]) == {}
