"""Sheets of all pictures: an index to click through, and one picture of a size to look over."""

from __future__ import annotations

import html
from collections.abc import Sequence
from pathlib import Path

from playwright.async_api import Browser

_STYLE = """
  body { margin: 1rem; background: #fff; color: #12161f; font: 14px/1.4 system-ui, sans-serif; }
  h2 { margin: 2rem 0 .5rem; font-size: 1rem; }
  .row { display: flex; gap: .75rem; align-items: start; overflow-x: auto; }
  figure { flex: none; margin: 0; }
  figcaption { color: #4a5160; font-size: 12px; }
  img { display: block; width: auto; max-height: 32rem; border: 1px solid #d3d8e0; }
"""
_MONTAGE_STYLE = """
  body { margin: 8px; background: #8b92a0; font: 11px/1.3 system-ui, sans-serif; }
  .grid { display: grid; grid-template-columns: repeat(var(--columns), var(--wide)); gap: 8px; }
  figure { margin: 0; overflow: hidden; background: #fff; }
  figcaption { padding: 1px 4px; white-space: nowrap; }
  .cut { height: var(--high); overflow: hidden; }
  img { display: block; width: 100%; }
"""
_MONTAGE = {"phone": (180, 390), "desktop": (320, 200)}  # a picture's width and how much of its height is shown


def write_index(folder: Path, sizes: Sequence[str], states: Sequence[str], variants: Sequence[str]) -> None:
    """`index.html`: a row for each state and size."""
    rows = []
    for state in states:
        for size in sizes:
            figures = [_figure(folder, size, state, variant) for variant in variants]
            if any(figures):
                row = "".join(figures)
                rows.append(f'<h2 id="{state}-{size}">{state}, {size}</h2><div class="row">{row}</div>')
    (folder / "index.html").write_text(_page("Screenshots", _STYLE, "\n".join(rows)), encoding="utf-8")


async def write_montage(
    browser: Browser, folder: Path, size: str, states: Sequence[str], variants: Sequence[str]
) -> Path:
    """`{size}.png`: a row for each state, a column for each variant."""
    wide, high = _MONTAGE[size]
    variants = [one for one in variants if any(_figure(folder, size, state, one) for state in states)]
    cells = []
    for state in states:
        row = [_figure(folder, size, state, variant, "cut") for variant in variants]
        cells += [cell or "<span></span>" for cell in row] if any(row) else []
    style = f"--columns: {len(variants)}; --wide: {wide}px; --high: {high}px"
    grid = f'<div class="grid" style="{style}">{"".join(cells)}</div>'
    source = folder / f"{size}.html"
    source.write_text(_page(size, _MONTAGE_STYLE, grid), encoding="utf-8")
    page = await browser.new_page(viewport={"width": 16 + len(variants) * (wide + 8) - 8, "height": 800})
    await page.goto(source.as_uri(), wait_until="load")
    path = folder / f"{size}.png"
    await page.screenshot(path=path, full_page=True)
    await page.close()
    source.unlink()
    return path


def _figure(folder: Path, size: str, state: str, variant: str, frame: str = "") -> str:
    name = f"{size}/{state}.{variant}.png"
    if not (folder / name).is_file():
        return ""
    picture = f'<img src="{name}" alt="">'
    inside = f'<div class="{frame}">{picture}</div>' if frame else f'<a href="{name}">{picture}</a>'
    return f"<figure><figcaption>{html.escape(f'{state} · {variant}')}</figcaption>{inside}</figure>"


def _page(title: str, style: str, body: str) -> str:
    head = f'<meta charset="utf-8"><title>{title}</title><style>{style}</style>'
    return f'<!doctype html><html lang="en"><head>{head}</head><body>{body}</body></html>'
