"""Where a stream's video may be: an address that a browser will play on an https page."""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from server.domain.errors import Reason, Refused

VIDEO_MAX = 500
"""Characters of an address."""

THIS_MACHINE = ("localhost", "127.0.0.1")
"""Where `http` is allowed, to try things out."""

_PATH = re.compile(r"/(?!/)[\x21-\x7e]*")
_ADDRESS = re.compile(r"https?://[\x21-\x7e]+")


def check(address: str) -> None:
    """Raises `Refused` with what to write instead, unless it is an https address or a path of this site."""
    if (problem := _what_is_wrong(address)) is not None:
        raise Refused(Reason.BAD_REQUEST, f"video {problem}", field="video")


def _what_is_wrong(address: str) -> str | None:
    if len(address) > VIDEO_MAX:
        return f"must be at most {VIDEO_MAX} characters"
    if "\\" in address:  # browsers read it as a slash, which makes a path another site's address
        return "must have no backslash"
    if _PATH.fullmatch(address):
        return None
    if not _ADDRESS.fullmatch(address):
        return "must be an https:// address, in ASCII, or a path of this site, such as /video/show.m3u8"
    try:
        parts = urlsplit(address)
        scheme, host, _ = parts.scheme, parts.hostname, parts.port
    except ValueError:
        return "must be an address that can be read: its host or its port is none"
    if not host or parts.username is not None:
        return "must name a host, and neither a user nor a password: every viewer sees the address"
    if scheme == "http" and host not in THIS_MACHINE:
        return "must be an https:// address: browsers show no http video on an https page"
    return None
