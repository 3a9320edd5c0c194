"""Which part of the shop dies when: drawn from a seed, so that a round can be run again."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping
from dataclasses import dataclass

from tests.services.process import Service

PROGRESS_WITHIN_S = 40.0
"""Longest a sale may stand still after a part came back: above any deadline and backoff in the server."""


@dataclass(frozen=True)
class Kill:
    """SIGKILL to `victim`, `moment_s` after so many more orders were accepted; started again `down_s` later."""

    victim: str
    after_orders: int
    moment_s: float
    down_s: float


def drawn(seed: int, replicas: int) -> list[Kill]:
    """Every kind of part dies at least once, two more times any of them."""
    chance = random.Random(seed)
    victims = [f"replica-{chance.randrange(replicas)}", "mariadb", "redis"]
    chance.shuffle(victims)
    victims += [chance.choice([*(f"replica-{n}" for n in range(replicas)), "mariadb", "redis"]) for _ in range(2)]
    return [
        Kill(victim, chance.randint(30, 90), chance.uniform(0, 0.2), chance.choice([0.0, chance.uniform(0.1, 1.5)]))
        for victim in victims
    ]


class Progress:
    """How many orders were accepted so far."""

    def __init__(self) -> None:
        self.accepted = 0
        self._changed = asyncio.Event()

    def count(self) -> None:
        """One more."""
        self.accepted += 1
        self._changed.set()

    async def further(self, orders: int, since: str) -> None:
        """Waits for so many more. Raises `AssertionError` when the sale stands still."""
        goal = self.accepted + orders
        while self.accepted < goal:
            self._changed.clear()
            try:
                await asyncio.wait_for(self._changed.wait(), PROGRESS_WITHIN_S)
            except TimeoutError:
                raise AssertionError(f"no order was accepted for {PROGRESS_WITHIN_S:.0f} s since {since}") from None


async def carry_out(kills: list[Kill], parts: Mapping[str, Service], progress: Progress) -> None:
    """Kills and starts again, one after the other; ends when the sale went on after the last."""
    since = "the start"
    for kill in kills:
        await progress.further(kill.after_orders, since)
        await asyncio.sleep(kill.moment_s)  # anywhere in a transaction, a reply, a fan-out
        await asyncio.to_thread(parts[kill.victim].kill)
        await asyncio.sleep(kill.down_s)
        await asyncio.to_thread(parts[kill.victim].start)
        since = f"{kill.victim} came back"
    await progress.further(60, since)
