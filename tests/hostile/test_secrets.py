"""The look through the logs at the end of every run finds what it looks for; it is made in tests/conftest.py."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from tests import conftest
from tests.hostile.conftest import Besieged
from tests.services.secrets import Secrets, secrets_of_the_run

SECRET = "q4Hk_Zb7-xN2"
LINES = [
    ("session cookie", SECRET, '{"level": "info", "what": "hello", "cookie": "dropcast_session=q4Hk_Zb7-xN2.sig"}'),
    ("ticket", SECRET, "GET /ws/show?ticket=q4Hk_Zb7-xN2 HTTP/1.1"),
    ("password", "correct horse battery", '{"what": "sign-in of a@b.example with correct horse battery"}'),
    ("code", "123456", '{"what": "a mail was sent", "code": "123456"}'),
    ("code", "123456", '{"what": "the code is 123456."}'),
]
HARMLESS = [
    ("code", "123456", '{"what": "took", "microseconds": 123456}'),
    ("code", "123456", '{"what": "order 9912345678"}'),
    ("password", "password", '{"what": "wrong password"}'),
    ("ticket", SECRET, '{"what": "hello", "digest": "xq4Hk_Zb7-xN2x"}'),
]


@pytest.mark.parametrize(("what", "secret", "line"), LINES)
def test_a_secret_in_any_log_fails_the_run(
    what: str, secret: str, line: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secrets = Secrets(tmp_path)
    secrets.remember(what, secret)
    secrets.keep("replica", f'{{"what": "serving"}}\n{line}\n')
    monkeypatch.setattr(conftest, "secrets_of_the_run", secrets)
    run: Any = SimpleNamespace(exitstatus=0, config=SimpleNamespace(stash={}))
    conftest.pytest_sessionfinish(run)
    assert run.exitstatus == pytest.ExitCode.TESTS_FAILED
    (leak,) = secrets.leaks()
    assert what in leak
    assert secret not in leak


@pytest.mark.parametrize(("what", "secret", "line"), HARMLESS)
def test_what_only_looks_like_one_fails_nothing(what: str, secret: str, line: str, tmp_path: Path) -> None:
    secrets = Secrets(tmp_path)
    secrets.remember(what, secret)
    secrets.keep("replica", line)
    assert secrets.leaks() == []


def test_a_replicas_keys_and_database_password_are_known(besieged: Besieged, tmp_path: Path) -> None:
    password = besieged.settings["DROPCAST_DATABASE_URL"].partition("//")[2].partition("@")[0].partition(":")[2]
    held = [besieged.settings["DROPCAST_SECRET_KEYS"], password]
    secrets = Secrets(tmp_path)
    secrets.remember_settings(besieged.settings)
    secrets.keep("replica", "\n".join(f'{{"what": "{secret}"}}' for secret in held))
    assert len(secrets.leaks()) == 2
    assert secrets_of_the_run.count > 2
