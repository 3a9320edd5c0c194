"""How many orders a second one hot stock row takes: viewers order as fast as they are answered, then below that rate.

Every viewer keeps some orders unanswered, the next leaves with the answer (closed loop): that is the rate. Then orders
come at fixed times at a part of that rate, in the same handfuls (open loop): that is the latency, from when each was
due. Other ways to sell come last, on a drop of their own in the same database.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
from collections.abc import Sequence
from time import time

from loadtest.crew import audit
from loadtest.errors import CannotGoOn
from loadtest.ledger import DURABLE, Ledger, audit_rows
from loadtest.ordering import Ordered, Ordering
from loadtest.peers import orders as peers
from loadtest.process import cpu_s
from loadtest.report import Progress
from loadtest.stall import Stall, audit_answers, receipts, stock

EACH_MAX = 1_000
"""Orders of one viewer for a drop: the largest limit a drop can have."""

UNITS = 400_000
"""In each drop: more than anybody can buy in the time, for a drop that sells out measures something else."""

_WARM_UP_S = 1.0
_STARTS_AFTER_S = 0.5

Figures = dict[str, float]


async def measure(options: argparse.Namespace, shop: Stall) -> tuple[Figures, list[str], dict[str, object]]:
    """Closed loop, open loop, and the other ways; figures, problems and details."""
    figures: Figures = {"viewers": options.viewers, "in_flight": options.in_flight}
    if options.peer and shop.ledger is None:
        raise CannotGoOn("--peer needs a database: name it on standard input")
    if shop.ledger is not None:
        figures |= await shop.ledger.durability()
    closed, problems = await _closed(options, shop)
    figures |= closed
    if options.at_percent and closed["orders_per_s"]:
        opened, more = await _open(options, shop, closed["orders_per_s"] * options.at_percent / 100)
        figures |= opened
        problems += more
    for way in options.peer:
        assert shop.ledger is not None
        rate, more = await _peer(options, shop, shop.ledger, way)
        figures |= rate
        problems += more
        if not all(figures[name] == value for name, value in DURABLE.items()):
            problems.append(f"no ratio to {way}: the database is not durable, {dict(DURABLE)} is")
        elif rate[f"{way}_orders_per_s"]:
            figures[f"ratio_{way}"] = closed["orders_per_s"] / rate[f"{way}_orders_per_s"]
    return figures, problems, {}


async def _closed(options: argparse.Namespace, shop: Stall) -> tuple[Figures, list[str]]:
    drop = await shop.put_on_sale(units=UNITS, limit=EACH_MAX)
    start_s, seconds = time() + _STARTS_AFTER_S, _WARM_UP_S + options.sustained
    ordering = Ordering(
        "sustain",
        drop,
        start_s,
        seconds,
        f"c{secrets.token_hex(3)}-",
        warm_up_s=_WARM_UP_S,
        in_flight=options.in_flight,
        each_max=EACH_MAX,
    )
    spent = await _spent_on(options, shop, ordering, start_s + _WARM_UP_S, start_s + seconds, "as fast as it goes")
    told, problems = await _audited(shop, drop)
    rate = told.counted / options.sustained
    figures = {"orders": float(told.orders), "accepted": float(len(told.accepted)), "orders_per_s": rate}
    figures |= {**_cpu_each(spent, told.counted), **receipts(told, "closed_"), **_unusual(told), **stock(told)}
    if told.orders >= options.viewers * EACH_MAX:
        problems.append(f"every viewer reached its limit of {EACH_MAX}: take more viewers or less time")
    return figures, problems


async def _open(options: argparse.Namespace, shop: Stall, rate_per_s: float) -> tuple[Figures, list[str]]:
    drop = await shop.put_on_sale(units=UNITS, limit=EACH_MAX)
    start_s, seconds = time() + _STARTS_AFTER_S, options.sustained
    ordering = Ordering(
        "pace",
        drop,
        start_s,
        seconds,
        f"o{secrets.token_hex(3)}-",
        in_flight=options.in_flight,
        each_max=EACH_MAX,
        rate_per_s=rate_per_s,
    )
    at = f"at_{options.at_percent}_percent_"
    spent = await _spent_on(options, shop, ordering, start_s, start_s + seconds, "at fixed times")
    told, problems = await _audited(shop, drop)
    figures = {f"{at}orders_per_s": len(told.accepted) / (told.last_answer_s - start_s) if told.took_ms else 0.0}
    figures |= _cpu_each(spent, len(told.accepted), at)
    return figures | receipts(told, at) | _unusual(told, at) | {f"{at}{k}": v for k, v in stock(told).items()}, problems


async def _audited(shop: Stall, drop: str) -> tuple[Ordered, list[str]]:
    report, last = await shop.settled()
    told = report.ordered
    assert told is not None
    problems = audit(report, last) + audit_answers(told, UNITS - len(told.accepted))
    problems += await shop.audit_rows(drop, told)
    await shop.host.close_drop(drop)  # what is left goes back to the shelf: the next drop needs it
    return told, problems


async def _peer(options: argparse.Namespace, shop: Stall, ledger: Ledger, way: str) -> tuple[Figures, list[str]]:
    drop = await shop.put_on_sale(units=UNITS, limit=EACH_MAX)
    before_s = _cpu_s([options.database_pid])
    sold = await peers.sell(way, ledger.url, drop, seconds=options.peer_seconds)
    figures: Figures = {f"{way}_orders_per_s": sold.per_s}
    if options.database_pid and sold.accepted:
        used = (_cpu_s([options.database_pid]) - before_s) * 1000 / len(sold.accepted)
        figures[f"{way}_database_cpu_s_per_1000_orders"] = used
    problems = [f"{way}: {one}" for one in audit_rows(sold.accepted, await ledger.drop(drop))]
    await shop.host.close_drop(drop)
    return figures, problems


def _cpu_each(spent: Figures, orders: int, prefix: str = "") -> Figures:
    return (
        {f"{prefix}{who}_cpu_s_per_1000_orders": used * 1000 / orders for who, used in spent.items()} if orders else {}
    )


async def _spent_on(
    options: argparse.Namespace, shop: Stall, ordering: Ordering, from_s: float, to_s: float, label: str
) -> Figures:
    """Orders, and the CPU of everybody between two moments of it."""
    ordered = asyncio.create_task(shop.crew.order(ordering), name="orders")
    try:
        spent = await _spent(options, shop, from_s, to_s, label)
        await ordered
    finally:
        ordered.cancel()
    return spent


async def _spent(options: argparse.Namespace, shop: Stall, from_s: float, to_s: float, label: str) -> Figures:

    def used() -> Figures:
        found = {"crowd": shop.crew.cpu_s()}
        if options.pid:
            found["replica"] = _cpu_s(options.pid)
        if options.database_pid:
            found["database"] = _cpu_s([options.database_pid])
        return found

    bar = Progress(label, round(to_s - from_s))
    await asyncio.sleep(max(0.0, from_s - time()))
    before = used()
    while (left_s := to_s - time()) > 0:
        bar.show(round(to_s - from_s - left_s))
        await asyncio.sleep(min(0.5, left_s))
    bar.clear()
    return {who: spent - before[who] for who, spent in used().items()}


def _cpu_s(pids: Sequence[int | None]) -> float:
    return sum(cpu_s(pid) for pid in pids if pid)


def _unusual(told: Ordered, prefix: str = "") -> Figures:
    found = {f"{prefix}rejected_{reason}": float(count) for reason, count in sorted(told.rejected.items())}
    return found | {f"{prefix}re_asked_{why}": float(count) for why, count in sorted(told.re_asked.items())}
