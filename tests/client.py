"""What tests speak to the server with: a viewer on the socket (`LiveClient`) and a person on HTTP (`Api`)."""

from __future__ import annotations

import asyncio
import json
import secrets
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar
from urllib.parse import quote

import httpx
import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from server.domain.drop import StockLine
from server.domain.events import Event
from server.protocol import codec, frames
from tests.services import tls
from tests.services.secrets import secrets_of_the_run

WITHIN_S = 5.0
LOG_MAX = 10_000
"""Most frames a client keeps for its test to take; one more is a failure, not a loss."""

Answer = frames.Receipt | frames.Tick | frames.DrainFrame | frames.Fault


class ClosedError(AssertionError):
    """The server closed the socket while a test waited for something else."""

    def __init__(self, code: int, reason: str, fault: frames.Fault | None, waited_for: str) -> None:
        said = f" after fault {fault.reason}: {fault.detail}" if fault else ""
        super().__init__(f"closed with {code} {reason!r}{said} while waiting for {waited_for}")
        self.code = code
        self.reason = reason
        self.fault = fault


@dataclass(frozen=True)
class SeenEvent:
    """An event as it came. `event` is None for a kind the server's own code does not know; `raw` is its JSON."""

    seq: int
    at_ms: int
    kind: str
    event: Event | None
    raw: dict[str, Any]


Kept = SeenEvent | Answer
T = TypeVar("T", bound=Kept)
A = TypeVar("A", bound=Answer)


class LiveClient:
    """A viewer. Whoever uses it audits the promises of order, for it fails the test that breaks one:

    `seq` rises by exactly one from the welcome on; `missed` is exactly what lies between the position asked for and
    the welcome's; a stock line never goes back to an older version; every frame can be read.

    `expect_…` take the oldest frame of their kind not yet taken, and wait up to `within` seconds for one. A failure,
    or a close by the server, ends every wait at once. Leave with `close` (or `async with`), which raises the failure.
    """

    welcome: frames.Welcome

    def __init__(self, socket: ClientConnection, asked: frames.Position | None) -> None:
        self._socket = socket
        self._asked = asked
        self._changed = asyncio.Condition()
        self._waiting: deque[Kept] = deque()
        self._failure: Exception | None = None
        self._welcomed = False
        self._fault: frames.Fault | None = None
        self._close_reason = ""
        self._reader: asyncio.Task[None] | None = None
        self.seen: list[int] = []
        """The `seq` of every event, missed ones included, in the order they came."""
        self.stock: dict[tuple[str, str], StockLine] = {}
        """The newest stock line by (drop, variant)."""
        self.closed: int | None = None
        """The close code; 1006 when the connection broke."""

    @classmethod
    async def join(
        cls,
        url: str,
        ticket: str | None = None,
        position: frames.Position | None = None,
        cookie: str | None = None,
        origin: str | None = None,
        *,
        within: float = WITHIN_S,
    ) -> Self:
        """Connects, says hello and waits for the welcome.

        Raises `ClosedError` when the server closes instead, `websockets.InvalidStatus` when it refuses the upgrade.
        """
        client = await cls.connect(url, cookie=cookie, origin=origin, position=position)
        try:
            hello = {"ticket": ticket, "position": msgspec.to_builtins(position) if position else None}
            await client.send({"type": "hello", "v": 1, **{name: value for name, value in hello.items() if value}})
            await client._wait(lambda: client._welcomed, "welcome", within)
        except BaseException:
            await client._leave()
            raise
        return client

    @classmethod
    async def connect(
        cls,
        url: str,
        *,
        cookie: str | None = None,
        origin: str | None = None,
        position: frames.Position | None = None,
    ) -> Self:
        """Only connects: for tests of bad starts, which `send` what they like."""
        socket = await connect(
            url,
            origin=origin,  # type: ignore[arg-type]  # a NewType of str
            additional_headers={"Cookie": cookie} if cookie else None,
            compression=None,
            ping_interval=None,  # the server finds dead peers, not the client
            max_size=64 * 1024 * 1024,
            open_timeout=WITHIN_S,
            close_timeout=2,
            proxy=None,  # whatever the machine's environment says
            ssl=tls.trusting() if url.startswith("wss://") else None,
        )
        client = cls(socket, position)
        client._reader = asyncio.create_task(client._read(), name="live-client-reader")
        return client

    @property
    def position(self) -> frames.Position:
        """How far this client has followed: what a reconnect asks for."""
        seq = self.seen[-1] if self.seen else self.welcome.position.seq
        return frames.Position(self.welcome.position.epoch, seq)

    @property
    def snapshot(self) -> frames.Snapshot | None:
        """The welcome's snapshot, if it was one."""
        raw = self.welcome.snapshot
        return None if isinstance(raw, msgspec.UnsetType) else msgspec.json.decode(raw, type=frames.Snapshot)

    async def send(self, said: Mapping[str, Any] | str | bytes) -> None:
        """Sends a frame: an object as JSON, text and bytes as they are."""
        await self._socket.send(said if isinstance(said, str | bytes) else json.dumps(said))

    async def order(self, drop: str, quantity: int = 1, ref: str | None = None, variant: str | None = None) -> str:
        """Orders, and returns the ref under which the receipt will come."""
        ref = ref or secrets.token_hex(8)
        said = {"type": "order", "ref": ref, "drop": drop, "quantity": quantity}
        await self.send({**said, "variant": variant} if variant else said)
        return ref

    async def expect_event(self, kind: str, within: float = WITHIN_S) -> SeenEvent:
        """The next event of a kind; events of other kinds stay to be taken."""
        return await self._take(SeenEvent, f"event {kind}", within, lambda seen: seen.kind == kind)

    async def expect_receipt(self, ref: str, within: float = WITHIN_S) -> frames.Receipt:
        """The next receipt for a ref."""
        return await self._take(frames.Receipt, f"receipt of {ref}", within, lambda receipt: receipt.ref == ref)

    async def expect(self, kind: type[A], within: float = WITHIN_S) -> A:
        """The next `frames.Tick`, `DrainFrame`, `Fault` or `Receipt`."""
        return await self._take(kind, kind.__name__, within, lambda _: True)

    async def expect_stock(self, predicate: Callable[[StockLine], bool], within: float = WITHIN_S) -> StockLine:
        """A stock line, as it stands now or as soon as it comes, for which the predicate holds."""

        def matching() -> StockLine | None:
            return next(filter(predicate, self.stock.values()), None)

        await self._wait(lambda: matching() is not None, "stock", within)
        line = matching()
        assert line is not None
        return line

    async def expect_close(self, within: float = WITHIN_S) -> int:
        """The close code, once the server has closed."""
        try:
            await self._wait(lambda: False, "close", within)
        except ClosedError as closed:
            return closed.code
        raise AssertionError("unreachable")

    async def close(self) -> None:
        """Leaves, and raises whatever failure was found on the way. Safe to repeat."""
        await self._leave()
        if self._failure is not None:
            raise self._failure

    async def vanish(self) -> None:
        """Breaks the connection without a goodbye, as a lost phone does."""
        self._socket.transport.abort()
        await self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            await self.close()
        else:
            await self._leave()  # the test has a failure of its own to tell

    # Reading

    async def _read(self) -> None:
        """Ends with the connection, or with the first broken promise."""
        try:
            async for text in self._socket:
                self._hear(codec.decode_server(text))
                async with self._changed:
                    self._changed.notify_all()
        except ConnectionClosed:
            pass  # how a connection ends is told below, whichever way it was
        except Exception as failure:
            self._failure = failure
        finally:
            if self._failure is None:
                self.closed = self._socket.close_code or 1006
                self._close_reason = self._socket.close_reason or ""
            async with self._changed:
                self._changed.notify_all()

    def _hear(self, frame: frames.ServerFrame) -> None:
        assert self._welcomed or isinstance(frame, frames.Welcome | frames.Fault | frames.DrainFrame), (
            f"{type(frame).__name__} before the welcome"
        )
        match frame:
            case frames.Welcome():
                assert not self._welcomed, "a second welcome"
                self._hear_welcome(frame)
            case frames.EventFrame():
                self._hear_event(frame)
            case frames.Stock(stock=lines):
                self._hear_stock(lines)
            case frames.Fault():
                self._fault = frame
                self._keep(frame)
            case frames.Receipt() | frames.Tick() | frames.DrainFrame():
                self._keep(frame)

    def _hear_welcome(self, welcome: frames.Welcome) -> None:
        self.welcome = welcome
        whole, missed = welcome.snapshot, welcome.missed
        assert isinstance(whole, msgspec.UnsetType) != isinstance(missed, msgspec.UnsetType), (
            "a welcome carries exactly one of snapshot and missed"
        )
        if not isinstance(missed, msgspec.UnsetType):
            assert self._asked is not None, "missed, though no position was asked for"
            assert welcome.position.epoch == self._asked.epoch, "missed, though the epoch is another one"
            self._expected_seq = self._asked.seq + 1
            for event in msgspec.json.decode(missed, type=list[frames.EventFrame]):
                self._hear_event(event)
            reached = self._expected_seq - 1
            assert reached == welcome.position.seq, f"missed ends at {reached}, the welcome is at {welcome.position}"
        self._expected_seq = welcome.position.seq + 1
        self._hear_stock(msgspec.json.decode(welcome.stock, type=tuple[StockLine, ...]))
        self._welcomed = True

    def _hear_event(self, frame: frames.EventFrame) -> None:
        assert frame.seq == self._expected_seq, f"event {frame.seq} came where {self._expected_seq} was due"
        self._expected_seq += 1
        self.seen.append(frame.seq)
        raw = msgspec.json.decode(frame.event)
        self._keep(SeenEvent(frame.seq, frame.at, raw["kind"], codec.read_event(frame), raw))

    def _hear_stock(self, lines: Sequence[StockLine]) -> None:
        for line in lines:
            known = self.stock.get((line.drop, line.variant))
            assert known is None or line.version >= known.version, f"stock went back from {known} to {line}"
            self.stock[line.drop, line.variant] = line

    def _keep(self, kept: Kept) -> None:
        if isinstance(kept, frames.Tick):  # nobody has to take ticks: only the newest one waits
            self._waiting = deque(known for known in self._waiting if not isinstance(known, frames.Tick))
        assert len(self._waiting) < LOG_MAX, f"{LOG_MAX} frames wait to be taken: this test must take its frames"
        self._waiting.append(kept)

    # Waiting

    async def _take(self, kind: type[T], what: str, within: float, wanted: Callable[[T], bool]) -> T:
        def found() -> T | None:
            return next((kept for kept in self._waiting if isinstance(kept, kind) and wanted(kept)), None)

        await self._wait(lambda: found() is not None, what, within)
        taken = found()
        assert taken is not None
        self._waiting.remove(taken)
        return taken

    async def _wait(self, condition: Callable[[], bool], what: str, within: float) -> None:
        def over() -> bool:
            return condition() or self._failure is not None or self.closed is not None

        try:
            async with asyncio.timeout(within), self._changed:
                await self._changed.wait_for(over)
        except TimeoutError:
            raise AssertionError(f"no {what} within {within} s; seen {self.seen[-5:]}, {self._last()}") from None
        if self._failure is not None:
            raise self._failure
        if not condition():
            raise ClosedError(self.closed or 1006, self._close_reason, self._fault, what)

    def _last(self) -> str:
        return f"waiting to be taken: {list(self._waiting)[-5:]}"

    async def _leave(self) -> None:
        await self._socket.close()
        if self._reader is not None:
            await self._reader


class ApiError(AssertionError):
    """The server answered with an error the test did not expect."""

    def __init__(self, response: httpx.Response) -> None:
        try:
            error = response.json()["error"]
            self.reason, self.detail = error["reason"], error["detail"]
        except (ValueError, KeyError, TypeError):
            self.reason, self.detail = "", response.text[:500]
        self.status = response.status_code
        super().__init__(
            f"{response.request.method} {response.request.url.path}: {self.status} {self.reason}: {self.detail}"
        )


class Api:
    """A person on HTTP: signs in and keeps the cookie, whatever its name. Every call raises `ApiError` on a non-2xx.

    State-changing calls carry an Origin, the server's own unless another one is given. `async with` or `aclose`.
    """

    def __init__(self, base_url: str, *, origin: str | None = None) -> None:
        overhear = {"response": [secrets_of_the_run.overhear]}
        self.http = httpx.AsyncClient(
            base_url=base_url, timeout=10, trust_env=False, event_hooks=overhear, verify=tls.verify(base_url)
        )
        self._origin = origin or base_url.rstrip("/")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Closes the connections; the session at the server stays."""
        await self.http.aclose()

    @property
    def cookie(self) -> str:
        """The cookies as a header, for `LiveClient.join`."""
        return "; ".join(f"{cookie.name}={cookie.value}" for cookie in self.http.cookies.jar)

    async def get(self, path: str, **query: str | int) -> dict[str, Any]:
        """GET; the answer's JSON."""
        return _answer(await self.http.get(path, params=query))

    async def post(self, path: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
        """POST; the answer's JSON, or an empty dict."""
        return _answer(await self.http.post(path, json=body or {}, headers={"Origin": self._origin}))

    async def register(self, email: str, password: str, name: str) -> None:
        """Asks for an account; a code is mailed."""
        await self.post("/api/register", {"email": email, "password": password, "name": name})

    async def verify(self, email: str, code: str) -> dict[str, Any]:
        """Proves the address with the code."""
        return await self.post("/api/verify", {"email": email, "code": code})

    async def login(self, email: str, password: str) -> dict[str, Any]:
        """Signs in; the user."""
        answer = await self.post("/api/login", {"email": email, "password": password})
        return _part(answer, "user")

    async def logout(self) -> None:
        """Ends the session."""
        await self.post("/api/logout")

    async def ticket(self, stream: str) -> str:
        """A one-use ticket for the stream's socket."""
        ticket = str((await self.post("/api/ticket", {"stream": stream}))["ticket"])
        secrets_of_the_run.remember("ticket", ticket)
        return ticket

    async def stream(self, stream: str) -> dict[str, Any]:
        """`{stream, drops, stock, position}`."""
        return await self.get(f"/api/streams/{quote(stream)}")

    async def products(self, query: str = "") -> list[dict[str, Any]]:
        """Products that match, best first."""
        return list((await self.get("/api/products", q=query))["products"])

    async def orders(self) -> list[dict[str, Any]]:
        """All orders of whoever is signed in, newest first, over all pages."""
        orders: list[dict[str, Any]] = []
        page = await self.get("/api/orders")
        orders += page["orders"]
        while page["next"] is not None:
            page = await self.get("/api/orders", cursor=page["next"])
            orders += page["orders"]
        return orders

    # The host

    async def create_stream(self, slug: str, title: str = "A stream", **more: Any) -> dict[str, Any]:
        """A scheduled stream."""
        return _part(await self.post("/api/host/streams", {"slug": slug, "title": title, **more}), "stream")

    async def start(self, stream: str) -> dict[str, Any]:
        """The stream goes live."""
        return await self.post(f"/api/host/streams/{quote(stream)}/start")

    async def end(self, stream: str) -> dict[str, Any]:
        """The stream is over."""
        return await self.post(f"/api/host/streams/{quote(stream)}/end")

    async def create_drop(
        self,
        stream: str,
        product: str,
        *,
        stock: Mapping[str, int],
        price: int = 2400,
        currency: str = "USD",
        limit: int = 1,
        opens_at: int | None = None,
        closes_at: int | None = None,
    ) -> dict[str, Any]:
        """Puts a drop on the run sheet. `stock` is the quantity by variant; times in ms since the epoch."""
        body: dict[str, Any] = {"product": product, "price": price, "currency": currency, "limit": limit}
        body["stock"] = [{"variant": variant, "quantity": quantity} for variant, quantity in stock.items()]
        times = {"opens_at": opens_at, "closes_at": closes_at}
        body |= {name: at for name, at in times.items() if at is not None}
        return _part(await self.post(f"/api/host/streams/{quote(stream)}/drops", body), "drop")

    async def open(self, drop: str) -> dict[str, Any]:
        """The drop is on sale."""
        return await self.post(f"/api/host/drops/{drop}/open")

    async def close(self, drop: str) -> dict[str, Any]:
        """The drop is no longer on sale."""
        return await self.post(f"/api/host/drops/{drop}/close")

    async def restock(self, drop: str, variant: str, quantity: int) -> dict[str, Any]:
        """Puts more of a variant into the drop."""
        return await self.post(f"/api/host/drops/{drop}/restock", {"variant": variant, "quantity": quantity})


def _answer(response: httpx.Response) -> dict[str, Any]:
    if not response.is_success:
        raise ApiError(response)
    return dict(response.json()) if response.content else {}


def _part(answer: dict[str, Any], name: str) -> dict[str, Any]:
    return dict(answer[name])
