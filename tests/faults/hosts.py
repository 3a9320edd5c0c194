"""A host who goes on with the show whatever dies: every command is repeated until it is answered."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any

from tests.client import Api
from tests.faults.buyers import until_it_works
from tests.journeys.conftest import PASSWORD


@dataclass
class Showman:
    """Restocks the scarce drop and opens and closes little ones, so that events happen all the time."""

    api: Api
    email: str
    variant: str
    scarce: str
    little: list[str]
    restocked: int = 0
    commands: list[str] = field(default_factory=list)

    async def sign_in(self) -> None:
        """Redis may have forgotten the session."""
        await self.api.login(self.email, PASSWORD)

    async def run(self, enough: asyncio.Event) -> None:
        """Ends when there is enough, with the scarce drop restocked a last time and sold or not."""
        opened: list[str] = []
        while not enough.is_set():
            self.restocked += 1
            # the ref makes a delivery that was answered with silence safe to repeat
            delivery = {"variant": self.variant, "quantity": 5, "ref": f"delivery-{self.restocked}-{self.scarce}"}
            await self._do(f"/api/host/drops/{self.scarce}/restock", delivery)
            if self.little:
                opened.append(self.little.pop())
                await self._do(f"/api/host/drops/{opened[-1]}/open")
            if len(opened) > 1:
                await self._do(f"/api/host/drops/{opened.pop(0)}/close")
            await asyncio.sleep(0.3)

    async def close(self, *drops: str) -> None:
        """The show is over: what is left goes back to the shelf."""
        for drop in drops:
            await self._do(f"/api/host/drops/{drop}/close")

    async def _do(self, path: str, body: dict[str, Any] | None = None) -> None:
        self.commands.append(path)
        await until_it_works(lambda: self.api.post(path, body), self.sign_in)
