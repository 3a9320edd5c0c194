"""`make screenshots` takes pictures that differ where people see a difference, and puts them on its sheets."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.async_api import Page

from tests.browser import screenshots
from tests.browser.states import states

HEIGHT_AT, HEIGHT_BYTES = 20, 4  # of a PNG


async def test_a_state_is_taken_in_each_variant_and_stands_on_the_sheets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(screenshots, "FOLDER", tmp_path)
    (login,) = [state for state in states() if state.name == "login"]
    variants = [one for one in screenshots.VARIANTS if one.name in ("light", "dark", "text-200")]
    assert await screenshots.run([login], variants, ["phone"]) == 0
    light, dark, twice = [(tmp_path / "phone" / f"login.{one.name}.png").read_bytes() for one in variants]
    assert light != dark
    assert _height(light) == _height(dark) == screenshots.SIZES["phone"]["height"]
    assert _height(twice) > _height(light)
    assert 'src="phone/login.dark.png"' in (tmp_path / "index.html").read_text("utf-8")
    assert _height((tmp_path / "phone.png").read_bytes()) > 100


async def test_a_state_that_is_not_reached_is_named_and_fails_the_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(screenshots, "FOLDER", tmp_path)

    async def never(page: Page, stage: object) -> None:
        raise AssertionError("there is no such button")

    lost = screenshots.State("login-lost", never, None, whole=True)
    assert await screenshots.run([lost], screenshots.VARIANTS[:1], ["phone"]) == 1
    assert "login-lost, phone: there is no such button" in capsys.readouterr().err


def _height(png: bytes) -> int:
    return int.from_bytes(png[HEIGHT_AT : HEIGHT_AT + HEIGHT_BYTES])
