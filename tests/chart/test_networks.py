"""Who may speak to whom: the way in and Prometheus to the replicas, the replicas to what they need, nobody else."""

from __future__ import annotations

from typing import Any

import pytest

from tests.chart.charts import Manifest, example, of_kind, pods, rendered, sets

DNS = [{"protocol": "UDP", "port": 53}, {"protocol": "TCP", "port": 53}]


def _policy(manifests: list[Manifest], component: str) -> dict[str, Any]:
    return dict(of_kind(manifests, "NetworkPolicy")[component]["spec"])


def _peers(policy: dict[str, Any]) -> list[Any]:
    return [peer for rule in policy["ingress"] for peer in rule["from"]]


@pytest.mark.parametrize(
    "values", [v for v in sets().values() if "networkPolicy" not in v or v["networkPolicy"].get("enabled", True)]
)
def test_every_pod_has_a_policy_for_both_directions(values: dict[str, Any]) -> None:
    manifests = rendered(values)
    for name, _ in pods(manifests):
        policy = _policy(manifests, name.rpartition("-")[2])
        assert policy["policyTypes"] == ["Ingress", "Egress"]
        assert {"ports": DNS} in policy["egress"]


def test_the_edge_reaches_the_replicas_and_the_world_reaches_only_the_edge() -> None:
    manifests = rendered(example("edge"))
    edge_pod = dict(pods(manifests))["friday-dropcast-edge"]["metadata"]["labels"]
    live_pod = dict(pods(manifests))["friday-dropcast-live"]["metadata"]["labels"]
    (peer,) = _peers(_policy(manifests, "live"))
    assert peer["podSelector"]["matchLabels"].items() <= edge_pod.items()
    assert _policy(manifests, "admin")["ingress"] == []
    edge = _policy(manifests, "edge")
    assert edge["ingress"] == [{"ports": [{"protocol": "TCP", "port": port} for port in ("http", "https")]}]
    (to,) = [rule["to"] for rule in edge["egress"] if "to" in rule]
    assert to[0]["podSelector"]["matchLabels"].items() <= live_pod.items()


def test_probes_metrics_and_the_way_in_are_let_in_at_the_port_the_pods_listen_at() -> None:
    values = example("everything")
    manifests = rendered(values)
    said = values["networkPolicy"]
    nodes = [{"ipBlock": {"cidr": cidr}} for cidr in said["nodes"]]
    for component, theirs in (("live", said["ingressFrom"]), ("admin", said["adminFrom"])):
        policy = _policy(manifests, component)
        assert _peers(policy) == [*theirs, *said["metricsFrom"], *nodes]
        pod = of_kind(manifests, "Deployment")[component]["spec"]["template"]["spec"]["containers"][0]
        for rule in policy["ingress"]:
            assert rule["ports"] == [{"protocol": "TCP", "port": pod["ports"][0]["name"]}]
        for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
            assert pod[probe]["httpGet"]["port"] == pod["ports"][0]["name"]


def test_replicas_reach_the_database_the_bus_and_the_mail_server_where_they_are() -> None:
    values = example("everything")
    manifests, said = rendered(values), values["networkPolicy"]
    for component in ("live", "admin"):
        outward = _policy(manifests, component)["egress"]
        for service in ("database", "bus", "mail"):
            ports = [{"protocol": "TCP", "port": port} for port in said[service]["ports"]]
            assert {"ports": ports, "to": said[service]["to"]} in outward
        assert len(outward) == 4
    assert len(_policy(manifests, "migrate")["egress"]) == 2
    assert _policy(manifests, "migrate")["ingress"] == []
