"""Fan-out: N viewers of one stream, and events rung straight onto the bus: what does a delivery cost a replica?

Events go by the public name of the stream's channel on Redis (`--redis`), of a kind that no client knows and no log
holds: relay, hub and sockets of one replica are measured in isolation, on a stream of its own. Every viewer audits
every event. With `--peer textbook` the same crowd measures the textbook server in the same run.

`--window 8` publishes eight events together and the next eight when everyone has them, `--window 1` one at a time;
`--rate` publishes at fixed times and asks when the last viewer had each. Latency counts from the intended start.
"""

from __future__ import annotations

import argparse
import asyncio
import secrets
from collections.abc import Callable, Mapping, Sequence
from time import monotonic, time

from loadtest.accounts import StandardInput
from loadtest.bell import Publisher, Textbook, bus, event_text, textbook
from loadtest.buyers import Buyers
from loadtest.crew import Crew, audit
from loadtest.crowd import Report
from loadtest.errors import CannotGoOn
from loadtest.options import read_tickets, within
from loadtest.person import Person, wait_answering, wait_ready
from loadtest.process import cpu_s, rss_kb, workers
from loadtest.report import Progress, percentile
from loadtest.summary import add_arguments as add_summary_arguments
from loadtest.summary import finish

SUMMARY = "N viewers, events rung on the bus: CPU for each delivery, latency, memory; audits every viewer"

VIEWERS_MAX = 60_000

_READY_WITHIN_S = 20.0
_ACCOUNTS_WITHIN_S = 20.0
_GATHERS_WITHIN_S = 60.0
_REACHES_WITHIN_S = 60.0
_SETTLES_S = 1.0
_WARM_UP = 2  # windows


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m loadtest fan_out`."""
    add = parser.add_argument
    add("--viewers", type=within(1, VIEWERS_MAX), default=1_000, help="viewers (%(default)s)")
    add("--window", type=within(1, 64), nargs="+", default=[8, 1], help="events published together (8 1)")
    add("--messages", type=within(1, 100_000), default=400, help="events for each window size (%(default)s)")
    add("--rate", type=within(0, 1_000), default=10, help="events/s for the latency; 0: skip (%(default)s)")
    add("--seconds", type=within(1, 120), default=8, help="how long at --rate (%(default)s)")
    add("--redis", default="redis://127.0.0.1:6379/0", help="the shop's DROPCAST_BUS_URL (%(default)s)")
    add("--pid", type=int, nargs="*", default=[], help="the replica's process, to measure its CPU and memory")
    add("--nginx-pid", type=int, help="nginx's master before the replica, to measure its workers as well")
    add("--ca", metavar="FILE", help="the certificate to trust, when the shop speaks TLS")
    add("--header-bytes", type=within(0, 4_000), default=0, help="more in each upgrade, as browsers send (%(default)s)")
    add("--stream", help="an own, live stream without a drop (default: makes one); needed with --tickets")
    add("--tickets", metavar="FILE", help="of `dropcast mint-tickets`: one for each viewer and buyer; else guests")
    add("--buyers", type=within(0, 500), default=0, help="who order meanwhile; need tickets (%(default)s)")
    add("--product", default="DEMO-1", help="the SKU the buyers buy (%(default)s)")
    add("--peer", choices=["textbook"], help="measure this as well, in the same run")
    add("--peer-messages", type=within(1, 100_000), default=40, help="its events for each window (%(default)s)")
    add("--workers", type=within(1, 64), default=1, help="processes of the crowd (%(default)s)")
    add("--connect-rate", type=within(1, 100_000), default=2_000, help="new viewers a second (%(default)s)")
    add("--server-core", type=int, help="where the peer runs, as the replica does")
    add("--crowd-core", type=int, help="where the crowd runs")
    add_summary_arguments(parser)


async def run(options: argparse.Namespace, stop: asyncio.Event) -> int:  # noqa: ARG001  (one shape for all scenarios)
    """Measures and audits. Raises `LoadtestError` when it cannot be done at all."""
    if options.tickets and not options.stream:
        raise CannotGoOn("--tickets are for one stream: name it with --stream")
    if options.buyers and not options.tickets:
        raise CannotGoOn("--buyers need --tickets")
    if options.buyers and options.ca:
        raise CannotGoOn("--buyers do not know --ca: measure them without TLS")
    accounts = await StandardInput().accounts(_ACCOUNTS_WITHIN_S)
    if options.nginx_pid:
        await wait_answering(options.url, _READY_WITHIN_S, options.ca)
    else:
        await wait_ready(options.url, _READY_WITHIN_S)
    tickets = read_tickets(options.tickets)
    async with Person(options.url, accounts.host, ca=options.ca) as host:
        stream = options.stream or f"fan-out-{secrets.token_hex(4)}"
        if not options.stream:
            await host.create_stream(stream, "Fan-out")
            await host.start_stream(stream)
        figures, problems = await _ours(options, host, stream, tickets)
    if options.peer:
        theirs, their_problems = await _theirs(options)
        figures |= theirs | _ratios(figures, theirs, options.peer)
        problems += their_problems
    return finish("fan_out", options, figures, problems)


async def _ours(
    options: argparse.Namespace, host: Person, stream: str, tickets: Sequence[str]
) -> tuple[dict[str, float], list[str]]:
    buyers = Buyers(options.url, stream, tickets[: options.buyers])
    if options.buyers:
        await buyers.stock_up(host, options.product)
    start = (await host.stream(stream)).seq
    async with bus(options.redis, stream) as publisher, _crew(options, options.url, stream, tickets) as crew:
        nginx = workers(options.nginx_pid) if options.nginx_pid else ()
        line = Line(crew, publisher, {"": options.pid, "nginx_": nginx}, start)
        figures = await line.gather()
        for window in options.window:
            figures |= await line.full_speed(window, options.messages)
        if options.rate:
            figures |= await line.paced(options.rate, options.seconds)
        if options.buyers:
            async with buyers:
                figures |= await line.besides(buyers, max(options.window))
        report, last = await crew.report(), line.seq
    figures |= {"events": last - start, "gaps": report.gaps, "repeats": report.repeats}
    return figures, audit(report, last) + _audit_arrivals(report, start, last) + buyers.problems


async def _theirs(options: argparse.Namespace) -> tuple[dict[str, float], list[str]]:
    async with textbook(options.server_core) as peer, _crew(options, peer.url, Textbook.STREAM, ()) as crew:
        line = Line(crew, peer, {"": [peer.pid]}, 0)
        figures = await line.gather()
        for window in options.window:
            figures |= await line.full_speed(window, options.peer_messages)
        if options.rate:
            figures |= await line.paced(options.rate, options.seconds)
        problems = audit(await crew.report(), line.seq)
    return {f"textbook_{name}": value for name, value in figures.items()}, [f"textbook: {one}" for one in problems]


class Line:
    """From a publisher through servers to a crowd, and the gauges along it. `seq` is the last event published.

    `pids` are the processes of each server, by what its figures' names begin with.
    """

    def __init__(self, crew: Crew, publisher: Publisher, pids: Mapping[str, Sequence[int]], seq: int) -> None:
        self._crew = crew
        self._publisher = publisher
        self._pids = {server: processes for server, processes in pids.items() if processes}
        self.seq = seq

    async def gather(self) -> dict[str, float]:
        """Waits for everyone; how long it took, and what each idle viewer costs the servers."""
        before, began = self._all(rss_kb), monotonic()
        await self._crew.gathered(_GATHERS_WITHIN_S)
        took_s = monotonic() - began
        await asyncio.sleep(_SETTLES_S)
        figures = {"viewers": float(self._crew.viewers), "connected_per_s": self._crew.viewers / took_s}
        now = self._all(rss_kb)
        return figures | {f"{one}kb_per_idle_viewer": (now[one] - before[one]) / self._crew.viewers for one in now}

    async def full_speed(self, window: int, messages: int) -> dict[str, float]:
        """Windows one after the other, each when everyone has the one before."""
        for _ in range(_WARM_UP):
            await self.publish_window(window)
        windows = max(1, messages // window)
        bar = Progress(f"window {window}", windows)
        servers_s, crowd_s, began = self._all(cpu_s), self._crew.cpu_s(), monotonic()
        for number in range(windows):
            await self.publish_window(window)
            bar.show(number + 1)
        took_s = monotonic() - began
        now_s, crowd_s = self._all(cpu_s), self._crew.cpu_s() - crowd_s
        bar.clear()
        deliveries = windows * window * self._crew.viewers
        each = {
            f"{one}cpu_s_per_million_window_{window}": (now_s[one] - servers_s[one]) * 1e6 / deliveries for one in now_s
        }
        return each | {
            f"deliveries_per_s_window_{window}": deliveries / took_s,
            f"crowd_us_per_event_window_{window}": crowd_s * 1e6 / deliveries,
        }

    async def paced(self, rate: int, seconds: int) -> dict[str, float]:
        """Events at fixed times: when the last viewer had each, from the time it was meant to be published."""
        first, count, start = self.seq + 1, rate * seconds, time() + 0.1
        for number in range(count):
            due = start + number / rate
            await asyncio.sleep(max(0.0, due - time()))
            await self._publish([due])
        await self._all_have_it()
        seen = (await self._crew.report()).seen
        late_ms = sorted(seen[seq][1] * 1000 - seen[seq][0] for seq in range(first, first + count) if seq in seen)
        return {f"last_viewer_p{percent}_ms": percentile(late_ms, percent) for percent in (50, 99)}

    async def besides(self, buyers: Buyers, window: int) -> dict[str, float]:
        """Full speed for as long as the buyers need for their orders; how long receipts took."""
        buying = asyncio.create_task(buyers.buy(), name="buyers")
        first, began = self.seq, monotonic()
        try:
            while not buying.done():
                await self.publish_window(window)
        finally:
            buying.cancel()
            await asyncio.gather(buying, return_exceptions=True)
        rate = (self.seq - first) * self._crew.viewers / (monotonic() - began)
        return buyers.figures() | {"deliveries_per_s_while_buying": rate}

    async def publish_window(self, window: int) -> None:
        """So many events together; returns when everyone has them. Raises `CannotGoOn` when somebody has not."""
        await self._publish([time()] * window)
        await self._all_have_it()

    async def _publish(self, due_s: Sequence[float]) -> None:
        texts = [event_text(self.seq + number, round(due * 1000)) for number, due in enumerate(due_s, 1)]
        self.seq += len(texts)
        await self._publisher.publish(texts)

    async def _all_have_it(self) -> None:
        behind = await self._crew.reach(self.seq, _REACHES_WITHIN_S)
        if behind:
            found = "; ".join(audit(await self._crew.report(), self.seq))
            raise CannotGoOn(f"{behind} viewers had no event {self.seq} in {_REACHES_WITHIN_S:.0f} s: {found}")

    def _all(self, gauge: Callable[[int], float]) -> dict[str, float]:
        return {server: sum(map(gauge, processes)) for server, processes in self._pids.items()}


def _crew(options: argparse.Namespace, url: str, stream: str, tickets: Sequence[str]) -> Crew:
    return Crew(
        url,
        stream,
        options.viewers,
        workers=options.workers,
        rate_per_s=options.connect_rate,
        tickets=tickets[options.buyers :],
        core=options.crowd_core,
        ca=options.ca if url == options.url else None,
        header_bytes=options.header_bytes,
    )


def _audit_arrivals(report: Report, start: int, last: int) -> list[str]:
    """Nobody came late here: every event must have reached exactly everyone."""
    wrong = [seq for seq in range(start + 1, last + 1) if report.seen.get(seq, (0, 0, 0))[2] != report.viewers]
    return [f"{len(wrong)} events did not reach exactly {report.viewers} viewers: {wrong[:5]}"] if wrong else []


def _ratios(ours: dict[str, float], theirs: dict[str, float], peer: str) -> dict[str, float]:
    """How many times less ours needs."""
    pairs = {
        name.replace("cpu_s_per_million", f"cpu_ratio_{peer}"): name
        for name in ours
        if name.startswith("cpu_s_per_million")
    }
    pairs |= {
        f"memory_ratio_{peer}": "kb_per_idle_viewer",
        f"last_viewer_p99_ratio_{peer}": "last_viewer_p99_ms",
    }
    return {
        ratio: theirs[f"{peer}_{name}"] / ours[name]
        for ratio, name in pairs.items()
        if ours.get(name) and f"{peer}_{name}" in theirs
    }
