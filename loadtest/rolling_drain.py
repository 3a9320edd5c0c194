"""Replicas are restarted one after the other under a crowd and a host at work: nobody may notice.

`--url` leads to the proxy, each `--replica PID=URL` is one behind it: it gets SIGTERM, and whoever keeps replicas
running (systemd, Kubernetes, `loadtest.local`) starts it again. Viewers obey `drain`. Audited for every viewer: no gap,
no repeat, resumed by `missed`, and no connection that ended without a close frame.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import secrets
import signal
from time import monotonic

from loadtest.accounts import StandardInput
from loadtest.crew import Crew, audit
from loadtest.errors import CannotGoOn
from loadtest.options import within
from loadtest.person import Person, wait_answering, wait_ready
from loadtest.process import alive, require_replica
from loadtest.show import Show, go_on, product_of
from loadtest.summary import add_arguments as add_summary_arguments
from loadtest.summary import finish
from loadtest.watcher import LOST, MOVED

SUMMARY = "replicas are restarted one by one under N viewers and a host at work: no gap, no lost connection"

_SHOWS = 8  # whose steps may be under way at the same time: one that waits for a replica must not hold up the others
_ACCOUNTS_WITHIN_S = 20.0
_READY_WITHIN_S = 30.0
_GATHERS_WITHIN_S = 120.0
_ENDS_WITHIN_S = 40.0
_LAST_WITHIN_S = 30.0
_BREATHES_S = 1.5
_LOOK_S = 0.05


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m loadtest rolling_drain`."""
    add = parser.add_argument
    add("--viewers", type=within(1, 60_000), default=1_000, help="viewers (%(default)s)")
    add("--replica", type=_replica, action="append", required=True, metavar="PID=URL", help="repeat it")
    add("--rate", type=within(1, 100), default=20, help="events/s by the host's commands (%(default)s)")
    add("--product", default="DEMO-1", help="the SKU of the host's drops (%(default)s)")
    add("--workers", type=within(1, 64), default=2, help="processes of the crowd (%(default)s)")
    add("--connect-rate", type=within(1, 100_000), default=1_000, help="new viewers a second at first (%(default)s)")
    add("--handshakes", type=within(1, 20_000), default=1_000, help="at once, at most (%(default)s)")
    add_summary_arguments(parser)


async def run(options: argparse.Namespace, stop: asyncio.Event) -> int:  # noqa: ARG001  (one shape for all scenarios)
    """Measures and audits. Raises `LoadtestError` when it cannot be done at all."""
    for pid, _ in options.replica:
        require_replica(pid)
    accounts = await StandardInput().accounts(_ACCOUNTS_WITHIN_S)
    await wait_answering(options.url, _READY_WITHIN_S)
    stream = f"drain-{secrets.token_hex(4)}"
    async with Person(options.url, accounts.host) as host:
        await host.create_stream(stream, "Rolling drain")
        await host.start_stream(stream)
        product = await product_of(host, options.product)
        shows = [Show(host, stream, product) for _ in range(_SHOWS)]
        crew = Crew(
            options.url,
            stream,
            options.viewers,
            workers=options.workers,
            rate_per_s=options.connect_rate,
            handshakes_max=options.handshakes,
        )
        async with crew:
            await crew.gathered(_GATHERS_WITHIN_S)
            enough, began = asyncio.Event(), monotonic()
            showing = asyncio.create_task(go_on(shows, options.rate, enough), name="the host")
            try:
                took_s = [await _restart(pid, url) for pid, url in options.replica]
            finally:
                enough.set()
                made = (await asyncio.gather(showing, return_exceptions=True))[0]
            showed_s = monotonic() - began
            if isinstance(made, BaseException):
                raise made
            last = (await host.stream(stream)).seq
            await crew.reach(last, _LAST_WITHIN_S)
            report = await crew.report()
    figures: dict[str, float] = {
        "viewers": options.viewers,
        "events": made,
        "events_per_s": made / showed_s,
        "restart_s": max(took_s),
        "moved": report.closed.get(MOVED, 0),
        "closed_1012": report.closed.get(1012, 0),
        "closed_1006": report.closed.get(LOST, 0),
        "tries_failed": sum(report.tries_failed.values()),
        "gaps": report.gaps,
        "repeats": report.repeats,
        "snapshots": report.snapshots,
    }
    problems = audit(report, last)
    if not report.reconnects:
        problems.append("nobody had to move: the restarts proved nothing")
    return finish(
        "rolling_drain", options, figures, problems, {"tries_failed": report.tries_failed, "closed": report.closed}
    )


async def _restart(pid: int, url: str) -> float:
    """SIGTERM, its end, and ready again; how long that took. Raises `CannotGoOn` or `Gone` when it does not."""
    began = monotonic()
    os.kill(pid, signal.SIGTERM)
    while alive(pid):
        if monotonic() - began > _ENDS_WITHIN_S:
            raise CannotGoOn(f"replica {pid} did not end in {_ENDS_WITHIN_S:.0f} s after SIGTERM")
        await asyncio.sleep(_LOOK_S)
    await wait_ready(url, _READY_WITHIN_S)
    took_s = monotonic() - began
    await asyncio.sleep(_BREATHES_S)  # the proxy remembers for a moment that it was gone
    return took_s


def _replica(text: str) -> tuple[int, str]:
    pid, _, url = text.partition("=")
    if not pid.isdigit() or not url.startswith(("http://", "https://")):
        raise argparse.ArgumentTypeError(f"{text!r} must be PID=URL")
    return int(pid), url
