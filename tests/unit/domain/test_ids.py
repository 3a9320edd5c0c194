from __future__ import annotations

import uuid

import pytest

from server.domain.ids import IdMaker, is_id, new_id


def moment(text: str) -> int:
    """The millisecond an id says it was made in."""
    return uuid.UUID(text).int >> 80


def test_an_id_is_a_uuid_of_version_7_in_32_lower_case_digits():
    text = new_id()
    assert len(text) == 32
    assert text == text.lower()
    assert uuid.UUID(text).version == 7
    assert uuid.UUID(text).variant == uuid.RFC_4122


def test_an_id_says_when_it_was_made():
    assert moment(IdMaker(now_ms=lambda: 1_767_225_600_123)()) == 1_767_225_600_123


def test_ids_made_in_one_millisecond_rise():
    make = IdMaker(now_ms=lambda: 1_767_225_600_123)
    ids = [make() for _ in range(1_000)]
    assert ids == sorted(set(ids))
    assert {moment(text) for text in ids} == {1_767_225_600_123}


def test_ids_rise_though_the_clock_goes_back():
    clock = iter([1_000, 2_000, 500, 2_001])
    make = IdMaker(now_ms=lambda: next(clock))
    ids = [make() for _ in range(4)]
    assert ids == sorted(set(ids))
    assert [moment(text) for text in ids] == [1_000, 2_000, 2_000, 2_001]


def test_a_millisecond_without_room_borrows_from_the_next():
    make = IdMaker(now_ms=lambda: 1_000, randbits=lambda bits: 2**bits - 1)
    steps = 2**41 // 2**32 + 1
    make._low = 2**74 - 2**40  # nearly full: counting there honestly would take years
    make._last_ms = 1_000
    ids = [make() for _ in range(steps)]
    assert ids == sorted(set(ids))
    assert moment(ids[-1]) == 1_001
    assert uuid.UUID(ids[-1]).version == 7


def test_what_the_maker_makes_has_the_shape_of_an_id():
    assert is_id(new_id())


@pytest.mark.parametrize("text", ["", "1" * 31, "1" * 33, "A" * 32, "1" * 32 + "\n", "١" * 32, str(uuid.uuid4())])
def test_anything_else_has_not(text):
    assert not is_id(text)
