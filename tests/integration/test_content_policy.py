"""What pages may load and call: everything from the shop alone, but for the video of the stream page."""

from __future__ import annotations

from collections.abc import Iterator

import httpx
import pytest

from tests.services.replica import Replica, run_command, shared_settings


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Replica]:
    """A replica that believes this machine what a proxy says."""
    database = f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('policy')}/shop.db"
    settings = {**shared_settings(database, "memory://"), "DROPCAST_TRUSTED_PROXIES": "127.0.0.1"}
    assert run_command(["init-db"], settings).returncode == 0
    with Replica(settings) as replica:
        yield replica


async def policy(replica: Replica, path: str, *, scheme: str) -> dict[str, str]:
    """The directives of a page's Content-Security-Policy, for who came so to the proxy."""
    async with httpx.AsyncClient(base_url=replica.url, trust_env=False) as browser:
        answer = await browser.get(path, headers={"X-Forwarded-Proto": scheme})
    return dict(directive.split(" ", 1) for directive in answer.headers["content-security-policy"].split("; "))


async def test_the_stream_page_may_fetch_its_video_from_any_https_address_and_no_script(replica: Replica) -> None:
    found = await policy(replica, "/s/friday", scheme="https")
    assert found["connect-src"] == "'self' https:"
    assert found["media-src"] == "'self' https: blob:"
    assert found["default-src"] == "'self'"
    assert not {"script-src", "worker-src"} & found.keys()  # they are what default-src says


async def test_without_tls_it_may_be_on_this_machine_too(replica: Replica) -> None:
    found = await policy(replica, "/s/friday", scheme="http")
    near = " http://localhost:* http://127.0.0.1:*"
    assert found["connect-src"] == "'self' https:" + near
    assert found["media-src"] == "'self' https: blob:" + near


@pytest.mark.parametrize(
    "path", ["/", "/login", "/account", "/host", "/embed/sign-in?stream=friday&origin=https://a.b"]
)
async def test_other_pages_call_nobody_else(replica: Replica, path: str) -> None:
    found = await policy(replica, path, scheme="http")
    assert found["default-src"] == "'self'"
    assert "connect-src" not in found
