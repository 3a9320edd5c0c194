"""One process of a crowd: `python -m loadtest.crowd`, started by `loadtest.crew` and spoken to over its pipes.

The first line of standard input is the `Plan`; then come `Ask`s, each answered by one line. In between, lines say how
many viewers are here. The process ends when it is asked to `leave`, or when its standard input closes.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import os
import random
import signal
import socket
import ssl
import sys
from collections import Counter, deque
from collections.abc import Callable, Sequence
from time import monotonic, time

import msgspec
import uvloop

from dropcast.comeback import Backoff, comes_back
from loadtest.clicker import Clicker
from loadtest.messages import LINE_MAX_BYTES, Answer, Ask, Plan, Report
from loadtest.ordering import Book, Ordering
from loadtest.process import allow_files, cpu_s, pin, rss_kb, step_back
from loadtest.tally import Tally
from loadtest.watcher import MOVED, Watcher

__all__ = ["VIEWERS_MAX", "Crowd", "Report", "serve"]

VIEWERS_MAX = 18_000
"""Of one process: a hard limit of 20,000 files is common."""

OPEN_WITHIN_S = 20.0
"""From connecting to the welcome; then the viewer tries again."""

RELOADS_WITHIN_S = 1.0
"""How long somebody who orders is away at most when it reloads, or is told to move."""

_IP_BIND_ADDRESS_NO_PORT = 24  # linux/in.h
_RAMP_STEP_S = 0.01
_SAYS_EVERY_S = 0.1
_LEAVES_WITHIN_S = 3.0
_OWN_FILES = 64


class Crowd:
    """The viewers of this process. Owns one task for each connection under way; all end with `leave`."""

    def __init__(self, plan: Plan) -> None:
        self.tally = Tally()
        self.upgrade = (
            f"GET {plan.path} HTTP/1.1\r\nHost: {plan.host}:{plan.port}\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: ZHJvcGNhc3QtbG9hZHRlcw==\r\nSec-WebSocket-Version: 13\r\n"
            f"{_padding(plan.header_bytes)}\r\n"
        ).encode("ascii")
        self._plan = plan
        self._tls = ssl.create_default_context(cafile=plan.ca) if plan.ca else None
        self._book = Book()
        self._clickers = [Clicker(self, self._book, number) for number in range(plan.viewers)] if plan.orders else []
        self._watchers: Sequence[Watcher] = self._clickers or [Watcher(self) for _ in range(plan.viewers)]
        self._tickets = deque(plan.tickets)
        for clicker in self._clickers:
            first = clicker.number * plan.tickets_each
            clicker.tickets.extend(plan.tickets[first : first + plan.tickets_each])
        self._door = asyncio.Semaphore(plan.handshakes_max)
        self._bringing: set[asyncio.Task[None]] = set()
        self._backoff = Backoff(0.5, plan.cap_s)
        self._chance = random.Random()
        self._closed: Counter[int] = Counter()
        self._tries_failed: Counter[str] = Counter()
        self._reconnects = 0
        self._over = 0
        self._last_welcome_s = 0.0
        self._leaving = False
        self.here = 0

    async def gather(self) -> None:
        """Sends everyone on the way, at the plan's rate from the intended start on; does not wait for welcomes."""
        began = monotonic()
        for number, watcher in enumerate(self._watchers):
            early_s = number / self._plan.rate_per_s - (monotonic() - began)
            if early_s > 0:
                await asyncio.sleep(max(early_s, _RAMP_STEP_S))
            self._send_in(watcher)

    async def reach(self, seq: int, within_s: float) -> int:
        """Waits until everyone has event `seq`, in time; how many do not."""
        tally = self.tally
        lacking = sum(max(0, seq - watcher.seq) for watcher in self._watchers)
        if lacking:
            reached = asyncio.Event()
            tally.target = tally.progress + lacking
            tally.on_target = reached.set
            try:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(reached.wait(), within_s)
            finally:
                tally.target = 1 << 62
        return sum(watcher.seq < seq for watcher in self._watchers)

    async def order(self, ordering: Ordering) -> None:
        """Everyone orders; returns when everything is answered, or the ordering's time is up."""
        self._book = Book(ordering)
        for clicker in self._clickers:
            clicker.begin(self._book)
        away = [clicker for clicker in self._clickers if clicker.tickets]
        for clicker in random.sample(away, len(away) * ordering.reload_percent // 100):
            asyncio.get_running_loop().call_later(random.uniform(0, ordering.seconds), clicker.reload)
        await self._book.run(self._clickers)

    def report(self, behind: int = 0) -> Report:
        """Everything so far."""
        self.tally.book()
        return Report(
            viewers=len(self._watchers),
            here=self.here,
            lowest_seq=min((watcher.seq for watcher in self._watchers), default=-1),
            highest_seq=max((watcher.seq for watcher in self._watchers), default=-1),
            behind=behind,
            gaps=self.tally.gaps,
            repeats=self.tally.repeats,
            snapshots=self.tally.snapshots,
            strange=dict(self.tally.strange),
            closed=dict(self._closed),
            tries_failed=dict(self._tries_failed),
            reconnects=self._reconnects,
            over=self._over,
            last_welcome_s=self._last_welcome_s,
            seen={seq: (at, last, int(arrivals)) for seq, (at, last, arrivals) in self.tally.seen.items()},
            cpu_s=cpu_s(os.getpid()),
            rss_kb=rss_kb(os.getpid()),
            ordered=self._book.report(self._clickers) if self._clickers else None,
        )

    async def leave(self) -> None:
        """Everyone says goodbye and goes."""
        self._leaving = True
        for task in self._bringing:
            task.cancel()
        for watcher in self._watchers:
            if watcher.here:
                watcher.close()
        until = monotonic() + _LEAVES_WITHIN_S
        while self.here and monotonic() < until:  # noqa: ASYNC110  (nobody is measured any more)
            await asyncio.sleep(_RAMP_STEP_S)

    # What the viewers ask and tell (`watcher.Company`)

    def ticket(self, watcher: Watcher) -> str | None:
        """The viewer's next ticket, or the next there is."""
        tickets = watcher.tickets if self._plan.tickets_each and isinstance(watcher, Clicker) else self._tickets
        return tickets.popleft() if tickets else None

    def welcomed(self, watcher: Watcher) -> None:
        """One more is here."""
        watcher.attempt = 0
        self.here += 1
        self._last_welcome_s = time()

    def left(self, watcher: Watcher) -> None:
        """One less is here; it comes back unless it was told not to."""
        self.here -= 1
        if self._leaving:
            return
        self._closed[watcher.code] += 1
        if watcher.code == MOVED:
            wait_s = random.uniform(0, RELOADS_WITHIN_S) if isinstance(watcher, Clicker) else 0.0
            asyncio.get_running_loop().call_later(wait_s, self._send_in, watcher)
        else:
            self._come_back(watcher)

    # How

    def _come_back(self, watcher: Watcher) -> None:
        if watcher.code != MOVED and not comes_back(watcher.code):
            self._over += 1
            return
        wait_s = self._backoff.delay_s(watcher.attempt, self._chance.random())
        watcher.attempt += 1
        asyncio.get_running_loop().call_later(wait_s, self._send_in, watcher)

    def _send_in(self, watcher: Watcher) -> None:
        if not self._leaving:
            task = asyncio.create_task(self._bring(watcher), name="a viewer comes")
            self._bringing.add(task)
            task.add_done_callback(self._bringing.discard)

    async def _bring(self, watcher: Watcher) -> None:
        """One connection, up to its welcome."""
        loop = asyncio.get_running_loop()
        plan = self._plan
        host, port = plan.first if plan.first and watcher.last < 0 else (plan.host, plan.port)
        self._reconnects += watcher.last >= 0
        async with self._door:
            arriving = watcher.arriving = loop.create_future()
            try:
                async with asyncio.timeout(OPEN_WITHIN_S):
                    await self._connect(watcher, host, port)
                    why = await arriving
            except TimeoutError:
                why = f"no welcome in {OPEN_WITHIN_S:.0f} s"
                watcher.abort()
            except OSError as error:
                why = error.strerror or type(error).__name__
            finally:
                watcher.arriving = None
        if why:
            self._tries_failed[why] += 1
            self._come_back(watcher)

    async def _connect(self, watcher: Watcher, host: str, port: int) -> None:
        loop, source = asyncio.get_running_loop(), self._plan.source
        if source is None:
            await loop.create_connection(lambda: watcher, host, port, ssl=self._tls)
            return
        sock = socket.socket()
        try:
            sock.setblocking(False)
            # the port is chosen by connect, which knows the other end: bind alone searches long among closed ones
            sock.setsockopt(socket.IPPROTO_IP, _IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((source, 0))
            await loop.sock_connect(sock, (host, port))
            name = host if self._tls else None
            await loop.create_connection(lambda: watcher, sock=sock, ssl=self._tls, server_hostname=name)
        except BaseException:
            sock.close()
            raise


def _padding(size: int) -> str:
    head = "User-Agent: "
    return f"{head}{'x' * max(0, size - len(head) - 2)}\r\n" if size else ""


async def serve(lines: asyncio.StreamReader, say: Callable[[Answer], None]) -> None:
    """Lives as one process of the crowd until it is asked to leave or nobody can ask any more."""
    plan = msgspec.json.decode(await lines.readline(), type=Plan)
    pin(0, plan.core)
    step_back()
    allow_files(plan.viewers + _OWN_FILES)
    crowd = Crowd(plan)
    gathering = asyncio.create_task(crowd.gather(), name="gather")
    speaking = asyncio.create_task(_say_how_many(crowd, plan.viewers, say), name="say how many are here")
    try:
        while line := await lines.readline():
            ask = msgspec.json.decode(line, type=Ask)
            if ask.do == "leave":
                break
            say(Answer(crowd.here, await _answer(crowd, ask)))
    finally:
        gathering.cancel()
        speaking.cancel()
        await asyncio.gather(gathering, speaking, return_exceptions=True)
        await crowd.leave()


async def _answer(crowd: Crowd, ask: Ask) -> Report:
    """What a process answers. A full report walks over everyone, so it comes only when it is asked for."""
    match ask.do:
        case "reach":
            return Report(behind=await crowd.reach(ask.seq, ask.within_s))
        case "order":
            assert ask.ordering is not None
            await crowd.order(ask.ordering)
            return Report()
        case _:
            return crowd.report()


async def _say_how_many(crowd: Crowd, viewers: int, say: Callable[[Answer], None]) -> None:
    said = -1
    while True:
        if crowd.here != said:
            said = crowd.here
            say(Answer(said))
            if said == viewers:
                gc.collect()
                gc.freeze()  # no collection walks over the viewers while they are measured
        await asyncio.sleep(_SAYS_EVERY_S)


async def _main() -> None:
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=LINE_MAX_BYTES)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    out = sys.stdout.buffer

    def say(answer: Answer) -> None:
        out.write(msgspec.json.encode(answer) + b"\n")
        out.flush()

    await serve(lines, say)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us; our standard input closes then
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_main())
