"""Names on the bus. The part in braces is Redis Cluster's hash tag, so that a stream's keys live on one node."""

from __future__ import annotations

HEARTBEAT = "dropcast:heartbeat"
"""Nobody speaks here: the one channel that keeps a connection subscribed when no stream is watched."""


def stream_channel(slug: str) -> str:
    """The channel of a stream's news."""
    return f"dropcast:{{{slug}}}:news"


REVOKED = "!revoked"
"""In the place of a slug, and never one: the news of what no longer holds, for the sockets of every replica."""
