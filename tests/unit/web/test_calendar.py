"""A coming stream as an iCalendar file, byte by byte where calendars are particular (RFC 5545)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest
from icalendar import Calendar

from server.domain.errors import Reason, Refused
from server.domain.views import Stream, StreamStatus
from server.web.calendar import calendar_file, invitation_to

STREAM = Stream("friday", "Friday drops", "Mara", StreamStatus.SCHEDULED, 1_767_225_600_123, None)
PAGE = "https://shop.example/s/friday"


def invitation(**change: object) -> bytes:
    now = datetime(2025, 12, 24, 18, tzinfo=UTC)
    return invitation_to(replace(STREAM, **change), uid="0198" * 8, page=PAGE, now=now)


def test_the_whole_file() -> None:
    assert sorted(invitation().decode().split("\r\n")) == sorted(
        [
            "BEGIN:VCALENDAR",
            "VERSION:2.0",
            "PRODID:-//Dropcast//Streams//EN",
            "BEGIN:VEVENT",
            "SUMMARY:Friday drops",
            "DESCRIPTION:Mara\\n" + PAGE,
            "DTSTART:20260101T000000Z",
            "DTEND:20260101T010000Z",
            "DTSTAMP:20251224T180000Z",
            "UID:" + "0198" * 8,
            "URL:" + PAGE,
            "END:VEVENT",
            "END:VCALENDAR",
            "",
        ]
    )


@pytest.mark.parametrize(
    ("title", "written"),
    [
        ("Mugs, hats; more", "Mugs\\, hats\\; more"),
        ("Two\nlines", "Two\\nlines"),
        ("Two\r\nlines", "Two\\nlines"),
        ("back\\slash", "back\\\\slash"),
        ("新年直播,限量发售", "新年直播\\,限量发售"),
        ("x\r\nEND:VEVENT\r\nBEGIN:VALARM", "x\\nEND:VEVENT\\nBEGIN:VALARM"),
        ("bell\x07 and null\x00", "bell and null"),
    ],
)
def test_a_title_is_escaped_and_cannot_add_lines(title: str, written: str) -> None:
    lines = invitation(title=title).decode().split("\r\n")
    assert [line for line in lines if line.startswith("SUMMARY")] == ["SUMMARY:" + written]
    assert len(lines) == len(invitation().decode().split("\r\n"))


@pytest.mark.parametrize("title", ["long " * 40, "新年直播,限量" * 25, "🧵" * 200])
def test_long_lines_are_folded_at_75_bytes_between_characters(title: str) -> None:
    made = invitation(title=title, host=title)
    lines = made.split(b"\r\n")
    assert max(map(len, lines)) <= 75
    assert all(line.decode() is not None for line in lines)  # no character is cut in two
    assert any(line.startswith(b" ") for line in lines)
    (event,) = Calendar.from_ical(made).events
    assert event["summary"] == title
    assert event["description"] == f"{title}\n{PAGE}"


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"starts_at": None}, "no time yet"),
        ({"status": StreamStatus.LIVE}, "is live"),
        ({"status": StreamStatus.ENDED}, "is ended"),
    ],
)
def test_what_is_not_to_come_has_no_entry(change: dict[str, object], says: str) -> None:
    with pytest.raises(Refused, match=says) as refused:
        invitation(**change)
    assert refused.value.reason is Reason.NOT_FOUND


def test_browsers_are_told_that_it_is_a_file_for_the_calendar() -> None:
    answer = calendar_file(b"BEGIN", "friday")
    assert answer.headers["content-type"] == "text/calendar; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="friday.ics"'
    assert answer.headers["cache-control"] == "no-store"
