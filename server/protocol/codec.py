"""The only JSON of the socket: text to frames and back, with errors a client's author can act on."""

from __future__ import annotations

import re
from collections.abc import Iterable

import msgspec
from msgspec import UNSET, Raw

from server.domain.drop import StockLine
from server.domain.errors import ProtocolViolation
from server.domain.events import Event, EventKind, type_of_kind
from server.domain.events import Position as DomainPosition
from server.domain.order import Accepted
from server.domain.order import Receipt as DomainReceipt
from server.domain.stream import StreamState
from server.protocol import frames
from server.protocol.codes import CloseCode

DETAIL_MAX = 200
"""Longest detail of a fault in characters: what a client made up is not echoed to it at any length."""


class _Kind(msgspec.Struct):
    """Of an event only what says how to read the rest."""

    kind: str


_encoder = msgspec.json.Encoder()
_client_decoder: msgspec.json.Decoder[frames.ClientFrame] = msgspec.json.Decoder(frames.ClientFrame)
_server_decoder: msgspec.json.Decoder[frames.ServerFrame] = msgspec.json.Decoder(frames.ServerFrame)
_news_decoder: msgspec.json.Decoder[frames.News] = msgspec.json.Decoder(frames.News)
_kind_decoder: msgspec.json.Decoder[_Kind] = msgspec.json.Decoder(_Kind)
_TYPE = re.compile(r'"type"\s*:\s*"([a-z]{1,16})"')
_NAMED_FIELD = re.compile(r"(?:unknown|required) field (\S+)")


def encode(frame: frames.ServerFrame | frames.ClientFrame | frames.News) -> str:
    """A frame as the text that goes out."""
    return _encoder.encode(frame).decode()


def decode_client(text: str | bytes) -> frames.ClientFrame:
    """What a client said. Raises `ProtocolViolation` (close 4500) whose detail names the field and the remedy."""
    try:
        return _client_decoder.decode(text)
    except RecursionError:
        raise _bad("the frame is nested too deeply; frames are flat") from None
    except msgspec.ValidationError as error:
        raise _bad(_explain(text, str(error))) from None
    except (msgspec.DecodeError, UnicodeError) as error:
        raise _bad(f"the frame is not one JSON object: {error}") from None


def decode_server(text: str | bytes) -> frames.ServerFrame:
    """What a server said, for clients written in Python. Raises as `decode_news` does."""
    return _server_decoder.decode(text)


def decode_news(text: str | bytes) -> frames.News:
    """What another replica said on the bus. Raises `msgspec.DecodeError`, `UnicodeError`, `RecursionError`."""
    return _news_decoder.decode(text)


def encode_event(seq: int, at_ms: int, event: Event) -> str:
    """An event's frame: the text that is logged, rung over the bus and sent to every viewer, made once."""
    return encode(frames.EventFrame(seq, at_ms, Raw(_encoder.encode(event))))


def read_event(frame: frames.EventFrame) -> Event | None:
    """The event in a frame; None for a kind this version does not know. Raises `msgspec.ValidationError`."""
    said = _kind_decoder.decode(frame.event).kind
    try:
        kind = EventKind(said)
    except ValueError:
        return None
    return msgspec.json.decode(frame.event, type=type_of_kind[kind])


def encode_stock(lines: Iterable[StockLine]) -> str:
    """A stock frame."""
    return encode(frames.Stock(tuple(lines)))


def encode_receipt(receipt: DomainReceipt) -> str:
    """A receipt's frame."""
    if isinstance(receipt, Accepted):
        return encode(
            frames.Receipt(receipt.ref, "accepted", receipt.order, receipt.quantity, receipt.total, receipt.currency)
        )
    reason, retry_in_ms = receipt.reason, receipt.retry_in_ms
    return encode(frames.Receipt(receipt.ref, "rejected", reason=reason, retry=reason.retry, retry_in_ms=retry_in_ms))


def snapshot_of(state: StreamState) -> bytes:
    """A stream's snapshot as JSON, made once and put into any number of welcomes."""
    return _encoder.encode(frames.Snapshot(state.stream, tuple(state.drops.values())))


def stock_lines(lines: Iterable[StockLine]) -> bytes:
    """Stock lines as a JSON list, for a welcome."""
    return _encoder.encode(tuple(lines))


def encode_welcome(
    *,
    session: str,
    viewer: frames.Viewer | None,
    now_ms: int,
    tick_ms: int,
    position: DomainPosition,
    stock: bytes,
    snapshot: bytes | None = None,
    missed: tuple[str, ...] | None = None,
) -> str:
    """A welcome. Exactly one of `snapshot` and `missed` must be given; both are JSON already and are not redone."""
    if (snapshot is None) == (missed is None):
        raise ValueError("a welcome carries either a snapshot or what was missed")
    return encode(
        frames.Welcome(
            session,
            viewer,
            now_ms,
            tick_ms,
            frames.Position(position.epoch, position.seq),
            Raw(stock),
            snapshot=Raw(snapshot) if snapshot is not None else UNSET,
            missed=Raw("[" + ",".join(missed) + "]") if missed is not None else UNSET,
        )
    )


def _bad(detail: str) -> ProtocolViolation:
    return ProtocolViolation(detail[:DETAIL_MAX], code=CloseCode.BAD_FRAME)


def _explain(text: str | bytes, problem: str) -> str:
    """The validator's message with the field in front: `order.quantity: Expected int, got str`."""
    sample = text[:1024] if isinstance(text, str) else text[:1024].decode("utf-8", "replace")
    said = _TYPE.search(sample)
    problem, _, path = problem.replace("`", "").partition(" - at $")
    named = _NAMED_FIELD.search(problem)
    field = ".".join(part for part in (path.strip().lstrip("."), named.group(1) if named else "") if part)
    frame = said.group(1) if said else "frame"
    return f"{frame}.{field}: {problem}" if field else f"{frame}: {problem}"
