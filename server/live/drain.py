"""Leaving without losing anyone: road 4."""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable

from server.live.hub import Hub
from server.protocol import codec, frames
from server.protocol.codes import CloseCode

log = logging.getLogger(__name__)

BATCHES = 10
"""The goodbyes are said in so many batches over the first half of the time there is."""


class Drain:
    """Tells every viewer to come back elsewhere, spread over time, and sees every order taken to its receipt.

    `within_s` bounds all of it: half for the goodbyes, half for the viewers to leave and the orders to be decided.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        within_s: float,
        refuse_orders: Callable[[], None],
        flush_orders: Callable[[], Awaitable[None]],
    ) -> None:
        self._hub = hub
        self._within_s = within_s
        self._refuse_orders = refuse_orders
        self._flush_orders = flush_orders
        self.draining = False

    async def run(self) -> None:
        """Leaves: unready and refusing sockets at once, then goodbyes, orders refused, receipts, and a last close."""
        self.draining = True
        viewers = self._hub.everyone()
        log.info("draining", extra={"viewers": len(viewers), "within_s": self._within_s})
        random.shuffle(viewers)
        size = -(-len(viewers) // BATCHES) or 1
        pause_s = self._within_s / 2 / BATCHES
        for start in range(0, len(viewers), size):
            for viewer in viewers[start : start + size]:
                wait_ms = random.randrange(int(self._within_s * 250) + 1)  # noqa: S311  jitter, no secret
                viewer.write(codec.encode(frames.DrainFrame(wait_ms)))
            await asyncio.sleep(pause_s)
        self._refuse_orders()
        try:
            async with asyncio.timeout(self._within_s / 2):
                await self._flush_orders()
                await self._hub.emptied()
        except TimeoutError:
            log.warning("viewers or orders are left at the end of the drain", extra={"viewers": len(self._hub)})
        for viewer in self._hub.everyone():
            viewer.close(CloseCode.RESTARTING)
        await asyncio.sleep(0)
