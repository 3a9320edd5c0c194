"""A crowd spread over processes, as a scenario sees it: gather, wait, ask, leave."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from collections.abc import Sequence
from time import monotonic, time
from types import TracebackType
from typing import Self
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from loadtest.crowd import VIEWERS_MAX
from loadtest.errors import CannotGoOn
from loadtest.messages import LINE_MAX_BYTES, Answer, Ask, Plan, Report
from loadtest.ordering import Ordering, together
from loadtest.process import cpu_s
from loadtest.report import Progress

_ANSWERS_WITHIN_S = 30.0
_LEAVES_WITHIN_S = 6.0
_LOOK_S = 0.02


class Crew:
    """`async with Crew(url, stream, viewers) as crew`: starts the processes and sends everyone on the way.

    With `first_url` everyone comes there at first, and back to `url`. With `straight_at` the processes go to these
    replicas in turn instead of `url`. `orders` makes viewers who can be asked to `order`; `tickets_each` in a row are
    then one viewer's own. With `ca`, the file of a certificate to trust, they speak TLS.
    Raises `CannotGoOn` when a process of the crowd ends before it is asked to. Leaving the block ends all of them.
    """

    def __init__(
        self,
        url: str,
        stream: str,
        viewers: int,
        *,
        workers: int = 1,
        rate_per_s: float = 2_000.0,
        handshakes_max: int = 200,
        tickets: Sequence[str] = (),
        tickets_each: int = 0,
        core: int | None = None,
        first_url: str | None = None,
        straight_at: Sequence[str] = (),
        orders: bool = False,
        ca: str | None = None,
        header_bytes: int = 0,
    ) -> None:
        if viewers > workers * VIEWERS_MAX:
            raise CannotGoOn(f"{viewers} viewers need more than {workers} processes of {VIEWERS_MAX}: raise --workers")
        addresses = [urlsplit(one) for one in straight_at or (url,)]
        first = urlsplit(first_url) if first_url else None
        self.viewers = viewers
        shares = [len(range(number, viewers, workers)) for number in range(workers)]
        self._plans = [
            Plan(
                host=(address := addresses[number % len(addresses)]).hostname or "127.0.0.1",
                port=address.port or (443 if ca else 80),
                path=f"/ws/{stream}",
                viewers=share,
                rate_per_s=rate_per_s * share / viewers,
                handshakes_max=max(1, handshakes_max // workers),
                first=(first.hostname or "127.0.0.1", first.port or 80) if first else None,
                tickets=_share(tickets, tickets_each or 1, number, workers),
                tickets_each=tickets_each,
                source=f"127.0.0.{2 + number}" if (address.hostname or "").startswith("127.") else None,
                core=core,
                orders=orders,
                ca=ca,
                header_bytes=header_bytes,
            )
            for number, share in enumerate(shares)
            if share
        ]
        self._processes: list[_Process] = []

    async def __aenter__(self) -> Self:
        try:
            for number, plan in enumerate(self._plans):
                process = _Process(f"crowd {number}")
                self._processes.append(process)
                await process.start(plan)
        except BaseException:
            await self._end()
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._end()

    @property
    def here(self) -> int:
        """How many are welcome now, give or take a tenth of a second."""
        return sum(process.here for process in self._processes)

    async def gathered(self, within_s: float) -> None:
        """Waits until everyone is welcome. Raises `CannotGoOn`, saying what went wrong, when they are not in time."""
        bar = Progress("connecting", self.viewers)
        until = monotonic() + within_s
        try:
            while self.here < self.viewers:
                if monotonic() > until:
                    report = await self.report()
                    why = {**report.tries_failed, **report.strange, **{str(k): v for k, v in report.closed.items()}}
                    raise CannotGoOn(f"only {report.here} of {self.viewers} viewers came in {within_s:.0f} s: {why}")
                for process in self._processes:
                    process.raise_if_ended()
                bar.show(self.here)
                await asyncio.sleep(_LOOK_S)
        finally:
            bar.clear()

    def cpu_s(self) -> float:
        """CPU of all processes of the crowd so far."""
        return sum(process.cpu_s() for process in self._processes)

    async def reach(self, seq: int, within_s: float) -> int:
        """Waits until everyone has event `seq`; how many do not, in time."""
        return sum(report.behind for report in await self._ask(Ask("reach", seq, within_s), within_s))

    async def order(self, ordering: Ordering) -> None:
        """Everyone orders, from `ordering.start_s` on; returns when all is answered or its time is up."""
        within_s = ordering.start_s - time() + ordering.seconds + ordering.answered_within_s
        asks = [
            Ask("order", ordering=replace(ordering, rate_per_s=ordering.rate_per_s * plan.viewers / self.viewers,
                                          prefix=f"{ordering.prefix}{number}-"))
            for number, plan in enumerate(self._plans)
        ]  # fmt: skip
        await asyncio.gather(
            *(
                process.ask(ask, within_s + _ANSWERS_WITHIN_S)
                for process, ask in zip(self._processes, asks, strict=True)
            )
        )

    async def report(self) -> Report:
        """What all viewers saw so far."""
        return add_up(await self._ask(Ask("report"), 0.0))

    async def _ask(self, ask: Ask, within_s: float) -> list[Report]:
        return await asyncio.gather(*(process.ask(ask, within_s + _ANSWERS_WITHIN_S) for process in self._processes))

    async def _end(self) -> None:
        await asyncio.gather(*(process.end() for process in self._processes))


def _share(tickets: Sequence[str], each: int, number: int, workers: int) -> tuple[str, ...]:
    """The tickets of a process: those of every viewer together, of one viewer in `workers`."""
    firsts = range(number * each, len(tickets), workers * each)
    return tuple(ticket for first in firsts for ticket in tickets[first : first + each])


def add_up(reports: Sequence[Report]) -> Report:
    """Several processes' reports as one."""
    seen: dict[int, tuple[float, float, int]] = {}
    for report in reports:
        for seq, (at, last, arrivals) in report.seen.items():
            _, before, already = seen.get(seq, (at, 0.0, 0))
            seen[seq] = at, max(last, before), arrivals + already

    def summed(counts: Sequence[dict[str, int]]) -> dict[str, int]:
        return dict(sum(map(Counter, counts), Counter[str]()))

    closed = Counter[int]()
    for report in reports:
        closed.update(report.closed)
    return Report(
        viewers=sum(report.viewers for report in reports),
        here=sum(report.here for report in reports),
        lowest_seq=min(report.lowest_seq for report in reports),
        highest_seq=max(report.highest_seq for report in reports),
        behind=sum(report.behind for report in reports),
        gaps=sum(report.gaps for report in reports),
        repeats=sum(report.repeats for report in reports),
        snapshots=sum(report.snapshots for report in reports),
        strange=summed([report.strange for report in reports]),
        closed=dict(closed),
        tries_failed=summed([report.tries_failed for report in reports]),
        reconnects=sum(report.reconnects for report in reports),
        over=sum(report.over for report in reports),
        last_welcome_s=max(report.last_welcome_s for report in reports),
        seen=dict(sorted(seen.items())),
        cpu_s=sum(report.cpu_s for report in reports),
        rss_kb=sum(report.rss_kb for report in reports),
        ordered=together([report.ordered for report in reports if report.ordered is not None]),
    )


def audit(report: Report, last: int) -> list[str]:
    """What is wrong after event `last`: every promise about events that was not kept to every viewer."""
    problems = [f"{number} {what}" for number, what in (
        (report.gaps, "gaps: an event was missing in a viewer's history"),
        (report.repeats, "repeats: a viewer was sent an event twice"),
        (report.viewers - report.here, "viewers are not connected at the end"),
        (report.over, "viewers were told not to come back"),
    ) if number]  # fmt: skip
    if report.viewers and (report.lowest_seq, report.highest_seq) != (last, last):
        problems.append(f"viewers ended at events {report.lowest_seq}..{report.highest_seq}, not all at {last}")
    return problems + [f"{count} times: {what}" for what, count in report.strange.items()]


class _Process:
    """One process of the crowd and its pipes."""

    def __init__(self, name: str) -> None:
        self._name = name
        self.here = 0
        self._process: asyncio.subprocess.Process | None = None
        self._reading: asyncio.Task[None] | None = None
        self._answer: asyncio.Future[Report] | None = None

    async def start(self, plan: Plan) -> None:
        """Starts it and says what to do."""
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "loadtest.crowd"),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=LINE_MAX_BYTES,
        )
        self._say(plan)
        self._reading = asyncio.create_task(self._read(), name=f"{self._name}: reads")

    async def ask(self, ask: Ask, within_s: float) -> Report:
        """The answer. Raises `CannotGoOn` when there is none in time, or the process has ended."""
        self.raise_if_ended()
        answer: asyncio.Future[Report] = asyncio.get_running_loop().create_future()
        self._answer = answer
        self._say(ask)
        try:
            async with asyncio.timeout(within_s):
                return await answer
        except TimeoutError:
            raise CannotGoOn(f"{self._name} did not answer in {within_s:.0f} s") from None

    def cpu_s(self) -> float:
        """CPU so far."""
        return cpu_s(self._process.pid) if self._process is not None else 0.0

    def raise_if_ended(self) -> None:
        """Raises `CannotGoOn` when the process is gone; what it said is on standard error."""
        if self._reading is None or self._reading.done():
            raise CannotGoOn(f"{self._name} ended by itself")

    async def end(self) -> None:
        """Asks it to leave, and kills it when it does not."""
        if self._process is None:
            return
        try:
            async with asyncio.timeout(_LEAVES_WITHIN_S):
                self._say(Ask("leave"))
                await self._process.wait()
        except (TimeoutError, OSError, RuntimeError):
            if self._process.returncode is None:
                self._process.kill()
                await self._process.wait()
        finally:
            if self._process.returncode is None:  # cancelled: this process ends, and nobody else would end that one
                self._process.kill()
            if self._reading is not None:
                self._reading.cancel()
                await asyncio.gather(self._reading, return_exceptions=True)

    def _say(self, what: Plan | Ask) -> None:
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(what) + b"\n")

    async def _read(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        while line := await self._process.stdout.readline():
            said = msgspec.json.decode(line, type=Answer)
            self.here = said.here
            if said.report is not None and self._answer is not None and not self._answer.done():
                self._answer.set_result(said.report)
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(CannotGoOn(f"{self._name} ended by itself"))
