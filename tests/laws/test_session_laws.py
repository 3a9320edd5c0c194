"""Laws of sessions, whatever Redis and the database do in between:

1. Who is not let in has no session that holds.
2. Who is let in has one that holds; or it was ended less than `COPY_S` ago while Redis could not be told.
3. There is an answer as long as the database is there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, invariant, rule

from server.accounts.sessions import COPY_S, Sessions, session_id
from server.domain.errors import Unavailable
from server.domain.session import SESSION_IDLE_S, SESSION_MAX_S
from server.domain.user import Role, User
from tests.unit.accounts.book import Book, Clock, Keep, settled

T = TypeVar("T")
PEOPLE = [User(letter * 32, "", letter, Role.VIEWER) for letter in "ab"]


class SessionMachine(RuleBasedStateMachine):
    """People sign in and out while the keep and the rows come and go."""

    ids = Bundle("ids")

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.book, self.keep = Book(self.clock), Keep(self.clock)
        self.book.users |= {person.id: person for person in PEOPLE}
        self.sessions = Sessions(self.book, self.keep)
        self.untold: dict[str, float] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T | None:
        async def done() -> T | None:
            try:
                return await work
            except Unavailable:
                return None
            finally:
                await settled()

        return self.runner.run(done())

    @rule(target=ids, person=st.sampled_from(PEOPLE))
    def sign_in(self, person: User) -> str:
        secret = self.run(self.sessions.open(person.id, ""))
        return session_id(secret) if secret else "f" * 32

    @rule(person=st.sampled_from(PEOPLE), but=st.one_of(st.none(), ids))
    def sign_out(self, person: User, but: str | None) -> None:
        held = {id_ for id_, row in self.book.rows.items() if row.user == person and not row.revoked and id_ != but}
        if self.run(self.sessions.end(person.id, but=but)) and self.keep.away:
            self.untold |= dict.fromkeys(held, self.clock.s)

    @rule(asked=ids)
    def ask(self, asked: str) -> None:
        async def asking() -> User | None:
            caller = await self.sessions.caller(asked)
            return caller.user if caller else None

        async def outcome() -> tuple[bool, User | None]:
            try:
                return True, await asking()
            except Unavailable:
                return False, None

        row = self.book.rows.get(asked)
        holds = row is not None and row.holds(self.clock.ms)
        answered, user = self.run(outcome()) or (False, None)
        if not answered:
            assert self.book.away, "law 3"
        elif user is None:
            assert not holds, "law 1"
        else:
            assert row is not None
            assert user == row.user
            ended_s = self.untold.get(asked)
            assert holds or (ended_s is not None and self.clock.s - ended_s < COPY_S), "law 2"

    @rule(s=st.sampled_from([1, 30, COPY_S - 1, COPY_S, 24 * 3600, SESSION_IDLE_S - COPY_S, SESSION_MAX_S]))
    def wait(self, s: float) -> None:
        self.clock.s += s

    @rule(keep=st.booleans(), book=st.booleans())
    def come_and_go(self, keep: bool, book: bool) -> None:
        self.keep.away, self.book.away = keep, book

    @rule()
    def empty_the_keep(self) -> None:
        self.keep._values.clear()

    @invariant()
    def nobody_waits(self) -> None:
        assert not self.sessions._waiting

    def teardown(self) -> None:
        self.runner.close()


SessionMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestSessions = SessionMachine.TestCase
