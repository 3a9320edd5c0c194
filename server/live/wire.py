"""Frames as the bytes of RFC 6455, made once and written to any number of sockets."""

from __future__ import annotations

from functools import cache

from websockets.frames import Close, Frame, Opcode

_SHORT = 126  # the lengths that stand in the second byte (RFC 6455, section 5.2)
_FINAL_TEXT = 0x81


def text_frame(text: str) -> bytes:
    """A text message from server to client: one frame, unmasked, uncompressed."""
    data = text.encode()
    if len(data) < _SHORT:  # every receipt
        return bytes((_FINAL_TEXT, len(data))) + data
    return Frame(Opcode.TEXT, data).serialize(mask=False)


@cache
def close_frame(code: int) -> bytes:
    """A close frame with an empty reason."""
    return Frame(Opcode.CLOSE, Close(code, "").serialize()).serialize(mask=False)
