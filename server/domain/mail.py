"""A mail that waits to be sent, and what mails are for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Purpose(StrEnum):
    """What a mail is for; its words are in `accounts/mail.py`."""

    # with a code
    REGISTER = "register"
    RESET = "reset"
    ADDRESS = "address"
    # without
    KNOWN = "known"
    """Somebody registered, or moved, with an address that has an account."""
    UNKNOWN = "unknown"
    """Somebody forgot the password of an address that has no account."""
    PASSWORD_CHANGED = "password_changed"  # noqa: S105  the name of a mail
    MOVED = "moved"
    """To the old address, after the new one was confirmed."""


WITH_CODE = frozenset({Purpose.REGISTER, Purpose.RESET, Purpose.ADDRESS})


@dataclass(frozen=True, slots=True)
class Mail:
    """A mail as it waits: no words, and of a code only the nonce it is made from. `tries` counts this one."""

    id: str
    purpose: Purpose
    address: str
    nonce: str
    tries: int
