"""The audit of a round: what every viewer was told, held against what the database holds. Pure, hence tested."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Told:
    """A receipt as it came. `order` is None when it was a refusal; `retry` when it asked to come again."""

    viewer: str
    ref: str
    quantity: int
    order: str | None
    reason: str | None = None
    retry: bool = False


@dataclass
class History:
    """What the viewers know: all they ever asked, every receipt in the order it came, and the events they saw."""

    asked: set[tuple[str, str]] = field(default_factory=set)
    told: list[Told] = field(default_factory=list)
    seen: dict[str, tuple[int, list[int]]] = field(default_factory=dict)
    """By device: the `seq` of its first welcome, and of every event over all its connections."""


@dataclass(frozen=True)
class Row:
    """An order in the database."""

    id: str
    viewer: str
    ref: str
    quantity: int


@dataclass(frozen=True)
class Stock:
    """A drop's variant in the database."""

    name: str
    put_in: int
    left: int
    sold: int
    given_back: int


@dataclass(frozen=True)
class Books:
    """What the database holds of the round: orders, stock, the stream's last `seq`, and what `verify` says."""

    orders: Sequence[Row]
    stock: Sequence[Stock]
    seq: int
    violations: Sequence[str] = ()


def audit(history: History, books: Books) -> list[str]:
    """Every broken promise as a sentence; nothing when all were kept."""
    rows: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in books.orders:
        rows[row.viewer, row.ref].append(row)
    told: dict[tuple[str, str], list[Told]] = defaultdict(list)
    for receipt in history.told:
        told[receipt.viewer, receipt.ref].append(receipt)
    return [
        *_receipts(history, told, rows),
        *(f"{ref} of {viewer} has {len(found)} rows" for (viewer, ref), found in rows.items() if len(found) > 1),
        *(f"{ref} of {viewer} has a row, but nobody asked for it" for viewer, ref in rows.keys() - history.asked),
        *_stock(books),
        *_events(history, books.seq),
        *books.violations,
    ]


def _receipts(
    history: History, told: Mapping[tuple[str, str], list[Told]], rows: Mapping[tuple[str, str], list[Row]]
) -> Iterator[str]:
    for viewer, ref in sorted(history.asked):
        answers, found = told.get((viewer, ref), []), rows.get((viewer, ref), [])
        name = f"{ref} of {viewer}"
        last = [answer for answer in answers if not answer.retry]
        if not last:
            yield f"{name} never got an answer, only {[answer.reason for answer in answers]}"
        for answer in last:
            if answer.order is None:
                if found:
                    yield f"{name} was refused ({answer.reason}), but has a row"
            elif (answer.order, answer.quantity) not in [(row.id, row.quantity) for row in found]:
                yield f"{name} was accepted as {answer.quantity} in order {answer.order}, which has no such row"
        said = {answer.order for answer in last}
        if len(said) > 1:
            yield f"{name} was told different things: {sorted(map(str, said))}"
        if any(answer.reason == "internal" for answer in answers):
            yield f"{name} was answered `internal`: a bug"


def _stock(books: Books) -> Iterator[str]:
    for line in books.stock:
        if line.put_in != line.left + line.sold + line.given_back:
            yield f"{line.name}: {line} does not add up"
        if line.sold > line.put_in:
            yield f"{line.name}: {line.sold} sold of {line.put_in}"


def _events(history: History, seq: int) -> Iterator[str]:
    for device, (first, seen) in history.seen.items():
        if seen == list(range(first + 1, seq + 1)):
            continue
        twice = [number for number, times in Counter(seen).items() if times > 1]
        missed = sorted(set(range(first + 1, seq + 1)) - set(seen))
        yield f"{device} came at {first} and should have seen all up to {seq} in order: missed {missed}, twice {twice}"
