"""Frames as the bytes of RFC 6455, made once and written to any number of sockets."""

from __future__ import annotations

from functools import cache

from websockets.frames import Close, Frame, Opcode


def text_frame(text: str) -> bytes:
    """A text message from server to client: one frame, unmasked, uncompressed."""
    return Frame(Opcode.TEXT, text.encode()).serialize(mask=False)


@cache
def close_frame(code: int) -> bytes:
    """A close frame with an empty reason."""
    return Frame(Opcode.CLOSE, Close(code, "").serialize()).serialize(mask=False)
