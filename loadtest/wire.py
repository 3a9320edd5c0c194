"""Frames of RFC 6455 as a crowd needs them: a client's masked ones made, a server's plain ones taken apart."""

from __future__ import annotations

import secrets

TEXT, CLOSE, PING, PONG = 1, 8, 9, 10


class Strange(Exception):
    """What the server sent is not the protocol."""


def client_frame(opcode: int, payload: bytes) -> bytes:
    """A final, masked frame of less than 64 KiB, as RFC 6455 wants it of clients."""
    mask = secrets.token_bytes(4)
    size = len(payload)
    head = bytes((0x80 | opcode, 0x80 | size)) if size < 126 else bytes((0x80 | opcode, 0xFE)) + size.to_bytes(2, "big")
    key = int.from_bytes((mask * (size // 4 + 1))[:size], "big")
    return head + mask + (int.from_bytes(payload, "big") ^ key).to_bytes(size, "big")


def unmasked_frame(payload: bytes) -> bytes:
    """A text frame whose mask is all zeros: legal on the wire, and made without touching each byte.

    RFC 6455, section 10.3, wants masks that nobody can predict so that a page's script cannot choose the bytes that
    proxies see. Nothing here runs a stranger's script.
    """
    size = len(payload)
    head = bytes((0x80 | TEXT, 0x80 | size)) if size < 126 else bytes((0x80 | TEXT, 0xFE)) + size.to_bytes(2, "big")
    return head + b"\0\0\0\0" + payload


def whole_frames(data: bytes) -> tuple[list[tuple[int, bytes]], bytes]:
    """The server's whole frames at the start of `data` as (opcode, payload), and the bytes left over.

    Raises `Strange` for masked, fragmented or compressed frames, which our servers never send.
    """
    found: list[tuple[int, bytes]] = []
    at, end = 0, len(data)
    while end - at >= 2:
        first, size, start = data[at], data[at + 1], at + 2
        if first & 0xF0 != 0x80 or size & 0x80 or first == 0x80:
            raise Strange(f"a frame begins with {data[at : at + 2].hex()}")
        if size > 125:
            start += 2 if size == 126 else 8
            if start > end:
                break
            size = int.from_bytes(data[at + 2 : start], "big")
        if start + size > end:
            break
        found.append((first & 0x0F, data[start : start + size]))
        at = start + size
    return found, data[at:]
