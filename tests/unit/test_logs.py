"""Logs: one JSON object a line, facts as fields."""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Iterator

import pytest

from server import logs
from server.logs import JsonFormatter


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Whatever a test configures, the others' logging is as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    levels = {name: logging.getLogger(name).level for name in (*logging.root.manager.loggerDict,)}
    yield
    root.handlers[:], root.level = handlers, level
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    logging.captureWarnings(False)


def line(**more: object) -> dict[str, object]:
    record = logging.makeLogRecord({"name": "server.x", "levelname": "WARNING", "msg": "a %s", "args": ("b",), **more})
    text = JsonFormatter().format(record)
    assert "\n" not in text
    return dict(json.loads(text))


def test_a_line_says_when_how_bad_from_where_and_what() -> None:
    said = line(created=1_767_225_600.123)
    assert said == {"at": "2026-01-01T00:00:00.123+00:00", "level": "warning", "from": "server.x", "what": "a b"}


def test_extra_facts_are_fields() -> None:
    said = line(stream="限时", viewers=3, error=ValueError("no\nline break"))
    assert (said["stream"], said["viewers"], said["error"]) == ("限时", 3, "no\nline break")


def test_a_traceback_is_a_field_of_the_same_line() -> None:
    try:
        raise ValueError("why")
    except ValueError:
        said = line(exc_info=sys.exc_info())
    assert "ValueError: why" in str(said["traceback"])


def test_configured_every_logger_writes_json_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    logging.getLogger("anybody").info("hello", extra={"viewers": 1})
    logging.getLogger("anybody").debug("too quiet")
    captured = capsys.readouterr()
    (only,) = captured.err.splitlines()
    assert json.loads(only)["what"] == "hello"
    assert captured.out == ""


def test_lines_that_would_hold_whole_addresses_are_not_written(capsys: pytest.CaptureFixture[str]) -> None:
    logs.configure("info")
    for chatty in ("uvicorn.access", "uvicorn.error", "httpx", "httpcore"):
        logging.getLogger(chatty).info("GET /ws/friday?ticket=secret")
    assert capsys.readouterr().err == ""
