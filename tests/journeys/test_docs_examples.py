"""The examples of docs/clients.md, run as they stand there against a live shop."""

from __future__ import annotations

import asyncio
import os
import re
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from tests.journeys.conftest import PASSWORD, Shop
from tests.services.release import ROOT

PAGE = (ROOT / "docs" / "clients.md").read_text("utf-8")
LINE_WITHIN_S = 15.0


def example(language: str) -> str:
    (code,) = re.findall(rf"^```{language}\n(.*?)^```$", PAGE, flags=re.DOTALL | re.MULTILINE)
    return str(code)


class Running:
    """An example at work, read line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process
        self._said: list[str] = []

    async def says(self, wanted: str) -> None:
        """Reads up to a line with these words."""
        assert self._process.stdout is not None
        try:
            async with asyncio.timeout(LINE_WITHIN_S):
                while wanted not in (line := (await self._process.stdout.readline()).decode()):
                    assert line, f"ended without {wanted!r}: {self._said}"
                    self._said.append(line)
        except TimeoutError:
            raise AssertionError(f"no {wanted!r} within {LINE_WITHIN_S} s: {self._said}") from None

    async def ends(self) -> int:
        """The exit status."""
        async with asyncio.timeout(LINE_WITHIN_S):
            return await self._process.wait()


@asynccontextmanager
async def running(words: list[str], shop: Shop, stream: str) -> AsyncIterator[Running]:
    process = await asyncio.create_subprocess_exec(
        *words,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        env={
            "PATH": os.environ["PATH"],
            "PYTHONPATH": str(ROOT / "client" / "python"),
            "PYTHONUNBUFFERED": "1",
            "SHOP": shop.nginx.url,
            "EMAIL": "viewer@example.com",
            "PASSWORD": PASSWORD,
            "STREAM": stream,
        },
    )
    try:
        yield Running(process)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def test_the_python_bot_buys_and_tells_until_the_stream_ends(shop: Shop, tmp_path: Path) -> None:
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 5)
    (bot := tmp_path / "bot.py").write_text(example("python"), "utf-8")
    async with running([sys.executable, str(bot)], shop, stream) as running_bot:
        await shop.host.open(drop)
        await running_bot.says("yours: ")
        await running_bot.says("A show: 1 drops")
        await shop.host.close(drop)
        await running_bot.says("drop_closed")
        await shop.host.end(stream)
        await running_bot.says("stream_ended")
        assert await running_bot.ends() == 0
    assert await shop.rows("SELECT quantity FROM orders WHERE drop_id = :drop", drop=drop) == [(1,)]


async def test_the_javascript_watcher_sees_a_drop_open(shop: Shop, tmp_path: Path) -> None:
    stream = await shop.live_stream()
    drop = await shop.drop(stream, 5)
    client = (ROOT / "client").as_uri()
    (watcher := tmp_path / "watcher.mjs").write_text(example("js").replace('"./shared/', f'"{client}/shared/'), "utf-8")
    words = ["node", "--experimental-websocket", "--no-warnings", str(watcher)]
    async with running(words, shop, stream) as running_watcher:
        await running_watcher.says("live")
        await shop.host.open(drop)
        await running_watcher.says("drop_opened")
        await shop.host.end(stream)
        await running_watcher.says("over 4503")
        assert await running_watcher.ends() == 0


@pytest.mark.parametrize("language", ["python", "js"])
def test_an_example_fits_a_screen(language: str) -> None:
    assert len(example(language).splitlines()) <= 45
