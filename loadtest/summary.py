"""How a measurement ends: a table for people, JSON for machines, an exit status for scripts."""

from __future__ import annotations

import argparse
import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from loadtest.report import say, write_json
from loadtest.thresholds import judge

PROBLEMS_TOLD_MAX = 20


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What every measuring scenario takes."""
    parser.add_argument("--json", metavar="FILE", help="where the figures go as JSON; - is standard output")
    parser.add_argument("--strict", action="store_true", help="a timing beyond its threshold fails the run as well")


def finish(
    scenario: str,
    options: argparse.Namespace,
    figures: Mapping[str, float],
    problems: Sequence[str],
    details: Mapping[str, object] | None = None,
) -> int:
    """Tells everything; 1 when the audit found a problem or a threshold that decides is not kept.

    `details` stand in the JSON only.
    """
    judged = judge(scenario, figures, viewers=options.viewers, strict=options.strict)
    failed = [one for one in judged if one.word == "FAIL"]
    if options.json:
        write_json(
            options.json,
            {
                "scenario": scenario,
                "at": datetime.now(UTC).isoformat(timespec="seconds"),
                "machine": {
                    "cores": os.cpu_count(),
                    "system": platform.platform(),
                    "python": platform.python_version(),
                },
                "options": {k: v for k, v in vars(options).items() if isinstance(v, str | int | float | list | None)},
                "figures": dict(figures),
                "details": dict(details or {}),
                "thresholds": {one.name: {"says": str(one.threshold), "word": one.word} for one in judged if one.word},
                "audit": {
                    "passed": not problems,
                    "problems": len(problems),
                    "first": list(problems[:PROBLEMS_TOLD_MAX]),
                },
            },
        )
    if options.json != "-":
        width = max(len(one.name) for one in judged)
        for one in judged:
            digits = 2 if one.value >= 1 or not one.value else 4
            say(f"{one.name:<{width}}  {one.value:>12,.{digits}f}  {one.threshold or ''!s:>10}  {one.word}".rstrip())
        for problem in problems[:PROBLEMS_TOLD_MAX]:
            say(f"audit: {problem}")
        say(f"audit failed: {len(problems)} problems" if problems else "audit passed")
    return 1 if problems or failed else 0
