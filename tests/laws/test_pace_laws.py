"""Laws of the pace: never more than it says in any stretch of time, and never less."""

from __future__ import annotations

from fractions import Fraction
from itertools import accumulate

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from server.domain.pace import Pace

START_S = 1_000_000.0  # as a monotonic clock has after twelve days
PACES = st.builds(Pace, st.sampled_from([0.1, 1.0, 3.0, 64.0, 400.0]), st.integers(1, 200))
GAPS_MS = st.lists(st.sampled_from([0, 0, 0, 0, 1, 3, 16, 100, 334, 1_000, 20_000]), min_size=1, max_size=600)


def taken_at(pace: Pace, times_s: list[float]) -> list[float]:
    """When one was taken, of those who came at these times."""
    full_at_s, taken = 0.0, []
    for now_s in times_s:
        after = pace.take(full_at_s, now_s)
        if after is not None:
            full_at_s = after
            taken.append(now_s)
    return taken


def times(gaps_ms: list[int]) -> list[float]:
    return [START_S + at / 1000 for at in accumulate(gaps_ms)]


@given(PACES, GAPS_MS)
@example(Pace(64.0, 128), [0] * 300)
def test_in_any_stretch_of_time_no_more_than_the_burst_and_the_rate(pace: Pace, gaps_ms: list[int]) -> None:
    taken = taken_at(pace, times(gaps_ms))
    for first, began_s in enumerate(taken):
        for last in range(first, len(taken)):
            assert last - first + 1 <= pace.at_once + pace.per_s * (taken[last] - began_s) + 0.01


@given(PACES, GAPS_MS)
@example(Pace(64.0, 128), [0] * 128)
def test_who_keeps_the_pace_is_never_refused(pace: Pace, gaps_ms: list[int]) -> None:
    kept, tokens, before = [], Fraction(pace.at_once), 0
    for at in accumulate(gaps_ms):  # a bucket by the book decides who keeps it
        tokens = min(Fraction(pace.at_once), tokens + Fraction(str(pace.per_s)) * (at - before) / 1000)
        before = at
        if tokens >= 1:
            tokens -= 1
            kept.append(START_S + at / 1000)
    assert taken_at(pace, kept) == kept


@given(PACES, st.integers(0, 100))
def test_who_waits_as_long_as_told_is_taken(pace: Pace, more: int) -> None:
    full_at_s = 0.0
    while (after := pace.take(full_at_s, START_S)) is not None:
        assert pace.wait_s(full_at_s, START_S) == 0
        full_at_s = after
    wait_s = pace.wait_s(full_at_s, START_S)
    assert 0 < wait_s <= 1 / pace.per_s
    assert pace.take(full_at_s, START_S + wait_s + more / 1000 + 1e-6) is not None


def test_control_a_bucket_without_a_bottom_breaks_the_law() -> None:
    with pytest.raises(AssertionError):
        test_in_any_stretch_of_time_no_more_than_the_burst_and_the_rate.hypothesis.inner_test(  # type: ignore[attr-defined]
            _Endless(1.0, 2), [0] * 5
        )


class _Endless(Pace):
    def take(self, full_at_s: float, now_s: float) -> float | None:  # noqa: ARG002
        return now_s
