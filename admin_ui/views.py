# ruff: noqa: ARG002  the signatures are the library's
"""What every view has in common: readable, exported, and closed to changes unless a view says otherwise."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import Any, ClassVar

from sqlalchemy import ColumnElement, inspect
from sqlalchemy.exc import IntegrityError, SQLAlchemyError
from starlette.requests import Request
from starlette.responses import Response
from starlette_admin import BaseField
from starlette_admin.actions import ActionSelection
from starlette_admin.contrib.sqla import ModelView
from starlette_admin.exceptions import ActionFailed
from starlette_admin.export.csv import CsvExporter

from admin_ui.fields import holds, refuse
from admin_ui.rows import Row
from server.store.engine import Database, is_duplicate


class View(ModelView):
    """A table: readable, exported as CSV and JSON, newest first; nothing may be changed unless a view says so."""

    table: ClassVar[type[Row]]
    searched: ClassVar[tuple[Any, ...]]
    """The columns the search box looks into, beside the id."""
    may_create: ClassVar[bool] = False
    may_edit: ClassVar[bool] = False
    may_delete: ClassVar[bool] = False
    kept_because: ClassVar[str] = "This cannot be deleted: other records refer to it."
    duplicates: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """By a piece of the violated key's name: the field of the form and the sentence to show under it."""

    importers = ()
    exporters = (CsvExporter(escape_formulas=True), "json")
    fields_default_sort = (("id", True),)
    page_size = 25
    page_size_options = (25, 50, 100)

    def __init__(self, database: Database) -> None:
        self._database = database
        self.fields = self.columns()  # of this view alone: fields know their view
        stored = {attribute.key for attribute in inspect(self.table).column_attrs}
        # without the id: lists begin sorted by it, and the library refuses to sort by a column it does not show
        self.sortable_fields = [field.name for field in self.fields if field.name in stored - {"id"}]
        # the library's word for what can be filtered
        self.searchable_fields = [field.name for field in self.fields if field.name in stored or field.filters]
        super().__init__(self.table)

    @abstractmethod
    def columns(self) -> Sequence[BaseField]:
        """The fields of this view, in order."""

    def can_create(self, request: Request) -> bool:
        """Not unless the view says so."""
        return self.may_create

    def can_edit(self, request: Request) -> bool:
        """Not unless the view says so."""
        return self.may_edit

    def can_delete(self, request: Request) -> bool:
        """Not unless the view says so."""
        return self.may_delete

    def can_import(self, request: Request) -> bool:
        """Never: what comes in has to pass the forms."""
        return False

    def get_search_query(self, request: Request, term: str) -> ColumnElement[bool]:
        """The condition of the search box."""
        return holds(term.strip(), self.table.__table__.c.id, *self.searched)

    async def handle_exception(self, request: Request, exc: Exception) -> None:
        """Raises a duplicate key as a sentence under its field, everything else as it is."""
        if isinstance(exc, IntegrityError) and is_duplicate(exc):
            key = str(exc.orig).rpartition("for key" if "for key" in str(exc.orig) else "failed:")[2]
            for piece, (field, sentence) in self.duplicates.items():
                if piece in key:
                    raise refuse(field, sentence) from exc
        raise exc

    async def handle_action(self, request: Request, selection: ActionSelection, name: str) -> Response | None:
        """Runs an action on many rows. Raises `ActionFailed` with a sentence for the person."""
        try:
            return await super().handle_action(request, selection, name)
        except ActionFailed as failed:
            raise _without_sql(failed) from failed.__cause__

    async def handle_row_action(self, request: Request, pk: Any, name: str) -> Response | None:
        """Runs an action on one row. Raises `ActionFailed` with a sentence for the person."""
        try:
            return await super().handle_row_action(request, pk, name)
        except ActionFailed as failed:
            raise _without_sql(failed) from failed.__cause__

    async def delete(self, request: Request, pks: list[Any]) -> int | None:
        """Deletes all of these rows or, raising `ActionFailed`, none: what history hangs on stays."""
        try:
            return await super().delete(request, pks)
        except IntegrityError as error:
            if is_duplicate(error):
                raise
            raise ActionFailed(self.kept_because) from None


def _without_sql(failed: ActionFailed) -> ActionFailed:
    # the library has logged the database's error, and would show it with its statement and values
    if isinstance(failed.__cause__, SQLAlchemyError):
        return ActionFailed("The database did not do this; nothing was changed. Try again in a moment.")
    return failed


def words(enum: type[StrEnum]) -> list[tuple[str, str]]:
    """The choices of a field: each value, and how it is written."""
    return [(member.value, member.value.replace("_", " ")) for member in enum]
