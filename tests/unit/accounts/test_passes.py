"""Passes: good for one stream on one origin, no longer than their session, and for nobody who cannot sign."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace

import pytest
from itsdangerous import Signer, URLSafeSerializer

from server.accounts.keep import MemoryKeep
from server.accounts.limits import Limiter, limits_in_memory
from server.accounts.passes import PASS_MAX_S, Passes
from server.accounts.sessions import Sessions, session_id
from server.domain.errors import Reason, Refused
from server.domain.session import SESSION_MAX_S, Caller
from server.domain.user import Role, User
from tests.unit.accounts.book import Book, Clock

NEW, OLD, OTHER_KEY = "n" * 32, "o" * 32, "x" * 32
PARTNER = "https://partner.example"
ANN = User("ann", "ann@example.com", "Ann", Role.VIEWER)


@dataclass
class Place:
    clock: Clock = field(default_factory=Clock)

    def __post_init__(self) -> None:
        self.clock.s = 1_000_000.0
        self.book = Book(self.clock)
        self.book.users[ANN.id] = ANN
        self.sessions = Sessions(self.book, MemoryKeep(self.clock))
        self.passes = self.with_keys(NEW)

    def with_keys(self, *keys: str) -> Passes:
        return Passes(self.sessions, Limiter(limits_in_memory()), keys, now_ms=lambda: self.clock.ms)

    async def signed_in(self) -> Caller:
        caller = await self.sessions.caller(session_id(await self.sessions.open(ANN.id, "Firefox")))
        assert caller is not None
        return caller

    async def refusal(self, shown: str, stream: str = "friday", origin: str = PARTNER) -> Reason:
        with pytest.raises(Refused) as refused:
            await self.passes.caller(shown, stream, origin)
        assert refused.value.detail
        return refused.value.reason


@pytest.fixture
def place() -> Place:
    return Place()


async def test_a_pass_stands_for_who_allowed_it_and_for_their_session(place: Place) -> None:
    ann = await place.signed_in()
    made, ends_at = await place.passes.issue(ann, "friday", PARTNER)
    assert ends_at == place.clock.ms + PASS_MAX_S * 1000
    assert await place.passes.caller(made, "friday", PARTNER) == ann


async def test_it_counts_on_its_stream_and_origin_alone(place: Place) -> None:
    made, _ = await place.passes.issue(await place.signed_in(), "friday", PARTNER)
    assert await place.refusal(made, stream="monday") is Reason.FORBIDDEN
    for origin in ("https://evil.example", "http://partner.example", PARTNER + ":8443", "null", ""):
        assert await place.refusal(made, origin=origin) is Reason.FORBIDDEN


async def test_it_ends_after_twelve_hours(place: Place) -> None:
    made, _ = await place.passes.issue(await place.signed_in(), "friday", PARTNER)
    place.clock.s += PASS_MAX_S - 1
    assert await place.passes.caller(made, "friday", PARTNER)
    place.clock.s += 1
    assert await place.refusal(made) is Reason.LOGIN_REQUIRED


async def test_it_ends_with_its_session_however_that_ends(place: Place) -> None:
    ann = await place.signed_in()
    session = str(ann.session)
    place.book.rows[session] = replace(place.book.rows[session], ends_at=place.clock.ms + 60_000)
    made, ends_at = await place.passes.issue(ann, "friday", PARTNER)
    assert ends_at == place.clock.ms + 60_000
    await place.sessions.end(ANN.id, only=session)
    assert await place.refusal(made) is Reason.LOGIN_REQUIRED
    with pytest.raises(Refused) as refused:
        await place.passes.issue(ann, "friday", PARTNER)
    assert refused.value.reason is Reason.LOGIN_REQUIRED


async def test_without_a_session_there_is_no_pass(place: Place) -> None:
    with pytest.raises(Refused):
        await place.passes.issue(Caller(ANN, None), "friday", PARTNER)


async def test_nobody_makes_or_changes_one_without_the_key(place: Place) -> None:
    ann = await place.signed_in()
    made, ends_at = await place.passes.issue(ann, "friday", PARTNER)
    payload, _, signature = made.rpartition(".")
    forged, _ = await place.with_keys(OTHER_KEY).issue(ann, "friday", PARTNER)
    # what the door signs with the same key is no pass
    door = Signer(NEW, salt="dropcast.session", key_derivation="hmac", digest_method=hashlib.sha256)
    kind = {"key_derivation": "hmac", "digest_method": hashlib.sha256}
    weak = URLSafeSerializer(NEW, salt="dropcast.pass")  # the library's own digest, SHA-1
    strange = URLSafeSerializer(NEW, salt="dropcast.pass", signer_kwargs=kind)
    for shown in (
        *("", ".", "x", "é", "\ud800", "A" * 5_000, payload, forged),
        *(made + "x", payload[:-1] + "." + signature, payload + ".", payload + "." + "A" * 43),
        door.sign(payload).decode(),
        str(weak.dumps([ann.session, "friday", PARTNER, ends_at])),
        str(strange.dumps({"session": ann.session})),
        str(strange.dumps([ann.session, "friday", PARTNER])),
    ):
        assert await place.refusal(shown) is Reason.BAD_CREDENTIALS


async def test_it_lives_through_a_rotation_of_the_keys(place: Place) -> None:
    ann = await place.signed_in()
    made, _ = await place.with_keys(OLD).issue(ann, "friday", PARTNER)
    assert await place.with_keys(NEW, OLD).caller(made, "friday", PARTNER) == ann
    with pytest.raises(Refused):
        await place.with_keys(NEW).caller(made, "friday", PARTNER)


async def test_passes_are_made_at_a_human_pace(place: Place) -> None:
    ann = await place.signed_in()
    for _ in range(20):
        await place.passes.issue(ann, "friday", PARTNER)
    with pytest.raises(Refused) as refused:
        await place.passes.issue(ann, "friday", PARTNER)
    assert refused.value.reason is Reason.RATE_LIMITED
    assert refused.value.retry_after_s == 10


def test_a_pass_is_far_shorter_than_a_session() -> None:
    assert PASS_MAX_S < SESSION_MAX_S
