"""A backup that was taken in the middle of a sale is restored, and viewers who know more than it come back."""

from __future__ import annotations

import asyncio
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from msgspec import UNSET

from server.protocol import frames
from tests.client import LiveClient
from tests.journeys.conftest import Premises, Shop, furnish, opened
from tests.services.backup import dump, restore
from tests.services.mariadb import Database, MariaDB
from tests.services.nginx import Nginx
from tests.services.redis import Redis
from tests.services.replica import Replica, run_command

StartReplica = Callable[[Mapping[str, str]], Replica]
StartNginx = Callable[..., Nginx]


async def test_a_backup_is_whole_and_a_new_epoch_lets_nobody_go_on_from_what_was_lost(
    shop_settings: dict[str, str],
    mariadb: MariaDB,
    redis_server: Redis,
    start_replica: StartReplica,
    start_nginx: StartNginx,
    tmp_path: Path,
) -> None:
    await furnish(shop_settings)
    first = start_replica(shop_settings)
    async with opened(Premises(shop_settings, [first], start_nginx([first.host]))) as shop:
        stream, dumped, position = await _sold_and_backed_up(shop, mariadb, tmp_path / "login")
    await asyncio.to_thread(first.stop)

    database = mariadb.create_database()
    settings = {**shop_settings, "DROPCAST_DATABASE_URL": mariadb.url(database)}
    restore(mariadb, database, tmp_path / "login", dumped)
    with pytest.raises(subprocess.CalledProcessError):  # never over what is there
        restore(mariadb, database, tmp_path / "login", dumped)
    assert run_command(["verify"], settings).returncode == 0
    redis_server.flush()

    second = start_replica(settings)
    async with opened(Premises(settings, [second], start_nginx([second.host]))) as shop:
        restored = (await shop.host.stream(stream))["position"]
        assert restored["epoch"] == position.epoch
        assert restored["seq"] < position.seq
        while (await shop.host.stream(stream))["position"]["seq"] <= position.seq:  # another history, as long
            await shop.drop(stream, 1)
        # the control: with the epoch of old, positions of the lost history count, and something is missing unnoticed
        async with await LiveClient.join(second.ws_url(stream), position=position) as viewer:
            assert viewer.welcome.missed is not UNSET
            assert viewer.snapshot is None
        said = run_command(["new-epoch"], settings).stdout
        assert said.startswith(f"the epoch was {position.epoch} and is ")
        await asyncio.to_thread(second.restart)
        async with await LiveClient.join(second.ws_url(stream), position=position) as viewer:
            assert viewer.welcome.missed is UNSET
            assert viewer.snapshot is not None
            assert viewer.welcome.position.epoch in said
            drops = (await shop.host.stream(stream))["drops"]
            assert [drop.id for drop in viewer.snapshot.drops] == [drop["id"] for drop in drops]
        await shop.verify()
    mariadb.drop_database(database)


async def _sold_and_backed_up(shop: Shop, mariadb: MariaDB, login: Path) -> tuple[str, str, frames.Position]:
    """A stream, a backup taken while its drop sells, and where a viewer stands who saw more than the backup."""
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 40)
    await shop.host.open(drop)
    replica = shop.replicas[0]
    buyers = [await shop.with_ticket(replica, stream, ticket) for ticket in await shop.tickets(stream, 30)]
    refs = [await buyer.order(drop) for buyer in buyers[:5]]
    receipts = [await buyer.expect_receipt(ref) for buyer, ref in zip(buyers, refs, strict=False)]
    assert {receipt.status for receipt in receipts} == {"accepted"}
    url = shop.settings["DROPCAST_DATABASE_URL"]
    name, _, password = url.partition("://")[2].partition("@")[0].partition(":")
    database = Database(url.rpartition("/")[2], name, password)
    dumping = asyncio.create_task(asyncio.to_thread(dump, mariadb, database, login))
    await asyncio.gather(*(buyer.order(drop) for buyer in buyers[5:]))
    dumped = await dumping
    watching = await shop.guest(replica, stream)
    for _ in range(3):
        await shop.host.open(await shop.drop(stream, 1))
        await watching.expect_event("drop_opened")
    return stream, dumped, watching.position
