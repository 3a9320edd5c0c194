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
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from server.accounts.sessions import COPY_S, ROW_ONLY_S, Sessions
from server.domain.errors import Unavailable
from server.domain.session import SESSION_IDLE_S, SESSION_MAX_S
from server.domain.user import Role, User
from tests.unit.accounts.book import Book, Clock, Keep, settled

T = TypeVar("T")
PEOPLE = [User(letter * 32, "", letter, Role.VIEWER) for letter in "ab"]


class SessionMachine(RuleBasedStateMachine):
    """People sign in and out while the keep and the rows come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.clock = Clock()
        self.book, self.keep = Book(self.clock), Keep(self.clock)
        self.book.users |= {person.id: person for person in PEOPLE}
        self.sessions = Sessions(self.book, self.keep)
        self.untold: dict[str, float] = {}

    def run(self, work: Coroutine[Any, Any, T]) -> T | None:
        """What comes of it, and of what follows it; None when it was not available."""

        async def done() -> T | None:
            try:
                return await work
            except Unavailable:
                return None
            finally:
                await settled()

        return self.runner.run(done())

    @initialize()
    def some_are_signed_in(self) -> None:
        for person in PEOPLE:
            self.sign_in(person)
            self.sign_in(person)

    @rule(person=st.sampled_from(PEOPLE))
    def sign_in(self, person: User) -> None:
        self.run(self.sessions.open(person.id, ""))

    @rule(person=st.sampled_from(PEOPLE), which=st.integers(0, 3), everywhere=st.booleans())
    def sign_out(self, person: User, which: int, everywhere: bool) -> None:
        held = [id_ for id_, row in self.book.rows.items() if row.user == person and not row.revoked]
        only = held[which % len(held)] if held and not everywhere else None
        if self.run(self.sessions.end(person.id, only=only)) and self.keep.away:
            self.untold |= dict.fromkeys([only] if only else held, self.clock.s)

    @rule()
    def ask_for_everyone(self) -> None:
        for id_, row in list(self.book.rows.items()):
            holds = row.holds(self.clock.ms)  # before the question: being asked for keeps a session alive
            answer = self.run(self._ask(id_))
            if answer is None:
                assert self.book.away, "law 3"
            elif answer == "nobody":
                assert not holds, "law 1"
            else:
                ended_s = self.untold.get(id_)
                assert holds or (ended_s is not None and self.clock.s - ended_s < COPY_S), "law 2"
                assert answer == row.user.id

    @rule(s=st.sampled_from([1, ROW_ONLY_S, COPY_S - 1, COPY_S]))
    def wait(self, s: float) -> None:
        self.clock.s += s

    @rule(s=st.sampled_from([24 * 3600, SESSION_IDLE_S - COPY_S, SESSION_IDLE_S, SESSION_MAX_S - COPY_S]))
    def wait_long(self, s: float) -> None:
        self.clock.s += s

    @rule()
    def all_is_well(self) -> None:
        self.keep.away = self.book.away = False

    @rule(keep=st.booleans())
    def something_goes(self, keep: bool) -> None:
        self.keep.away, self.book.away = keep, not keep

    @rule()
    def empty_the_keep(self) -> None:
        self.keep._values.clear()

    async def _ask(self, id_: str) -> str:
        caller = await self.sessions.caller(id_)
        return caller.user.id if caller else "nobody"

    @invariant()
    def nobody_waits(self) -> None:
        assert not self.sessions._rows._waiting

    def teardown(self) -> None:
        self.runner.close()


SessionMachine.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestSessions = SessionMachine.TestCase
