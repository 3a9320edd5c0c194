"""What cannot be meant is refused, with a sentence that says what to do."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import yaml

from tests.chart.charts import CHART, HELMS, example, helm, merged, refusal

REFUSED: list[tuple[dict[str, Any], str]] = [
    ({"image": {"repository": ""}}, "say where you pushed the image"),
    ({"secret": {"name": ""}}, "make a Secret with DROPCAST_DATABASE_URL"),
    ({"settings": {"DROPCAST_DATABASE_URL": "sqlite+aiosqlite:///var/x.db"}}, "put the URL of a MySQL or MariaDB"),
    ({"settings": {"DROPCAST_BUS_URL": "memory://"}}, "put the URL of a Redis"),
    ({"settings": {"DROPCAST_DATABASE_URL": "mysql+aiomysql://u:hunter2@db/d"}}, "put it into the Secret"),
    ({"settings": {"DROPCAST_SMTP_URL": "smtps://u:hunter2@mail"}}, "put it into the Secret"),
    ({"settings": {"DROPCAST_SECRET_KEYS": "hunter2" * 8}}, "put it into the Secret"),
    ({"settings": {"DROPCAST_TRUSTED_PROXIES": ""}}, "name the network of the pods in front"),
    ({"live": {"surfaces": ["viewer", "admin"]}}, "admin.enabled gives it a Deployment of its own"),
    ({"live": {"surfaces": ["viewer", "hosts"]}}, "there are viewer and host"),
    ({"live": {"surfaces": []}}, "name viewer, host or both"),
    ({"live": {"replicas": 0}}, "at least 1, and 2 to upgrade"),
    ({"autoscaling": {"minReplicas": 0}}, "at least 1"),
    ({"autoscaling": {"minReplicas": 5, "maxReplicas": 4}}, "it must be as many or more"),
    ({"edge": {"enabled": True}}, "choose one way in"),
    ({"edge": {"behind": ["10.0.0.0/16"], "tlsSecret": "shop"}}, "TLS that ends at the proxy in front"),
    ({"ingress": {"hosts": []}}, "name the shop's host"),
    ({"httpRoute": {"enabled": True}}, "name the Gateway"),
    ({"networkPolicy": {"ingressFrom": []}}, "name the namespace of your Ingress controller"),
]


@pytest.mark.parametrize("name", HELMS)
@pytest.mark.parametrize(("change", "sentence"), REFUSED, ids=[sentence for _, sentence in REFUSED])
def test_it_is_refused_with_what_to_do(change: dict[str, Any], sentence: str, name: str) -> None:
    said = refusal(example("ingress", **change), name)
    assert sentence in said
    assert "hunter2" not in said, "a secret in what is printed"
    (path,) = [f"{part}.{key}" for part, keys in change.items() for key in list(keys)[-1:]]
    assert path.split(".")[0] in said


@pytest.mark.parametrize("name", HELMS)
def test_nothing_said_at_all_is_refused_with_what_to_do_first(name: str) -> None:
    assert "image.repository is empty: say where" in refusal({}, name)


def _sections(values: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    yield path
    for name, value in values.items():
        free = name in ("podAnnotations", "nodeSelector", "affinity", "annotations", "labels", "requests", "limits")
        if isinstance(value, dict) and not free:
            yield from _sections(value, (*path, name))


SECTIONS = list(_sections(yaml.safe_load((CHART / "values.yaml").read_text("utf-8"))))


@pytest.mark.parametrize("section", SECTIONS, ids=lambda section: ".".join(section) or "top")
def test_an_unknown_key_is_refused_everywhere(section: tuple[str, ...]) -> None:
    change: dict[str, Any] = {"replicaCuont": 3}
    for name in reversed(section):
        change = {name: change}
    assert "replicaCuont" in refusal(merged(example("ingress"), change))


@pytest.mark.parametrize(
    "change",
    [
        {"live": {"replicas": "three"}},
        {"settings": {"DROPCAST_DRAIN_WITHIN_S": 601}},
        {"settings": {"DROPCAST_TICK_MS": 99}},
        {"settings": {"DROPCAST_LOG_LEVEL": "loud"}},
        {"settings": {"DROPCAST_SURFACES": "viewer"}},
        {"settings": {"DROPCAST_PUBLIC_URL": "shop.example/path"}},
        {"preStopSleepS": 0},
        {"image": {"digest": "sha256:12"}},
        {"image": {"pullPolicy": "Sometimes"}},
        {"autoscaling": {"scaleDownAfterS": 60}},
        {"networkPolicy": {"database": {"ports": []}}},
        {"edge": {"resolver": "10.96.0.10; include /etc/passwd"}},
        {"edge": {"workers": 0}},
        {"edge": {"behind": ["the balancer"]}},
        {"edge": {"behind": ["10.0.0.0/8; include /etc/passwd"]}},
        {"edge": {"tlsCacheMb": 0}},
        {"edge": {"httpsPort": 65536}},
        {"edge": {"limits": {"sockets": 65536}}},
        {"edge": {"limits": {"requestsPerS": -1}}},
        {"clusterDomain": "cluster.local; x"},
        {"secret": {"name": "Not_A_Name"}},
        {"serviceMonitor": {"interval": "often"}},
    ],
    ids=json.dumps,
)
def test_a_value_out_of_range_is_refused(change: dict[str, Any]) -> None:
    (section,) = change
    assert section in refusal(merged(example("ingress"), change))


def test_control_the_same_values_without_a_change_are_rendered() -> None:
    assert helm("helm4", "template", "friday", str(CHART), values=example("ingress")).returncode == 0
