"""The timekeeper: drops open and close by themselves, on time, once over all replicas."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable

from server import metrics, tasks
from server.domain.errors import Refused, Unavailable
from server.domain.news import News
from server.sale.ports import TimeBook

log = logging.getLogger(__name__)

LOOK_EVERY_S = 1.0
"""Longest time between two looks: how late a drop may be that another replica put on a run sheet meanwhile."""

DUE_MAX = 100
"""Most drops of one look. When more are due, the next look follows at once."""

BROKEN_S = 30.0
"""How long a drop is left alone whose turn was refused, or failed with a bug: it must not fill the log."""

BUSY_S = 3.0
"""How long a drop is left alone whose turn found no answer: others may be free while somebody holds its rows."""


class Timekeeper:
    """Makes the turn of each drop that is due, then announces it. Owns one task, which runs until `close()`.

    Every replica runs one. They need no agreement: who is first makes the turn, the others find it made, and one that
    dies takes nothing along. A turn cut between its COMMIT and its announcement is read from the log in a second.
    """

    def __init__(
        self,
        book: TimeBook,
        announce: Callable[[News], None],
        *,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._book = book
        self._announce = announce
        self._sleep = sleep
        self._left_alone: dict[str, float] = {}  # until when, by the loop's clock; `DUE_MAX` more a look at most
        self._answered = True
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Starts to look."""
        self._task = tasks.start(self._run(), "timekeeper")

    async def close(self) -> None:
        """Ends. A turn that is not committed yet is another replica's, or the next start's."""
        await tasks.stop(self._task)

    async def _run(self) -> None:
        while True:
            await self._sleep(await self._look())

    async def _look(self) -> float:
        """Makes every turn that is due; returns the s until the next look."""
        clock = asyncio.get_running_loop().time
        asked = clock()
        self._left_alone = {drop: until for drop, until in self._left_alone.items() if until > asked}
        made = 0
        try:
            due = await self._book.due(int(LOOK_EVERY_S * 1000), DUE_MAX, without=self._left_alone)
            answered = clock()
            for drop in dict.fromkeys(drop for drop, in_ms in due if in_ms <= 0):
                made += await self._turn(drop)
        except Unavailable as error:
            if self._answered:
                log.warning("no database: drops open and close when it answers", extra={"error": str(error)})
            self._answered = False
            return LOOK_EVERY_S
        except Exception:
            metrics.BUGS.labels("timekeeper").inc()
            log.exception("the timekeeper cannot look")
            return LOOK_EVERY_S
        self._answered = True
        if made and len(due) == DUE_MAX:
            return 0.0
        ahead = [in_ms / 1000 for _, in_ms in due if in_ms > 0]
        return max(0.0, min(ahead) - (clock() - answered)) if ahead else LOOK_EVERY_S

    async def _turn(self, drop: str) -> bool:
        """Whether the turn was made here. Raises `Unavailable`."""
        try:
            news = await self._book.turn(drop)
        except Refused as refused:
            log.info("a drop has no turn to make", extra={"drop": drop, "detail": refused.detail})
            self._leave_alone(drop, BROKEN_S)
            return False
        except Unavailable:
            self._leave_alone(drop, BUSY_S)
            raise
        except Exception:
            metrics.BUGS.labels("timekeeper").inc()
            log.exception("a drop cannot open or close by itself", extra={"drop": drop})
            self._leave_alone(drop, BROKEN_S)
            return False
        if news is None:  # another replica, or the host, was faster
            return False
        self._announce(news)
        return True

    def _leave_alone(self, drop: str, for_s: float) -> None:
        self._left_alone[drop] = asyncio.get_running_loop().time() + for_s
