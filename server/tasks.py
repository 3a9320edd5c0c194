"""Background tasks with an owner, a name and a loud end."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from typing import Any

from server import metrics

log = logging.getLogger(__name__)


def start(work: Coroutine[Any, Any, None], name: str, *, may_end: bool = False) -> asyncio.Task[None]:
    """Starts a task that runs until its owner cancels it: any other end is logged and counted.

    With `may_end` it may also come to its end; an exception stays loud.
    """
    task = asyncio.create_task(work, name=name)
    task.add_done_callback(lambda done: _ended(done, may_end=may_end))
    return task


async def stop(*tasks: asyncio.Task[None] | None) -> None:
    """Cancels tasks and waits for their ends."""
    running = [task for task in tasks if task is not None]
    for task in running:
        task.cancel()
    await asyncio.gather(*running, return_exceptions=True)


def _ended(task: asyncio.Task[None], *, may_end: bool) -> None:
    if task.cancelled() or (may_end and task.exception() is None):
        return
    metrics.TASKS_DIED.labels(task.get_name().split(":")[0]).inc()
    log.critical("a background task ended by itself", extra={"task": task.get_name()}, exc_info=task.exception())
