"""The audit trail: who did what, written in the transaction of the change."""

from __future__ import annotations

import json
from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from server.domain.errors import Reason, Refused
from server.domain.ids import new_id
from server.domain.user import User
from server.store.tables import audit


async def record(
    connection: AsyncConnection,
    at_ms: int,
    actor: User | None,
    action: str,
    subject_id: str,
    detail: Mapping[str, object],
    ref: str | None = None,
) -> None:
    """Adds a line. `actor` None is the system itself; `ref` makes the command answerable again by `done_before`."""
    await connection.execute(
        audit.insert().values(
            id=new_id(),
            at=at_ms,
            actor_id=actor.id if actor else None,
            action=action,
            subject_id=subject_id,
            detail=_text(detail),
            ref=ref,
        )
    )


async def done_before(
    connection: AsyncConnection, actor: User, action: str, subject_id: str, detail: Mapping[str, object], ref: str
) -> bool:
    """Whether this actor's very command under this `ref` is already done. Raises `Refused` if it was another one."""
    row = (
        await connection.execute(
            select(audit.c.action, audit.c.subject_id, audit.c.detail).where(
                audit.c.actor_id == actor.id, audit.c.ref == ref
            )
        )
    ).first()
    if row is None:
        return False
    if tuple(row) != (action, subject_id, _text(detail)):
        raise Refused(Reason.CONFLICT, "this ref was used for another command: choose a new one")
    return True


def _text(detail: Mapping[str, object]) -> str:
    return json.dumps(detail, sort_keys=True)
