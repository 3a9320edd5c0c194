"""Mails that wait to be sent: the queue that survives a restart."""

from __future__ import annotations

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.errors import Reason, Refused
from server.domain.ids import new_id
from server.domain.mail import Mail, Purpose
from server.store.engine import Database
from server.store.tables import mails

MAILS_MAX = 10_000
"""Mails that wait. When full, whoever needs a further one is told to come back. Approximate: writers look unlocked."""


class Mails:
    """Rows of mails, each claimed by one replica at a time."""

    def __init__(self, database: Database, *, most: int = MAILS_MAX) -> None:
        self._database = database
        self._most = most

    async def add(self, purpose: Purpose, address: str, nonce: str, ttl_s: int) -> None:
        """A mail to be sent within so long. Raises `Refused` (`busy`) when too many wait."""
        async with self._database.transaction() as connection:
            if (await connection.execute(select(mails.c.id).limit(1).offset(self._most - 1))).first() is not None:
                raise Refused(Reason.BUSY, "too many mails wait to be sent: try again in a minute", retry_after_s=60)
            now = await self._database.now_ms(connection)
            await connection.execute(
                mails.insert().values(
                    id=new_id(),
                    purpose=purpose,
                    address=address,
                    nonce=nonce,
                    tries=0,
                    due_at=now,
                    expires_at=now + ttl_s * 1000,
                )
            )

    async def claim(self, most: int, lease_s: int) -> tuple[list[Mail], list[Mail]]:
        """Mails that are due, oldest first, for this replica alone for so long; and expired ones, which are deleted."""

        async def work(connection: AsyncConnection) -> tuple[list[Mail], list[Mail]]:
            clock = self._database.clock()
            query = select(mails, clock.label("now")).where(mails.c.due_at <= clock)
            query = query.order_by(mails.c.due_at, mails.c.id).limit(most)
            # another replica's rows are passed over, not waited for; SQLite has one writer anyway
            rows = (await connection.execute(query.with_for_update(skip_locked=True))).mappings().all()
            if not rows:
                return [], []
            now = rows[0]["now"]
            due = [row["id"] for row in rows if row["expires_at"] > now]
            expired = [row["id"] for row in rows if row["expires_at"] <= now]
            if due:
                leased = {"due_at": now + lease_s * 1000, "tries": mails.c.tries + 1}
                await connection.execute(update(mails).where(mails.c.id.in_(due)).values(leased))
            if expired:
                await connection.execute(delete(mails).where(mails.c.id.in_(expired)))
            found = {
                row["id"]: Mail(row["id"], Purpose(row["purpose"]), row["address"], row["nonce"], row["tries"] + 1)
                for row in rows
            }
            return [found[id_] for id_ in due], [found[id_] for id_ in expired]

        return await self._database.run(work)

    async def done(self, mail_id: str) -> None:
        """Forgets a mail: nothing of it is kept."""
        async with self._database.transaction() as connection:
            await connection.execute(delete(mails).where(mails.c.id == mail_id))

    async def later(self, mail_id: str, wait_s: int) -> None:
        """A mail to be tried again after so long."""
        async with self._database.transaction() as connection:
            now = await self._database.now_ms(connection)
            await connection.execute(update(mails).where(mails.c.id == mail_id).values(due_at=now + wait_s * 1000))

    async def waiting(self) -> int:
        """How many wait."""
        async with self._database.reading() as connection:
            return int((await connection.execute(select(func.count()).select_from(mails))).scalar_one())
