"""Draws the PNG icons beside it from their SVGs, with Chromium: `python client/icons/draw.py` after a change of one.

Phones' launchers take no SVG. Maskable ones, and Apple's, are cut into a launcher's own shape: they fill the square.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1]))

from tests.services.chromium import chromium  # noqa: E402  the repository's root is known only now

ROUNDED, FULL = HERE.parent / "shared/favicon.svg", HERE / "maskable.svg"
ICONS = {
    "icon-192.png": (ROUNDED, 192),
    "icon-512.png": (ROUNDED, 512),
    "maskable-512.png": (FULL, 512),
    "icon-180.png": (FULL, 180),
}


async def draw() -> None:
    """Writes every icon."""
    async with chromium() as browser:
        for name, (source, size) in ICONS.items():
            page = await browser.new_page(viewport={"width": size, "height": size})
            svg = source.read_text().replace("<svg ", f'<svg width="{size}" height="{size}" style="display: block" ', 1)
            await page.set_content(f'<body style="margin: 0; background: transparent">{svg}</body>')
            await page.screenshot(path=HERE / name, omit_background=True)


if __name__ == "__main__":
    asyncio.run(draw())
