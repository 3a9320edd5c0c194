"""Addresses: which are known by which text, and which can be written to."""

from __future__ import annotations

import re

from server.domain.errors import Reason, Refused

EMAIL_MAX = 254
"""RFC 5321, 4.5.3.1.3: a path of 256 characters with its angle brackets."""

_EMAIL = re.compile(r"[^@\s\x00-\x1f]+@[^@\s\x00-\x1f]+\.[^@\s\x00-\x1f]+")
_ATOM = r"[a-z0-9!#$%&'*+/=?^_`{|}~-]+"
_LABEL = r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_MAILABLE = re.compile(rf"(?=.{{1,64}}@){_ATOM}(?:\.{_ATOM})*@(?:{_LABEL}\.)+{_LABEL}")


def normal_email(email: str) -> str | None:
    """An address as it is kept: trimmed, lower case; None when it cannot be one."""
    email = email.strip().lower()
    return email if len(email) <= EMAIL_MAX and _EMAIL.fullmatch(email) else None


def mailable(email: str) -> str:
    """An address as it is kept, of the plain form every mail server takes (RFC 5321's Dot-string, in ASCII).

    So no text of somebody else's becomes a second recipient or a header. Raises `Refused` that names the field.
    """
    address = normal_email(email)
    if address is None or not _MAILABLE.fullmatch(address):
        raise Refused(Reason.BAD_REQUEST, "enter an e-mail address such as ann@example.com", field="email")
    return address
