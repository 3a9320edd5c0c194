"""Users: who may sign in, and as what."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import RowMapping, delete, func, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.errors import Reason, Refused
from server.domain.ids import new_id
from server.domain.session import Revoked
from server.domain.user import Role, User
from server.domain.views import StreamStatus
from server.store import audit
from server.store.engine import Database, is_duplicate
from server.store.tables import mails, sessions, streams, users

REMOVED_NAME = "Former member"
"""What others read where a person was: the word says neither who nor why."""

_INSERT_ROWS_MAX = 1_000


class Users:
    """Accounts and their password hashes."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, *, email: str, name: str, role: Role, password_hash: str | None) -> User:
        """Creates a user. Raises `Refused` (`conflict`) when the address has an account."""
        user = User(new_id(), email, name, role)
        try:
            async with self._database.transaction() as connection:
                await self._insert(connection, [user], password_hash)
        except IntegrityError as error:
            if is_duplicate(error):
                raise Refused(Reason.CONFLICT, f"there is an account for {email} already") from None
            raise
        return user

    async def create_nameless(self, count: int) -> list[User]:
        """Makes viewer accounts without address or password, for rehearsals: they join by ticket only."""
        made = [User(new_id(), "", f"Guest of rehearsal {n + 1}", Role.VIEWER) for n in range(count)]
        for start in range(0, count, _INSERT_ROWS_MAX):
            async with self._database.transaction() as connection:
                await self._insert(connection, made[start : start + _INSERT_ROWS_MAX], None)
        return made

    async def by_email(self, email: str) -> tuple[User, str | None] | None:
        """The account of an address with its password hash; a disabled one has none to sign in with."""
        async with self._database.reading() as connection:
            row = (await connection.execute(select(users).where(users.c.email == email))).mappings().one_or_none()
        if row is None:
            return None
        return user_of(row), row["password_hash"] if row["disabled_at"] is None else None

    async def by_id(self, user_id: str) -> User | None:
        """The account of an id; None when there is none, or it is disabled."""
        query = select(users).where(users.c.id == user_id, users.c.disabled_at.is_(None))
        async with self._database.reading() as connection:
            row = (await connection.execute(query)).mappings().one_or_none()
        return None if row is None else user_of(row)

    async def set_password(self, user_id: str, password_hash: str) -> None:
        """Replaces a password hash."""
        async with self._database.transaction() as connection:
            await connection.execute(update(users).where(users.c.id == user_id).values(password_hash=password_hash))

    async def set_name(self, user_id: str, name: str) -> None:
        """Replaces a name."""
        async with self._database.transaction() as connection:
            await connection.execute(update(users).where(users.c.id == user_id).values(name=name))

    async def set_email(self, user_id: str, email: str) -> None:
        """Replaces an address. Raises `Refused` (`conflict`) when the new one has an account."""
        try:
            async with self._database.transaction() as connection:
                await connection.execute(update(users).where(users.c.id == user_id).values(email=email))
        except IntegrityError as error:
            if is_duplicate(error):
                raise Refused(Reason.CONFLICT, f"there is an account for {email} already") from None
            raise

    async def remove(self, user: User) -> tuple[list[str], Revoked]:
        """Takes the person out of a user: address, password, name, role, sessions, mails that wait; the row stays for
        orders, disabled. Gives the ids of the sessions, whose copies are out of date, and what to tell after COMMIT.

        Raises `Refused` for a host whose streams are not over, and for the last admin who can sign in.
        """

        async def work(connection: AsyncConnection) -> tuple[list[str], Revoked]:
            own = select(users.c.role).where(users.c.id == user.id).with_for_update()
            is_admin = (await connection.execute(own)).scalar_one() == Role.ADMIN
            if is_admin and not await another_admin(connection, user.id):
                raise Refused(Reason.CONFLICT, "you are the only admin: make somebody else an admin first")
            unfinished = select(func.count()).select_from(streams)
            unfinished = unfinished.where(streams.c.host_id == user.id, streams.c.status != StreamStatus.ENDED)
            left = (await connection.execute(unfinished)).scalar_one()
            if left:
                raise Refused(Reason.CONFLICT, f"end your streams first: {left} of them are live or scheduled")
            now = await self._database.now_ms(connection)
            # disabled: a sign-in that was under way opens a session that does not hold, and replicas that heard nothing
            # still read whose sockets to close, with no session left to read it from
            gone = {"email": None, "password_hash": None, "name": REMOVED_NAME, "role": Role.VIEWER}
            row = update(users).where(users.c.id == user.id)
            await connection.execute(row.values(gone).values(disabled_at=now, changed_at=now))
            held = select(sessions.c.id).where(sessions.c.user_id == user.id).order_by(sessions.c.id).with_for_update()
            ended = list((await connection.execute(held)).scalars())
            await connection.execute(delete(sessions).where(sessions.c.user_id == user.id))
            await connection.execute(delete(mails).where(mails.c.address == user.email))
            await audit.record(connection, now, user, "user.remove", user.id, {})
            return ended, Revoked(frozenset(ended), {user.id: None})

        return await self._database.run(work)

    async def _insert(self, connection: AsyncConnection, made: Sequence[User], password_hash: str | None) -> None:
        now = await self._database.now_ms(connection)
        await connection.execute(
            users.insert(),
            [
                {
                    "id": user.id,
                    "email": user.email or None,
                    "name": user.name,
                    "role": user.role,
                    "password_hash": password_hash,
                    "created_at": now,
                }
                for user in made
            ],
        )


async def another_admin(connection: AsyncConnection, user_id: str) -> bool:
    """Whether an admin beside this one can sign in: neither disabled nor without a password.

    Locks all of them until the transaction ends, so that of two last admins who go at once, or send each other away,
    one waits (or is told to repeat) and then sees it.
    """
    able = select(users.c.id).where(
        users.c.role == Role.ADMIN, users.c.password_hash.is_not(None), users.c.disabled_at.is_(None)
    )
    found = (await connection.execute(able.order_by(users.c.id).with_for_update())).scalars().all()
    return bool(set(found) - {user_id})


def user_of(row: RowMapping) -> User:
    """The user of a row, alone or joined with others."""
    return User(row[users.c.id], row[users.c.email] or "", row[users.c.name], Role(row[users.c.role]))
