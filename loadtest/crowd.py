"""A crowd that costs next to nothing: raw sockets on uvloop, a few KB and µs for each viewer, several processes.

Each viewer speaks the protocol by hand as far as a watcher needs it: upgrade, hello, then counting. What it audits:
every event's `seq` follows the one before by exactly one. What it measures: when each event arrived.
"""

from __future__ import annotations

import asyncio
import base64
import json
import os
import re
import secrets
import time
from dataclasses import dataclass, field
from typing import Any

_EVENT = re.compile(rb'"type":"event","seq":(\d+),"at":(\d+)')
_WELCOME = re.compile(rb'"position":\{"epoch":"(\w+)","seq":(\d+)\}')
_TAIL_BYTES = 64
"""Longest part of a frame's head that may be cut between two reads."""


def client_frame(opcode: int, payload: bytes) -> bytes:
    """A masked frame of at most 125 bytes, or of a two-byte length. The mask is zero: loopback needs no disguise."""
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else bytes([0x80 | 126]) + len(payload).to_bytes(2, "big")
    return bytes([0x80 | opcode]) + size + b"\0\0\0\0" + payload


@dataclass(slots=True)
class Tally:
    """What one process's viewers saw, shared by all of them."""

    events: int = 0
    bytes: int = 0
    gaps: int = 0
    repeats: int = 0
    closed: dict[int, int] = field(default_factory=dict)
    last_at_ms: dict[int, list[float]] = field(default_factory=dict)
    """For each event asked about: [intended ms, first arrival, last arrival, arrivals]."""


class Watcher(asyncio.Protocol):
    """One viewer. `ready` is called once it is welcomed, `gone` when its connection has ended."""

    __slots__ = ("_buffer", "_crowd", "_tail", "_transport", "epoch", "seq", "welcomed")

    def __init__(self, crowd: Crowd, position: tuple[str, int] | None = None) -> None:
        self._crowd = crowd
        self._tail = b""
        self._transport: asyncio.Transport | None = None
        self.welcomed = False
        self.epoch, self.seq = position or ("", -1)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asks for the upgrade, and says hello with it: the server reads it after the upgrade."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.write(self._crowd.upgrade + client_frame(1, self._hello()))

    def data_received(self, data: bytes) -> None:
        """Counts events, in order."""
        tally = self._crowd.tally
        tally.bytes += len(data)
        if self._tail:
            data = self._tail + data
        if not self.welcomed:
            found = _WELCOME.search(data)
            if found is None:
                self._tail = data
                return
            self.welcomed = True
            resumed = self.seq >= 0
            if not resumed or found[1].decode() != self.epoch:
                self.seq = int(found[2])
            self.epoch = found[1].decode()
            self._crowd.welcomed(self)
            self._count(data, found.start() if not resumed else 0, int(found[2]) if resumed else None)
        else:
            self._count(data, 0, None)

    def _count(self, data: bytes, start: int, reached: int | None) -> None:
        tally, seq, end = self._crowd.tally, self.seq, start
        now = time.time() * 1000
        for event in _EVENT.finditer(data, start):
            number, end = int(event[1]), event.end()
            if number == seq + 1:
                seq = number
                tally.events += 1
                watched = tally.last_at_ms.get(number)
                if watched is None:
                    watched = tally.last_at_ms[number] = [float(event[2]), now, now, 0]
                watched[2] = now
                watched[3] += 1
            elif number <= seq:
                tally.repeats += 1
            else:
                tally.gaps += 1
                seq = number
        if reached is not None and seq < reached:
            tally.gaps += 1
        self.seq = seq
        self._tail = data[max(end, len(data) - _TAIL_BYTES) :]

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """Gone; the crowd decides whether it comes back."""
        self._crowd.left(self)

    def close(self) -> None:
        """Leaves."""
        if self._transport is not None:
            self._transport.write(client_frame(8, b"\x03\xe8"))
            self._transport.close()

    def _hello(self) -> bytes:
        hello: dict[str, Any] = {"type": "hello", "v": 1}
        if self.seq >= 0:
            hello["position"] = {"epoch": self.epoch, "seq": self.seq}
        return json.dumps(hello).encode()
