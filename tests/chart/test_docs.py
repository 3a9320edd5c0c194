"""helm/README.md says what the chart takes, and the chart speaks of what the server has."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Iterator
from typing import Any

import yaml
from prometheus_client import REGISTRY

from server import metrics
from tests.chart.charts import CHART, ROOT, example, helm, of_kind, rendered

WHOLE = ("resources", "database", "bus", "mail")  # one row for all of it


def _rows(values: dict[str, Any], path: str = "") -> Iterator[tuple[str, str]]:
    for name, value in values.items():
        if isinstance(value, dict) and value and name not in WHOLE:
            yield from _rows(value, f"{path}{name}.")
        else:
            yield f"{path}{name}", "" if value in ("", [], {}) else json.dumps(value, ensure_ascii=False)


def test_the_readmes_table_has_every_value_with_its_default() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))
    readme = (CHART / "README.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| `([\w.]+)` \| (?:`([^`]*)`)? ?\| .+\|$", readme, flags=re.MULTILINE))
    assert rows == dict(_rows(values))


def test_the_chart_is_of_this_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert yaml.safe_load((CHART / "Chart.yaml").read_text("utf-8"))["appVersion"] == project["version"]


def test_alerts_ask_for_metrics_that_there_are() -> None:
    assert metrics.VIEWERS  # declares them all
    known = {sample.name for family in REGISTRY.collect() for sample in family.samples} | {
        name for family in REGISTRY.collect() for name in (family.name, f"{family.name}_total")
    }
    manifests = rendered(example("everything"))
    (rule,) = of_kind(manifests, "PrometheusRule").values()
    asked = {name for one in rule["spec"]["groups"][0]["rules"] for name in re.findall(r"dropcast_\w+", one["expr"])}
    assert len(asked) >= 9
    assert asked <= known
    (scaler,) = of_kind(manifests, "HorizontalPodAutoscaler").values()
    assert scaler["spec"]["metrics"][0]["pods"]["metric"]["name"] in known


def test_alerts_of_one_shop_do_not_speak_of_another() -> None:
    (rule,) = of_kind(rendered(example("everything")), "PrometheusRule").values()
    for one in rule["spec"]["groups"][0]["rules"]:
        assert one["expr"].count('job=~"friday-shop-.+"') == one["expr"].count("dropcast_")


def test_what_is_said_after_an_installation_names_what_there_is() -> None:
    for name, says in (
        ("ingress", "https://shop.example/"),
        ("gateway", "https://shop.example/"),
        ("edge", "get service friday-dropcast-edge"),
        ("bare", "Nothing leads in from outside yet"),
    ):
        said = _notes(example(name))
        assert says in said
        assert "deployment/friday-dropcast-live -- dropcast create-user" in said
        assert ("service/friday-dropcast-admin" in said) == (name in ("ingress", "edge"))
    assert "passwords and cookies pass in the open" in _notes(example("edge", edge={"tlsSecret": ""}))
    assert "WARNING" not in _notes(example("edge"))
    assert "WARNING" not in _notes(example("edge", edge={"tlsSecret": "", "behind": ["10.0.0.0/16"]}))


def _notes(values: dict[str, Any]) -> str:
    done = helm("helm4", "install", "friday", str(CHART), "--dry-run=client", "--namespace", "shops", values=values)
    assert done.returncode == 0, done.stderr
    return done.stdout.partition("NOTES:")[2]
