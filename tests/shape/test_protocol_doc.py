"""docs/protocol.md says what the code does."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import msgspec
import pytest

from server.domain.errors import Reason
from server.domain.events import EventKind
from server.protocol import frames
from server.protocol.codes import CloseCode

DOC = (Path(__file__).resolve().parents[2] / "docs" / "protocol.md").read_text("utf-8")
FRAMES = [*get_args(frames.ClientFrame), *get_args(frames.ServerFrame)]
HTTP_ONLY = list(Reason)[list(Reason).index(Reason.INTERNAL) + 1 :]


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: frame.__struct_config__.tag)
def test_every_frame_stands_with_its_fields(frame: type[msgspec.Struct]) -> None:
    row = re.search(rf"^\| `{frame.__struct_config__.tag}` \| (.*?) \| ", DOC, flags=re.MULTILINE)
    assert row is not None
    said = {name: bool(optional) for name, optional in re.findall(r"`(\w+)`(\?)?", row.group(1))}
    assert said == {field.name: not field.required for field in msgspec.structs.fields(frame)}


def test_every_reason_stands_with_its_retry() -> None:
    said = dict(re.findall(r"^\| `(\w+)` \| (yes|no) \|", DOC, flags=re.MULTILINE))
    assert said == {reason.value: "yes" if reason.retry else "no" for reason in Reason if reason not in HTTP_ONLY}


def test_every_close_code_stands_with_what_to_do() -> None:
    said = dict(re.findall(r"^\| (\d{4}) \| [^|]+ \| (yes|no)", DOC, flags=re.MULTILINE))
    assert said == {str(int(code)): "yes" if code.come_back else "no" for code in CloseCode}


def test_every_event_kind_is_named() -> None:
    assert all(f"`{kind.value}`" in DOC for kind in EventKind)
