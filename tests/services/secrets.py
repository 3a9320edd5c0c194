"""What a test run knows and no log may hold: gathered while it goes on, looked for at its end."""

from __future__ import annotations

import atexit
import json
import re
import shutil
import tempfile
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

import httpx

_WORD = re.compile(r"[\w-]{6,}")
_NUMBER_FIELD = re.compile(r'": -?[\d.]+')
_SECRET_FIELDS = ("password", "old", "new", "code", "ticket", "pass")
_SHORT = 8


class Secrets:
    """Secrets by what they are, and the logs to look for them in.

    A password that is short or one plain word is not looked for: it says nothing to find it in a sentence.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder or _for_this_run()
        self._known: dict[str, str] = {}

    @property
    def count(self) -> int:
        """How many are known."""
        return len(self._known)

    def remember(self, what: str, secret: str) -> None:
        """One more."""
        if what == "code" or (len(secret) >= _SHORT and not secret.isalpha()):
            self._known[secret] = what

    def remember_settings(self, settings: Mapping[str, str]) -> None:
        """The keys and passwords of a replica's settings."""
        for key in settings.get("DROPCAST_SECRET_KEYS", "").split(","):
            self.remember("DROPCAST_SECRET_KEYS", key)
        for name in ("DROPCAST_DATABASE_URL", "DROPCAST_BUS_URL", "DROPCAST_SMTP_URL"):
            self.remember(f"the password in {name}", urlsplit(settings.get(name, "")).password or "")

    async def overhear(self, answer: httpx.Response) -> None:
        """What a client sent and got: httpx's hook for answers. Only what was right is a secret."""
        for header in answer.headers.get_list("set-cookie"):
            name, _, value = header.partition(";")[0].partition("=")
            if name.endswith("dropcast_session"):
                self.remember("session cookie", value.strip('"').partition(".")[0])
        if not answer.is_success:
            return
        try:
            sent = json.loads(answer.request.content)
        except (httpx.RequestNotRead, ValueError):
            return
        for field in _SECRET_FIELDS:
            if isinstance(sent, dict) and isinstance(sent.get(field), str):
                self.remember(field, sent[field])

    def keep(self, name: str, log: str) -> None:
        """One more log, to be looked through at the end."""
        with (self._folder / f"{len(list(self._folder.iterdir())):04}-{name}").open("w", encoding="utf-8") as kept:
            kept.write(log)

    def leaks(self) -> list[str]:
        """A line for each secret in each log; the secret itself is not repeated."""
        return [
            f"{log.name}: {self._known[secret]}: {self._line_of(secret, text)}"
            for log in sorted(self._folder.iterdir())
            for text in [log.read_text("utf-8")]
            for secret in self._found_in(text)
        ]

    def _found_in(self, text: str) -> list[str]:
        words = set(_WORD.findall(text)) | set(_WORD.findall(_NUMBER_FIELD.sub('":', text)))
        bare = set(_WORD.findall(_NUMBER_FIELD.sub('":', text)))
        found = []
        for secret, what in self._known.items():
            if what == "code":
                found += [secret] if secret in bare else []
            elif _WORD.fullmatch(secret):
                found += [secret] if secret in words else []
            elif secret in text:
                found.append(secret)
        return found

    @staticmethod
    def _line_of(secret: str, text: str) -> str:
        line = next((line for line in text.splitlines() if secret in line), "")
        return line.replace(secret, "***")[:500]


def _for_this_run() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="dc-logs-", dir="/tmp"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


secrets_of_the_run = Secrets()
"""Of this whole test run: clients, replicas and commands of the tests bring what they know."""
