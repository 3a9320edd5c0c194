"""The Dockerfile keeps the rules that can be seen without building it; `make image-test` builds it."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

from server.web.vendor import VENDORED

ROOT = Path(__file__).resolve().parents[2]
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")
HADOLINT = Path(sys.executable).with_name("hadolint")


def instructions(dockerfile: str) -> list[tuple[str, str]]:
    """(instruction, its words), comments left out and lines that go on joined."""
    bare = re.sub(r"^\s*#.*\n", "", dockerfile, flags=re.MULTILINE).replace("\\\n", " ")
    return [(word, rest.strip()) for word, _, rest in (line.partition(" ") for line in bare.splitlines()) if word]


def final_stage() -> dict[str, str]:
    stage = instructions(DOCKERFILE)
    last = max(number for number, (word, _) in enumerate(stage) if word == "FROM")
    return dict(stage[last:])


def linted(dockerfile: str) -> str:
    return subprocess.run([HADOLINT, "-"], input=dockerfile, capture_output=True, text=True, check=False).stdout


def test_hadolint_has_nothing_to_say() -> None:
    assert linted(DOCKERFILE) == ""
    assert "DL3025" in linted(DOCKERFILE.replace('CMD ["serve"]', "CMD serve"))


def test_what_is_served_of_other_packages_is_copied() -> None:
    for name in VENDORED.values():
        package = name.partition("/")[0]
        assert f"COPY --from=browser /client/node_modules/{name} client/node_modules/{Path(name).parent}/" in DOCKERFILE
        assert f"/client/node_modules/{package}/LICENSE client/node_modules/{package}/" in DOCKERFILE


def test_it_runs_as_a_number_that_is_not_root_and_hears_signals_itself() -> None:
    stage = final_stage()
    assert stage["USER"] == "10001:10001"
    assert json.loads(stage["ENTRYPOINT"]) == ["dropcast"]
    assert json.loads(stage["CMD"]) == ["serve"]
    assert json.loads(stage["HEALTHCHECK"].partition("CMD ")[2]) == ["dropcast", "health"]
    assert stage["STOPSIGNAL"] == "SIGTERM"


def test_packages_are_installed_by_their_hashes_and_from_nowhere_that_is_written_down() -> None:
    assert "--require-hashes" in DOCKERFILE
    assert "npm ci" in DOCKERFILE
    assert "://" not in DOCKERFILE
    bases = re.findall(r"^ARG \w*BASE=(\S+)", DOCKERFILE, flags=re.MULTILINE)
    assert len(bases) == 2
    assert all(re.fullmatch(r"docker\.io/library/\w+:[\d.]+-[\w-]+", base) for base in bases)
    assert re.findall(r"^FROM (\S+)", DOCKERFILE, flags=re.MULTILINE) == ["${NODE_BASE}", "${BASE}", "${BASE}"]


def test_only_what_is_copied_is_sent_to_the_build() -> None:
    ignored = [line for line in (ROOT / ".dockerignore").read_text("utf-8").splitlines() if line and line[0] != "#"]
    assert ignored[0] == "*"
    let_in = {line[1:] for line in ignored if line.startswith("!")}
    copied = {
        source.partition("/")[0]
        for word, words in instructions(DOCKERFILE)
        if word == "COPY" and not words.startswith("--from")
        for source in words.split()[:-1]
    }
    assert let_in == copied
    assert {"client/node_modules", "client/python", "**/__pycache__", "**/.env*"} <= set(ignored)
