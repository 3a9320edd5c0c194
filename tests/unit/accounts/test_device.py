"""What a session was opened with, in words."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.accounts.device import device_of
from server.store.sessions import DEVICE_MAX

MOZILLA = "Mozilla/5.0 "
SAFARI = "AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.0 "
CHROME = "AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 "


@pytest.mark.parametrize(
    ("agent", "said"),
    [
        (f"{MOZILLA}(X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"),
        (f"{MOZILLA}(Windows NT 10.0; Win64; x64) {CHROME}Safari/537.36", "Chrome on Windows"),
        (f"{MOZILLA}(Windows NT 10.0; Win64; x64) {CHROME}Safari/537.36 Edg/140.0.0.0", "Edge on Windows"),
        (f"{MOZILLA}(Windows NT 10.0) {CHROME}Safari/537.36 OPR/120.0", "Opera on Windows"),
        (f"{MOZILLA}(Macintosh; Intel Mac OS X 10_15_7) {SAFARI}Safari/605.1.15", "Safari on Mac"),
        (f"{MOZILLA}(iPhone; CPU iPhone OS 18_0 like Mac OS X) {SAFARI}Mobile Safari/604.1", "Safari on iPhone"),
        (f"{MOZILLA}(iPhone; CPU iPhone OS 18_0 like Mac OS X) CriOS/140.0 Mobile Safari/604.1", "Chrome on iPhone"),
        (f"{MOZILLA}(Linux; Android 15) {CHROME}Mobile Safari/537.36", "Chrome on Android"),
        (f"{MOZILLA}(Linux; Android 15) SamsungBrowser/28.0 Chrome/130.0 Safari/537.36", "Samsung Internet on Android"),
        ("python-httpx/0.28", "Python"),
        ("curl/8.0", "curl"),
        ("", ""),
        ("<script>alert(1)</script>", ""),
    ],
)
def test_a_user_agent_in_words(agent: str, said: str) -> None:
    assert device_of(agent) == said


@given(st.text())
def test_whatever_a_client_says_the_words_are_ours_and_few(agent: str) -> None:
    assert len(device_of(agent)) <= DEVICE_MAX
    assert not set(device_of(agent)) & set("<>&\"'\n")
