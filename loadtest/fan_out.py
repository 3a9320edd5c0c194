"""Fan-out: a host opens and closes drops before N guests; every guest must see every event, once, in order.

The host signs in with accounts from standard input. Latency is from an event's `at` (the server's clock, taken in the
transaction) to its receipt here, so both must run on one machine or on clocks that agree. One process holds the whole
crowd and decodes every frame: its own cost is part of the figures.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import resource
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import msgspec
from httpx import TransportError
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake

from loadtest.accounts import StandardInput
from loadtest.client import WELCOME_MAX_BYTES, socket_address
from loadtest.errors import CannotGoOn, Refusal
from loadtest.person import Person, wait_ready
from loadtest.report import Progress, latency, say, write_json
from server.domain.product import Product
from server.protocol import codec, frames

SUMMARY = "N guests watch a host open and close drops; audits that nobody misses an event"

VIEWERS_MAX = 2_000
DROPS_MAX = 150
"""Each drop stays on the stream for ever, and a stream holds 500."""

CONNECTING_AT_ONCE = 64
PROBLEMS_TOLD_MAX = 20

_READY_WITHIN_S = 20.0
_ACCOUNTS_WITHIN_S = 20.0
_OPEN_WITHIN_S = 20.0
_LAST_WITHIN_S = 10.0
_CLOSE_WITHIN_S = 2.0
_ENDS_WITHIN_S = 1.0
_EVENTS_PER_DROP = 3  # scheduled, opened, closed
_OWN_FILES = 64  # files this process needs beside the sockets


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m loadtest fan_out`."""
    parser.add_argument("--viewers", type=_within(1, VIEWERS_MAX), default=200, help="guests (%(default)s)")
    parser.add_argument("--drops", type=_within(1, DROPS_MAX), default=20, help="drops opened and closed (%(default)s)")
    parser.add_argument("--every-ms", type=_within(0, 60_000), default=100, help="pause between commands (%(default)s)")
    parser.add_argument("--product", default="DEMO-1", help="the SKU that is sold (%(default)s)")
    parser.add_argument("--json", metavar="FILE", help="where the figures go as JSON; - is standard output")


async def run(options: argparse.Namespace, stop: asyncio.Event) -> int:  # noqa: ARG001  (one shape for all scenarios)
    """Measures and audits; 1 when the audit fails. Raises `LoadtestError` when it cannot be done at all."""
    accounts = await StandardInput().accounts(_ACCOUNTS_WITHIN_S)
    _allow_files(options.viewers + _OWN_FILES)
    await wait_ready(options.url, _READY_WITHIN_S)
    slug = f"fan-out-{secrets.token_hex(4)}"  # a stream of its own: nobody else's events disturb the audit
    async with Person(options.url, accounts.host) as host:
        await host.create_stream(slug, "Fan-out")
        await host.start_stream(slug)
        try:
            product = await _product(host, options.product)
            watchers = [Watcher() for _ in range(options.viewers)]
            async with _crowd(socket_address(options.url, slug), watchers):
                began = time.monotonic()
                await _sell(host, slug, product, options.drops, options.every_ms / 1000)
                last = started_at(watchers) + _EVENTS_PER_DROP * options.drops
                await _all_reached(watchers, last)
                took_s = time.monotonic() - began
        finally:
            await _end(host, slug)
    return _report(options, watchers, last, took_s)


@dataclass(slots=True)
class Watcher:
    """What one guest saw."""

    seq: int | None = None
    """Where it joined; None before the welcome."""

    seen: list[tuple[int, bytes]] = field(default_factory=list)
    """Every event, as it came: `seq` and its text."""

    latencies_ms: list[float] = field(default_factory=list)
    ended: str = ""
    """Why the socket ended early; empty when it did not."""

    def hear(self, text: str | bytes, now_ms: float) -> None:
        """Takes in a frame. Raises `msgspec.DecodeError` when it cannot be read."""
        match codec.decode_server(text):
            case frames.Welcome(position=position):
                self.seq = position.seq
            case frames.EventFrame(seq=seq, at=at, event=event):
                self.seen.append((seq, bytes(event)))
                self.latencies_ms.append(now_ms - at)
            case _:
                pass


def started_at(watchers: list[Watcher]) -> int:
    """The event at which all of them joined. Raises `CannotGoOn` when they did not join at the same one."""
    starts = {watcher.seq for watcher in watchers}
    if len(starts) != 1 or None in starts:
        raise CannotGoOn(f"the guests joined at different events {sorted(map(str, starts))}: somebody else is at work")
    return next(seq for seq in starts if seq is not None)


def audit(watchers: list[Watcher], first: int, last: int) -> list[str]:
    """What is wrong: whoever did not see events `first + 1` … `last`, each once, in order, with the same text."""
    problems: list[str] = []
    texts: dict[int, bytes] = {}
    for number, watcher in enumerate(watchers, 1):
        seqs = [seq for seq, _ in watcher.seen]
        if seqs != list(range(first + 1, last + 1)):
            missing = sorted(set(range(first + 1, last + 1)) - set(seqs))
            why = f", missing {missing[:5]}" if missing else ", twice or out of order"
            problems.append(f"viewer {number} saw {len(seqs)} of {last - first} events{why}")
        if watcher.ended:
            problems.append(f"viewer {number} was cut off: {watcher.ended}")
        if any(texts.setdefault(seq, text) != text for seq, text in watcher.seen):
            problems.append(f"viewer {number} saw an event with another text than the others")
    return problems


@contextlib.asynccontextmanager
async def _crowd(address: str, watchers: list[Watcher]) -> AsyncIterator[None]:
    """All guests connected and welcomed while the block runs."""
    bar = Progress("connecting", len(watchers))
    door = asyncio.Semaphore(CONNECTING_AT_ONCE)
    here = 0

    async def come(watcher: Watcher) -> ClientConnection:
        nonlocal here
        async with door:
            socket = await connect(
                address,
                compression=None,
                ping_interval=None,
                max_size=WELCOME_MAX_BYTES,
                open_timeout=_OPEN_WITHIN_S,
                close_timeout=_CLOSE_WITHIN_S,
                proxy=None,
            )
            try:
                await socket.send(codec.encode(frames.Hello(1)))
                async with asyncio.timeout(_OPEN_WITHIN_S):
                    watcher.hear(await socket.recv(), 0.0)
            except BaseException:
                await socket.close()
                raise
        here += 1
        bar.show(here)
        return socket

    coming = [asyncio.create_task(come(watcher), name=f"guest {n} comes") for n, watcher in enumerate(watchers, 1)]
    following: list[asyncio.Task[None]] = []
    try:
        try:
            sockets = await asyncio.gather(*coming)
        except (OSError, TimeoutError, InvalidHandshake, ConnectionClosed, msgspec.DecodeError) as error:
            raise CannotGoOn(f"only {here} of {len(watchers)} guests got in: {type(error).__name__}: {error}") from None
        finally:
            bar.clear()
        following = [
            asyncio.create_task(_follow(socket, watcher), name=f"guest {n}")
            for n, (socket, watcher) in enumerate(zip(sockets, watchers, strict=True), 1)
        ]
        yield
    finally:
        for task in (*coming, *following):
            task.cancel()
        await asyncio.gather(*coming, *following, return_exceptions=True)
        arrived = [task.result() for task in coming if not task.cancelled() and task.exception() is None]
        await asyncio.gather(*(socket.close() for socket in arrived), return_exceptions=True)


async def _follow(socket: ClientConnection, watcher: Watcher) -> None:
    """Reads until cancelled; whatever ends it earlier is written down for the audit."""
    try:
        while True:
            text = await socket.recv()
            watcher.hear(text, time.time() * 1000)
    except ConnectionClosed as closed:
        watcher.ended = str(closed)
    except msgspec.DecodeError as error:
        watcher.ended = f"a frame cannot be read: {error}"


async def _sell(host: Person, slug: str, product: Product, drops: int, pause_s: float) -> None:
    bar = Progress("drops", drops)
    stock = {product.variants[0].id: 1}
    try:
        for done in range(drops):
            drop = await host.schedule_drop(
                slug, product=product.id, price=product.price, currency=product.currency, limit=1, stock=stock
            )
            await asyncio.sleep(pause_s)
            await host.open_drop(drop.id)
            await asyncio.sleep(pause_s)
            await host.close_drop(drop.id)
            await asyncio.sleep(pause_s)
            bar.show(done + 1)
    finally:
        bar.clear()


async def _all_reached(watchers: list[Watcher], last: int) -> None:
    """Waits until every guest has the last event, or is cut off; bounded, the audit says who did not."""
    until = time.monotonic() + _LAST_WITHIN_S
    while time.monotonic() < until:
        if all(watcher.ended or (watcher.seen and watcher.seen[-1][0] >= last) for watcher in watchers):
            return
        await asyncio.sleep(0.05)  # a flag per guest and event would cost what is being measured


async def _end(host: Person, slug: str) -> None:
    """Ends the stream, if that is quickly done: how the measurement went is what counts."""
    with contextlib.suppress(Refusal, TransportError, TimeoutError):
        async with asyncio.timeout(_ENDS_WITHIN_S):
            await host.end_stream(slug)


async def _product(host: Person, sku: str) -> Product:
    found = next((product for product in await host.products() if product.sku == sku), None)
    if found is None:
        raise CannotGoOn(f"there is no product {sku!r}: run `dropcast seed-demo`, or name another with --product")
    return found


def _report(options: argparse.Namespace, watchers: list[Watcher], last: int, took_s: float) -> int:
    first = started_at(watchers)
    problems = audit(watchers, first, last)
    deliveries = sum(len(watcher.seen) for watcher in watchers)
    percentiles = latency([value for watcher in watchers for value in watcher.latencies_ms])
    figures = {
        "scenario": "fan_out",
        "viewers": len(watchers),
        "drops": options.drops,
        "events": last - first,
        "deliveries": deliveries,
        "seconds": round(took_s, 2),
        "latency_ms": percentiles,
        "audit": {"passed": not problems, "problems": len(problems), "first": problems[:PROBLEMS_TOLD_MAX]},
    }
    if options.json:
        write_json(options.json, figures)
    if options.json != "-":
        told = " · ".join(f"{name} {value} ms" for name, value in percentiles.items())
        say(f"{len(watchers)} viewers · {last - first} events · {deliveries} deliveries in {took_s:.1f} s · {told}")
        for problem in problems[:PROBLEMS_TOLD_MAX]:
            say(problem)
        say(f"audit failed: {len(problems)} problems" if problems else "audit passed: nobody missed anything")
    return 1 if problems else 0


def _allow_files(needed: int) -> None:
    """Lifts this process's own limit of open files as far as needed. Raises `CannotGoOn` when that is not allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise CannotGoOn(f"this needs {needed} open files and the machine allows {hard}: raise `ulimit -Hn`")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))


class _within:  # noqa: N801  (reads as a function where it is used)
    """An argparse type: an integer in a range."""

    def __init__(self, least: int, most: int) -> None:
        self._least = least
        self._most = most

    def __call__(self, text: str) -> int:
        number = int(text) if text.isascii() and text.removeprefix("-").isdigit() else None
        if number is None or not self._least <= number <= self._most:
            raise argparse.ArgumentTypeError(f"{text!r} must be an integer {self._least}..{self._most}")
        return number
