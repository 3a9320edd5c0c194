"""A replica dies (`kill -9`) under a crowd: how long until everyone is back elsewhere and complete, and at what cost?

`--url` leads to the proxy in front of at least two replicas, `--victim` is the process of one of them. Events are real
commands of a host, some of them while half of the crowd is away. Audited for every viewer: no gap, no repeat, and what
was missed came as `missed`, not as a new snapshot. Statements are counted where standard input names a `database`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import signal
from contextlib import AsyncExitStack
from time import monotonic, time

from loadtest.accounts import StandardInput
from loadtest.crew import Crew, audit
from loadtest.options import read_tickets, within
from loadtest.person import Person, wait_answering
from loadtest.process import require_replica
from loadtest.show import Show, product_of
from loadtest.statements import Statements, statements
from loadtest.summary import add_arguments as add_summary_arguments
from loadtest.summary import finish

SUMMARY = "a replica is killed under N viewers: time until all are back and complete, gaps, SQL per viewer"

STEPS = 6
"""Commands of the host while the dead replica's viewers are away; two drops."""

_ACCOUNTS_WITHIN_S = 20.0
_READY_WITHIN_S = 20.0
_GATHERS_WITHIN_S = 120.0
_BACK_WITHIN_S = 60.0
_IDLE_S = 3.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m loadtest reconnect_storm`."""
    add = parser.add_argument
    add("--viewers", type=within(1, 60_000), default=1_000, help="viewers (%(default)s)")
    add("--victim", type=int, required=True, metavar="PID", help="the replica that is killed")
    add("--gather-at", metavar="URL", help="the victim's own address: everyone is on it, and comes back to --url")
    add("--stream", help="an own, live stream (default: makes one); needed with --tickets")
    add("--tickets", metavar="FILE", help="two for each viewer, one to come and one to come back; else guests")
    add("--product", default="DEMO-1", help="the SKU of the host's drops (%(default)s)")
    add("--workers", type=within(1, 64), default=2, help="processes of the crowd (%(default)s)")
    add("--connect-rate", type=within(1, 100_000), default=1_000, help="new viewers a second at first (%(default)s)")
    add("--handshakes", type=within(1, 20_000), default=1_000, help="at once, at most (%(default)s)")
    add_summary_arguments(parser)


async def run(options: argparse.Namespace, stop: asyncio.Event) -> int:  # noqa: ARG001  (one shape for all scenarios)
    """Measures and audits. Raises `LoadtestError` when it cannot be done at all."""
    require_replica(options.victim)
    accounts = await StandardInput().accounts(_ACCOUNTS_WITHIN_S)
    await wait_answering(options.url, _READY_WITHIN_S)
    stream = options.stream or f"storm-{secrets.token_hex(4)}"
    async with AsyncExitStack() as stack:
        host = await stack.enter_async_context(Person(options.url, accounts.host))
        counter = await stack.enter_async_context(statements(accounts.database)) if accounts.database else None
        if not options.stream:
            await host.create_stream(stream, "Storm")
            await host.start_stream(stream)
        show = Show(host, stream, await product_of(host, options.product))
        crew = Crew(
            options.url,
            stream,
            options.viewers,
            workers=options.workers,
            rate_per_s=options.connect_rate,
            handshakes_max=options.handshakes,
            tickets=read_tickets(options.tickets),
            first_url=options.gather_at,
        )
        await stack.enter_async_context(crew)
        began = monotonic()
        await crew.gathered(_GATHERS_WITHIN_S)
        gathered_s = monotonic() - began
        await _steps(show, host, stream, crew)
        usual = await _usual(counter, show, host, stream, crew)
        before = await counter.so_far() if counter else 0

        os.kill(options.victim, signal.SIGKILL)
        killed_s = time()
        last = await _steps(show, host, stream, crew)
        complete_s = time() - killed_s

        asked = await counter.so_far() - before if counter else 0
        report = await crew.report()
    figures: dict[str, float] = {
        "viewers": options.viewers,
        "connected_per_s": options.viewers / gathered_s,
        "reconnects": report.reconnects,
        "back_within_s": report.last_welcome_s - killed_s,
        "complete_within_s": complete_s,
        "tries_failed": sum(report.tries_failed.values()),
        "gaps": report.gaps,
        "repeats": report.repeats,
        "snapshots": report.snapshots,
    }
    if counter:
        extra = max(0.0, asked - usual.steps - usual.per_s * complete_s)
        figures |= {"sql_statements": asked, "sql_statements_per_viewer": extra / options.viewers}
    problems = audit(report, last)
    if not report.reconnects:
        problems.append("nobody was cut: the kill proved nothing")
    return finish(
        "reconnect_storm", options, figures, problems, {"tries_failed": report.tries_failed, "closed": report.closed}
    )


class _Usual:
    """What the database is asked without a storm: by idle replicas each second, and for the host's steps."""

    def __init__(self, per_s: float = 0.0, steps: float = 0.0) -> None:
        self.per_s = per_s
        self.steps = steps


async def _usual(counter: Statements | None, show: Show, host: Person, stream: str, crew: Crew) -> _Usual:
    if counter is None:
        return _Usual()
    before, began = await counter.so_far(), monotonic()
    await asyncio.sleep(_IDLE_S)
    between, per_s = await counter.so_far(), 0.0
    per_s = (between - before) / (monotonic() - began)
    began = monotonic()
    await _steps(show, host, stream, crew)
    return _Usual(per_s, await counter.so_far() - between - per_s * (monotonic() - began))


async def _steps(show: Show, host: Person, stream: str, crew: Crew) -> int:
    """The host goes on; returns the last event once everyone has it, or time is up: the audit finds who has not."""
    for _ in range(STEPS):
        await show.step()
    last = (await host.stream(stream)).seq
    await crew.reach(last, _BACK_WITHIN_S)
    return last
