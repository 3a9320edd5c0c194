"""The rotation: who has been here long is asked once to come back, spread over time, and nobody else is."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from server.live.hub import Hub
from server.live.rotation import LEAVES_WITHIN_S, SLICE, Rotation
from server.protocol.codes import CloseCode

from .examples import Viewer

AGE_S = 1000


class Guest(Viewer):
    """Every socket is somebody of their own, and a key as sockets are."""


class House:
    def __init__(self, age_s: float = AGE_S, seed: int = 1) -> None:
        self.hub, self.now_s, self.leaving = Hub(), 0.0, False
        self.rotation = Rotation(
            self.hub,
            age_s=age_s,
            leaving=lambda: self.leaving,
            now_s=lambda: self.now_s,
            luck=random.Random(seed).random,
        )

    def let_in(self) -> Guest:
        guest = Guest(f"guest {len(self.hub)}", self.now_s)
        self.hub.room("friday").add(guest)  # type: ignore[arg-type]
        return guest

    async def look_until(self, then_s: float) -> None:
        """Looks as often as the task would."""
        while self.now_s < then_s:
            self.now_s += self.rotation.look_every_s
            await self.rotation.look()


async def test_nobody_is_asked_before_their_time_and_everybody_once_after_it() -> None:
    house = House()
    guests = [house.let_in() for _ in range(SLICE * 2 + 1)]  # more than two slices
    await house.look_until(AGE_S * 0.9 - 5)
    assert not any(guest.texts for guest in guests)
    await house.look_until(AGE_S * 0.9 + LEAVES_WITHIN_S - 10)
    told = [guest for guest in guests if guest.texts]
    assert 0 < len(told) < len(guests) / 4
    for guest in told:
        house.hub.room("friday").remove(guest)  # type: ignore[arg-type]
    await house.look_until(AGE_S * 1.1 + 5)
    assert [len(guest.frames) for guest in guests] == [1] * len(guests)
    assert {guest.frames[0]["type"] for guest in guests} == {"drain"}


async def test_a_crowd_that_came_at_once_is_asked_evenly_over_a_fifth_of_the_age() -> None:
    house = House()
    guests = [house.let_in() for _ in range(4000)]
    asked_at: Counter[int] = Counter()
    for look in range(int(AGE_S * 1.15 / house.rotation.look_every_s)):
        before = {guest.person for guest in guests if guest.texts}
        house.now_s = (look + 1) * house.rotation.look_every_s
        await house.rotation.look()
        asked_at[int(house.now_s // 50)] += sum(bool(guest.texts) for guest in guests) - len(before)
    quarters = [asked_at[at] for at in (18, 19, 20, 21)]  # 900 … 1100 s, by 50
    assert sum(asked_at.values()) == len(guests)
    assert all(850 < asked < 1150 for asked in quarters), asked_at


async def test_each_is_told_a_moment_of_their_own_before_the_next_look() -> None:
    house = House()
    guests = [house.let_in() for _ in range(200)]
    await house.look_until(AGE_S * 1.1 + 5)
    waits = [guest.frames[0]["reconnect_in_ms"] for guest in guests]
    assert all(0 <= wait < house.rotation.look_every_s * 1000 for wait in waits)
    assert len(set(waits)) > 150


async def test_who_was_asked_and_stays_is_closed_with_1012() -> None:
    house = House()
    deaf = house.let_in()
    while not deaf.texts:
        await house.look_until(house.now_s + 1)
    asked_at_s = house.now_s
    await house.look_until(asked_at_s + LEAVES_WITHIN_S - 1)
    assert deaf.code is None or house.now_s >= asked_at_s + LEAVES_WITHIN_S
    await house.look_until(asked_at_s + LEAVES_WITHIN_S)
    assert (deaf.code, len(deaf.texts)) == (CloseCode.RESTARTING, 1)


async def test_a_replica_that_leaves_lets_its_drain_speak() -> None:
    house = House()
    guest = house.let_in()
    house.leaving = True
    await house.look_until(AGE_S * 2)
    assert (guest.texts, guest.code) == ([], None)


async def test_who_has_left_is_forgotten() -> None:
    house = House()
    guests = [house.let_in() for _ in range(10)]
    await house.look_until(AGE_S * 0.9 + 25)
    for guest in guests:
        house.hub.room("friday").remove(guest)  # type: ignore[arg-type]
    await house.rotation.look()
    assert house.rotation._asked == {}


@pytest.mark.parametrize(("age_s", "every_s"), [(86_400, 5.0), (3600, 5.0), (10, 0.5), (1, 0.05)])
def test_a_short_age_is_looked_at_more_often(age_s: int, every_s: float) -> None:
    assert House(age_s).rotation.look_every_s == pytest.approx(every_s)
