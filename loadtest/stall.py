"""A stall: an own stream with a host, a signed-in crowd that can order, and the database's side of the audit."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from dropcast import Product
from loadtest.accounts import StandardInput
from loadtest.crew import Crew
from loadtest.errors import CannotGoOn
from loadtest.ledger import Ledger, audit_rows
from loadtest.messages import Report
from loadtest.options import read_tickets, within
from loadtest.ordering import Ordered, Ordering
from loadtest.person import Person, wait_answering
from loadtest.report import percentile
from loadtest.show import product_of
from loadtest.summary import add_arguments as add_summary_arguments

_ACCOUNTS_WITHIN_S = 20.0
_READY_WITHIN_S = 20.0
_GATHERS_WITHIN_S = 120.0
_REACHES_WITHIN_S = 30.0
_SETTLES_S = 1.5
"""How long after the last receipt stock and answers may still come: a lost ring is made up within a second."""


class Stall:
    """What a scenario of orders works with."""

    def __init__(self, host: Person, crew: Crew, product: Product, ledger: Ledger | None, stream: str) -> None:
        self.host = host
        self.crew = crew
        self.ledger = ledger
        self.product = product
        self._stream = stream

    async def wave(self, ordering: Ordering) -> Ordered:
        """A round of orders to its end, and what became of them."""
        await self.crew.order(ordering)
        told = (await self.crew.report()).ordered
        assert told is not None
        return told

    async def put_on_sale(self, *, units: int, limit: int) -> str:
        """A new drop, open, and everyone has been told; its id."""
        product = self.product
        drop = await self.host.schedule_drop(
            self._stream,
            product=product.id,
            price=product.price,
            currency=product.currency,
            limit=limit,
            stock={product.variants[0].id: units},
        )
        await self.host.open_drop(drop.id)
        await self.crew.reach((await self.host.stream(self._stream)).seq, _REACHES_WITHIN_S)
        return drop.id

    async def settled(self) -> tuple[Report, int]:
        """Everything everyone saw, a moment after the last answer; and the stream's last event."""
        await asyncio.sleep(_SETTLES_S)
        await self.crew.gathered(_GATHERS_WITHIN_S)
        last = (await self.host.stream(self._stream)).seq
        await self.crew.reach(last, _REACHES_WITHIN_S)
        return await self.crew.report(), last

    async def audit_rows(self, drop: str, told: Ordered) -> list[str]:
        """What is wrong between receipts and rows; nothing where no database is known."""
        return audit_rows(told.accepted, await self.ledger.drop(drop)) if self.ledger else []


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What every scenario of orders takes."""
    add = parser.add_argument
    add("--stream", required=True, help="an own, live stream")
    add("--tickets", metavar="FILE", required=True, help="of `dropcast mint-tickets`, for each viewer")
    add("--tickets-each", type=within(1, 100), default=1, help="a viewer's own tickets, one to come back (%(default)s)")
    add("--straight-at", metavar="URL", nargs="+", default=[], help="replicas, instead of the proxy at --url")
    add("--pid", type=int, nargs="*", default=[], help="the replicas' processes, to measure their CPU")
    add("--database-pid", type=int, help="the database's process, the same")
    add("--product", default="DEMO-1", help="the SKU that is sold (%(default)s)")
    add("--workers", type=within(1, 64), default=2, help="processes of the crowd (%(default)s)")
    add("--connect-rate", type=within(1, 100_000), default=1_000, help="new viewers a second at first (%(default)s)")
    add("--handshakes", type=within(1, 20_000), default=500, help="at once, at most (%(default)s)")
    add("--crowd-core", type=int, help="where the crowd runs")
    add("--server-core", type=int, help=argparse.SUPPRESS)
    add_summary_arguments(parser)


@asynccontextmanager
async def stall(options: argparse.Namespace) -> AsyncIterator[Stall]:
    """Opens: everyone is welcome. Raises `LoadtestError` when that cannot be."""
    tickets = read_tickets(options.tickets)
    if len(tickets) < options.viewers * options.tickets_each:
        raise CannotGoOn(f"{len(tickets)} tickets are not enough for {options.viewers} viewers: guests cannot order")
    accounts = await StandardInput().accounts(_ACCOUNTS_WITHIN_S)
    await wait_answering(options.url, _READY_WITHIN_S)
    crew = Crew(
        options.url,
        options.stream,
        options.viewers,
        workers=options.workers,
        rate_per_s=options.connect_rate,
        handshakes_max=options.handshakes,
        tickets=tickets,
        tickets_each=options.tickets_each,
        core=options.crowd_core,
        straight_at=options.straight_at,
        orders=True,
    )
    async with Person(options.url, accounts.host) as host, crew:
        await crew.gathered(_GATHERS_WITHIN_S)
        ledger = Ledger(accounts.database) if accounts.database else None
        yield Stall(host, crew, await product_of(host, options.product), ledger, options.stream)


def receipts(told: Ordered, prefix: str = "") -> dict[str, float]:
    """How long receipts took, from when each order was due."""
    if not told.took_ms:
        return {}
    figures = {f"{prefix}receipt_p{percent}_ms": percentile(told.took_ms, percent) for percent in (50, 99)}
    return figures | {f"{prefix}receipt_max_ms": told.took_ms[-1]}


def stock(told: Ordered) -> dict[str, float]:
    """How often stock was told, and when, after the last accepted receipt, the last viewer had the last of it."""
    latest_s = max((at_s for _, at_s in told.last_stock.values()), default=0.0)
    return {
        "stock_frames": told.stock_frames,
        "stock_frames_per_s_max": told.stock_frames_per_s,
        "last_stock_late_ms": max(0.0, (latest_s - told.last_accepted_s) * 1000) if told.last_accepted_s else 0.0,
    }


def audit_answers(told: Ordered, left: int | None) -> list[str]:
    """What is wrong with answers and stock; `left` must be left of the drop, None of one that is not on sale any more.

    Who comes back after a drop was closed is told so by an event, not by stock.
    """
    problems = [f"{number} {what}" for number, what in (
        (told.unanswered, "orders were never answered"),
        (told.unasked, "receipts answered nothing that was asked, or something that was answered already"),
        (told.stock_back, "stock lines were older than what the viewer had been told"),
    ) if number]  # fmt: skip
    wrong: Mapping[int, int] = {said: viewers for said, (viewers, _) in told.last_stock.items() if said != left}
    if wrong and left is not None:
        problems.append(f"{sum(wrong.values())} viewers were not told that {left} are left but {sorted(wrong)[:5]}")
    return problems
