"""The client's shapes are its own; they say what the server's say."""

from __future__ import annotations

import dataclasses
from enum import StrEnum
from typing import Any, get_args

import msgspec
import pytest

from dropcast import frames as mine
from dropcast import shapes
from dropcast.fold import CLOSED_KEPT
from server.domain import drop, product, stream, user, views
from server.protocol import frames as theirs
from server.web.shapes import OrderShown, StreamWhole

PAIRS = [
    (shapes.Stream, views.Stream),
    (shapes.Drop, drop.Drop),
    (shapes.DropVariant, drop.DropVariant),
    (shapes.StockLine, drop.StockLine),
    (shapes.Product, product.Product),
    (shapes.Variant, product.Variant),
    (shapes.User, user.User),
    (shapes.Order, OrderShown),
    (shapes.StreamWhole, StreamWhole),
    (shapes.Position, theirs.Position),
    (mine.Snapshot, theirs.Snapshot),
    (mine.Viewer, theirs.Viewer),
    (mine.Receipt, theirs.Receipt),
    (mine.Hello, theirs.Hello),
    (mine.PlaceOrder, theirs.PlaceOrder),
]
NOT_NEEDED = {"session", "now"}


def fields(kind: type[Any]) -> dict[str, bool]:
    """Each field, and whether it must be there."""
    if dataclasses.is_dataclass(kind):
        return {field.name: field.default is dataclasses.MISSING for field in dataclasses.fields(kind)}
    return {field.name: field.required for field in msgspec.structs.fields(kind)}


@pytest.mark.parametrize(("here", "there"), PAIRS, ids=lambda kind: kind.__name__)
def test_a_shape_has_the_servers_fields(here: type[Any], there: type[Any]) -> None:
    assert fields(here) == fields(there)


def test_every_frame_of_the_server_is_known_with_the_fields_it_needs() -> None:
    known = {kind.__struct_config__.tag: fields(kind) for kind in get_args(mine.ServerFrame)}
    said = {kind.__struct_config__.tag: fields(kind) for kind in get_args(theirs.ServerFrame)}
    assert known.keys() == said.keys()
    for tag, here in known.items():
        assert here.items() <= said[tag].items()
        assert said[tag].keys() - here.keys() <= NOT_NEEDED


@pytest.mark.parametrize(
    ("here", "there"),
    [
        (shapes.StreamStatus, views.StreamStatus),
        (shapes.DropStatus, drop.DropStatus),
        (shapes.Role, user.Role),
    ],
)
def test_words_are_the_same(here: type[StrEnum], there: type[StrEnum]) -> None:
    assert [word.value for word in here] == [word.value for word in there]


def test_as_many_closed_drops_are_kept() -> None:
    assert CLOSED_KEPT == stream.CLOSED_KEPT


def test_what_a_later_version_adds_is_ignored() -> None:
    assert mine.decode('{"type": "poll", "question": "?"}') is None
    tick = mine.decode('{"type": "tick", "now": 1, "seq": 4, "viewers": 2, "mood": "good"}')
    assert tick == mine.Tick(4, 2)
    with pytest.raises(msgspec.ValidationError):
        mine.decode('{"type": "tick", "seq": "4"}')
