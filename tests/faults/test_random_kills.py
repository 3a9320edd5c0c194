"""Rounds of `kill -9` in the middle of a sale: no receipt lies, whatever dies when.

`pytest tests/faults --fault-rounds 20` runs more of them, `--fault-seed N` the same one again: the kills, their moments
and the buyers' wishes; what meets them on the way is the machine's.
"""

from __future__ import annotations

from functools import partial

import pytest

from tests.faults.conftest import Fragile
from tests.faults.kills import Kill, carry_out, drawn
from tests.faults.show import bugs, play
from tests.journeys.conftest import Shop, opened


@pytest.mark.timeout(300)
async def test_whatever_dies_every_receipt_is_true_and_every_viewer_gets_one(fault_seed: int, fragile: Fragile) -> None:
    kills = drawn(fault_seed, replicas=2)
    print(f"--fault-seed {fault_seed}:", *kills, sep="\n  ")
    async with opened(fragile.premises) as shop:
        assert await a_round(fragile, shop, fault_seed, kills) == []
        assert await bugs(shop) == {}


async def test_control_a_database_that_answers_before_it_writes_is_found_out(forgetful: Fragile) -> None:
    kills = [Kill("mariadb", after_orders=100, moment_s=0.0, down_s=0.0)] * 2  # one may meet a log just written
    async with opened(forgetful.premises) as shop:
        problems = await a_round(forgetful, shop, 1, kills)
    assert any("which has no such row" in problem for problem in problems)


async def a_round(fragile: Fragile, shop: Shop, seed: int, kills: list[Kill]) -> list[str]:
    """A show while the kills are carried out; every broken promise found."""
    played = await play(shop, await shop.live_stream(), seed, partial(carry_out, kills, fragile.parts))
    if any(kill.victim.startswith("replica") for kill in kills):
        assert played.came_back > 0, "nobody was cut: the kills proved nothing"
    return played.problems
