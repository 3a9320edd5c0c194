"""The image: built, looked through, and sold with."""

from __future__ import annotations

import asyncio
import json
import stat
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import httpx
import pytest
import pytest_asyncio

from server.protocol import frames
from server.web.vendor import VENDORED
from tests.client import LiveClient
from tests.image import builder
from tests.journeys.conftest import Premises, Shop, furnish, opened
from tests.services.compose import SECRETS, services
from tests.services.nginx import Nginx
from tests.services.release import ROOT
from tests.services.replica import Replica

pytestmark = pytest.mark.timeout(900)
ADDED_MAX_BYTES = 160_000_000


@pytest.fixture(scope="session")
def root() -> Iterator[Path]:
    planted = [ROOT / "server" / ".env", ROOT / "client" / "var" / "secret.db"]
    for file in planted:  # what must not get into an image, whoever left it there
        file.parent.mkdir(exist_ok=True)
        file.write_text("planted by a test")
    try:
        builder.build()
    finally:
        for file in planted:
            file.unlink()
        planted[1].parent.rmdir()
    with builder.mounted() as folder:
        yield folder


class Contained(Replica):
    """A replica of the image: its own entry point and command, as its user, on a root it cannot write to."""

    def __init__(self, settings: Mapping[str, str], root: Path) -> None:
        super().__init__(settings)
        self._root = root
        self.data = self.folder / "data"
        self.data.mkdir()
        self.folder.chmod(0o755)  # root's own; the image's user must be able to pass

    def command(self) -> Sequence[str]:
        says = builder.configuration()
        return self.inside([*says["Entrypoint"], *says["Cmd"]])

    def inside(self, words: Sequence[str]) -> list[str]:
        return builder.in_container(self._root, self.data, words, {**self._settings, "DROPCAST_BIND": self.host})

    def ran(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self.inside(words), capture_output=True, text=True, check=False, timeout=60)


@pytest.fixture
def contained(shop_settings: dict[str, str], root: Path) -> Iterator[Contained]:
    replica = Contained({**shop_settings, "DROPCAST_DRAIN_WITHIN_S": "4"}, root)
    yield replica
    replica.kill()
    replica.remove()


@pytest_asyncio.fixture
async def shop(
    contained: Contained, shop_settings: dict[str, str], start_nginx: Callable[..., Nginx]
) -> AsyncIterator[Shop]:
    done = contained.ran("dropcast", "init-db")
    assert (done.returncode, done.stdout) == (0, "the schema is applied\n"), done
    await furnish(shop_settings)
    contained.start()
    async with opened(Premises(shop_settings, [contained], start_nginx([contained.host]))) as shop:
        yield shop
        await shop.verify()


def test_it_says_how_it_is_to_be_run(root: Path) -> None:
    says = builder.configuration()
    assert (says["User"], says["Entrypoint"], says["Cmd"]) == ("10001:10001", ["dropcast"], ["serve"])
    assert (says["StopSignal"], says["WorkingDir"]) == ("SIGTERM", "/var/lib/dropcast")
    assert says["Healthcheck"]["Test"] == ["CMD", "dropcast", "health"]
    assert says["ExposedPorts"] == {"8080/tcp": {}}
    assert "DROPCAST_BIND=0.0.0.0:8080" in says["Env"]
    assert not [entry for entry in says["Env"] if "KEY" in entry or "PASSWORD" in entry or "://" in entry]


def test_it_holds_what_runs_and_nothing_else(root: Path) -> None:
    home = root / "opt" / "dropcast"
    folders = {"admin_ui", "client", "loadtest", "nginx", "server", "schema.sql", "venv"}
    assert {path.name for path in home.iterdir()} == folders
    packages = home / "client" / "node_modules"
    served = {packages / name for name in VENDORED.values()}
    assert {path for path in packages.rglob("*") if path.is_file()} == {*served, packages / "hls.js" / "LICENSE"}
    assert not [path for name in (".env", "*.db", "pip", "setuptools") for path in home.rglob(name)]
    assert not list((root / "run").glob("secrets/*"))
    assert not (root / "etc" / "pip.conf").exists()
    added = sum(path.lstat().st_size for path in home.rglob("*"))
    print(f"{added / 1e6:.0f} MB on top of the base")
    assert added < ADDED_MAX_BYTES


def test_everything_is_compiled_and_belongs_to_root(root: Path) -> None:
    home = root / "opt" / "dropcast"
    sources = [path for path in home.rglob("*.py") if path.stat().st_size and "lib2to3" not in path.parts]
    assert len(sources) > 1000
    compiled = {path.name.partition(".")[0] for path in (home / "server").rglob("__pycache__/*.pyc")}
    assert {path.stem for path in (home / "server").rglob("*.py")} <= compiled
    for path in home.rglob("*"):
        assert path.lstat().st_uid == 0, path
        assert path.is_symlink() or not path.stat().st_mode & (stat.S_IWGRP | stat.S_IWOTH), path


def test_its_user_can_write_where_it_should_and_nowhere_else(contained: Contained) -> None:
    where = "/ /opt/dropcast /opt/dropcast/server /etc /usr/bin /tmp /var/lib/dropcast"
    done = contained.ran("sh", "-c", f"id -u; id -g; for at in {where}; do touch $at/x 2>/dev/null && echo $at; done")
    assert done.stdout.split() == ["10001", "10001", "/tmp", "/var/lib/dropcast"]


def test_its_health_is_told_without_a_replica(contained: Contained) -> None:
    done = contained.ran("dropcast", "health")
    assert (done.returncode, done.stdout) == (1, "")
    assert "nobody answers" in done.stderr
    assert contained.ran("dropcast", "--help").returncode == 0


def test_it_writes_the_configuration_of_nginx_as_compose_asks_it_to(contained: Contained) -> None:
    edge = services(SECRETS)["edge"]
    done = contained.ran(*edge["entrypoint"], *edge["command"])
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    written = contained.data / "nginx.conf"
    assert written.stat().st_gid == 10001
    assert "server 172.31.250.11:8080 " in written.read_text()


async def test_it_sells_and_leaves_as_a_replica_should(shop: Shop, contained: Contained) -> None:
    health = builder.configuration()["Healthcheck"]["Test"][1:]
    assert contained.ran(*health).stdout == f'{contained.host} /livez: {{"status":"alive"}}\n'
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 5)
    buyer = await shop.watch(shop.nginx, stream)
    await shop.host.open(drop)
    await buyer.expect_event("drop_opened")
    receipt = await buyer.expect_receipt(await buyer.order(drop, 2))
    assert (receipt.status, receipt.quantity) == ("accepted", 2)
    assert await shop.rows("SELECT quantity FROM orders WHERE drop_id = :drop", drop=drop) == [(2,)]

    contained.terminate()
    assert (await buyer.expect(frames.DrainFrame)).reconnect_in_ms >= 0
    ready = contained.ran(*health, "--ready")
    assert ready.returncode == 1
    assert "draining" in ready.stderr
    assert contained.ran(*health).returncode == 0
    await buyer.vanish()
    assert await asyncio.to_thread(contained.await_exit, 10) == 0
    assert contained.ran(*health).returncode == 1


async def test_its_pages_and_scripts_are_whole(shop: Shop, contained: Contained) -> None:
    stream = await shop.live_stream()
    async with httpx.AsyncClient(base_url=contained.url) as anybody:
        page = await anybody.get(f"/s/{stream}")
        assert page.status_code == 200
        for path in VENDORED:
            assert (await anybody.get(f"/static/{path}", follow_redirects=True)).status_code == 200


async def test_without_settings_it_is_the_embedded_default(root: Path) -> None:
    replica = Contained({}, root)
    try:
        assert replica.ran("dropcast", "init-db").returncode == 0
        with replica:
            assert (replica.data / "var" / "dropcast.db").exists()
            async with await LiveClient.connect(replica.ws_url("nothing")) as nobody:
                assert await nobody.expect_close() >= 4000
            assert json.loads(replica.ran("dropcast", "health").stdout.partition("livez: ")[2]) == {"status": "alive"}
    finally:
        replica.remove()
