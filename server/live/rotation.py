"""Nobody stays on one replica for ever: who has been here long is asked to come back, and so new replicas fill up.

A socket lives for hours, so a replica that is added to a full shop would stand empty until people leave by themselves.
Coming back costs a viewer nothing: the position brings what was missed, and receipts find their owner.
"""

from __future__ import annotations

import asyncio
import logging
import random
import time
from collections.abc import Callable

from server import metrics, tasks
from server.live.hub import Hub
from server.live.socket import LiveSocket
from server.protocol import codec, frames
from server.protocol.codes import CloseCode

log = logging.getLogger(__name__)

SPREAD = 0.1
"""A viewer is asked after the age by so much more or less: a crowd that came at once does not return at once."""

LOOK_EVERY_S = 5.0
"""How often everybody's age is looked at, unless the age itself is so short that this would miss the spread."""

SLICE = 500
"""Viewers looked at before the loop breathes. A look at 50,000 takes 3.5 ms of CPU, 2 of them to list them."""

LEAVES_WITHIN_S = 30.0
"""Who was asked and has not left by then is closed with 1012."""


class Rotation:
    """Owns one task, which ends with `close()`; there is no timer per viewer.

    `leaving` says whether the replica itself is: then its drain speaks to the viewers, and nobody else.
    It remembers whom it asked, at most `LEAVES_WITHIN_S` long: never more than there are viewers.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        age_s: float,
        leaving: Callable[[], bool],
        now_s: Callable[[], float] = time.monotonic,
        luck: Callable[[], float] = random.random,
    ) -> None:
        self._hub = hub
        self._youngest_s = age_s * (1 - SPREAD)
        self._oldest_s = age_s * (1 + SPREAD)
        self._leaving = leaving
        self._now_s = now_s
        self._luck = luck
        self._asked: dict[LiveSocket, float] = {}
        self._looker: asyncio.Task[None] | None = None
        self.look_every_s = min(LOOK_EVERY_S, age_s * SPREAD / 2)

    def start(self) -> None:
        """Starts to look."""
        self._looker = tasks.start(self._look_for_ever(), "rotation: look")

    async def close(self) -> None:
        """Ends the task."""
        await tasks.stop(self._looker)

    async def look(self) -> None:
        """Asks whoever is due to come back, and closes who was asked long ago and is still here."""
        viewers = self._hub.everyone()
        asked: dict[LiveSocket, float] = {}
        for start in range(0, len(viewers), SLICE):
            if self._leaving():
                return
            now_s = self._now_s()
            for viewer in viewers[start : start + SLICE]:
                if now_s - viewer.joined_at_s >= self._youngest_s:
                    self._look_at(viewer, now_s, asked)
            await asyncio.sleep(0)
        self._asked = asked  # only who is still here

    def _look_at(self, viewer: LiveSocket, now_s: float, asked: dict[LiveSocket, float]) -> None:
        asked_at_s = self._asked.get(viewer)
        if asked_at_s is None:
            if self._is_due(now_s - viewer.joined_at_s):
                wait_ms = int(self._luck() * self.look_every_s * 1000)
                if viewer.write(codec.encode(frames.DrainFrame(wait_ms))):
                    asked[viewer] = now_s
                    metrics.ROTATED.inc()
        elif now_s - asked_at_s < LEAVES_WITHIN_S:
            asked[viewer] = asked_at_s
        else:
            viewer.close(CloseCode.RESTARTING)

    def _is_due(self, age_s: float) -> bool:
        """Draws a lot at each look, so that viewers leave evenly between the youngest and the oldest age.

        The chance is this look's part of the time that is left: nothing has to be kept for a viewer who stays.
        """
        left_s = self._oldest_s - age_s
        return left_s <= 0 or self._luck() < self.look_every_s / left_s

    async def _look_for_ever(self) -> None:
        while True:
            await asyncio.sleep(self.look_every_s)
            await self.look()
