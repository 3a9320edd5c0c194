"""`dropcast demo` as a newcomer meets it: something sells at once, and Ctrl-C leaves nothing behind."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import pytest
from websockets.exceptions import ConnectionClosed

from server.domain.events import DropEvent
from tests.client import ClosedError, LiveClient
from tests.services.process import eventually
from tests.services.replica import Replica

SEEN_WITHIN_S = 20.0
ENDS_WITHIN_S = 10.0


class Demo(Replica):
    """The demo over a SQLite file in its own folder."""

    name = "demo"
    death_signal = "TERM"  # it has a child to end

    def __init__(self) -> None:
        super().__init__({})

    def command(self) -> Sequence[str]:
        return [*super().command()[:-1], "demo"]

    def environment(self) -> Mapping[str, str]:
        return {**super().environment(), "DROPCAST_DATABASE_URL": f"sqlite+aiosqlite:///{self.folder}/x.db"}


@pytest.fixture
def demo(artifacts: Path) -> Iterator[Demo]:
    with Demo() as started:
        yield started
        (artifacts / "demo.log").write_text(started.log_text(), encoding="utf-8")


def to_the_shop(demo: Demo) -> None:
    os.kill(demo.pid, signal.SIGINT)


def to_everybody_as_a_terminal_does(demo: Demo) -> None:
    os.killpg(demo.pid, signal.SIGINT)


@pytest.mark.parametrize("interrupt", [to_the_shop, to_everybody_as_a_terminal_does])
async def test_a_newcomer_sees_a_drop_open_and_its_stock_fall_and_ctrl_c_ends_it_all(
    demo: Demo, interrupt: Callable[[Demo], None]
) -> None:
    async with asyncio.timeout(SEEN_WITHIN_S):
        guest = await _joined(demo)
        async with guest:
            full = await _on_sale(guest)
            await guest.expect_stock(lambda line: line.left < full.get((line.drop, line.variant), 0), SEEN_WITHIN_S)
            assert guest.welcome.viewer is None

    children = _children_of(demo.pid)
    assert children, "the crowd is a process of its own"
    interrupt(demo)
    status = await asyncio.to_thread(demo.await_exit, ENDS_WITHIN_S)
    assert status == 0, demo.log_text()
    assert eventually(lambda: not any(map(_runs, children)), within_s=1), "the crowd ends with its shop"
    assert "Traceback" not in demo.log_text(), demo.log_text()
    assert "loadtest:" not in demo.log_text(), "the crowd has nothing to complain of"


async def _joined(demo: Demo) -> LiveClient:
    """Joins as soon as the host has started the stream; until then there is none to join."""
    while True:
        try:
            return await LiveClient.join(demo.ws_url("demo"))
        except (ClosedError, ConnectionClosed):  # 4504, heard after the hello or before it
            await asyncio.sleep(0.05)


async def _on_sale(guest: LiveClient) -> dict[tuple[str, str], int]:
    """What is left, by drop and variant, of the drop on sale: the snapshot's, or the next that opens."""
    drops = guest.snapshot.drops if guest.snapshot is not None else ()
    drop = next((drop for drop in drops if drop.status == "open"), None)
    if drop is None:
        opened = (await guest.expect_event("drop_opened", SEEN_WITHIN_S)).event
        assert isinstance(opened, DropEvent)
        drop = opened.drop
    return {(drop.id, variant.id): variant.left for variant in drop.variants}


def _children_of(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _runs(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state not in "ZX"
