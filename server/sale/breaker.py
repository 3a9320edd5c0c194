"""The breaker: while the database does not answer, nobody waits to find that out.

Our own, for the breakers on PyPI (purgatory, aiobreaker, pybreaker) count failed calls and try again with a customer's:
this one is opened by a probe of its own, closed by a probe of its own, and looks at calls that only hang, too.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Protocol

from server import metrics, tasks
from server.domain.errors import Unavailable

log = logging.getLogger(__name__)

PROBE_EVERY_S = 0.5
"""From the end of a probe that failed to the next one: half of what a return of the database may go unnoticed."""

PROBE_WITHIN_S = 1.0
"""What does not answer in this time is away: an order may not wait any longer either."""


class Probed(Protocol):
    """What the breaker asks."""

    async def ping(self) -> None:
        """Returns when the database answers. Raises `Unavailable`."""
        ...


class Breaker:
    """`closed → open → closed`, one for a replica: there is one database.

    Whoever finds a call slow or failed says `suspect()`. That alone opens nothing, for one drop whose rows are locked
    must not stop the others: a probe decides. The first that fails opens; the first after that which succeeds closes.
    Owns a task from suspicion to success, or to `close()`.
    """

    def __init__(self, probed: Probed, *, on_open: Callable[[], None]) -> None:
        self._probed = probed
        self._on_open = on_open
        self._prober: asyncio.Task[None] | None = None
        self._shut = asyncio.Event()
        self._shut.set()

    @property
    def is_open(self) -> bool:
        """Whether orders are to be refused at once."""
        return not self._shut.is_set()

    def suspect(self) -> None:
        """Something took too long or failed. Safe to repeat: there is one probe at a time."""
        if self._prober is None or self._prober.done():
            self._prober = tasks.start(self._probe_until_it_answers(), "breaker: probe", may_end=True)

    async def until_closed(self) -> None:
        """Waits while it is open."""
        await self._shut.wait()

    async def close(self) -> None:
        """Ends the probing."""
        await tasks.stop(self._prober)

    async def _probe_until_it_answers(self) -> None:
        clock = asyncio.get_running_loop().time
        began = clock()
        while not await self._answers():
            if not self.is_open:
                self._shut.clear()
                metrics.BREAKER_OPEN.set(1)
                log.warning("the database does not answer: orders are refused")
                self._on_open()
            await asyncio.sleep(PROBE_EVERY_S)
        if self.is_open:
            self._shut.set()
            metrics.BREAKER_OPEN.set(0)
            log.warning("the database answers again: orders are taken", extra={"away_s": round(clock() - began, 1)})

    async def _answers(self) -> bool:
        try:
            async with asyncio.timeout(PROBE_WITHIN_S):
                await self._probed.ping()
        except (Unavailable, TimeoutError):
            return False
        return True
