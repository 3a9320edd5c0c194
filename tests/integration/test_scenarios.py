"""Each scenario of the load generator, small, from end to end, on premises of its own. Counts decide, never timings."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.services.replica import ROOT, command_environment

WITHIN_S = 100.0


def run(scenario: str, *words: str, figures: Path) -> dict[str, Any]:
    """The scenario's JSON; it must have ended well."""
    done = subprocess.run(
        [sys.executable, "-m", "loadtest.local", scenario, *words, "--json", str(figures)],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=command_environment({}),
        timeout=WITHIN_S,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    told: dict[str, Any] = json.loads(figures.read_text("utf-8"))
    assert told["scenario"] == scenario
    assert told["audit"] == {"passed": True, "problems": 0, "first": []}
    assert "FAIL" not in {threshold["word"] for threshold in told["thresholds"].values()}
    return dict(told["figures"])


def test_fan_out_reaches_everyone_with_every_event_beside_buyers_and_a_peer(tmp_path: Path) -> None:
    crowd = ("--viewers", "80", "--buyers", "4", "--no-pin")
    ours = ("--window", "8", "1", "--messages", "24", "--rate", "20", "--seconds", "1")
    peer = ("--peer", "textbook", "--peer-messages", "16")
    figures = run("fan_out", *crowd, *ours, *peer, figures=tmp_path / "figures.json")
    assert figures["viewers"] == figures["textbook_viewers"] == 80
    assert figures["events"] >= (24 + 2 * 8) + (24 + 2) + 20  # two warming windows each
    assert figures["gaps"] == figures["repeats"] == figures["receipts_missing"] == 0
    for name in (
        "cpu_s_per_million_window_8",
        "cpu_s_per_million_window_1",
        "kb_per_idle_viewer",
        "last_viewer_p99_ms",
    ):
        assert name in figures
        assert f"textbook_{name}" in figures


def test_after_kill_9_everyone_is_back_with_every_event(tmp_path: Path) -> None:
    figures = run("reconnect_storm", "--viewers", "60", "--all-on-victim", figures=tmp_path / "figures.json")
    assert figures["reconnects"] >= 60
    assert figures["gaps"] == figures["repeats"] == figures["snapshots"] == 0
    assert figures["sql_statements"] > 0


def test_replicas_restarted_one_by_one_lose_no_viewer_and_no_event(tmp_path: Path) -> None:
    words = ("--viewers", "60", "--drain-s", "2")
    figures = run("rolling_drain", *words, figures=tmp_path / "figures.json")
    assert figures["moved"] >= 60
    assert figures["events"] > 20
    assert figures["gaps"] == figures["repeats"] == figures["snapshots"] == figures["closed_1006"] == 0


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("fan_out", "--buyers", "3"), "--buyers need --tickets"),
        (("fan_out", "--tickets", "f"), "name it with --stream"),
        (("reconnect_storm", "--victim", "1"), "is not `dropcast serve`"),
        (("rolling_drain", "--replica", "1=http://127.0.0.1:9"), "is not `dropcast serve`"),
    ],
)
def test_what_cannot_be_measured_is_said_in_one_line(words: tuple[str, ...], says: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "loadtest", *words],
        input="{}",
        capture_output=True,
        text=True,
        cwd=ROOT,
        env=command_environment({}),
        timeout=30,
        check=False,
    )
    assert done.returncode == 1
    assert says in done.stderr
    assert done.stderr.count("\n") == 1
