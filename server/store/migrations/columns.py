"""Column types of revisions. Not those of `tables.py`, which may change: what a revision made stays as it was."""

from __future__ import annotations

from typing import Any

from sqlalchemy import CHAR, DateTime, SmallInteger, String, Text
from sqlalchemy.dialects import mysql

OPTIONS: dict[str, Any] = {
    f"{dialect}_{name}": value
    for dialect in ("mysql", "mariadb")
    for name, value in {"engine": "InnoDB", "charset": "utf8mb4", "collate": "utf8mb4_unicode_520_ci"}.items()
}
"""Of every table."""


def ascii_(length: int) -> Any:
    """Words of our own: states, kinds, SKUs."""
    return _on_servers(String(length), mysql.VARCHAR(length, charset="ascii", collation="ascii_bin"))


def fixed(length: int) -> Any:
    """Ids and currencies."""
    return _on_servers(CHAR(length), mysql.CHAR(length, charset="ascii", collation="ascii_bin"))


def exact(length: int) -> Any:
    """Words of people, compared byte by byte."""
    return _on_servers(String(length), mysql.VARCHAR(length, charset="utf8mb4", collation="utf8mb4_bin"))


def text(*, exactly: bool = False, long: bool = False) -> Any:
    """A text of any length (64 KiB, or `long` 16 MiB), compared as the table's option says or `exactly`."""
    if long:
        return _on_servers(Text(), mysql.MEDIUMTEXT())
    return _on_servers(Text(), mysql.TEXT(charset="utf8mb4", collation="utf8mb4_bin")) if exactly else Text()


def moment() -> Any:
    """A time in UTC, to the microsecond."""
    return _on_servers(DateTime(), mysql.DATETIME(fsp=6))


def tiny() -> Any:
    """A number below 128."""
    return _on_servers(SmallInteger(), mysql.TINYINT())


def _on_servers(usual: Any, theirs: Any) -> Any:
    return usual.with_variant(theirs, "mysql", "mariadb")
