"""Rooms: who is in them, whatever the order of coming and going."""

from __future__ import annotations

import asyncio

from hypothesis import given
from hypothesis import strategies as st

from server.live.hub import Hub, Room

from .examples import Viewer


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 7)), max_size=60))
def test_a_room_holds_who_came_and_has_not_left(moves: list[tuple[bool, int]]) -> None:
    """Against a set: each frame reaches everybody in it once, and nobody else."""
    everybody = [Viewer(person=f"person {n % 3}") for n in range(8)]
    room, model = Room(), set()
    for number, (comes, who) in enumerate(moves):
        viewer = everybody[who]
        if comes and viewer not in model:
            room.add(viewer)
            model.add(viewer)
        elif not comes:
            room.remove(viewer)  # of who is not here as well
            model.discard(viewer)
        assert len(room) == len(model)
        assert set(room) == model
        people = [viewer.person for viewer in model]
        assert room.people == {person: people.count(person) for person in people}
        room.fan_out(f"frame {number}")
        assert {viewer for viewer in everybody if viewer.texts[-1:] == [f"frame {number}"]} == model
    for viewer in everybody:
        assert len(viewer.texts) == len(set(viewer.texts))


def test_a_viewer_may_leave_while_everybody_is_visited() -> None:
    room = Room()
    viewers = [Viewer() for _ in range(3)]
    for viewer in viewers:
        room.add(viewer)
    for viewer in room:
        room.remove(viewer)
    assert len(room) == 0


def test_state_and_facts_are_told_apart() -> None:
    room, viewer = Room(), Viewer()
    room.add(viewer)
    room.fan_out("fact")
    room.fan_out("state", state=True)
    assert (viewer.texts, viewer.states) == (["fact"], ["state"])


def test_a_hub_counts_all_rooms_and_forgets_only_empty_ones() -> None:
    hub, ann, bob = Hub(), Viewer(), Viewer()
    hub.room("friday").add(ann)
    hub.room("monday").add(bob)
    assert (len(hub), set(hub.everyone())) == (2, {ann, bob})
    hub.forget("friday")
    assert hub.room("friday").people == {"ann": 1}
    hub.room("friday").remove(ann)
    before = hub.room("friday")
    hub.forget("friday")
    hub.forget("never seen")
    assert hub.room("friday") is not before


async def test_a_hub_is_empty_when_the_last_viewer_has_left() -> None:
    hub, viewer = Hub(), Viewer()
    hub.room("friday").add(viewer)
    emptied = asyncio.create_task(hub.emptied())
    await asyncio.sleep(0)
    assert not emptied.done()
    hub.room("friday").remove(viewer)
    await asyncio.wait_for(emptied, 5)
