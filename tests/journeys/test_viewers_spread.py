"""`DROPCAST_CONNECTION_MAX_AGE_S`: the viewers of an old replica move to a new one by themselves and miss nothing."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping

import httpx

from server.protocol import frames
from tests.client import LiveClient
from tests.journeys.conftest import Premises, Shop, furnish, opened
from tests.services.nginx import Nginx
from tests.services.ports import free_port
from tests.services.replica import Replica

VIEWERS = 16


class Follower:
    """Follows a stream through nginx and obeys `drain`, as every client does."""

    def __init__(self, shop: Shop, stream: str) -> None:
        self.shop, self.stream = shop, stream
        self.seen: list[int] = []
        self.joined = asyncio.Event()
        self.began = 0
        self.moves = 0
        self.client: LiveClient | None = None

    async def follow(self) -> None:
        position: frames.Position | None = None
        while True:
            client = await LiveClient.join(self.shop.nginx.ws_url(self.stream), position=position, within=20)
            self.client = client
            if not self.joined.is_set():
                self.began = client.position.seq
                self.joined.set()
            try:
                drain = await client.expect(frames.DrainFrame, within=20)
                await asyncio.sleep(drain.reconnect_in_ms / 1000)  # as the frame asks
            finally:
                position = client.position
                self.seen += client.seen
                await client.close()
            self.moves += 1


async def sockets(replica: Replica) -> int:
    """What `dropcast_sockets` says there."""
    async with httpx.AsyncClient(trust_env=False) as client:
        text = (await client.get(f"{replica.url}/metrics")).text
    found = re.search(r"^dropcast_sockets (\d+)", text, re.MULTILINE)
    assert found is not None
    return int(found[1])


async def test_the_viewers_of_an_old_replica_spread_to_a_new_one_and_miss_nothing(
    shop_settings: dict[str, str],
    start_replica: Callable[[Mapping[str, str]], Replica],
    start_nginx: Callable[..., Nginx],
) -> None:
    settings = {**shop_settings, "DROPCAST_CONNECTION_MAX_AGE_S": "2"}
    await furnish(settings)
    old = start_replica(settings)
    new = Replica(settings)
    new.port = free_port()  # nginx knows its address before it is there
    nginx = start_nginx([old.host, new.host])
    try:
        async with opened(Premises(settings, [old], nginx)) as shop:
            await _watch_them_spread(shop, old, new)
    finally:
        new.remove()


async def _watch_them_spread(shop: Shop, old: Replica, new: Replica) -> None:
    stream = await shop.live_stream()
    followers = [Follower(shop, stream) for _ in range(VIEWERS)]
    async with asyncio.TaskGroup() as group, asyncio.timeout(30):
        following = [group.create_task(follower.follow()) for follower in followers]
        for follower in followers:
            await follower.joined.wait()  # all at the old one: there is no other
        await asyncio.to_thread(new.start)
        news = 0
        while (
            news < 2 or min(await sockets(old), await sockets(new)) < VIEWERS / 4 or not all(f.moves for f in followers)
        ):
            await shop.drop(stream, 10)
            news += 1
        last = (await shop.rows("SELECT seq FROM streams WHERE slug = :slug", slug=stream))[0][0]
        # each client hears for itself, and is another one after a move
        while any(  # noqa: ASYNC110
            f.client is None or f.client.position.seq < last for f in followers
        ):
            await asyncio.sleep(0.02)
        for task in following:
            task.cancel()
    for follower in followers:
        assert follower.seen == list(range(follower.began + 1, last + 1)), "something was missed, or came twice"
