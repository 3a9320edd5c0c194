"""One contract over both databases: sessions as rows, and the letter that says what was revoked."""

from __future__ import annotations

import asyncio

import pytest
import pytest_asyncio
from sqlalchemy import event, select, update

from server.accounts.keep import MemoryKeep
from server.accounts.sessions import Sessions
from server.domain.session import SEEN_EVERY_S, SESSION_IDLE_S, SESSION_MAX_S, Caller, Revoked
from server.domain.user import Role, User
from server.store.engine import Database
from server.store.sessions import DEVICE_MAX, OVERLAP_S, SessionRows, change_standing
from server.store.tables import sessions, users
from server.store.users import Users

A, B, C = "a" * 32, "b" * 32, "c" * 32


@pytest_asyncio.fixture
async def ann(database: Database) -> User:
    return await Users(database).create(email="ann@example.com", name="Ann", role=Role.HOST, password_hash="$hash")


@pytest.fixture
def rows(database: Database) -> SessionRows:
    return SessionRows(database)


async def moved(database: Database, id_: str, **by_s: int | None) -> None:
    """Moves times of a row; None stands for now."""
    async with database.transaction() as connection:
        now = await database.now_ms(connection)
        times = {name: now + (s or 0) * 1000 for name, s in by_s.items()}
        await connection.execute(update(sessions).where(sessions.c.id == id_).values(**times))


async def kept(database: Database) -> set[str]:
    async with database.reading() as connection:
        return set((await connection.execute(select(sessions.c.id))).scalars())


async def test_a_session_is_found_with_its_user_as_of_now(database: Database, rows: SessionRows, ann: User) -> None:
    await rows.open(A, ann.id, "Firefox on Linux " + "x" * 100)
    now, (session,) = await rows.found({A, B})
    assert (session.id, session.user, len(session.device)) == (A, ann, DEVICE_MAX)
    assert session.created_at == session.seen_at == session.ends_at - SESSION_MAX_S * 1000
    assert session.created_at <= now
    assert session.holds(now)
    assert await rows.found({B}) == (0, [])
    async with database.transaction() as connection:
        await connection.execute(update(users).values(role=Role.ADMIN))
    assert (await rows.found({A}))[1][0].user.role is Role.ADMIN


@pytest.mark.parametrize(
    ("times", "holds"),
    [
        ({"seen_at": -SESSION_IDLE_S + 60}, True),
        ({"seen_at": -SESSION_IDLE_S}, False),
        ({"ends_at": 60}, True),
        ({"ends_at": 0}, False),
        ({"revoked_at": 0}, False),
    ],
)
async def test_a_session_holds_while_it_is_used_not_too_old_and_not_revoked(
    database: Database, rows: SessionRows, ann: User, times: dict[str, int], holds: bool
) -> None:
    await rows.open(A, ann.id, "")
    await moved(database, A, **times)
    now, (session,) = await rows.found([A])
    assert session.holds(now) is holds
    assert [listed.id for listed in await rows.of_user(ann.id)] == ([A] if holds else [])


async def test_a_disabled_users_session_does_not_hold(database: Database, rows: SessionRows, ann: User) -> None:
    await rows.open(A, ann.id, "")
    async with database.transaction() as connection:
        await connection.execute(update(users).values(disabled_at=1))
    now, (session,) = await rows.found([A])
    assert not session.holds(now)
    assert await Users(database).by_id(ann.id) is None
    assert await Users(database).by_email("ann@example.com") == (ann, None)


async def test_use_is_noted_only_where_it_was_not_lately(database: Database, rows: SessionRows, ann: User) -> None:
    for id_ in (A, B):
        await rows.open(id_, ann.id, "")
    await moved(database, A, seen_at=-SEEN_EVERY_S - 1)
    await moved(database, B, seen_at=-SEEN_EVERY_S + 60)
    before = {session.id: session.seen_at for session in (await rows.found([A, B]))[1]}
    await asyncio.gather(rows.note([A, B]), rows.note([B, A]))
    now, found = await rows.found([A, B])
    after = {session.id: session.seen_at for session in found}
    assert now - after[A] < 60_000
    assert after[B] == before[B]


async def test_the_list_is_by_last_use(database: Database, rows: SessionRows, ann: User) -> None:
    for id_, seen_s in ((A, -500), (B, -100), (C, -300)):
        await rows.open(id_, ann.id, "")
        await moved(database, id_, seen_at=seen_s)
    assert [session.id for session in await rows.of_user(ann.id)] == [B, C, A]
    assert await rows.of_user(C) == []


async def test_sessions_are_ended_one_or_all_or_all_but_one_and_only_their_owners(
    database: Database, rows: SessionRows, ann: User
) -> None:
    bob = await Users(database).create(email="bob@example.com", name="Bob", role=Role.VIEWER, password_hash=None)
    for id_, owner in ((A, ann), (B, ann), (C, bob)):
        await rows.open(id_, owner.id, "")
    assert await rows.end(bob.id, only=A) == []
    assert await rows.end(ann.id, but=A) == [B]
    assert [session.id for session in await rows.of_user(ann.id)] == [A]
    _, said = await rows.revoked_since(None)
    assert said == Revoked(frozenset({B}))
    assert await rows.end(ann.id, only=B) == [B]  # again: the same answer, and not a new time
    assert await rows.end(ann.id) == [A, B]
    assert (await rows.revoked_since(None))[1].sessions == {A, B}
    assert [session.id for session in await rows.of_user(bob.id)] == [C]


async def test_what_is_long_over_is_swept_out_at_the_next_sign_in(
    database: Database, rows: SessionRows, ann: User
) -> None:
    ids = [f"{n:032x}" for n in range(6)]
    for id_ in ids:
        await rows.open(id_, ann.id, "")
    day = 24 * 3600
    await moved(database, ids[0], ends_at=-1)
    await moved(database, ids[1], seen_at=-SESSION_IDLE_S - 1)
    await moved(database, ids[2], revoked_at=-day - 1)
    await moved(database, ids[3], revoked_at=-day + 60)
    await moved(database, ids[4], seen_at=-day)
    await rows.open(A, ann.id, "")
    assert await kept(database) == {ids[3], ids[4], ids[5], A}


# The letter


async def test_a_look_reaches_back_behind_the_one_before(database: Database, rows: SessionRows, ann: User) -> None:
    for id_ in (A, B, C):
        await rows.open(id_, ann.id, "")
    await moved(database, A, revoked_at=-OVERLAP_S + 10)
    await moved(database, B, revoked_at=-OVERLAP_S - 10)
    now, said = await rows.revoked_since(None)
    assert said == Revoked(frozenset({A}))
    assert (await rows.revoked_since(now))[1] == Revoked(frozenset({A}))
    assert (await rows.revoked_since(now - 20_000))[1] == Revoked(frozenset({A, B}))
    assert (await rows.revoked_since(now + OVERLAP_S * 1000))[1] == Revoked()


async def test_a_revocation_that_is_committed_after_a_later_look_is_found_by_the_next(
    database: Database, rows: SessionRows, ann: User
) -> None:
    """The row is stamped, another replica looks, and only then it is committed."""
    if database.is_sqlite:
        return  # one writer and no reader in between: nothing to fall through
    await rows.open(A, ann.id, "")
    async with database.transaction() as connection:
        await change_standing(connection, database, ann.id)
        await connection.execute(update(sessions).values(revoked_at=database.clock()))
        await asyncio.sleep(0.05)
        looked, said = await rows.revoked_since(None)
        assert said == Revoked()
    _, said = await rows.revoked_since(looked)
    assert said == Revoked(frozenset({A}), {ann.id: Role.HOST})


async def test_a_changed_role_is_told_with_the_role_of_now_and_ends_no_session(
    database: Database, rows: SessionRows, ann: User
) -> None:
    await rows.open(A, ann.id, "")
    async with database.transaction() as connection:
        await connection.execute(update(users).values(role=Role.VIEWER))
        assert await change_standing(connection, database, ann.id) == ([A], Revoked(users={ann.id: Role.VIEWER}))
    assert (await rows.revoked_since(None))[1] == Revoked(users={ann.id: Role.VIEWER})
    assert [session.id for session in await rows.of_user(ann.id)] == [A]


async def test_disabling_ends_every_session(database: Database, rows: SessionRows, ann: User) -> None:
    for id_ in (A, B):
        await rows.open(id_, ann.id, "")
    async with database.transaction() as connection:
        await connection.execute(update(users).values(disabled_at=1))
        stale, revoked = await change_standing(connection, database, ann.id)
    assert (sorted(stale), revoked) == ([A, B], Revoked(frozenset({A, B}), {ann.id: None}))
    assert (await rows.revoked_since(None))[1] == revoked
    async with database.transaction() as connection:
        await connection.execute(update(users).values(disabled_at=None))
    assert await rows.of_user(ann.id) == []


# The crowd


async def test_a_crowd_shares_its_statements(database: Database, rows: SessionRows, ann: User) -> None:
    cloakroom = Sessions(rows, MemoryKeep())
    ids = [f"{n:032x}" for n in range(600)]
    async with database.transaction() as connection:
        now = await database.now_ms(connection)
        row = {"user_id": ann.id, "device": "", "created_at": now, "seen_at": now, "ends_at": now + SESSION_MAX_S}
        await connection.execute(sessions.insert(), [{"id": id_, **row} for id_ in ids])
        await connection.execute(update(sessions).values(ends_at=now + 60_000))
    statements: list[str] = []
    event.listen(database.engine.sync_engine, "before_cursor_execute", lambda *said: statements.append(said[2]))
    callers = await asyncio.gather(*(cloakroom.caller(id_) for id_ in ids))
    assert callers == [Caller(ann, id_) for id_ in ids]
    assert len([said for said in statements if "FROM sessions" in said]) <= 3


async def test_the_questions_of_every_second_and_of_every_miss_are_served_by_keys(
    database: Database, rows: SessionRows, ann: User
) -> None:
    if database.is_sqlite:
        return
    async with database.transaction() as connection:
        now = await database.now_ms(connection)
        row = {"user_id": ann.id, "device": "", "created_at": now, "seen_at": now, "ends_at": now}
        await connection.execute(sessions.insert(), [{"id": f"{n:032x}", **row} for n in range(2000)])
        await connection.execute(
            users.insert(),
            [{"id": f"{n:032x}", "name": "Guest", "role": "viewer", "created_at": now} for n in range(2000)],
        )
        await connection.exec_driver_sql("ANALYZE TABLE sessions, users")
        for query, key in (
            ("SELECT id FROM sessions WHERE revoked_at >= '2020-01-01'", "sessions_revoked"),
            ("SELECT id FROM users WHERE changed_at >= '2020-01-01'", "users_changed"),
            (f"SELECT * FROM sessions WHERE user_id = '{A}'", "sessions_user"),
            (f"SELECT * FROM sessions WHERE id IN ('{A}', '{B}')", "PRIMARY"),
        ):
            explained = (await connection.exec_driver_sql("EXPLAIN " + query)).mappings().all()
            assert [line["key"] for line in explained] == [key], query
