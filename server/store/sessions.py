"""Sessions as rows: the truth about who is signed in, and what replicas read when the bus said nothing."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from sqlalchemy import RowMapping, Select, and_, delete, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.session import SEEN_EVERY_S, SESSION_IDLE_S, SESSION_MAX_S, Revoked, Session
from server.domain.user import Role
from server.store.engine import Database
from server.store.tables import sessions, users
from server.store.users import user_of

LISTED_MAX = 100
"""Sessions of one user that are listed: those used last."""

DEVICE_MAX = 64

OVERLAP_S = 60
"""How far a look for revocations reaches back behind the one before: a row is stamped before its COMMIT."""

_FORGOTTEN_AFTER_S = 24 * 3600  # a revoked row has been read by every replica long before


class SessionRows:
    """The sessions of the database. Every call may raise `Unavailable`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def open(self, session_id: str, user_id: str, device: str) -> None:
        """Adds a session, and sweeps out those of its user that are long over."""
        async with self._database.transaction() as connection:
            now = await self._database.now_ms(connection)
            await connection.execute(delete(sessions).where(sessions.c.user_id == user_id, _long_over(now)))
            await connection.execute(
                sessions.insert().values(
                    id=session_id,
                    user_id=user_id,
                    device=device[:DEVICE_MAX],
                    created_at=now,
                    seen_at=now,
                    ends_at=now + SESSION_MAX_S * 1000,
                )
            )

    async def found(self, ids: Collection[str]) -> tuple[int, list[Session]]:
        """Those of some sessions that have a row, with the database's clock; in one statement, however many."""
        query = self._whole().where(sessions.c.id.in_(sorted(ids)))
        async with self._database.reading() as connection:
            rows = (await connection.execute(query)).mappings().all()
        return (rows[0]["now"] if rows else 0), [_session(row) for row in rows]

    async def note(self, ids: Collection[str]) -> None:
        """Notes that these sessions are in use, where that was not noted lately."""

        async def work(connection: AsyncConnection) -> None:
            now = await self._database.now_ms(connection)
            stale = sessions.c.seen_at <= now - SEEN_EVERY_S * 1000
            await connection.execute(update(sessions).where(sessions.c.id.in_(sorted(ids)), stale).values(seen_at=now))

        await self._database.run(work)

    async def of_user(self, user_id: str) -> list[Session]:
        """A user's sessions that hold, the one used last first; at most `LISTED_MAX`."""
        query = self._whole().where(sessions.c.user_id == user_id, sessions.c.revoked_at.is_(None))
        async with self._database.reading() as connection:
            latest_first = query.order_by(sessions.c.seen_at.desc(), sessions.c.id).limit(LISTED_MAX)
            rows = (await connection.execute(latest_first)).mappings().all()
        return [session for row in rows if (session := _session(row)).holds(row["now"])]

    async def end(self, user_id: str, *, only: str | None = None, but: str | None = None) -> list[str]:
        """Ends a user's sessions: all, `only` one, or all `but` one. Their ids, with those ended before."""

        async def work(connection: AsyncConnection) -> list[str]:
            return await _end(connection, self._database, user_id, only=only, but=but)

        return await self._database.run(work)

    async def revoked_since(self, since_ms: int | None) -> tuple[int, Revoked]:
        """What was revoked since a look, or lately when there was none, and the database's clock for the next look."""
        async with self._database.reading() as connection:
            now = await self._database.now_ms(connection)
            since = (now if since_ms is None else since_ms) - OVERLAP_S * 1000
            ended = await connection.execute(select(sessions.c.id).where(sessions.c.revoked_at >= since))
            changed = await connection.execute(
                select(users.c.id, users.c.role, users.c.disabled_at).where(users.c.changed_at >= since)
            )
            roles = {row.id: Role(row.role) if row.disabled_at is None else None for row in changed}
        return now, Revoked(frozenset(ended.scalars()), roles)

    def _whole(self) -> Select[Any]:
        return select(sessions, users, self._database.clock().label("now")).join(
            users, users.c.id == sessions.c.user_id
        )


async def change_standing(connection: AsyncConnection, database: Database, user_id: str) -> tuple[list[str], Revoked]:
    """Follows a change of a user's role or `disabled_at`, in the transaction of the change.

    Ends the sessions of one who is disabled. Gives the ids of the sessions whose copies are out of date, and what to
    tell after COMMIT.
    """
    await connection.execute(update(users).where(users.c.id == user_id).values(changed_at=database.clock()))
    user = (await connection.execute(select(users).where(users.c.id == user_id))).mappings().one()
    if user["disabled_at"] is not None:
        ended = await _end(connection, database, user_id)
        return ended, Revoked(frozenset(ended), {user_id: None})
    held = await connection.execute(
        select(sessions.c.id).where(sessions.c.user_id == user_id, sessions.c.revoked_at.is_(None))
    )
    return list(held.scalars()), Revoked(users={user_id: Role(user["role"])})


async def _end(
    connection: AsyncConnection, database: Database, user_id: str, *, only: str | None = None, but: str | None = None
) -> list[str]:
    query = select(sessions.c.id, sessions.c.revoked_at).where(sessions.c.user_id == user_id)
    if only is not None:
        query = query.where(sessions.c.id == only)
    if but is not None:
        query = query.where(sessions.c.id != but)
    rows: Sequence[Any] = (await connection.execute(query.order_by(sessions.c.id).with_for_update())).all()
    held = [row.id for row in rows if row.revoked_at is None]
    if held:
        now = await database.now_ms(connection)
        await connection.execute(update(sessions).where(sessions.c.id.in_(held)).values(revoked_at=now))
    return [row.id for row in rows]


def _long_over(now: int) -> Any:
    return or_(
        sessions.c.ends_at < now,
        sessions.c.seen_at < now - SESSION_IDLE_S * 1000,
        and_(sessions.c.revoked_at.is_not(None), sessions.c.revoked_at < now - _FORGOTTEN_AFTER_S * 1000),
    )


def _session(row: RowMapping) -> Session:
    return Session(
        id=row[sessions.c.id],
        user=user_of(row),
        device=row[sessions.c.device],
        created_at=row[sessions.c.created_at],
        seen_at=row[sessions.c.seen_at],
        ends_at=row[sessions.c.ends_at],
        revoked=row[sessions.c.revoked_at] is not None or row[users.c.disabled_at] is not None,
    )
