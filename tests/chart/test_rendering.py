"""Both Helms take the chart, make the same of it, and Kubernetes would take what they make."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest

from tests.chart.charts import CHART, EXAMPLES, HELMS, Manifest, example, helm, of_kind, rendered, sets

KUBERNETES = ("1.30", "1.37")  # the oldest the chart allows, and the newest there are schemas of
CUSTOM = {"HTTPRoute", "ServiceMonitor", "PrometheusRule"}  # no schema: they come with somebody else's software


@pytest.mark.parametrize("name", HELMS)
@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_lint_has_nothing_to_say(path: Any, name: str) -> None:
    linted = helm(name, "lint", "--strict", str(CHART), "--values", str(path))
    assert linted.returncode == 0, linted.stdout + linted.stderr
    assert "[WARNING]" not in linted.stdout


@pytest.mark.parametrize("values", sets().values(), ids=sets())
def test_both_helms_make_the_same(values: dict[str, Any]) -> None:
    three, four = (rendered(values, name) for name in HELMS)
    assert three == four
    assert "Deployment" in {manifest["kind"] for manifest in four}


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", sets().values(), ids=sets())
def test_kubernetes_would_take_it(values: dict[str, Any], version: str) -> None:
    for manifest in rendered(values):
        if manifest["kind"] not in CUSTOM:
            kubernetes_validate.validate(manifest, version, strict=True)


def test_control_a_manifest_with_a_misspelt_field_is_refused() -> None:
    (deployment,) = of_kind(rendered(example("bare")), "Deployment").values()
    deployment["spec"]["replica"] = 3
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(deployment, KUBERNETES[0], strict=True)


@pytest.mark.parametrize("name", HELMS)
def test_a_package_renders_as_the_folder_does(tmp_path: Path, name: str) -> None:
    """The edge's template is a link out of the chart; a package must hold what it leads to."""
    packed = helm(name, "package", str(CHART), "--destination", str(tmp_path))
    assert packed.returncode == 0, packed.stderr
    (archive,) = tmp_path.iterdir()
    values = example("edge")
    from_folder, from_package = (
        helm(name, "template", "friday", str(chart), values=values) for chart in (CHART, archive)
    )
    assert from_package.returncode == 0, from_package.stderr
    assert from_package.stdout == from_folder.stdout


def test_an_older_kubernetes_is_refused() -> None:
    old = helm("helm4", "template", "friday", str(CHART), "--kube-version", "1.29.0", values=example("bare"))
    assert old.returncode != 0
    assert "kubeVersion" in old.stderr


def test_names_are_one_another_s_and_fit() -> None:
    values = example("everything", fullnameOverride="a" * 50)
    for manifest in rendered(values):
        assert len(manifest["metadata"]["name"]) <= 63


@pytest.mark.parametrize(
    ("name", "kinds"),
    [
        ("bare", {"ConfigMap", "Deployment", "Service"}),
        ("gateway", {"HTTPRoute", "Job", "NetworkPolicy", "PodDisruptionBudget", "ServiceAccount"}),
        ("everything", {"HorizontalPodAutoscaler", "Ingress", "HTTPRoute", "ServiceMonitor", "PrometheusRule"}),
    ],
)
def test_what_is_asked_for_is_there_and_nothing_else(name: str, kinds: set[str]) -> None:
    found = {manifest["kind"] for manifest in rendered(example(name))}
    assert kinds <= found
    if name == "bare":
        assert found == kinds


def test_without_the_admin_side_nothing_serves_it() -> None:
    manifests = rendered(example("gateway"))
    assert "admin" not in of_kind(manifests, "Deployment").keys() | of_kind(manifests, "Service").keys()
    assert _surfaces(of_kind(manifests, "Deployment")["live"]) == "viewer,host"


@pytest.mark.parametrize("name", ["ingress", "everything", "gateway", "edge"])
def test_nothing_leads_to_the_admin_side_from_outside(name: str) -> None:
    for manifest in rendered(example(name)):
        if manifest["kind"] in ("Ingress", "HTTPRoute"):
            assert "-admin" not in str(manifest["spec"])
        if manifest["kind"] == "Service" and manifest["metadata"]["name"].endswith("-admin"):
            assert manifest["spec"]["type"] == "ClusterIP"


@pytest.mark.parametrize("path", ["/metrics", "/livez", "/readyz"])
def test_what_is_for_operators_leads_nowhere_from_outside(path: str) -> None:
    manifests = rendered(example("everything"))
    nowhere = of_kind(manifests, "Service")["nowhere"]
    assert "selector" not in nowhere["spec"]
    (ingress,) = of_kind(manifests, "Ingress").values()
    for rule in ingress["spec"]["rules"]:
        (leads,) = [one["backend"]["service"]["name"] for one in rule["http"]["paths"] if one["path"] == path]
        assert leads == nowhere["metadata"]["name"]
    (route,) = of_kind(manifests, "HTTPRoute").values()
    (rule,) = [one for one in route["spec"]["rules"] if path in str(one["matches"])]
    assert rule["backendRefs"] == [{"name": nowhere["metadata"]["name"], "port": 80}]


def test_the_number_of_pods_is_left_to_the_autoscaler_when_there_is_one() -> None:
    manifests = rendered(example("everything"))
    assert "replicas" not in of_kind(manifests, "Deployment")["live"]["spec"]
    (scaler,) = of_kind(manifests, "HorizontalPodAutoscaler").values()
    assert [metric["type"] for metric in scaler["spec"]["metrics"]] == ["Pods", "Resource"]
    down = scaler["spec"]["behavior"]["scaleDown"]
    assert down["stabilizationWindowSeconds"] >= 600
    assert down["policies"] == [{"type": "Pods", "value": 1, "periodSeconds": 300}]


def test_the_schema_is_brought_up_to_date_before_anything_else_and_leans_on_nothing_of_the_release() -> None:
    job = of_kind(rendered(example("ingress")), "Job")["migrate"]
    assert job["metadata"]["annotations"]["helm.sh/hook"] == "pre-install,pre-upgrade"
    pod = job["spec"]["template"]["spec"]
    assert pod["containers"][0]["command"] == ["dropcast", "migrate"]
    assert "serviceAccountName" not in pod
    assert "envFrom" not in pod["containers"][0]


def test_prometheus_finds_each_replica_once() -> None:
    manifests = rendered(example("edge", serviceMonitor={"enabled": True}))
    (monitor,) = of_kind(manifests, "ServiceMonitor").values()
    components = monitor["spec"]["selector"]["matchExpressions"][0]["values"]
    found = [
        name
        for name, service in of_kind(manifests, "Service").items()
        if service["metadata"]["labels"]["app.kubernetes.io/component"] in components
    ]
    assert sorted(found) == ["admin", "live"]


def _surfaces(deployment: Manifest) -> str:
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    return str(next(one["value"] for one in container["env"] if one["name"] == "DROPCAST_SURFACES"))
