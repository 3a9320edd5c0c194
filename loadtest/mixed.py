"""An evening: a host sells drop after drop to a crowd that comes, goes, reloads its pages and clicks in waves.

Each drop is opened, bought out by a first wave, restocked for a second one, and closed in the middle of a third. In
every wave some viewers leave and come back, half of them with their position, half as a page that was reloaded; what
they had asked for is asked again under the same ref. Audited as everywhere: every event at every viewer, every ask
answered once, receipts and rows one by one, the last stock true.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
from collections import Counter
from time import time

from loadtest.crew import audit
from loadtest.ledger import audit_rows
from loadtest.messages import Report
from loadtest.options import within
from loadtest.ordering import Ordered, Ordering
from loadtest.report import Progress, percentile
from loadtest.stall import Stall, audit_answers, stall
from loadtest.stall import add_arguments as add_stall_arguments
from loadtest.summary import finish
from loadtest.watcher import MOVED

SUMMARY = "an evening on several replicas: drops, waves of buyers, restocks, reloads; audits all of it"

WAVES = 3
"""Each viewer orders one unit in each; the limit is two, so that some are refused for it."""

_WAVE_S = 1.0
_CLOSES_AFTER_S = 0.5
_LIMIT = 2
_STARTS_AFTER_S = 0.2


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m loadtest mixed`."""
    add = parser.add_argument
    add("--viewers", type=within(4, 60_000), default=1_000, help="viewers, all signed in (%(default)s)")
    add("--drops", type=within(1, 100), default=2, help="drops, one after the other (%(default)s)")
    add("--reload-percent", type=within(0, 100), default=15, help="viewers who come and go in a wave (%(default)s)")
    add_stall_arguments(parser)


async def run(options: argparse.Namespace, stop: asyncio.Event) -> int:  # noqa: ARG001  (one shape for all scenarios)
    """Plays and audits. Raises `LoadtestError` when it cannot be done at all."""
    async with stall(options) as shop:
        evening = _Evening(options, shop)
        bar = Progress("drops", options.drops)
        for number in range(options.drops):
            bar.show(number)
            await evening.sell_a_drop()
        bar.clear()
        report, last = await shop.settled()
    figures = {"viewers": float(options.viewers), **evening.figures(report)}
    problems = audit(report, last) + evening.problems
    if report.snapshots:
        problems.append(f"{report.snapshots} viewers came back with a position and were not told what they missed")
    if options.reload_percent and not report.closed.get(MOVED):
        problems.append("nobody came and went: the evening proved less than it says")
    return finish("mixed", options, figures, problems, {"tries_failed": report.tries_failed, "closed": report.closed})


class _Evening:
    """What happens, and what was seen of it."""

    def __init__(self, options: argparse.Namespace, shop: Stall) -> None:
        self._reload_percent = options.reload_percent
        self._viewers = options.viewers
        self._shop = shop
        self._waves: list[Ordered] = []
        self.problems: list[str] = []

    async def sell_a_drop(self) -> None:
        """Three waves: sold out, restocked, closed."""
        shop, units, more = self._shop, self._viewers // 2, 2 * self._viewers
        drop = await shop.put_on_sale(units=units, limit=_LIMIT)
        waves = [await self._wave(drop)]
        self._expect(waves, units)
        self.problems += audit_answers(waves[0], None)
        await shop.host.restock_drop(drop, shop.product.variants[0].id, more)
        waves.append(await self._wave(drop))
        self._expect(waves, units + more)
        await self._audit(units + more - sum(len(wave.accepted) for wave in waves))
        closing = asyncio.create_task(self._close_soon(drop), name="the host closes")
        try:
            waves.append(await self._wave(drop))
            await closing
        finally:
            closing.cancel()
        await self._audit(None)
        if shop.ledger:
            accepted = [pair for wave in waves for pair in wave.accepted]
            self.problems += audit_rows(accepted, await shop.ledger.drop(drop))
        self._waves += waves

    async def _wave(self, drop: str) -> Ordered:
        prefix = f"m{secrets.token_hex(3)}-"
        start_s = time() + _STARTS_AFTER_S
        return await self._shop.wave(
            Ordering("rush", drop, start_s, _WAVE_S, prefix, each_max=1, reload_percent=self._reload_percent)
        )

    async def _audit(self, left: int | None) -> None:
        report, _ = await self._shop.settled()
        assert report.ordered is not None
        self.problems += audit_answers(report.ordered, left)

    async def _close_soon(self, drop: str) -> None:
        await asyncio.sleep(_STARTS_AFTER_S + _CLOSES_AFTER_S)
        await self._shop.host.close_drop(drop)

    def _expect(self, waves: list[Ordered], units: int) -> None:
        """Nobody is refused while there is something left, and nothing is sold that is not there."""
        last, sold = waves[-1], sum(len(wave.accepted) for wave in waves)
        wanted = min(units, sum(wave.orders for wave in waves) - self._refused_before(waves))
        if sold != wanted:
            self.problems.append(f"{sold} sold of {units} units where {wanted} were wanted: {last.rejected}")

    @staticmethod
    def _refused_before(waves: list[Ordered]) -> int:
        return sum(wave.rejected.get("sold_out", 0) for wave in waves[:-1])

    def figures(self, report: Report) -> dict[str, float]:
        """The evening in numbers."""
        rejected, re_asked = Counter[str](), Counter[str]()
        for wave in self._waves:
            rejected.update(wave.rejected)
            re_asked.update(wave.re_asked)
        took_ms = sorted(took for wave in self._waves for took in wave.took_ms)
        return {
            "orders": sum(wave.orders for wave in self._waves),
            "accepted": sum(len(wave.accepted) for wave in self._waves),
            **{f"rejected_{reason}": float(count) for reason, count in sorted(rejected.items())},
            **{f"re_asked_{why}": float(count) for why, count in sorted(re_asked.items())},
            "not_answered": sum(wave.unanswered for wave in self._waves),
            "receipt_p50_ms": percentile(took_ms, 50),
            "receipt_p99_ms": percentile(took_ms, 99),
            "stock_frames_per_s_max": max(wave.stock_frames_per_s for wave in self._waves),
            "came_and_went": report.closed.get(MOVED, 0),
            "gaps": report.gaps,
            "repeats": report.repeats,
            "snapshots": report.snapshots,
        }
