"""The audit trail of the admin: every change leaves a line in the transaction of the change."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncSession
from starlette.requests import Request
from starlette_admin.events import (
    AdminEvent,
    AdminEventSubscriber,
    AfterCreateContext,
    AfterDeleteContext,
    AfterEditContext,
    on,
)

from server.domain.user import User
from server.store import audit
from server.store.engine import Database

_VALUE_MAX = 200
"""Longest text of one value in a line, in characters: `audit.detail` holds 64 KiB, a description alone may be more."""


class Trail(AdminEventSubscriber):
    """Hears of every row the admin creates, edits or deletes before the COMMIT; when it fails, the change fails."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @on(AdminEvent.AFTER_CREATE)
    async def created(self, ctx: AfterCreateContext) -> None:
        """Writes `<view>.create` with the new row."""
        await self._write(ctx.request, f"{ctx.view_key}.create", ctx.obj.id, _facts(ctx.obj))

    @on(AdminEvent.AFTER_EDIT)
    async def edited(self, ctx: AfterEditContext) -> None:
        """Writes `<view>.edit` with what each changed field was and is; nothing when nothing changed."""
        changes = {
            name: {"from": _short(ctx.old_data[name]), "to": _short(now)}
            for name, now in _columns(ctx.obj).items()
            if name in ctx.old_data and ctx.old_data[name] != now
        }
        if changes:
            await self._write(ctx.request, f"{ctx.view_key}.edit", ctx.obj.id, changes)

    @on(AdminEvent.AFTER_DELETE)
    async def deleted(self, ctx: AfterDeleteContext) -> None:
        """Writes `<view>.delete` with the row as it was."""
        await self._write(ctx.request, f"{ctx.view_key}.delete", ctx.obj.id, _facts(ctx.obj))

    async def _write(self, request: Request, action: str, subject_id: str, detail: Mapping[str, object]) -> None:
        connection = await connection_of(request)
        now = await self._database.now_ms(connection)
        await audit.record(connection, now, actor_of(request), action, subject_id, detail)


async def connection_of(request: Request) -> AsyncConnection:
    """The connection of the request's unit of work, in its transaction."""
    session: AsyncSession = request.state.session
    return await session.connection()


def actor_of(request: Request) -> User:
    """The admin who asks: `Gate` let nobody else through."""
    actor: User = request.state.actor
    return actor


def _facts(row: Any) -> dict[str, object]:
    return {name: _short(value) for name, value in _columns(row).items() if name not in ("id", "created_at")}


def _columns(row: Any) -> dict[str, Any]:
    # what is not mapped (the password hash) cannot get here
    return {attribute.key: getattr(row, attribute.key) for attribute in inspect(type(row)).column_attrs}


def _short(value: Any) -> Any:
    if isinstance(value, str) and len(value) > _VALUE_MAX:
        return f"{value[:_VALUE_MAX]}… ({len(value)} characters)"
    return value
