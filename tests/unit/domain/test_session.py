"""How long a session holds, and what is told of one that does not."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.bus.names import REVOKED
from server.domain.session import SEEN_EVERY_S, SESSION_IDLE_S, SESSION_MAX_S, Revoked, Session
from server.domain.user import Role, User
from server.domain.views import is_slug

ANN = User("a" * 32, "ann@example.com", "Ann", Role.VIEWER)


def session(seen_at: int = 0, ends_at: int = SESSION_MAX_S * 1000, *, revoked: bool = False) -> Session:
    return Session("s" * 32, ANN, "", 0, seen_at, ends_at, revoked)


def test_a_session_holds_until_its_end_or_two_weeks_without_use() -> None:
    assert session().holds(SESSION_IDLE_S * 1000 - 1)
    assert not session().holds(SESSION_IDLE_S * 1000)
    used = session(seen_at=SESSION_MAX_S * 1000 - 1)
    assert used.holds(SESSION_MAX_S * 1000 - 1)
    assert not used.holds(SESSION_MAX_S * 1000)
    assert not session(revoked=True).holds(0)


def test_use_is_worth_noting_every_few_minutes() -> None:
    assert not session().is_worth_noting(SEEN_EVERY_S * 1000 - 1)
    assert session().is_worth_noting(SEEN_EVERY_S * 1000)


@given(st.frozensets(st.text()), st.dictionaries(st.text(), st.one_of(st.none(), st.sampled_from(Role))))
def test_what_was_revoked_comes_over_the_bus_as_it_went(
    sessions: frozenset[str], users: dict[str, Role | None]
) -> None:
    revoked = Revoked(sessions, users)
    assert Revoked.read(revoked.text()) == revoked
    assert revoked.text()  # an empty message means another thing on the bus


@pytest.mark.parametrize("text", ["", "x", "[]", '{"sessions": [1]}', '{"users": {"a": "god"}}'])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(msgspec.DecodeError):
        Revoked.read(text)


def test_the_channel_of_revocations_is_no_streams() -> None:
    assert not is_slug(REVOKED)
