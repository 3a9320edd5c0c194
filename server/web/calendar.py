"""A coming stream as an iCalendar file (RFC 5545), for whoever wants to be reminded by their own calendar."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from icalendar import Calendar, Event
from starlette.responses import Response

from server.domain.errors import Reason, Refused
from server.domain.views import Stream, StreamStatus

MEDIA_TYPE = "text/calendar"
ASSUMED_TO_LAST = timedelta(hours=1)
"""Nobody says how long a stream will be, and an event of no length is easily overlooked in a calendar."""

_MAKER = "-//Dropcast//Streams//EN"
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")  # what a text may not hold, escaped or not (RFC 5545, 3.1)


def invitation_to(stream: Stream, *, uid: str, page: str, now: datetime) -> bytes:
    """The file. `uid` names the stream for ever: taken again, the event replaces the one the calendar has.

    Raises `Refused` for a stream that is not to come, or has no time yet.
    """
    if stream.status is not StreamStatus.SCHEDULED:
        raise Refused(Reason.NOT_FOUND, f"this stream is {stream.status}: only a coming one has a calendar entry")
    if stream.starts_at is None:
        raise Refused(Reason.NOT_FOUND, "this stream has no time yet")
    starts = datetime.fromtimestamp(stream.starts_at // 1000, UTC)
    event = Event.new(
        summary=_text(stream.title),
        description=f"{_text(stream.host)}\n{page}",  # many calendars do not show the URL
        start=starts,
        end=starts + ASSUMED_TO_LAST,
        stamp=now,
        uid=uid,
        url=page,
    )
    calendar = Calendar()  # not `new`, which would give the calendar another name each time
    calendar.add("version", "2.0")
    calendar.add("prodid", _MAKER)
    calendar.add_component(event)
    return bytes(calendar.to_ical())


def calendar_file(invitation: bytes, slug: str) -> Response:
    """An answer that browsers hand to the calendar. A slug is safe in a file's name."""
    headers = {"Content-Disposition": f'attachment; filename="{slug}.ics"', "Cache-Control": "no-store"}
    return Response(invitation, headers=headers, media_type=f"{MEDIA_TYPE}; charset=utf-8")


def _text(words: str) -> str:
    return _FORBIDDEN.sub("", words)
