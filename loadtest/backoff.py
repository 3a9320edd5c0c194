"""Backoff with full jitter: a crowd that lost its server must not come back as one wave."""

from __future__ import annotations

import random
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait before the next try: evenly anywhere in 0 … min(cap_s, base_s × 2^attempt).

    Full jitter after M. Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
    """

    base_s: float = 0.5
    cap_s: float = 10.0

    def ceiling_s(self, attempt: int) -> float:
        """The longest wait before try number `attempt` (0 is the first again)."""
        return min(self.cap_s, self.base_s * float(1 << min(attempt, 30)))

    def delay_s(self, attempt: int, chance: random.Random) -> float:
        """A wait before try number `attempt`."""
        return chance.uniform(0, self.ceiling_s(attempt))
