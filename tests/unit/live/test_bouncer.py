"""The bouncer: who is concerned by a revocation leaves, whoever is not stays, and nobody slips in behind it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from server.domain.errors import ProtocolViolation, Unavailable
from server.domain.session import Revoked
from server.domain.user import Role, User
from server.live import bouncer as bouncer_module
from server.live.bouncer import REMEMBERED_S, Bouncer
from server.live.hub import Hub
from server.protocol.codes import CloseCode

from .examples import MemoryBell, Viewer

SUBJECT = "!revoked"
ANN, BOB = User("ann", "", "Ann", Role.HOST), User("bob", "", "Bob", Role.VIEWER)


class Guest(Viewer):
    """A socket in a room, of somebody or nobody."""

    def __init__(self, viewer: User | None = None, session: str | None = None) -> None:
        super().__init__(viewer.id if viewer else "guest")
        self.viewer, self.session = viewer, session
        self.closed = asyncio.Event()

    def fail(self, violation: ProtocolViolation) -> None:
        assert self.code is None, "closed twice"
        self.close(violation.code)
        self.closed.set()


class Letters:
    """What the database would say, one look at a time, as the test allows; each look is noted."""

    def __init__(self) -> None:
        self.says, self.now, self.down = Revoked(), 1_000, False
        self.looks: list[int | None] = []
        self.looking, self.may_answer = asyncio.Event(), asyncio.Semaphore(0)

    async def revoked_since(self, since_ms: int | None) -> tuple[int, Revoked]:
        self.looks.append(since_ms)
        self.looking.set()
        await self.may_answer.acquire()
        if self.down:
            raise Unavailable("no database")
        return self.now, self.says


class Club:
    def __init__(self) -> None:
        self.hub, self.letters, self.bell, self.now_s = Hub(), Letters(), MemoryBell(), 0.0
        self.bouncer = Bouncer(self.hub, self.letters, self.bell, subject=SUBJECT, now_s=lambda: self.now_s)

    def let_in(self, viewer: User | None = None, session: str | None = None) -> Guest:
        guest = Guest(viewer, session)
        self.hub.room("friday").add(guest)  # type: ignore[arg-type]
        return guest

    async def looking(self) -> None:
        """A look begins."""
        await asyncio.wait_for(self.letters.looking.wait(), 5)
        self.letters.looking.clear()

    async def looked(self) -> None:
        """The look under way is answered, and followed by the next."""
        self.letters.may_answer.release()
        await self.looking()


@pytest_asyncio.fixture
async def club(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Club]:
    monkeypatch.setattr(bouncer_module, "LOOK_EVERY_S", 0.01)
    club = Club()
    yield club
    await club.bouncer.close()


async def test_an_ended_sessions_sockets_are_closed_and_no_others(club: Club) -> None:
    one, two = club.let_in(ANN, "s1"), club.let_in(ANN, "s1")
    others = [club.let_in(ANN, "s2"), club.let_in(ANN), club.let_in(BOB, "s3"), club.let_in()]
    club.bouncer.hear(Revoked(frozenset({"s1", "elsewhere"})))
    assert (one.code, two.code) == (CloseCode.NOT_ALLOWED, CloseCode.NOT_ALLOWED)
    assert [other.code for other in others] == [None] * 4
    club.bouncer.hear(Revoked(frozenset({"s1"})))  # Guest.fail sees to it that nobody is closed twice


async def test_a_disabled_users_sockets_are_closed_whatever_they_came_by(club: Club) -> None:
    theirs, other = [club.let_in(ANN, "s1"), club.let_in(ANN)], club.let_in(BOB, "s2")
    club.bouncer.hear(Revoked(frozenset({"s1"}), {"ann": None}))
    assert [socket.code for socket in theirs] == [CloseCode.NOT_ALLOWED] * 2
    assert other.code is None


async def test_a_changed_role_makes_sockets_come_back_and_those_with_the_new_role_stay(club: Club) -> None:
    before, after = club.let_in(ANN, "s1"), club.let_in(User("ann", "", "Ann", Role.VIEWER), "s1")
    club.bouncer.hear(Revoked(users={"ann": Role.VIEWER}))
    assert before.code == CloseCode.RESTARTING
    assert CloseCode.RESTARTING.come_back
    assert after.code is None


async def test_who_was_let_in_before_and_joins_after_is_caught_for_a_minute(club: Club) -> None:
    club.bouncer.start()
    club.bouncer.hear(Revoked(frozenset({"s1"}), {"bob": Role.HOST}))

    def code(viewer: User | None, session: str | None) -> int | None:
        objection = club.bouncer.objection(Guest(viewer, session))
        return objection.code if objection else None

    asked = [(ANN, "s1"), (ANN, "s2"), (BOB, "s3"), (User("bob", "", "", Role.HOST), "s3"), (None, None)]
    expected = [CloseCode.NOT_ALLOWED, None, CloseCode.RESTARTING, None, None]
    assert [code(*who) for who in asked] == expected
    club.now_s = REMEMBERED_S
    club.let_in()
    await club.looking()
    assert [code(*who) for who in asked] == expected
    club.now_s = REMEMBERED_S + 1
    await club.looked()
    assert [code(*who) for who in asked] == [None] * 5


async def test_the_bus_brings_news_and_what_is_none_harms_nobody(club: Club) -> None:
    club.bouncer.start()
    socket = club.let_in(ANN, "s1")
    await asyncio.sleep(0)
    for message in ("", "no json", '{"sessions": 1}', "[]", Revoked(frozenset({"s1"})).text()):
        club.bell.listening[SUBJECT].put_nowait(message)
    await asyncio.wait_for(socket.closed.wait(), 5)
    assert socket.code == CloseCode.NOT_ALLOWED


async def test_the_database_is_asked_only_while_somebody_is_here_and_from_the_last_look_on(club: Club) -> None:
    club.bouncer.start()
    await asyncio.sleep(0.05)
    assert club.letters.looks == []
    socket, other = club.let_in(ANN, "s1"), club.let_in()
    await club.looking()
    await club.looked()
    club.letters.down = True
    await club.looked()
    club.letters.down, club.letters.now = False, 9_000
    await club.looked()
    assert club.letters.looks == [None, 1_000, 1_000, 9_000]  # what could not be looked up is looked up later
    club.letters.says = Revoked(frozenset({"s1"}))
    await club.looked()
    assert (socket.code, other.code) == (CloseCode.NOT_ALLOWED, None)
    for guest in (socket, other):
        club.hub.room("friday").remove(guest)  # type: ignore[arg-type]
    club.letters.may_answer.release()
    await asyncio.sleep(0.05)
    assert len(club.letters.looks) == 5
    club.let_in()
    await club.looking()
    assert club.letters.looks[5:] == [None]


async def test_hearing_the_same_again_asks_nobody(club: Club, monkeypatch: pytest.MonkeyPatch) -> None:
    said = Revoked(frozenset({"s1"}), {"ann": None})
    club.bouncer.hear(said)
    monkeypatch.setattr(club.hub, "everyone", lambda: pytest.fail("looked through the rooms again"))
    club.bouncer.hear(said)
    club.bouncer.hear(Revoked())
