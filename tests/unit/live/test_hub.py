"""The hub: the rooms of a replica."""

from __future__ import annotations

import asyncio

from server.live.hub import Hub

from .examples import Viewer


async def test_a_hub_counts_all_rooms_and_forgets_only_empty_ones() -> None:
    hub, ann, bob = Hub(), Viewer(), Viewer()
    hub.room("friday").add(ann)
    hub.room("monday").add(bob)
    assert (len(hub), set(hub.everyone())) == (2, {ann, bob})
    hub.forget("friday")
    assert list(hub.room("friday").people) == ["ann"]
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
