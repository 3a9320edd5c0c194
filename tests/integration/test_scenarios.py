"""Each scenario of the load generator, small, from end to end, on premises of its own. Counts decide, never timings."""

from __future__ import annotations

import json
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from loadtest import local
from loadtest.ledger import connect
from loadtest.premises import Premises
from tests.services.release import ROOT
from tests.services.replica import command_environment

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


def test_nginx_with_tls_before_the_replica_is_measured_apart(tmp_path: Path) -> None:
    words = ("--front", "tls", "--front-unix", "--viewers", "60", "--no-pin", "--messages", "24", "--rate", "0")
    figures = run("fan_out", *words, "--header-bytes", "900", figures=tmp_path / "figures.json")
    assert figures["viewers"] == 60
    assert figures["gaps"] == figures["repeats"] == 0
    for server in ("", "nginx_"):
        assert figures[f"{server}kb_per_idle_viewer"] > 0
        assert f"{server}cpu_s_per_million_window_8" in figures


def test_a_rush_for_a_page_gets_every_file_over_tls_too(tmp_path: Path) -> None:
    for number, front in enumerate(("http", "tls")):
        words = ("--front", front, "--viewers", "30", "--at-once", "10")
        figures = run("page_rush", *words, figures=tmp_path / f"{number}.json")
        assert figures["pages"] == 30
        assert figures["files_each"] > 5
        assert figures["not_answered_well"] == 0
        assert {"replica_cpu_ms_per_page", "nginx_cpu_ms_per_page"} <= set(figures)


def test_a_front_is_only_for_scenarios_that_know_it(tmp_path: Path) -> None:
    words = ["search", "--front", "tls"]
    refused = subprocess.run(
        [sys.executable, "-m", "loadtest.local", *words], capture_output=True, text=True, cwd=ROOT,
        env=command_environment({}), timeout=WITHIN_S, check=False,
    )  # fmt: skip
    assert (refused.returncode, refused.stdout) == (2, "")
    assert "--front is for fan_out and page_rush" in refused.stderr


def test_a_rush_sells_every_unit_once_and_answers_everyone(tmp_path: Path) -> None:
    words = ("--viewers", "200", "--units", "20", "--within", "0.5")
    figures = run("flash_sale", *words, figures=tmp_path / "figures.json")
    assert figures["answered"] == 200
    assert figures["accepted"] == 20
    assert figures["rejected_sold_out"] == 180
    assert figures["not_answered"] == figures["not_sold"] == figures["gaps"] == figures["repeats"] == 0
    for name in ("receipt_p50_ms", "receipt_p99_ms", "receipt_max_ms", "stock_frames_per_s_max", "last_stock_late_ms"):
        assert name in figures


def test_a_rush_of_two_replicas_behind_nginx_is_no_other(tmp_path: Path) -> None:
    words = ("--replicas", "2", "--viewers", "40", "--units", "60", "--within", "0.2")
    figures = run("flash_sale", *words, figures=tmp_path / "figures.json")
    assert figures["accepted"] == figures["answered"] == 40


def test_a_sustained_sale_is_audited_row_by_row_and_so_are_its_peers(tmp_path: Path) -> None:
    words = ("--viewers", "30", "--in-flight", "4", "--sustained", "1", "--peer-seconds", "1")
    peers = ("--peer", "row_lock", "conditional_update")
    figures = run("flash_sale", *words, *peers, figures=tmp_path / "figures.json")
    assert figures["innodb_flush_log_at_trx_commit"] == figures["sync_binlog"] == 1
    assert figures["accepted"] == figures["orders"] > 30
    for name in ("orders_per_s", "row_lock_orders_per_s", "conditional_update_orders_per_s"):
        assert figures[name] > 0
    for name in ("ratio_row_lock", "ratio_conditional_update", "at_80_percent_receipt_p99_ms",
                 "replica_cpu_s_per_1000_orders", "database_cpu_s_per_1000_orders"):  # fmt: skip
        assert name in figures


TAMPERED = {
    "BEFORE INSERT ON orders FOR EACH ROW SET NEW.ref = CONCAT('x', NEW.ref)": "without their order in the database",
    "BEFORE UPDATE ON drop_stock FOR EACH ROW SET NEW.`left` = OLD.`left`, NEW.sold = OLD.sold": "stock says",
}


def test_the_audit_finds_rows_that_say_something_else(capfd: pytest.CaptureFixture[str]) -> None:
    options = local.parser().parse_args(["flash_sale", "--viewers", "10"])
    premises = Premises(replicas=1, mariadb=True, server_core=None, other_core=None, keep_up=False, drain_s=1.0)
    with premises as shop:
        for trigger, says in TAMPERED.items():
            tell(shop.database_url, f"CREATE TRIGGER tampered {trigger}")
            status = local.run_at(shop, options, ["--units", "5", "--within", "0.1"])
            tell(shop.database_url, "DROP TRIGGER tampered")
            told = capfd.readouterr().out
            assert status == 1, told
            assert says in told


def tell(url: str, statement: str) -> None:
    with closing(connect(url)) as connection, connection.cursor() as cursor:
        cursor.execute(statement)


def test_an_evening_of_waves_restocks_and_reloads_keeps_every_promise(tmp_path: Path) -> None:
    words = ("--viewers", "60", "--drops", "1", "--reload-percent", "30")
    figures = run("mixed", *words, figures=tmp_path / "figures.json")
    assert figures["orders"] == 180
    assert figures["rejected_sold_out"] == 30
    assert 90 <= figures["accepted"] <= 120  # the last wave meets a closed drop half-way
    assert figures["came_and_went"] >= 30
    assert figures["not_answered"] == figures["gaps"] == figures["repeats"] == figures["snapshots"] == 0


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


def test_a_crowd_that_signs_in_is_bounded_and_every_buyer_is_answered(tmp_path: Path) -> None:
    figures = run("signing_in", "--rate", "60", "--viewers", "20", figures=tmp_path / "figures.json")
    assert figures["sign_ins"] == 300
    assert figures["surplus_told_429"] > 0
    assert figures["signed_in"] > 0
    assert figures["wrong_refused"] > 0
    for name in ("surplus_without_retry_after", "answered_5xx", "answered_astray", "not_answered", "receipts_missing"):
        assert figures[name] == 0
    assert "receipt_p99_ms" in figures


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("fan_out", "--buyers", "3"), "--buyers need --tickets"),
        (("fan_out", "--tickets", "f"), "name it with --stream"),
        (("flash_sale", "--stream", "s", "--tickets", "/nowhere"), "cannot be read"),
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
