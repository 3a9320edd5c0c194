"""The states of one viewer's session, without I/O: which frame may come when."""

from __future__ import annotations

from enum import Enum, auto

from server.domain.errors import ProtocolViolation
from server.protocol import codec, frames
from server.protocol.codes import CloseCode

HELLO_WITHIN_S = 10.0
"""How long a client may take to say hello before it is closed with 4012."""


class SessionState(Enum):
    """`AWAITING_HELLO → LIVE → OVER`."""

    AWAITING_HELLO = auto()
    LIVE = auto()
    OVER = auto()


class ClientSession:
    """Reads a client's frames in the order the protocol allows: one hello, then orders."""

    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = SessionState.AWAITING_HELLO

    def receive(self, text: str | bytes) -> frames.ClientFrame:
        """The next frame. Raises `ProtocolViolation`, after which the session is over and stays so."""
        if self.state is SessionState.OVER:
            raise ProtocolViolation("the session is over", code=CloseCode.BAD_FRAME)
        try:
            frame = codec.decode_client(text)
            if isinstance(frame, frames.Hello) is not (self.state is SessionState.AWAITING_HELLO):
                raise ProtocolViolation(self._out_of_order(frame), code=CloseCode.BAD_FRAME)
        except ProtocolViolation:
            self.state = SessionState.OVER
            raise
        self.state = SessionState.LIVE
        return frame

    @staticmethod
    def _out_of_order(frame: frames.ClientFrame) -> str:
        if isinstance(frame, frames.Hello):
            return "hello: already said; it is the first frame and comes once"
        return 'the first frame must be hello: {"type": "hello", "v": 1}'
