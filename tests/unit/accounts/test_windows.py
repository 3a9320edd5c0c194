"""Sliding windows in the process: what they count, and that they stay small."""

from __future__ import annotations

import asyncio

import pytest

from server.accounts.windows import LatestHits


class Clock:
    def __init__(self) -> None:
        self.s = 1_000.0

    def __call__(self) -> float:
        return self.s


async def test_a_window_slides() -> None:
    clock = Clock()
    hits = LatestHits(now_s=clock)
    assert [await hits.acquire_entry("k", 2, 60) for _ in range(3)] == [True, True, False]
    clock.s += 30
    assert await hits.get_moving_window("k", 2, 60) == (1_000.0, 2)
    clock.s += 30
    assert await hits.get_moving_window("k", 2, 60) == (1_060.0, 0)
    assert await hits.acquire_entry("k", 2, 60)
    await hits.clear("k")
    assert [await hits.acquire_entry("k", 2, 60, 2), await hits.acquire_entry("k", 2, 60)] == [True, False]


async def test_a_flood_of_keys_costs_no_task_and_pushes_out_who_came_longest_ago() -> None:
    clock = Clock()
    hits = LatestHits(most=100, now_s=clock)
    tasks = asyncio.all_tasks()
    for _ in range(5):
        await hits.acquire_entry("mine", 5, 60)
    for number in range(1_000):
        assert await hits.acquire_entry(f"k{number}", 5, 60)
    assert asyncio.all_tasks() == tasks
    assert hits._count == sum(map(len, hits._hits.values())) == 100
    assert await hits.acquire_entry("mine", 5, 60)  # forgotten, and may go on
    clock.s += 60
    for number in range(900, 1_000):
        await hits.get_moving_window(f"k{number}", 5, 60)
    await hits.get_moving_window("mine", 5, 60)
    assert (hits._count, len(hits._hits)) == (0, 0)


async def test_it_keeps_nothing_else() -> None:
    hits = LatestHits()
    await hits.acquire_entry("k", 1, 60)
    assert (await hits.reset(), await hits.check()) == (1, True)
    for asked in (hits.incr("k", 1), hits.get("k"), hits.get_expiry("k")):
        with pytest.raises(NotImplementedError):
            await asked
