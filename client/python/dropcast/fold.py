"""What is known of a stream, folded from events and stock without I/O.

Law: a snapshot at n and the events n..m give the snapshot at m, whatever arrives twice. The same fold in JavaScript is
`client/shared/reduce.js`; both are held against the same examples.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType

from msgspec import structs

from dropcast.shapes import Drop, DropStatus, DropVariant, StockLine, Stream

CLOSED_KEPT = 50
"""Closed drops a state holds, the ones with the newest ids: a show may go on for days."""


@dataclass(frozen=True, slots=True)
class State:
    """A stream as of event `seq`, with the newest stock. Drops stand by id, in the order they were scheduled."""

    stream: Stream
    drops: Mapping[str, Drop]
    seq: int

    def open_drops(self) -> tuple[Drop, ...]:
        """The drops on sale now."""
        return tuple(drop for drop in self.drops.values() if drop.status is DropStatus.OPEN)


def whole(stream: Stream, drops: Iterable[Drop], seq: int) -> State:
    """A snapshot as a state."""
    return State(stream, MappingProxyType({drop.id: drop for drop in drops}), seq)


def apply(state: State, seq: int, drop: Drop | None, stream: Stream | None) -> State:
    """The state after one more event; one it contains already changes nothing, one about neither only counts."""
    if seq <= state.seq:
        return state
    if stream is not None:  # the viewer count is state, not history
        return replace(state, stream=structs.replace(stream, viewers=state.stream.viewers), seq=seq)
    if drop is not None:
        known = state.drops.get(drop.id)
        merged = drop if known is None else _stocked(drop, lines_of(known))
        return replace(state, drops=_kept({**state.drops, drop.id: merged}), seq=seq)
    return replace(state, seq=seq)


def with_stock(state: State, lines: Iterable[StockLine]) -> State:
    """The state with newer stock; older lines, and those of drops not known, change nothing."""
    by_drop: dict[str, list[StockLine]] = {}
    for line in news_in(state, lines):
        by_drop.setdefault(line.drop, []).append(line)
    if not by_drop:
        return state
    changed = {id_: _stocked(state.drops[id_], of_drop) for id_, of_drop in by_drop.items()}
    return replace(state, drops=MappingProxyType({**state.drops, **changed}))


def with_viewers(state: State, viewers: int) -> State:
    """The state with the viewer count of a tick."""
    return replace(state, stream=structs.replace(state.stream, viewers=viewers))


def news_in(state: State, lines: Iterable[StockLine]) -> tuple[StockLine, ...]:
    """Of these lines the ones that are newer than what the state has."""
    return tuple(line for line in lines if line.version > _version(state.drops.get(line.drop), line.variant))


def lines_of(drop: Drop) -> tuple[StockLine, ...]:
    """The drop's stock as stock lines."""
    return tuple(StockLine(drop.id, v.id, v.left, v.version) for v in drop.variants)


def _version(drop: Drop | None, variant: str) -> float:
    """What is known of a variant's stock; endless for one that is not known, of which nothing is news."""
    found = (v.version for v in drop.variants if v.id == variant) if drop is not None else iter(())
    return next(found, float("inf"))


def _kept(drops: dict[str, Drop]) -> Mapping[str, Drop]:
    closed = sorted(drop.id for drop in drops.values() if drop.status is DropStatus.CLOSED)
    for gone in closed[:-CLOSED_KEPT]:
        del drops[gone]
    return MappingProxyType(drops)


def _stocked(drop: Drop, lines: Iterable[StockLine]) -> Drop:
    newest: dict[str, StockLine] = {}
    for line in lines:
        if line.variant not in newest or newest[line.variant].version < line.version:
            newest[line.variant] = line
    return structs.replace(drop, variants=tuple(_newer(v, newest.get(v.id)) for v in drop.variants))


def _newer(variant: DropVariant, line: StockLine | None) -> DropVariant:
    if line is None or line.version <= variant.version:
        return variant
    return structs.replace(variant, left=line.left, version=line.version)
