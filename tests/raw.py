"""A client that speaks RFC 6455 in bytes: it may break every rule of it, and reads only when it is told to."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self

CONT, TEXT, BINARY, CLOSE, PING, PONG = 0, 1, 2, 8, 9, 10
WITHIN_S = 5.0


def frame(
    opcode: int,
    payload: bytes | str = b"",
    *,
    fin: bool = True,
    reserved: int = 0,
    mask: bytes | None = b"mask",
    size_bytes: int = 0,
) -> bytes:
    """A client's frame. `size_bytes` asks for a size of 2 or 8 bytes though fewer would do; no `mask`: not masked."""
    payload = payload.encode() if isinstance(payload, str) else payload
    size, masked = len(payload), 0x80 if mask is not None else 0
    first = fin << 7 | reserved << 4 | opcode
    if size_bytes == 0 and size < 126:
        head = struct.pack("!BB", first, masked | size)
    elif size_bytes < 8 and size < 65536:
        head = struct.pack("!BBH", first, masked | 126, size)
    else:
        head = struct.pack("!BBQ", first, masked | 127, size)
    if mask is None:
        return head + payload
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")


def close(code: int | None = None, reason: bytes = b"") -> bytes:
    """A client's close frame."""
    return frame(CLOSE, b"" if code is None else struct.pack("!H", code) + reason)


@dataclass(frozen=True)
class Said:
    """A frame of the server."""

    opcode: int
    payload: bytes

    @property
    def code(self) -> int | None:
        """The code of a close frame."""
        return struct.unpack("!H", self.payload[:2])[0] if self.opcode == CLOSE and self.payload else None


class Ended(Exception):
    """The server ended the connection. `reset` tells whether it did so without a goodbye."""

    def __init__(self, *, reset: bool) -> None:
        super().__init__("reset" if reset else "end of stream")
        self.reset = reset


class RawClient:
    """A TCP connection. Reads nothing by itself. Use as `async with`; leaves without a goodbye."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._unread = b""

    @classmethod
    async def dial(cls, port: int, *, receive_buffer_bytes: int | None = None) -> Self:
        """Only connects."""
        sock = socket.socket()
        sock.setblocking(False)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if receive_buffer_bytes is not None:  # before connect: it bounds the window that is offered
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer_bytes)
        await asyncio.get_running_loop().sock_connect(sock, ("127.0.0.1", port))
        return cls(sock)

    @classmethod
    async def upgrade(cls, port: int, path: str, *, receive_buffer_bytes: int | None = None) -> Self:
        """Connects and upgrades."""
        client = await cls.dial(port, receive_buffer_bytes=receive_buffer_bytes)
        await client.send(upgrade(path))
        answer = await client.head()
        assert answer.startswith(b"HTTP/1.1 101 "), answer
        return client

    async def send(self, *chunks: bytes) -> None:
        """Sends each chunk by a system call of its own."""
        for chunk in chunks:
            await asyncio.get_running_loop().sock_sendall(self.sock, chunk)

    async def head(self) -> bytes:
        """The head of an HTTP answer. Raises `Ended`."""
        while b"\r\n\r\n" not in self._unread:
            await self._read()
        head, _, self._unread = self._unread.partition(b"\r\n\r\n")
        return head

    async def said(self) -> Said:
        """The server's next frame. Raises `Ended`."""
        while (whole := _parse(self._unread)) is None:
            await self._read()
        said, self._unread = whole
        return said

    async def until(self, wanted: Callable[[Said], bool]) -> list[Said]:
        """The server's frames up to the first for which `wanted` holds."""
        heard = [await self.said()]
        while not wanted(heard[-1]):
            heard.append(await self.said())
        return heard

    async def until_the_end(self) -> list[Said]:
        """The server's frames up to the end of the connection."""
        heard = []
        try:
            while True:
                heard.append(await self.said())
        except Ended:
            assert not self._unread, "the connection ended within a frame"
            return heard

    def reset(self) -> None:
        """Leaves as a machine that crashed and came back: with an RST."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.sock.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.sock.close()

    async def _read(self) -> None:
        try:
            async with asyncio.timeout(WITHIN_S):
                some = await asyncio.get_running_loop().sock_recv(self.sock, 65536)
        except ConnectionResetError:
            raise Ended(reset=True) from None
        except TimeoutError:
            raise AssertionError(f"nothing within {WITHIN_S} s; {self._unread[:200]!r} is unread") from None
        if not some:
            raise Ended(reset=False)
        self._unread += some


def upgrade(path: str, headers: Mapping[str, str] | None = None) -> bytes:
    """A good upgrade, with more headers if any are given."""
    lines = [
        f"GET {path} HTTP/1.1",
        "Host: shop.example",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Version: 13",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        *(f"{name}: {value}" for name, value in (headers or {}).items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def _parse(data: bytes) -> tuple[Said, bytes] | None:
    """The first frame of a server and what follows it; None while it is not whole."""
    if len(data) < 2:
        return None
    assert data[0] & 0xF0 == 0x80, "a server's frame is whole and uses no reserved bit"
    assert not data[1] & 0x80, "a server's frame is not masked"
    size, start = data[1] & 0x7F, 2
    if size >= 126:
        start = 4 if size == 126 else 10
        if len(data) < start:
            return None
        size = int.from_bytes(data[2:start], "big")
    if len(data) < start + size:
        return None
    return Said(data[0] & 0x0F, data[start : start + size]), data[start + size :]
