"""Where a stream's video may be."""

from __future__ import annotations

import pytest

from server.domain.errors import Refused
from server.domain.video import VIDEO_MAX, check


@pytest.mark.parametrize(
    "address",
    [
        "https://video.example/live/friday.m3u8?key=1",
        "https://video.example:8443/friday.mp4",
        "/video/friday.m3u8",
        "/",
        "http://localhost:9000/clip.mp4",
        "http://127.0.0.1/clip.mp4",
        "/" + "v" * (VIDEO_MAX - 1),
    ],
)
def test_a_browser_plays_it(address: str) -> None:
    check(address)


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("http://video.example/v.mp4", "https:// address: browsers show no http video"),
        ("http://localhost.example/v.mp4", "https:// address: browsers show no http video"),
        ("//video.example/v.mp4", "path of this site"),
        ("/\\video.example/v.mp4", "backslash"),
        ("https://video.example\\@elsewhere.example/v.mp4", "backslash"),
        ("javascript:alert(1)", "path of this site"),
        ("video.mp4", "path of this site"),
        ("", "path of this site"),
        ("https://", "path of this site"),
        ("https:///v.mp4", "name a host"),
        ("https://video.example:port/v.mp4", "can be read"),
        ("https://[::1/v.mp4", "can be read"),
        ("https://me:secret@video.example/v.mp4", "neither a user nor a password"),
        ("https://video.example/a b.mp4", "in ASCII"),
        ("/v.mp4\n", "in ASCII"),
        ("/" + "v" * VIDEO_MAX, "at most 500 characters"),
    ],
)
def test_it_is_refused_with_what_to_write(address: str, said: str) -> None:
    with pytest.raises(Refused) as refused:
        check(address)
    assert refused.value.field == "video"
    assert refused.value.detail.startswith("video must ")
    assert said in refused.value.detail
