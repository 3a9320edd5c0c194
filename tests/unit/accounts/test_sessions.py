"""Sessions between their rows and their copies: which is believed when, and what a crowd costs."""

from __future__ import annotations

import asyncio

import pytest

from server import together
from server.accounts.sessions import COPY_S, ROW_ONLY_S, Sessions, session_id
from server.domain.errors import Unavailable
from server.domain.session import SEEN_EVERY_S, Caller, Revoked
from server.domain.user import Role, User
from tests.unit.accounts.book import Book, Clock, Keep, settled

ANN = User("a" * 32, "ann@example.com", "Ann", Role.VIEWER)


class Cloakroom:
    """Sessions with both their sides in the test's hands."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.book, self.keep = Book(self.clock), Keep(self.clock)
        self.book.users[ANN.id] = ANN
        self.told: list[Revoked] = []
        self.sessions = Sessions(self.book, self.keep, self._tell)

    async def _tell(self, revoked: Revoked) -> None:
        self.told.append(revoked)

    async def opened(self) -> str:
        return session_id(await self.sessions.open(ANN.id, "Firefox on Linux"))


@pytest.fixture
async def room() -> Cloakroom:
    return Cloakroom()


async def test_a_row_is_copied_once_and_read_again_when_the_copy_is_old(room: Cloakroom) -> None:
    id_ = await room.opened()
    for _ in range(3):
        assert await room.sessions.caller(id_) == Caller(ANN, id_)
        await settled()
    assert len(room.book.reads) == 1
    room.clock.s += COPY_S
    assert await room.sessions.caller(id_) == Caller(ANN, id_)
    assert len(room.book.reads) == 2


async def test_an_emptied_keep_signs_nobody_out(room: Cloakroom) -> None:
    id_ = await room.opened()
    await room.sessions.caller(id_)
    await settled()
    room.keep._values.clear()
    assert await room.sessions.caller(id_) == Caller(ANN, id_)


async def test_with_the_keep_away_rows_are_read_and_nothing_is_copied(room: Cloakroom) -> None:
    room.keep.away = True
    id_ = await room.opened()
    assert await room.sessions.caller(id_) == Caller(ANN, id_)
    await settled()
    assert await room.sessions.end(ANN.id)
    assert await room.sessions.caller(id_) is None
    room.keep.away = False
    assert room.keep._values == {}


async def test_with_both_away_there_is_no_answer(room: Cloakroom) -> None:
    id_ = await room.opened()
    room.keep.away = room.book.away = True
    ends = await asyncio.gather(*(room.sessions.caller(id_) for _ in range(3)), return_exceptions=True)
    assert {type(end) for end in ends} == {Unavailable}
    room.book.away = False
    assert await room.sessions.caller(id_) == Caller(ANN, id_)


async def test_with_the_rows_away_copies_are_believed(room: Cloakroom) -> None:
    id_ = await room.opened()
    await room.sessions.caller(id_)
    await settled()
    room.book.away = True
    assert await room.sessions.caller(id_) == Caller(ANN, id_)


async def test_of_a_crowd_the_first_is_read_alone_and_all_others_together(room: Cloakroom) -> None:
    ids = [await room.opened() for _ in range(400)]
    room.keep.away = True
    first = asyncio.create_task(room.sessions.caller(ids[0]))
    callers = await asyncio.gather(first, *(room.sessions.caller(id_) for id_ in ids[1:]), room.sessions.caller(ids[1]))
    assert callers == [Caller(ANN, id_) for id_ in (*ids, ids[1])]
    assert len(room.book.reads) <= 2
    assert set().union(*room.book.reads) == set(ids)


async def test_more_than_may_wait_are_unavailable_at_once(room: Cloakroom, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(together, "WAITING_MAX", 3)
    ids = [await room.opened() for _ in range(5)]
    ends = await asyncio.gather(*(room.sessions.caller(id_) for id_ in ids), return_exceptions=True)
    assert [type(end) for end in ends] == [Caller] * 3 + [Unavailable] * 2


async def test_one_who_leaves_while_waiting_takes_nobody_along(room: Cloakroom) -> None:
    ids = [await room.opened() for _ in range(3)]
    asking = [asyncio.create_task(room.sessions.caller(id_)) for id_ in ids]
    await asyncio.sleep(0)
    asking[1].cancel()
    assert await asking[0] == Caller(ANN, ids[0])
    assert await asking[2] == Caller(ANN, ids[2])


async def test_an_ended_session_is_over_at_once_and_everybody_is_told(room: Cloakroom) -> None:
    id_, other = await room.opened(), await room.opened()
    for asked in (id_, other):
        await room.sessions.caller(asked)
    await settled()
    assert await room.sessions.end(ANN.id, only=id_)
    assert await room.sessions.caller(id_) is None
    assert await room.sessions.caller(other) == Caller(ANN, other)
    assert room.told == [Revoked(frozenset({id_}))]
    assert not await room.sessions.end("b" * 32)
    assert len(room.told) == 1


async def test_a_reader_that_was_faster_than_the_end_does_not_bring_the_session_back(room: Cloakroom) -> None:
    """The row is read, the session is ended, and only then the copy of what was read arrives."""
    id_ = await room.opened()
    room.keep.may_add.clear()
    assert await room.sessions.caller(id_) == Caller(ANN, id_)
    await room.sessions.end(ANN.id)
    room.keep.may_add.set()
    await settled()
    assert await room.sessions.caller(id_) is None
    room.clock.s += ROW_ONLY_S
    assert await room.sessions.caller(id_) is None


async def test_a_changed_role_counts_from_the_next_question_on(room: Cloakroom) -> None:
    id_ = await room.opened()
    await room.sessions.caller(id_)
    await settled()
    host = room.book.users[ANN.id] = User(ANN.id, ANN.email, ANN.name, Role.HOST)
    assert await room.sessions.caller(id_) == Caller(ANN, id_)  # the control: the copy is believed
    revoked = Revoked(users={ANN.id: Role.HOST})
    await room.sessions.revoke(revoked, [id_])
    assert await room.sessions.caller(id_) == Caller(host, id_)
    assert room.told == [revoked]


async def test_a_new_name_shows_from_the_next_question_on_and_nobody_is_told_to_leave(room: Cloakroom) -> None:
    id_ = await room.opened()
    await room.sessions.caller(id_)
    await settled()
    anna = room.book.users[ANN.id] = User(ANN.id, ANN.email, "Anna", Role.VIEWER)
    await room.sessions.refresh(ANN.id)
    assert await room.sessions.caller(id_) == Caller(anna, id_)
    assert room.told == []


async def test_without_copies_an_end_that_the_keep_does_not_hear_of_counts_at_once(room: Cloakroom) -> None:
    """The control shows that with copies the keep is believed."""
    without = Sessions(room.book, room.keep, copies=False)
    for sessions, let_in in ((room.sessions, True), (without, False)):
        id_ = session_id(await sessions.open(ANN.id, ""))
        for _ in range(2):
            assert await sessions.caller(id_) == Caller(ANN, id_)
            await settled()
        await room.book.end(ANN.id, only=id_)  # by somebody who cannot reach the keep
        assert (await sessions.caller(id_) is not None) is let_in


async def test_what_is_over_is_read_once_in_a_while_however_often_it_is_asked_for(room: Cloakroom) -> None:
    for _ in range(5):
        assert await room.sessions.caller("f" * 32) is None
        await settled()
    assert len(room.book.reads) == 1


async def test_use_is_noted_every_few_minutes_and_not_per_question(room: Cloakroom) -> None:
    id_ = await room.opened()
    room.keep.away = True  # so that every question reads the row
    for _ in range(10):
        await room.sessions.caller(id_)
        await settled()
    assert room.book.notes == []
    room.clock.s += SEEN_EVERY_S
    for _ in range(10):
        await room.sessions.caller(id_)
        await settled()
    assert room.book.notes == [{id_}]
