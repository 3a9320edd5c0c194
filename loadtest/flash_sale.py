"""A flash sale: N viewers, one drop of a few units, and everyone clicks within a second.

Each viewer orders once, at a random moment of the rush; latency counts from that moment to the receipt. `busy` is asked
again under the same ref. Audited: every ask answered exactly once, every event at every viewer, never more sold than
there was, the last stock frame of every viewer true, and, where standard input names a `database`, accepted receipts
and orders in the database one by one.

`--sustained S` measures throughput instead: viewers keep `--in-flight` orders unanswered for S seconds, then order at
fixed times at `--at-percent` of the rate that was reached. `--peer` measures other ways to sell on the same database.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
from time import time

from loadtest import sustained
from loadtest.crew import audit
from loadtest.options import between, within
from loadtest.ordering import Ordering
from loadtest.peers.orders import WAYS
from loadtest.process import cpu_s
from loadtest.stall import Stall, audit_answers, receipts, stall, stock
from loadtest.stall import add_arguments as add_stall_arguments
from loadtest.summary import finish

SUMMARY = "N viewers click for a few units within a second; or: how many orders a second; audits receipts against rows"

_STARTS_AFTER_S = 0.5


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m loadtest flash_sale`."""
    add = parser.add_argument
    add("--viewers", type=within(1, 60_000), default=1_000, help="viewers, all signed in (%(default)s)")
    add("--units", type=within(1, 1_000_000), default=100, help="units in the drop (%(default)s)")
    add("--limit", type=within(1, 1_000), default=1, help="units for each viewer (%(default)s)")
    add("--within", type=between(0.0, 600.0), default=1.0, metavar="S", help="how long the rush takes (%(default)s)")
    add("--sustained", type=within(0, 600), default=0, metavar="S", help="measure throughput for so long instead")
    add("--in-flight", type=within(1, 32), default=16, help="orders each viewer keeps unanswered (%(default)s)")
    add("--at-percent", type=within(0, 100), default=80, help="then order at this part of the rate; 0: skip (80)")
    add("--peer", nargs="+", choices=WAYS, default=[], help="with --sustained: measure these as well")
    add("--peer-seconds", type=within(1, 600), default=5, help="for so long each (%(default)s)")
    add_stall_arguments(parser)


async def run(options: argparse.Namespace, stop: asyncio.Event) -> int:  # noqa: ARG001  (one shape for all scenarios)
    """Measures and audits. Raises `LoadtestError` when it cannot be done at all."""
    async with stall(options) as shop:
        if options.sustained:
            figures, problems, details = await sustained.measure(options, shop)
        else:
            figures, problems, details = await _rush(options, shop)
    return finish("flash_sale", options, figures, problems, details)


async def _rush(options: argparse.Namespace, shop: Stall) -> tuple[dict[str, float], list[str], dict[str, object]]:
    drop = await shop.put_on_sale(units=options.units, limit=options.limit)
    before = {pid: cpu_s(pid) for pid in options.pid}
    start_s = time() + _STARTS_AFTER_S
    await shop.crew.order(Ordering("rush", drop, start_s, options.within, f"r{secrets.token_hex(3)}-", each_max=1))
    replica_s = sum(cpu_s(pid) - before[pid] for pid in options.pid)
    report, last = await shop.settled()
    told = report.ordered
    assert told is not None
    figures: dict[str, float] = {
        "viewers": options.viewers,
        "units": options.units,
        "answered": len(told.took_ms),
        "accepted": len(told.accepted),
        **{f"rejected_{reason}": float(count) for reason, count in sorted(told.rejected.items())},
        **{f"re_asked_{why}": float(count) for why, count in sorted(told.re_asked.items())},
        "not_answered": options.viewers - len(told.took_ms),
        "not_sold": min(options.units, options.viewers) - len(told.accepted),
        **receipts(told),
        "orders_per_s": len(told.took_ms) / (told.last_answer_s - start_s) if told.took_ms else 0.0,
        **stock(told),
        "gaps": report.gaps,
        "repeats": report.repeats,
    }
    if options.pid:
        figures["replica_cpu_s"] = replica_s
    left = options.units - len(told.accepted)
    problems = audit(report, last) + audit_answers(told, left) + await shop.audit_rows(drop, told)
    if told.unanswered == 0 and len(told.accepted) != min(options.units, options.viewers):
        problems.append(f"{len(told.accepted)} accepted, not {min(options.units, options.viewers)}")
    return figures, problems, {"tries_failed": report.tries_failed, "closed": report.closed}
