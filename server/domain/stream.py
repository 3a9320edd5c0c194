"""A stream's state, and `apply`: the fold that every page repeats in JavaScript."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import assert_never

from server.domain.drop import Drop, DropStatus, DropVariant, StockLine, lines_of
from server.domain.events import DropEvent, Event, StreamEvent
from server.domain.views import Stream

CLOSED_KEPT = 50
"""Closed drops a state holds, the ones with the newest ids: a show may go on for days, its snapshot must not."""


@dataclass(frozen=True, slots=True)
class StreamState:
    """What is true of a stream after event `seq`: a snapshot. Drops stand in the order they were scheduled."""

    stream: Stream
    drops: Mapping[str, Drop]
    seq: int


def apply(state: StreamState, event: Event | None, seq: int) -> StreamState:
    """The state after one more event; None is an event of a kind this version does not know: it only counts.

    An event already contained in the state (`seq` not above the state's) changes nothing, so a message that
    arrives twice is harmless. Stock in an event never replaces stock of a newer version.
    """
    if seq <= state.seq:
        return state
    match event:
        case StreamEvent(stream=stream):
            return replace(state, stream=replace(stream, viewers=state.stream.viewers), seq=seq)
        case DropEvent(drop=drop):
            known = state.drops.get(drop.id)
            merged = drop if known is None else _stocked(drop, lines_of(known))
            return replace(state, drops=_kept({**state.drops, drop.id: merged}), seq=seq)
        case None:
            return replace(state, seq=seq)
        case _:  # pragma: no cover
            assert_never(event)


def with_stock(state: StreamState, lines: Iterable[StockLine]) -> StreamState:
    """The state with newer stock; lines of an older version, or of drops not known, change nothing."""
    by_drop: dict[str, list[StockLine]] = {}
    for line in lines:
        if line.drop in state.drops:
            by_drop.setdefault(line.drop, []).append(line)
    if not by_drop:
        return state
    changed = {drop: _stocked(state.drops[drop], lines_) for drop, lines_ in by_drop.items()}
    return replace(state, drops=MappingProxyType({**state.drops, **changed}))


def stock_of(state: StreamState) -> tuple[StockLine, ...]:
    """The stock lines of every drop that is, or may be, on sale."""
    return tuple(
        line for drop in state.drops.values() if drop.status is not DropStatus.CLOSED for line in lines_of(drop)
    )


def _kept(drops: dict[str, Drop]) -> Mapping[str, Drop]:
    """Without the oldest closed drops. A closed drop stays closed, so the order of closing does not matter."""
    closed = sorted(drop.id for drop in drops.values() if drop.status is DropStatus.CLOSED)
    for drop_id in closed[:-CLOSED_KEPT]:
        del drops[drop_id]
    return MappingProxyType(drops)


def _stocked(drop: Drop, lines: Iterable[StockLine]) -> Drop:
    newest: dict[str, StockLine] = {}
    for line in lines:
        if line.variant not in newest or newest[line.variant].version < line.version:
            newest[line.variant] = line
    return replace(drop, variants=tuple(_newer(v, newest.get(v.id)) for v in drop.variants))


def _newer(variant: DropVariant, line: StockLine | None) -> DropVariant:
    if line is None or line.version <= variant.version:
        return variant
    return replace(variant, left=line.left, version=line.version)
