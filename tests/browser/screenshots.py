"""`make screenshots`: every state of every page as PNGs, in the ways people see it, and sheets of all of them.

    python -m tests.browser.screenshots [--states 'stream-*,index'] [--variants 'light,zh'] [--sizes phone]

Writes `test-artifacts/screenshots/{size}/{state}.{variant}.png`, `index.html` with all, and one `{size}.png` of them.
What states there are: `tests/browser/states.py`.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Error, Page

from tests.browser.contact_sheet import write_index, write_montage
from tests.browser.stage import Stage, opened_stage
from tests.browser.states import State, states
from tests.browser.test_buying import DESKTOP, PHONE
from tests.services.chromium import chromium

FOLDER = Path(__file__).resolve().parents[2] / "test-artifacts" / "screenshots"
SIZES = {"phone": PHONE, "desktop": DESKTOP}
ONCE = {"standard": 16, "fixed": 13}
TWICE = {"standard": 32, "fixed": 26}
"""Letters twice as large, as the browser's own setting makes them: `rem` and media queries follow."""

_PICTURES_ARE_THERE = """() => [...document.images].every((one) => {
  const { top, width } = one.getBoundingClientRect();
  return one.complete || width === 0 || top > innerHeight;
})"""


@dataclass(frozen=True, slots=True)
class Variant:
    """A way to see a page."""

    name: str
    language: str = "en"
    media: dict[str, Any] = field(default_factory=dict)
    twice: bool = False


VARIANTS = (
    Variant("light"),
    Variant("dark", media={"color_scheme": "dark"}),
    Variant("text-200", twice=True),
    Variant("forced-colors", media={"forced_colors": "active"}),
    Variant("reduced-motion", media={"reduced_motion": "reduce"}),
    Variant("es", language="es"),
    Variant("zh", language="zh"),
)


async def shoot(stage: Stage, browser: Browser, state: State, size: str, variants: Sequence[Variant]) -> list[Path]:
    """The pictures of one state in one size. It is reached once for each language."""
    pictures: list[Path] = []
    by_language = defaultdict(list)
    for variant in variants:
        by_language[variant.language].append(variant)
    for language, same in by_language.items():
        context = await stage.visitor(
            browser, state.person, language, viewport=SIZES[size], device_scale_factor=1, has_touch=size == "phone"
        )
        page = await context.new_page()
        try:
            await state.reach(page, stage)
            pictures += [await _picture(page, state, size, variant) for variant in same]
        finally:
            await context.close()
            await stage.clear()
    return pictures


async def _picture(page: Page, state: State, size: str, variant: Variant) -> Path:
    media = {"color_scheme": "light", "forced_colors": "none", "reduced_motion": "no-preference", **variant.media}
    await page.emulate_media(**media)
    path = FOLDER / size / f"{state.name}.{variant.name}.png"
    if variant.twice:
        await _make_letters_twice(page, whole=state.whole)
    await page.wait_for_function(_PICTURES_ARE_THERE)
    await page.screenshot(path=path, full_page=state.whole and not variant.twice, animations="disabled", caret="hide")
    if variant.twice:
        await _set_letters(page, ONCE)
        await page.set_viewport_size(SIZES[size])
    return path


async def _make_letters_twice(page: Page, *, whole: bool) -> None:
    await _set_letters(page, TWICE)
    height = await page.evaluate("document.documentElement.scrollHeight")
    if whole and (size := page.viewport_size) and height > size["height"]:
        # a window that changes its size forgets the letters, and so does a picture of more than the window
        await page.set_viewport_size({"width": size["width"], "height": height})
        await _set_letters(page, TWICE)


async def _set_letters(page: Page, sizes: dict[str, int]) -> None:
    debugger = await page.context.new_cdp_session(page)
    await debugger.send("Page.setFontSizes", {"fontSizes": sizes})
    await page.wait_for_function(
        "(size) => getComputedStyle(document.documentElement).fontSize === size", arg=f"{sizes['standard']}px"
    )
    await debugger.detach()


async def run(wanted: Sequence[State], variants: Sequence[Variant], sizes: Sequence[str]) -> int:
    """Takes the pictures and writes the sheets. States that cannot be reached are named; 1 when there are any."""
    lost = []
    async with chromium() as browser:
        for size in sizes:
            (FOLDER / size).mkdir(parents=True, exist_ok=True)
        async with opened_stage() as stage:
            for state in wanted:
                for size in sizes:
                    try:
                        pictures = await shoot(stage, browser, state, size, variants)
                        print(f"{state.name}, {size}: {len(pictures)}", flush=True)
                    except (AssertionError, Error) as error:
                        lost.append(f"{state.name}, {size}: {error}")
                        print(f"{state.name}, {size}: not reached", flush=True)
        names, shown = [state.name for state in states()], [variant.name for variant in VARIANTS]
        write_index(FOLDER, list(SIZES), names, shown)
        for size in sizes:
            await write_montage(browser, FOLDER, size, names, shown)
    print(f"\n{FOLDER / 'index.html'}")
    for one in lost:
        print(f"error: {one}", file=sys.stderr)
    return 1 if lost else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.screenshots", description=__doc__.splitlines()[0])
    for name, what in (("states", "states"), ("variants", "variants"), ("sizes", "phone, desktop")):
        parser.add_argument(f"--{name}", default="*", metavar="PATTERNS", help=f"{what}: names or patterns, by commas")
    options = parser.parse_args(arguments)
    wanted = [state for state in states() if _matches(state.name, options.states)]
    variants = [variant for variant in VARIANTS if _matches(variant.name, options.variants)]
    sizes = [size for size in SIZES if _matches(size, options.sizes)]
    if not (wanted and variants and sizes):
        parser.error("nothing has such a name; states: " + " ".join(state.name for state in states()))
    return asyncio.run(run(wanted, variants, sizes))


def _matches(name: str, patterns: str) -> bool:
    return any(fnmatch(name, pattern.strip()) for pattern in patterns.split(","))


if __name__ == "__main__":
    sys.exit(main())
