# ruff: noqa: ARG002  the signatures are the library's
"""Fields of our own: times, references, and text that is trimmed and checked before it reaches the database."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import ColumnElement, String, cast, false, or_
from sqlalchemy.orm import InstrumentedAttribute
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette_admin import BaseField, BooleanField, HasOne, IntegerField, RequestAction, StringField, TextAreaField
from starlette_admin.contrib.sqla import ModelView
from starlette_admin.contrib.sqla.filters import IsNotNullFilter, IsNullFilter
from starlette_admin.exceptions import FormValidationError
from starlette_admin.filters import FilterApplyContext
from starlette_admin.filters.base import BaseFilter, FilterDataType, FilterValidationError

from server.store.tables import datetime_of, ms_of

Check = Callable[[Request, BaseField, Any, dict[str, Any]], Awaitable[None] | None]
"""Raises `ValueError` with a sentence for the person; runs only on values that are not empty."""


@dataclass
class Text(StringField):
    """One line of text. Spaces around it are dropped; nothing left of it is NULL. `maxlength` is enforced."""

    async def parse_form_data(self, request: Request, form_data: FormData) -> str | None:
        """The trimmed text, or None."""
        return str(form_data.get(self.id) or "").strip() or None

    async def validate(self, request: Request, value: Any, form_values: dict[str, Any]) -> None:
        """Raises `ValueError` when the text is missing, too long, or has characters nobody can see."""
        await super().validate(request, value, form_values)
        _check_text(value, self.maxlength, allowed="")


@dataclass
class LongText(TextAreaField):
    """Lines of text; nothing is the empty string. `maxlength` is enforced."""

    async def parse_form_data(self, request: Request, form_data: FormData) -> str:
        """The trimmed text, its line ends as one character: browsers send two."""
        return str(form_data.get(self.id) or "").replace("\r\n", "\n").strip()

    async def validate(self, request: Request, value: Any, form_values: dict[str, Any]) -> None:
        """Raises `ValueError` when the text is too long, or has characters nobody can see."""
        await super().validate(request, value, form_values)
        _check_text(value, self.maxlength, allowed="\n\t")


@dataclass
class WholeNumber(IntegerField):
    """A whole number. What is no number is refused, not dropped."""

    async def parse_form_data(self, request: Request, form_data: FormData) -> Any:
        """The number, None for nothing, or the text as it is when it is no number, for `validate` to refuse."""
        raw = str(form_data.get(self.id) or "").strip()
        return int(raw) if _WHOLE.fullmatch(raw) else raw or None

    async def validate(self, request: Request, value: Any, form_values: dict[str, Any]) -> None:
        """Raises `ValueError` when it is missing, no number, or out of range."""
        if isinstance(value, str):
            raise ValueError("This must be a whole number, such as 2400.")
        await super().validate(request, value, form_values)

    async def serialize_value(self, request: Request, value: Any) -> Any:
        """The number; a refused text goes back to the form as it was typed."""
        return value if isinstance(value, str) else int(value)


@dataclass
class Ref(HasOne):
    """What another row is called, with a link to it; an export has the name, where the library has the id."""

    async def serialize_value(self, request: Request, value: Any) -> Any:
        """The row for pages, its name for exports."""
        if request.state.action == RequestAction.EXPORT and self._view is not None:
            return await self._view._find_foreign_view(str(self.key)).repr(value, request)
        return await super().serialize_value(request, value)


@dataclass
class Happened(BooleanField):
    """Whether a time is there: shown and edited as yes or no; the view that may edit it writes the time."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.filters = [IsNullFilter, IsNotNullFilter]


@dataclass
class Time(StringField):
    """A time, ms since the epoch in the row: shown in UTC to the second, exported as ISO 8601 to the millisecond."""

    read_only: bool | None = True

    def __post_init__(self) -> None:
        super().__post_init__()
        self.filters = [Since, Before, IsNullFilter, IsNotNullFilter]

    async def serialize_value(self, request: Request, value: Any) -> str:
        """The time as text."""
        at = datetime_of(value)
        if request.state.action == RequestAction.EXPORT:
            return at.isoformat(timespec="milliseconds") + "Z"
        return at.strftime("%Y-%m-%d %H:%M:%S UTC")


class _Moment(BaseFilter):
    data_type = FilterDataType.DATETIME

    def parse_value(self, raw: Any) -> int:
        """Ms since the epoch; a time without a zone is UTC."""
        try:
            at = datetime.fromisoformat(str(raw))
            return ms_of(at.astimezone(UTC).replace(tzinfo=None) if at.tzinfo else at)
        except (ValueError, OverflowError):
            raise FilterValidationError(f"{raw!r} is not a time such as 2026-11-23T18:00") from None


class Since(_Moment):
    """The time is this one or a later one."""

    name = "since"
    label = "Since (UTC)"

    def apply(self, ctx: FilterApplyContext) -> ColumnElement[bool]:
        """The condition."""
        return _column(ctx).__ge__(ctx.value)


class Before(_Moment):
    """The time is an earlier one."""

    name = "before"
    label = "Before (UTC)"

    def apply(self, ctx: FilterApplyContext) -> ColumnElement[bool]:
        """The condition."""
        return _column(ctx).__lt__(ctx.value)


def holds(words: str, *columns: Any) -> ColumnElement[bool]:
    """The condition that one of the columns has these letters, large or small."""
    return or_(false(), *(cast(column, String).icontains(words, autoescape=True) for column in columns))


def named(*columns: Any) -> list[type[BaseFilter]]:
    """Filters for a `Ref`: the row it points to has these letters in one of `columns`."""

    class Named(BaseFilter):
        name = "contains"
        label = "Contains"
        data_type = FilterDataType.STRING

        def apply(self, ctx: FilterApplyContext) -> ColumnElement[bool]:
            return _column(ctx).has(holds(str(ctx.value), *columns))

    return [Named]


def matches(pattern: str, sentence: str) -> list[Check]:
    """A check that the whole text matches; `sentence` is what the person reads when it does not."""
    compiled = re.compile(pattern)

    def check(_request: Request, _field: BaseField, value: Any, _form: dict[str, Any]) -> None:
        if compiled.fullmatch(str(value)) is None:
            raise ValueError(sentence)

    return [check]


def refuse(field: str, sentence: str) -> FormValidationError:
    """The error that puts a sentence under a field of the form."""
    return FormValidationError({field: sentence})


def _check_text(value: str | None, length_max: int | None, allowed: str) -> None:
    if length_max is not None and len(value or "") > length_max:
        raise ValueError(f"This must be at most {length_max} characters.")
    if any(not c.isprintable() and c not in allowed and c != "\u200d" for c in value or ""):  # \u200d joins emoji
        raise ValueError("This holds characters that cannot be shown.")


def _column(ctx: FilterApplyContext) -> InstrumentedAttribute[Any]:
    assert isinstance(ctx.view, ModelView)
    attribute: InstrumentedAttribute[Any] = getattr(ctx.view.model, ctx.field_name)
    return attribute


_WHOLE = re.compile(r"[+-]?[0-9]{1,18}")
