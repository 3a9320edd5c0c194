"""Another version is brought in while the shop sells, and taken back: nobody loses an event or an order.

As docs/operations.md has it: first the database, then one replica after the other; back without touching the database.
`pytest tests/deploys --deploy-from COMMIT` comes from that commit's tree as well; `before` is the last one with
an older database.
"""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from loadtest.crew import Crew
from loadtest.crew import audit as audit_crowd
from loadtest.watcher import LOST
from nginx.limits import Limits
from tests.deploys.releases import next_release
from tests.faults import buyers
from tests.faults.kills import Progress
from tests.faults.show import bugs, play
from tests.journeys.conftest import PASSWORD, Premises, Shop, opened
from tests.services.mariadb import MariaDB
from tests.services.nginx import Nginx
from tests.services.redis import Redis
from tests.services.release import THIS, Release, release_of
from tests.services.replica import Replica, shared_settings

ORDERS = 40
"""So many are accepted between any two steps."""

SEED = 20
DRAIN_S = 2
GATHERS_WITHIN_S, LAST_WITHIN_S = 60.0, 30.0


@pytest.mark.timeout(240)
async def test_from_this_version_to_the_next(pytestconfig: pytest.Config, tmp_path: Path, artifacts: Path) -> None:
    await there_and_back(THIS, next_release(tmp_path), pytestconfig.getoption("--deploy-viewers"), artifacts)


@pytest.mark.timeout(240)
async def test_to_this_version_from_one_before(
    deploy_from: str, pytestconfig: pytest.Config, tmp_path: Path, artifacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # replicas of old that ended answered an upgrade so; who buys comes again
    monkeypatch.setattr(buyers, "TURNED_AWAY", {*buyers.TURNED_AWAY, 500})
    old = release_of(deploy_from, tmp_path)
    await there_and_back(old, THIS, pytestconfig.getoption("--deploy-viewers"), artifacts)


async def there_and_back(old: Release, new: Release, viewers: int, artifacts: Path) -> None:
    with standing(old, viewers, artifacts) as premises:
        async with opened(premises) as shop:
            deploy = Deploy(shop, old, new)
            stream = await shop.live_stream()
            crowd = Crew(shop.nginx.url, stream, viewers, rate_per_s=500)
            async with crowd:
                await crowd.gathered(GATHERS_WITHIN_S)
                played = await play(shop, stream, SEED, deploy.there_and_back, minted=max(10, viewers // 40))
                await crowd.reach(played.seq, LAST_WITHIN_S)
                report = await crowd.report()
            print(f"  crowd: {report.reconnects} came back, closed {report.closed}, failed {report.tries_failed}")
            assert played.problems == []
            assert audit_crowd(report, played.seq) == []
            assert report.snapshots == 0, "whoever comes back is told what was missed"
            assert LOST not in report.closed, "no connection just broke"
            assert report.reconnects >= viewers, "both replicas were left by all: or it proved nothing"
            assert failed_requests(premises.nginx, upgrades=old == THIS) == {}
            assert await bugs(shop) == {}


@dataclass
class Deploy:
    """The steps, and orders between them."""

    shop: Shop
    old: Release
    new: Release

    async def there_and_back(self, progress: Progress) -> None:
        await progress.further(ORDERS, "the start")
        said = await self._dropcast("migrate")
        assert "applied" in said, said
        await progress.further(ORDERS, "the migration")
        await self._roll(self.new, progress)
        if "index-products" in said:
            await self._dropcast("index-products")
        assert "nothing to do" in await self._dropcast("migrate", "--check")
        if (self.old.root / "server/store/revisions.py").exists():  # older ones bear no column they do not know
            await self._roll(self.old, progress)

    async def _roll(self, release: Release, progress: Progress) -> None:
        for number, replica in enumerate(self.shop.replicas):
            await asyncio.to_thread(replica.stop)
            replica.release = release
            await asyncio.to_thread(replica.start)
            await progress.further(ORDERS, f"replica {number} became {release.root}")

    async def _dropcast(self, *words: str) -> str:
        done = await asyncio.to_thread(self.new.dropcast, words, self.shop.settings)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout


@contextmanager
def standing(release: Release, viewers: int, artifacts: Path) -> Iterator[Premises]:
    """Two replicas of a version behind nginx, over a database which that version has made."""
    with MariaDB(durable=True) as mariadb, Redis() as redis:
        settings = {
            **shared_settings(mariadb.url(mariadb.create_database()), redis.fresh_url()),
            "DROPCAST_TICK_MS": "1000",
            "DROPCAST_DRAIN_WITHIN_S": str(DRAIN_S),
            "DROPCAST_RATE_LIMITS": "off",
        }
        people = [("host", "host"), ("viewer", "viewer")]
        for words in (
            ["init-db"],
            ["seed-demo"],
            *(["create-user", "--email", f"{name}@example.com", "--role", r, "--password-stdin"] for name, r in people),
        ):
            done = release.dropcast(words, settings, stdin=PASSWORD)
            assert done.returncode == 0, done.stderr
        with (
            Replica(settings, release=release) as first,
            Replica(settings, release=release) as second,
            Nginx(
                [first.host, second.host],
                worker_connections=1024 + 4 * viewers,
                limits=Limits(sockets=0, joins_per_s=0),
            ) as nginx,
        ):
            try:
                yield Premises(settings, [first, second], nginx)
            finally:
                for name, service in (("replica-0", first), ("replica-1", second), ("nginx", nginx)):
                    (artifacts / f"{name}.log").write_text(service.log_text(), encoding="utf-8")


def failed_requests(nginx: Nginx, *, upgrades: bool) -> dict[str, int]:
    """What people got for a 5xx; without `upgrades`, which come again by themselves, only the calls."""
    entries = map(json.loads, (nginx.folder / "access.log").read_text().splitlines())
    failed = [e for e in entries if e["status"] >= 500 and (upgrades or not e["path"].startswith("/ws/"))]
    return dict(Counter(f"{e['status']} {e['method']} {e['path']} from {e['upstream']}" for e in failed))
