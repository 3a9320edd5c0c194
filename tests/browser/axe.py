"""axe-core in a page: what keeps people with disabilities from using it, as far as a program can see."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from playwright.async_api import Page

AXE = Path(__file__).resolve().parents[2] / "client" / "node_modules" / "axe-core" / "axe.min.js"
OPTIONS: dict[str, Any] = {
    "runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"],
    "rules": {"target-size": {"enabled": True}},  # off unless asked for
    "resultTypes": ["violations"],
}


@dataclass(frozen=True, slots=True)
class Finding:
    """A rule that is broken, and where."""

    rule: str
    impact: str
    help: str
    where: tuple[str, ...]
    """Each place: the element's selector, through open shadow roots, and what is wrong there."""

    def __str__(self) -> str:
        return f"{self.rule} ({self.impact}): {self.help}" + "".join(f"\n    {place}" for place in self.where)


async def findings(page: Page) -> list[Finding]:
    """What axe finds in the page as it is now, open shadow roots included. Empty is good.

    Its script is evaluated by the debugger, which a page's content policy does not bind.
    """
    await page.evaluate(_source())
    await page.evaluate("() => Promise.all(document.getAnimations().map((one) => one.finished.catch(() => {})))")
    result = await page.evaluate("(options) => axe.run(document, options)", OPTIONS)
    return [_finding(violation) for violation in result["violations"]]


async def is_accessible(page: Page) -> None:
    """Fails with a readable list when axe finds anything."""
    found = await findings(page)
    assert not found, "\n".join(["axe found in " + page.url, *map(str, found)])


@cache
def _source() -> str:
    if not AXE.is_file():
        raise FileNotFoundError("axe-core is not installed: run `make test`, or `npm ci` in client/")
    return AXE.read_text("utf-8")


def _finding(violation: dict[str, Any]) -> Finding:
    return Finding(
        rule=violation["id"],
        impact=violation["impact"] or "minor",
        help=violation["help"],
        where=tuple(_place(node) for node in violation["nodes"]),
    )


def _place(node: dict[str, Any]) -> str:
    selector = " ".join(" >>> ".join(part) if isinstance(part, list) else part for part in node["target"])
    why = [check["message"] for kind in ("any", "all", "none") for check in node[kind]]
    return f"{selector}: {'; '.join(why)}"
