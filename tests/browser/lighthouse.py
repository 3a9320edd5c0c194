"""`make lighthouse`: the pages as Lighthouse sees them on a phone, of a shop with a live stream and an open drop.

    python -m tests.browser.lighthouse [--pages '/,/login']

Prints the scores; exit 1 when one is below 95. The reports are in `test-artifacts/lighthouse/`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.browser.stage import Stage, opened_stage
from tests.services.programs import NEEDED, path_of

ROOT = Path(__file__).resolve().parents[2]
LIGHTHOUSE = ROOT / "client" / "node_modules" / ".bin" / "lighthouse"
FOLDER = ROOT / "test-artifacts" / "lighthouse"
CATEGORIES = ("performance", "accessibility", "best-practices")
AT_LEAST = 95
STREAM = "/s/{stream}"
PAGES = {"/": None, STREAM: "viewer", "/shop": None, "/login": None, "/orders": "viewer"}
"""Path → who is signed in."""

_FLAGS = "--headless=new --no-sandbox --disable-gpu --disable-quic --no-first-run"
_WITHIN_S = 120

Scores = dict[str, int]


async def scores_of(stage: Stage, path: str, person: str | None, name: str) -> tuple[Scores, dict[str, Any]]:
    """One page's scores, 0 to 100, and the whole report. Raises `RuntimeError` when Lighthouse cannot say."""
    report = FOLDER / f"{name}.report.json"
    headers = {"Cookie": stage.people[person].cookie} if person else {}
    words = [
        str(LIGHTHOUSE),
        stage.url + path,
        "--quiet",
        f"--chrome-flags={_FLAGS}",
        "--no-enable-error-reporting",
        "--output=json",
        "--output=html",
        f"--output-path={FOLDER / name}",
        f"--only-categories={','.join(CATEGORIES)}",
        f"--extra-headers={json.dumps(headers)}",
        "--disable-full-page-screenshot",
    ]
    environment = {**os.environ, "CHROME_PATH": path_of(*NEEDED["chromium"])}
    child = await asyncio.create_subprocess_exec(
        *words,
        env=environment,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        process_group=0,
    )
    try:
        said, _ = await asyncio.wait_for(child.communicate(), _WITHIN_S)
    except TimeoutError:
        os.killpg(child.pid, signal.SIGKILL)  # with its Chromium
        await child.wait()
        raise RuntimeError(f"Lighthouse did not end in {_WITHIN_S} s") from None
    if child.returncode != 0:
        raise RuntimeError(f"Lighthouse ended with {child.returncode}: {said.decode(errors='replace')[-500:]}")
    told = json.loads(report.read_text("utf-8"))
    return {one: round((told["categories"][one]["score"] or 0) * 100) for one in CATEGORIES}, told


async def run(pages: Sequence[str]) -> int:
    """Looks at each page in turn; one that is not there (404) is left out. 1 when a score is too low."""
    if not LIGHTHOUSE.exists():
        print("error: lighthouse is not installed: use `make lighthouse`, or `npm ci` in client/", file=sys.stderr)
        return 1
    FOLDER.mkdir(parents=True, exist_ok=True)
    poor = False
    async with opened_stage() as stage:
        stream = await stage.stream()
        await stage.drop(stream, 40, sku="DEMO-3", limit=2)
        print(f"{'page':<14}" + "".join(f"{one:>16}" for one in CATEGORIES))
        for page in pages:
            path = page.format(stream=stream)
            if (await stage.host.http.get(path)).status_code == 404:
                print(f"{page:<14}  is not there yet")
                continue
            name = page.strip("/").partition("/")[0] or "index"
            scores, report = await scores_of(stage, path, PAGES[page], name)
            print(f"{page:<14}" + "".join(f"{scores[one]:>16}" for one in CATEGORIES), flush=True)
            for one in (one for one in CATEGORIES if scores[one] < AT_LEAST):
                poor = True
                print(f"  {one} is below {AT_LEAST}: " + "; ".join(_reasons(report, one)))
    print(f"\n{FOLDER}/*.report.html")
    return 1 if poor else 0


def _reasons(report: dict[str, Any], category: str) -> list[str]:
    reasons = []
    for reference in report["categories"][category]["auditRefs"]:
        audit = report["audits"][reference["id"]]
        if reference["weight"] and audit["score"] is not None and audit["score"] < 0.9:
            reasons.append(f"{audit['title']} {audit.get('displayValue', '')}".strip())
    return reasons


def main(arguments: Sequence[str] | None = None) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m tests.browser.lighthouse", description=__doc__.splitlines()[0])
    parser.add_argument("--pages", default=",".join(PAGES), help="which, by commas (%(default)s)")
    options = parser.parse_args(arguments)
    pages = [page.strip() for page in options.pages.split(",")]
    if unknown := set(pages) - PAGES.keys():
        parser.error(f"{', '.join(sorted(unknown))}: there are {', '.join(PAGES)}")
    return asyncio.run(run(pages))


if __name__ == "__main__":
    sys.exit(main())
