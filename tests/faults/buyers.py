"""A crowd that never gives up: each buyer comes back with position and ref until every order has an answer."""

from __future__ import annotations

import asyncio
import random
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import httpx
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from server.accounts.door import new_ticket
from server.accounts.keep import RedisKeep
from server.domain.errors import Unavailable
from server.domain.user import User
from server.protocol import frames
from tests.client import Api, ApiError, ClosedError, LiveClient
from tests.faults.audit import History, Told
from tests.faults.kills import Progress
from tests.journeys.conftest import PASSWORD

ANSWER_WITHIN_S = 40.0
"""An order on a socket that stays open has its receipt by then, or the round has failed: above any deadline inside."""

AGAIN_S = (0.05, 0.25)
ASKED_AT_ONCE = 16

TURNED_AWAY = {429, 502, 503}
"""What an upgrade may be answered by a shop in trouble."""


class Entrance(ABC):
    """How a buyer gets in. Each way may fail for a while, with one of `TEMPORARY`."""

    @abstractmethod
    async def join(self, url: str, position: frames.Position | None) -> LiveClient:
        """A socket on which the server knows who it is."""


@dataclass
class ByTicket(Entrance):
    """An account without a password, and a ticket minted by the operator each time: they die with Redis."""

    user: User
    stream: str
    keep: RedisKeep

    async def join(self, url: str, position: frames.Position | None) -> LiveClient:
        ticket, key, value = new_ticket(self.user, self.stream)
        await self.keep.put(key, value, 60)
        return await LiveClient.join(url, ticket, position)


@dataclass
class ByPassword(Entrance):
    """A person with a cookie, which is forgotten with Redis: then she signs in again."""

    email: str
    api: Api
    signed_in: bool = False

    async def join(self, url: str, position: frames.Position | None) -> LiveClient:
        if not self.signed_in:
            await self.api.login(self.email, PASSWORD)
            self.signed_in = True
        client = await LiveClient.join(url, None, position, cookie=self.api.cookie, origin=str(self.api.http.base_url))
        if client.welcome.viewer is None:
            self.signed_in = False
            await client.close()
            raise ClosedError(1000, "a guest", None, "a welcome by name")
        return client


def is_temporary(error: BaseException) -> bool:
    """Whether the promise is that coming again helps. Everything else fails the round."""
    match error:
        case ClosedError(code=code):
            # 4501: the ticket died with Redis between the minting and the hello
            return code in (1000, 1001, 1006, 1011, 1012, 1013, 4501) or 4000 <= code < 4500
        case InvalidStatus():
            return error.response.status_code in TURNED_AWAY
        case ApiError():
            return error.status in (401, 403, 429, 502, 503)
        case AssertionError():
            return str(error).startswith("no welcome within")
    return isinstance(error, OSError | EOFError | ConnectionClosed | InvalidHandshake | Unavailable | httpx.HTTPError)


async def until_it_works(
    call: Callable[[], Awaitable[Any]], otherwise: Callable[[], Awaitable[Any]] | None = None
) -> Any:
    """The answer of a call that is safe to repeat; `otherwise` is tried after each temporary failure."""
    while True:
        try:
            return await call()
        except Exception as error:
            if not is_temporary(error):
                raise
        await asyncio.sleep(random.uniform(*AGAIN_S))
        if otherwise is not None:
            try:
                await otherwise()
            except Exception as error:
                if not is_temporary(error):
                    raise


@dataclass
class Buyer:
    """Buys one thing after another through nginx and writes down all it is told."""

    name: str
    viewer: str
    entrance: Entrance
    url: str
    drops: Sequence[str]
    chance: random.Random
    history: History
    progress: Progress
    position: frames.Position | None = None
    asks: int = 0
    wishes: int = 0
    joins: int = 0
    accepted: list[tuple[str, str, int]] = field(default_factory=list)
    """(ref, drop, quantity) of every accepted order."""

    async def buy(self, enough: asyncio.Event) -> None:
        """Ends when there is enough and the last order has its answer."""
        wish: tuple[str, str, int] | None = None
        while wish is not None or not enough.is_set():
            client = await self._joined()
            try:
                while wish is not None or not enough.is_set():
                    if wish is None:
                        await asyncio.sleep(self.chance.uniform(0, 0.25))  # looks at the card
                        wish = self._wish()
                    if await self._asked(client, *wish):
                        wish = None
            except (AssertionError, ConnectionClosed) as error:
                if not is_temporary(error):
                    raise
            finally:
                await self._left(client)

    async def confirm(self, seq: int, within_s: float = 60.0) -> None:
        """Asks again for everything that was accepted, and follows the stream to its last event."""
        async with asyncio.timeout(within_s):
            client = await self._joined()
            for start in range(0, len(self.accepted), ASKED_AT_ONCE):
                some = self.accepted[start : start + ASKED_AT_ONCE]
                for ref, drop, quantity in some:
                    await client.order(drop, quantity, ref)
                for ref, _, quantity in some:
                    self._told(await client.expect_receipt(ref, ANSWER_WITHIN_S), quantity)
            while client.position.seq < seq and client.closed is None:  # noqa: ASYNC110  of whatever kind the last is
                await asyncio.sleep(0.02)  # closed before, the audit says so
            await self._left(client)

    def _wish(self) -> tuple[str, str, int]:
        self.wishes += 1
        plenty, scarce = self.drops
        ref = f"{self.name}-{self.wishes}"
        self.history.asked.add((self.viewer, ref))
        return (ref, scarce, 1) if self.chance.random() < 0.3 else (ref, plenty, self.chance.randint(1, 2))

    async def _asked(self, client: LiveClient, ref: str, drop: str, quantity: int) -> bool:
        """Asks, now and then with a double click; whether the answer is the last word."""
        clicks = 2 if self.chance.random() < 0.1 else 1
        self.asks += 1
        for _ in range(clicks):
            await client.order(drop, quantity, ref)
        receipts = [await client.expect_receipt(ref, ANSWER_WITHIN_S) for _ in range(clicks)]
        answered = [self._told(receipt, quantity) for receipt in receipts]
        if "accepted" in [receipt.status for receipt in receipts]:
            self.accepted.append((ref, drop, quantity))
            self.progress.count()
        if any(answered):
            return True
        wait_ms = getattr(receipts[0], "retry_in_ms", None)
        await asyncio.sleep(wait_ms / 1000 if wait_ms else self.chance.uniform(*AGAIN_S))
        return False

    def _told(self, receipt: frames.Receipt, quantity: int) -> bool:
        retry = receipt.status == "rejected" and bool(receipt.retry)
        self.history.told.append(Told(self.viewer, receipt.ref, quantity, receipt.order, receipt.reason, retry))
        return not retry

    async def _joined(self) -> LiveClient:
        client: LiveClient = await until_it_works(lambda: self.entrance.join(self.url, self.position))
        self.joins += 1
        assert client.welcome.viewer is not None
        assert client.welcome.viewer.id == self.viewer
        if self.position is None:
            self.history.seen[self.name] = (client.welcome.position.seq, [])
        else:
            assert client.snapshot is None, "a snapshot for somebody who missed a few events"
        self.position = client.position
        return client

    async def _left(self, client: LiveClient) -> None:
        """Raises the promise the server broke on this socket, if it broke one."""
        await client.close()
        self.history.seen[self.name][1].extend(client.seen)
        self.position = client.position
