"""A name server for one name whose addresses change, as a headless Service's do."""

from __future__ import annotations

import asyncio
import ipaddress
import struct

A, IN = 1, 1
_HEADER = struct.Struct("!6H")
_ANSWER = struct.Struct("!3HIH")
_ANSWERED = 0x8580  # a response, authoritative, recursion asked for and there
_POINTER = 0xC00C  # to the question's name
_TTL_S = 1


class Names(asyncio.DatagramProtocol):
    """Answers every question for an IPv4 address with `addresses`, and every other with nothing."""

    def __init__(self) -> None:
        self.addresses: list[str] = []
        self.asked: set[str] = set()
        self._transport: asyncio.DatagramTransport | None = None

    async def start(self) -> str:
        """Listens; the address to ask."""
        loop = asyncio.get_running_loop()
        self._transport, _ = await loop.create_datagram_endpoint(lambda: self, local_addr=("127.0.0.1", 0))
        host, port = self._transport.get_extra_info("sockname")
        return f"{host}:{port}"

    def stop(self) -> None:
        """Answers no more."""
        if self._transport is not None:
            self._transport.close()

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """One question."""
        number = _HEADER.unpack_from(data)[0]
        labels, at = [], _HEADER.size
        while length := data[at]:
            labels.append(data[at + 1 : at + 1 + length].decode())
            at += length + 1
        question = data[_HEADER.size : at + 5]
        kind = struct.unpack_from("!H", data, at + 1)[0]
        self.asked.add(".".join(labels))
        found = [ipaddress.IPv4Address(address).packed for address in self.addresses] if kind == A else []
        answers = [_ANSWER.pack(_POINTER, A, IN, _TTL_S, len(packed)) + packed for packed in found]
        assert self._transport is not None
        self._transport.sendto(
            _HEADER.pack(number, _ANSWERED, 1, len(answers), 0, 0) + question + b"".join(answers), addr
        )
