"""Every state a page can be in, and how to get there: for the pictures and for the check of what people can perceive.

One more state is one more function:

    @state("stream-open", person="viewer")
    async def _(page: Page, stage: Stage) -> None:
        stream = await stage.stream()
        await stage.drop(stream, 40)
        await page.goto(f"/s/{stream}")
        await expect(page.get_by_test_id("buy")).to_contain_text("Buy")

It returns when the page shows the state, and waits for that, not for time. `person` is who is signed in, of
`tests/browser/stage.py`; words are asked for only where every language says the same, or by test ids.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from playwright.async_api import Page

from tests.browser.stage import Stage

Reach = Callable[[Page, Stage], Awaitable[None]]

_PARTS = ("states_of_accounts", "states_of_the_host", "states_of_the_stream")
_all: dict[str, State] = {}


@dataclass(frozen=True, slots=True)
class State:
    """A page in one of its states."""

    name: str
    reach: Reach
    person: str | None
    whole: bool
    """Whether a picture shows the whole page, and not only what is in sight."""


def state(name: str, *, person: str | None = None, whole: bool = True) -> Callable[[Reach], Reach]:
    """Registers a state under its name: the page first, then what of it."""

    def register(reach: Reach) -> Reach:
        assert name not in _all, f"two states are called {name}"
        _all[name] = State(name, reach, person, whole)
        return reach

    return register


def states() -> list[State]:
    """All, in the order they are written down."""
    for part in _PARTS:
        importlib.import_module(f"tests.browser.{part}")
    return list(_all.values())
