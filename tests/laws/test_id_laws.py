"""Ids rise and are valid, whatever the clock does."""

from __future__ import annotations

import random
import time
import uuid
from collections.abc import Callable, Iterator
from itertools import pairwise

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from server.domain.ids import IdMaker

MakeMaker = Callable[[Callable[[], int], Callable[[int], int]], Callable[[], str]]
NOON = 1_767_225_600_000

clocks = st.lists(st.integers(NOON - 3, NOON + 3) | st.integers(-5, 2**47), min_size=2, max_size=30)


def randbits_of(data: random.Random, bound: str) -> Callable[[int], int]:
    return {"any": data.getrandbits, "least": lambda _: 0, "most": lambda bits: 2**bits - 1}[bound]


def ids_rise(make_maker: MakeMaker, clock: list[int], randbits: Callable[[int], int]) -> None:
    ticks: Iterator[int] = iter(clock)
    make = make_maker(lambda: next(ticks), randbits)
    made = [make() for _ in clock]
    assert all(earlier < later for earlier, later in pairwise(made))
    for text, now in zip(made, clock, strict=True):
        assert len(text) == 32
        assert text == uuid.UUID(text).hex
        assert (uuid.UUID(text).version, uuid.UUID(text).variant) == (7, uuid.RFC_4122)
        assert uuid.UUID(text).int >> 80 >= now  # never older than it is: a database page once filled stays so


@settings(max_examples=300, deadline=None)
@given(clocks, st.randoms(use_true_random=False), st.sampled_from(["any", "least", "most"]))
def test_ids_rise_and_are_valid_whatever_the_clock_and_the_dice_do(clock, dice, bound):
    ids_rise(IdMaker, clock, randbits_of(dice, bound))


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**47), st.sampled_from(["any", "most"]), st.randoms(use_true_random=False))
def test_ids_rise_while_the_clock_stands_still(now, bound, dice):
    ids_rise(IdMaker, [now] * 2_000, randbits_of(dice, bound))


def test_ids_of_several_makers_do_not_meet():
    ids = [make() for make in [IdMaker(now_ms=lambda: NOON) for _ in range(20)] for _ in range(200)]
    assert len(set(ids)) == 4_000


def test_ids_rise_with_the_real_clock():
    make = IdMaker()
    before_ms = time.time_ns() // 1_000_000
    ids = [make() for _ in range(5_000)]
    assert ids == sorted(set(ids))
    assert uuid.UUID(ids[0]).int >> 80 >= before_ms


def plain_uuid7(now_ms: Callable[[], int], randbits: Callable[[int], int]) -> Callable[[], str]:
    """UUIDv7 as it is often written: the clock and dice, without memory."""
    return lambda: f"{max(0, now_ms()) << 80 | 7 << 76 | randbits(12) << 64 | 2 << 62 | randbits(62):032x}"


def naive_counter(now_ms: Callable[[], int], randbits: Callable[[int], int]) -> Callable[[], str]:
    """Counts up, but in the bits where version and variant stand."""
    last = 0

    def make() -> str:
        nonlocal last
        last = max(last + 1, max(0, now_ms()) << 80 | 7 << 76 | 2 << 62 | randbits(80))
        return f"{last:032x}"

    return make


@pytest.mark.parametrize("broken", [plain_uuid7, naive_counter])
def test_the_law_catches(broken):
    @settings(max_examples=300, deadline=None, database=None, derandomize=True, phases=[Phase.generate])
    @given(clocks, st.randoms(use_true_random=False))
    def holds(clock, dice):
        ids_rise(broken, clock, dice.getrandbits)

    with pytest.raises(AssertionError):
        holds()
