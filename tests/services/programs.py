"""The programs the tests need, found where Debian puts them, also when /usr/sbin is not on PATH."""

from __future__ import annotations

import os
import shutil

NEEDED: dict[str, tuple[str, ...]] = {
    "mariadb-server": ("mariadbd",),
    "mariadb-server-core": ("mariadb-install-db",),
    "redis-server": ("redis-server",),
    "nginx": ("nginx",),
    "chromium": ("chromium", "chromium-browser", "google-chrome"),
    "util-linux": ("setpriv",),
    "curl": ("curl",),
}
"""Debian package → the names its program may have."""


class MissingProgramsError(RuntimeError):
    """Something the tests need is not installed; the message names it and its package."""


def path_of(*names: str) -> str:
    """The first of `names` that is installed. Raises `MissingProgramsError`."""
    found = _find(names)
    if found is None:
        raise MissingProgramsError(f"{' or '.join(names)} is not installed")
    return found


def require_all() -> None:
    """Raises `MissingProgramsError` naming everything that is missing and how to get it."""
    missing = {package: names for package, names in NEEDED.items() if _find(names) is None}
    if missing:
        programs = ", ".join(" or ".join(names) for names in missing.values())
        raise MissingProgramsError(
            f"the tests need programs that are not installed: {programs}. "
            f"On Debian or Ubuntu: apt-get install {' '.join(missing)} (or `make test`, which does it)"
        )


def _find(names: tuple[str, ...]) -> str | None:
    where = f"{os.environ.get('PATH', os.defpath)}:/usr/local/sbin:/usr/sbin:/sbin"
    return next((found for name in names if (found := shutil.which(name, path=where))), None)
