"""A tree of the project from which replicas and commands run: this one, one of the past, one that is to come."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tarfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.services.secrets import secrets_of_the_run

ROOT = Path(__file__).resolve().parents[2]

# Revisions were begun when their tables were there already: the commit before 0004 has those of 0004.
_LAST_TO_FOLLOW_ITS_TABLES = "r0004_embedding.py"
_OF_REVISION_0001 = "65183cc35709e89494d0de226900add7b5bc2dfb"


@dataclass(frozen=True)
class Release:
    """`root` has the folder `server`. All releases run with this project's packages."""

    root: Path = ROOT

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """This process's environment with exactly these `DROPCAST_…` settings, and the tree on the path."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("DROPCAST_")}
        path = f"{self.root}:{self.root / 'client' / 'python'}"
        return {**inherited, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", **settings}

    def dropcast(
        self, arguments: Sequence[str], settings: Mapping[str, str], *, stdin: str = "", within_s: float = 60.0
    ) -> subprocess.CompletedProcess[str]:
        """`python -m server <arguments>` with these `DROPCAST_…` settings and no others, whatever its exit status."""
        done = subprocess.run(
            [sys.executable, "-m", "server", *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            env=self.environment(settings),
            cwd=self.root,
            timeout=within_s,
            check=False,
        )
        secrets_of_the_run.keep("command", done.stderr)
        return done


THIS = Release()


def release_of(commit: str, folder: Path) -> Release:
    """The tree of a commit, put into an empty folder. Raises `CalledProcessError` when there is no such commit."""
    packed = _git("archive", "--format=tar", commit, "server", "client", "admin_ui", "schema.sql")
    packed.check_returncode()
    with tarfile.open(fileobj=io.BytesIO(packed.stdout)) as archive:
        archive.extractall(folder, filter="data")
    packages = ROOT / "client" / "node_modules"
    if packages.exists():
        (folder / "client" / "node_modules").symlink_to(packages)
    return Release(folder)


def before_the_last_revision() -> str | None:
    """The newest commit whose database is an older one than today's; None where the history does not go so far."""
    last = max((ROOT / "server/store/migrations/versions").glob("r*.py"))
    if last.name == _LAST_TO_FOLLOW_ITS_TABLES:
        return _OF_REVISION_0001 if _has(_OF_REVISION_0001) else None
    added = _git("log", "-1", "--diff-filter=A", "--format=%P", "--", str(last.relative_to(ROOT)))
    parents = added.stdout.decode().split()
    return parents[0] if added.returncode == 0 and parents and _has(parents[0]) else None


def _has(commit: str) -> bool:
    return _git("cat-file", "-e", f"{commit}^{{commit}}").returncode == 0


def _git(*arguments: str) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, check=False)
