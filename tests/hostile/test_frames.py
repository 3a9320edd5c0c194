"""Ten thousand frames of every wrong kind: each ends its own sender at the most, and nobody else notices."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import suppress

import pytest

from server.protocol import frames
from tests.client import Api
from tests.hostile.conftest import Besieged, Person, joined, sale_of
from tests.hostile.gibberish import Conversation, Gibberish
from tests.raw import CLOSE, TEXT, Ended, RawClient, frame, upgrade

FRAMES = 10_000
AT_ONCE = 12
HELLO = frame(TEXT, b'{"type":"hello","v":1}')


@pytest.mark.timeout(600)
async def test_nothing_that_is_said_on_a_socket_disturbs_anybody_else(
    besieged: Besieged, host: Api, hostile_seed: int, hostile_times: int
) -> None:
    sale = await sale_of(besieged, host, quantity=100_000)
    quiet = (await host.create_drop(sale.stream, "DEMO-1", stock={besieged.variant: 1000}, limit=1000))["id"]
    made_up = Gibberish(hostile_seed, sale.drop, besieged.variant)
    fuzzed, codes, unexpected = 0, Counter[int | None](), list[str]()
    async with await joined(besieged, sale, Person.RIVAL) as bystander:
        await host.open(quiet)
        await bystander.expect_event("drop_opened")
        bought = 0
        while fuzzed < FRAMES * hostile_times:
            said = [made_up.conversation() for _ in range(AT_ONCE)]
            people = [(Person.GUEST, Person.VIEWER, Person.HOST)[n % 3] for n in range(AT_ONCE)]
            ends = await asyncio.gather(
                *(_say(besieged, sale.stream, person, what) for person, what in zip(people, said, strict=True))
            )
            for what, end in zip(said, ends, strict=True):
                codes[end] += 1
                if end != what.code:
                    unexpected.append(f"{end} instead of {what.code} after {what.said[-300:]!r}")
            fuzzed += sum(what.frames for what in said)
            if bought < fuzzed // 500 and bought < 900:
                receipt = await bystander.expect_receipt(await bystander.order(quiet))
                assert receipt.status == "accepted"
                bought += 1
        print(f"\n{fuzzed} frames in {codes.total()} conversations, seed {hostile_seed}: {dict(codes)}")
        assert unexpected == []
        await bystander.expect(frames.Tick)
        await host.close(quiet)
        await bystander.expect_event("drop_closed")
        seq = (await host.stream(sale.stream))["position"]["seq"]
        assert bystander.position.seq == seq  # every event, in order: the client audits that there was no hole
    assert bought >= 15
    metrics = (await host.http.get("/metrics")).text
    assert 'dropcast_sockets_closed_total{code="4500"}' in metrics
    assert 'dropcast_sockets_closed_total{code="1011"}' not in metrics
    assert 'dropcast_bugs_total{where="socket"}' not in metrics


async def _say(besieged: Besieged, stream: str, person: Person, what: Conversation) -> int | None:
    """The close code that a conversation ended with; None when there was none."""
    headers = {"Origin": "http://shop.example"}  # the host that `upgrade` names
    if cookie := besieged.cookies.get(person):
        headers["Cookie"] = cookie
    async with await RawClient.dial(besieged.replica.port) as client:
        await client.send(upgrade(f"/ws/{stream}", headers))
        assert (await client.head()).startswith(b"HTTP/1.1 101 ")
        with suppress(OSError):  # it may be cut off in the middle of its speech
            await client.send((HELLO if what.hello_first else b"") + what.said)
        if what.code is None:
            client.reset()
            return None
        try:
            heard = await client.until(lambda said: said.opcode == CLOSE)
        except Ended:
            return None
        except AssertionError as error:
            raise AssertionError(f"{error}; it had said {what.said[-300:]!r}") from None
        return heard[-1].code
