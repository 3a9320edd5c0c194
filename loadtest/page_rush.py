"""A rush for a stream's page: N visitors open it, each over a connection of its own, with every file it names.

What a page costs nginx and the replica. Every answer is looked at: 200, and the same bytes for everybody.
"""

from __future__ import annotations

import argparse
import asyncio
import re
import ssl
from collections import Counter
from collections.abc import Iterator
from time import monotonic
from urllib.parse import urlsplit

from loadtest.errors import CannotGoOn
from loadtest.options import within
from loadtest.person import wait_answering
from loadtest.process import cpu_s, step_back, workers
from loadtest.report import Progress, latency
from loadtest.summary import add_arguments as add_summary_arguments
from loadtest.summary import finish

SUMMARY = "N visitors open a page and all its files: CPU of nginx and the replica for each page"

_READY_WITHIN_S = 20.0
_ANSWERS_WITHIN_S = 20.0
_FILE = re.compile(rb'(?:href|src)="(/static/[^"]+)"')
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `python -m loadtest page_rush`."""
    add = parser.add_argument
    add("--viewers", type=within(1, 100_000), default=1_000, help="visitors (%(default)s)")
    add("--at-once", type=within(1, 2_000), default=100, help="visitors under way at once (%(default)s)")
    add("--page", default="/", help="what they open (%(default)s)")
    add("--pid", type=int, nargs="*", default=[], help="the replicas' processes, to measure their CPU")
    add("--nginx-pid", type=int, help="nginx's master, to measure its workers")
    add("--ca", metavar="FILE", help="the certificate to trust, when the shop speaks TLS")
    add_summary_arguments(parser)


async def run(options: argparse.Namespace, stop: asyncio.Event) -> int:  # noqa: ARG001  (one shape for all scenarios)
    """Measures and audits. Raises `CannotGoOn` when the page is not there."""
    await wait_answering(options.url, _READY_WITHIN_S, options.ca)
    step_back()
    rush = Rush(options)
    servers = {"replica": options.pid, "nginx": workers(options.nginx_pid) if options.nginx_pid else []}
    before = {server: sum(map(cpu_s, pids)) for server, pids in servers.items() if pids}
    began = monotonic()
    await rush.run()
    took_s = monotonic() - began
    figures = {"pages": float(len(rush.took_ms)), "files_each": rush.files / max(1, len(rush.took_ms))}
    for server, spent_s in before.items():
        figures[f"{server}_cpu_ms_per_page"] = (sum(map(cpu_s, servers[server])) - spent_s) * 1000 / options.viewers
    figures |= {f"page_{name}_ms": value for name, value in latency(rush.took_ms).items()}
    figures |= {"pages_per_s": len(rush.took_ms) / took_s, "not_answered_well": float(rush.wrong.total())}
    return finish("page_rush", options, figures, [f"{count} times: {what}" for what, count in rush.wrong.items()])


class Rush:
    """The visitors. `took_ms` is each one's whole page, `wrong` what was not answered well."""

    def __init__(self, options: argparse.Namespace) -> None:
        self._viewers: int = options.viewers
        self._at_once: int = options.at_once
        self._page: str = options.page
        self._url = urlsplit(options.url)
        self._tls = ssl.create_default_context(cafile=options.ca) if options.ca else None
        self._bodies: dict[str, bytes] = {}
        self.took_ms: list[float] = []
        self.files = 0
        self.wrong: Counter[str] = Counter()

    async def run(self) -> None:
        """Returns when everybody has the page."""
        coming = iter(range(self._viewers))
        bar = Progress("pages", self._viewers)
        try:
            async with asyncio.TaskGroup() as visitors:
                for _ in range(min(self._at_once, self._viewers)):
                    visitors.create_task(self._visit_in_turn(coming, bar))
        finally:
            bar.clear()

    async def _visit_in_turn(self, coming: Iterator[int], bar: Progress) -> None:
        for number in coming:
            began = monotonic()
            try:
                async with asyncio.timeout(_ANSWERS_WITHIN_S):
                    await self._visit()
            except (OSError, EOFError, TimeoutError) as error:
                self.wrong[f"{type(error).__name__}: {error}"[:200]] += 1
            else:
                self.took_ms.append((monotonic() - began) * 1000)
            bar.show(number + 1)

    async def _visit(self) -> None:
        host, port = self._url.hostname or "127.0.0.1", self._url.port or (443 if self._tls else 80)
        reader, writer = await asyncio.open_connection(host, port, ssl=self._tls)
        try:
            files = sorted(set(_FILE.findall(await self._get(reader, writer, self._page, packed=False))))
            if not files:
                raise CannotGoOn(f"{self._page} names no files")
            for file in files:
                path = file.decode("ascii")
                body = await self._get(reader, writer, path, packed=True)
                if self._bodies.setdefault(path, body) != body:
                    self.wrong[f"{path} is not the same for everybody"] += 1
            self.files += len(files)
        finally:
            writer.close()

    async def _get(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, path: str, *, packed: bool
    ) -> bytes:
        encoding = "Accept-Encoding: gzip, deflate, br\r\n" if packed else ""
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {self._url.netloc}\r\n{encoding}\r\n".encode("ascii"))
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1]) if length else 0)
        if not head.startswith(b"HTTP/1.1 200 "):
            self.wrong[f"{path}: {head[9:12].decode('ascii', 'replace')}"] += 1
        return body
