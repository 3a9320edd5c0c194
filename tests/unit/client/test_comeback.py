"""Whether to come back, and when."""

from __future__ import annotations

import random

import pytest

from dropcast.comeback import Backoff, comes_back, dead_after_s, wait_s
from server.protocol.codes import CloseCode

BACKOFF = Backoff(base_s=0.5, cap_s=15.0)


@pytest.mark.parametrize("code", list(CloseCode), ids=lambda code: code.name)
def test_every_code_of_the_shop_is_obeyed(code: CloseCode) -> None:
    assert comes_back(code) is code.come_back


@pytest.mark.parametrize("code", [1001, 1005, 1006, 1011, 1014, 4000, 4499, 5000])
def test_other_codes_after_which_a_client_comes_back(code: int) -> None:
    assert comes_back(code)


@pytest.mark.parametrize("code", [1002, 1008, 4510, 4999])
def test_other_codes_after_which_a_client_stays_away(code: int) -> None:
    assert not comes_back(code)


def test_waits_double_up_to_the_cap_and_are_spread_over_all_of_it() -> None:
    assert [BACKOFF.ceiling_s(attempt) for attempt in range(7)] == [0.5, 1, 2, 4, 8, 15, 15]
    assert BACKOFF.ceiling_s(10_000) == 15
    assert [wait_s(BACKOFF, 1006, 2, luck, None) for luck in (0.0, 0.5)] == [0.0, 1.0]


def test_a_crowd_does_not_come_back_as_one_wave() -> None:
    chance = random.Random(1)
    waits = [Backoff().delay_s(4, chance.random()) for _ in range(400)]
    in_each_second = [sum(second <= wait < second + 1 for wait in waits) for second in range(8)]
    assert min(in_each_second) > 20, "full jitter fills the whole interval from 0"


@pytest.mark.parametrize("code", [1012, 1013])
def test_what_hits_everybody_at_once_is_spread_wider_from_the_first_time_on(code: int) -> None:
    assert wait_s(BACKOFF, code, 0, 0.5, None) == 1.0
    assert wait_s(BACKOFF, 1006, 0, 0.5, None) == 0.25


def test_who_was_told_when_to_come_back_waits_for_what_is_left_of_it() -> None:
    assert wait_s(BACKOFF, 1012, 5, 0.9, 1.25) == 1.25
    assert wait_s(BACKOFF, 1006, 5, 0.9, -3.0) == 0.0


def test_two_and_a_half_ticks_of_silence_are_too_many() -> None:
    assert dead_after_s(15.0) == 37.5
