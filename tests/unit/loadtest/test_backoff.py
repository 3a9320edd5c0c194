from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from loadtest.backoff import Backoff


@given(st.integers(0, 10_000), st.integers(0, 2**32))
def test_a_wait_is_never_negative_and_never_above_the_cap(attempt: int, seed: int) -> None:
    backoff = Backoff(base_s=0.5, cap_s=10.0)
    assert 0 <= backoff.delay_s(attempt, random.Random(seed)) <= backoff.ceiling_s(attempt) <= 10.0


def test_the_ceiling_doubles_until_the_cap() -> None:
    backoff = Backoff(base_s=0.5, cap_s=10.0)
    assert [backoff.ceiling_s(attempt) for attempt in range(7)] == [0.5, 1, 2, 4, 8, 10, 10]


def test_a_crowd_does_not_come_back_as_one_wave() -> None:
    chance = random.Random(1)
    waits = [Backoff().delay_s(4, chance) for _ in range(400)]
    in_each_second = [sum(second <= wait < second + 1 for wait in waits) for second in range(8)]
    assert min(in_each_second) > 20, "full jitter fills the whole interval from 0"
