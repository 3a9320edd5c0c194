"""What a crew and the processes of its crowd say to each other: one JSON object a line."""

from __future__ import annotations

import msgspec

from loadtest.ordering import Ordered, Ordering

LINE_MAX_BYTES = 64 * 1024 * 1024
"""Longest line: the receipts of a process's orders, about 100 bytes each."""


class Plan(msgspec.Struct, frozen=True):
    """What a process of the crowd is told at its start."""

    host: str
    port: int
    path: str
    viewers: int
    rate_per_s: float
    """New connections a second while the crowd gathers."""

    handshakes_max: int
    """Connections that may wait for their welcome at once, also when all come back."""

    first: tuple[str, int] | None = None
    """Host and port of every viewer's first connection, when it is another one."""

    tickets: tuple[str, ...] = ()
    """One for each connection, in order; after the last one viewers are guests."""

    tickets_each: int = 0
    """When not 0: these are each viewer's own, so many in a row, and it stays the same person when it comes back."""

    source: str | None = None
    """The local address the viewers come from: each has ports of its own."""

    ca: str | None = None
    """The file of the certificate to trust, when the viewers speak TLS."""

    header_bytes: int = 0
    """Added to the upgrade: a browser says much more than is needed."""

    core: int | None = None
    cap_s: float = 15.0
    """The longest wait of the backoff."""

    orders: bool = False
    """Whether the viewers may be asked to `order`."""


class Ask(msgspec.Struct, frozen=True):
    """`reach` (everyone has event `seq`), `report`, `order` (as `ordering` says; answered when all is), or `leave`."""

    do: str
    seq: int = 0
    within_s: float = 0.0
    ordering: Ordering | None = None


class Report(msgspec.Struct):
    """What one process's viewers saw so far; also the sum of several."""

    viewers: int = 0
    here: int = 0
    lowest_seq: int = 1 << 62
    highest_seq: int = -1
    behind: int = 0
    """Viewers without the event that was asked for."""

    gaps: int = 0
    repeats: int = 0
    snapshots: int = 0
    strange: dict[str, int] = {}
    closed: dict[int, int] = {}
    tries_failed: dict[str, int] = {}
    reconnects: int = 0
    over: int = 0
    """Viewers told not to come back."""

    last_welcome_s: float = 0.0
    """When the last one was welcomed, in seconds since the epoch."""

    seen: dict[int, tuple[float, float, int]] = {}
    """For each event: `at` in ms, when its last viewer had it live (seconds; 0.0: nobody), viewers it reached."""

    cpu_s: float = 0.0
    rss_kb: int = 0
    ordered: Ordered | None = None
    """What became of the orders of the last `order`."""


class Answer(msgspec.Struct, frozen=True):
    """A line to the crew: `here` viewers are welcome; `report` only in answer to an `Ask`."""

    here: int
    report: Report | None = None
