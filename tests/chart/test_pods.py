"""What every pod promises: time to leave, no rights, no secrets in sight, and the labels it is found by."""

from __future__ import annotations

import math
from typing import Any

import pytest

from server.process import SHUTDOWN_WITHIN_S
from server.settings import PREFIX, Settings, read
from tests.chart.charts import CHART, Manifest, example, of_kind, pods, rendered, sets

SECRET = {"DROPCAST_DATABASE_URL", "DROPCAST_BUS_URL", "DROPCAST_SECRET_KEYS", "DROPCAST_SMTP_URL"}
every_set = pytest.mark.parametrize("values", sets().values(), ids=sets())


@every_set
def test_a_pod_has_time_to_leave(values: dict[str, Any]) -> None:
    manifests = rendered(values)
    for name, pod in pods(manifests):
        if name.endswith(("-live", "-admin")):
            (container,) = pod["spec"]["containers"]
            sleep_s = container["lifecycle"]["preStop"]["sleep"]["seconds"]
            drain_s = float(of_kind(manifests, "ConfigMap")["settings"]["data"]["DROPCAST_DRAIN_WITHIN_S"])
            needed_s = sleep_s + math.ceil(drain_s) + SHUTDOWN_WITHIN_S
            margin_s = values.get("graceMarginS", 10)
            assert sleep_s >= 1
            assert pod["spec"]["terminationGracePeriodSeconds"] == needed_s + margin_s


@every_set
def test_a_pod_has_no_rights(values: dict[str, Any]) -> None:
    seen = 0
    for _, pod in pods(rendered(values)):
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["runAsUser"] == 10001
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert not {"hostNetwork", "hostPID", "hostIPC"} & spec.keys()
        assert not [volume for volume in spec["volumes"] if "hostPath" in volume]
        for container in spec["containers"]:
            security = container["securityContext"]
            assert security["readOnlyRootFilesystem"] is True
            assert security["allowPrivilegeEscalation"] is False
            assert security["capabilities"] == {"drop": ["ALL"]}
            assert {"cpu", "memory"} <= container["resources"]["requests"].keys()
            assert "memory" in container["resources"]["limits"]
            mounted = {mount["mountPath"] for mount in container["volumeMounts"]}
            assert "/tmp" in mounted
            assert container.get("workingDir", "/tmp") in mounted
            seen += 1
    assert seen >= 1


@every_set
def test_kubernetes_puts_no_variables_of_its_own_beside_ours(values: dict[str, Any]) -> None:
    """A Service called dropcast-… would make one called DROPCAST_…, and the server refuses what it does not know."""
    for _, pod in pods(rendered(values)):
        assert pod["spec"]["enableServiceLinks"] is False


@every_set
def test_secrets_are_named_and_never_shown(values: dict[str, Any]) -> None:
    manifests = rendered(values)
    assert not of_kind(manifests, "Secret")
    for config in of_kind(manifests, "ConfigMap").values():
        assert not SECRET & config["data"].keys()
    for name, pod in pods(manifests):
        for container in pod["spec"]["containers"]:
            given = {one["name"]: one for one in container.get("env", [])}
            assert (given.keys() >= SECRET) == (not name.endswith("-edge"))
            for secret in SECRET & given.keys():
                reference = given[secret]["valueFrom"]["secretKeyRef"]
                assert (reference["name"], reference["key"]) == (values["secret"]["name"], secret)
                assert reference.get("optional", False) is (secret == "DROPCAST_SMTP_URL")


@every_set
def test_the_server_would_start_with_what_it_is_told(values: dict[str, Any]) -> None:
    manifests = rendered(values)
    for name, pod in pods(manifests):
        if name.endswith("-edge"):
            continue
        (container,) = pod["spec"]["containers"]
        environment = {
            "DROPCAST_DATABASE_URL": "mysql+aiomysql://u:p@db:3306/d",
            "DROPCAST_BUS_URL": "redis://redis:6379/0",
            "DROPCAST_SECRET_KEYS": "k" * 32,
            **{one["name"]: one["value"] for one in container["env"] if "value" in one},
        }
        for source in container.get("envFrom", []):
            config = of_kind(manifests, "ConfigMap")[source["configMapRef"]["name"].rpartition("-")[2]]
            environment |= config["data"]
        settings = read(environment)
        if name.endswith("-live"):
            assert "admin" not in settings.surfaces
            assert settings.bind == "0.0.0.0:8080"


def test_every_setting_can_be_set() -> None:
    schema = __import__("json").loads((CHART / "values.schema.json").read_text("utf-8"))
    settings = schema["properties"]["settings"]["properties"]
    ours = {"DROPCAST_BIND", "DROPCAST_SURFACES"}  # the chart's own business
    assert settings.keys() | ours == {PREFIX + name.upper() for name in Settings.model_fields}
    for name, field in Settings.model_fields.items():
        said = settings.get(PREFIX + name.upper(), {})
        for bound in field.metadata:
            for ours_, theirs in (("ge", "minimum"), ("le", "maximum")):
                if hasattr(bound, ours_):
                    assert said[theirs] == getattr(bound, ours_), name


@every_set
def test_selectors_find_their_own_pods_and_no_others(values: dict[str, Any]) -> None:
    manifests = rendered(values)
    labels = {name: pod["metadata"]["labels"] for name, pod in pods(manifests)}
    looked = 0
    for manifest in manifests:
        selector = _selector(manifest)
        if selector is None:
            continue
        looked += 1
        found = [name for name, has in labels.items() if selector.items() <= has.items()]
        wanted = manifest["metadata"]["name"].removesuffix("-pods")
        assert found == [wanted], manifest["metadata"]["name"]
    assert looked >= 2


def _selector(manifest: Manifest) -> dict[str, str] | None:
    spec = manifest.get("spec", {})
    selector = spec.get("podSelector" if manifest["kind"] == "NetworkPolicy" else "selector")
    if manifest["kind"] not in ("Deployment", "Service", "PodDisruptionBudget", "NetworkPolicy") or selector is None:
        return None
    return dict(selector if manifest["kind"] == "Service" else selector["matchLabels"])


def test_the_autoscaler_scales_what_there_is() -> None:
    manifests = rendered(example("everything"))
    (scaler,) = of_kind(manifests, "HorizontalPodAutoscaler").values()
    target = scaler["spec"]["scaleTargetRef"]
    assert target["name"] == of_kind(manifests, "Deployment")["live"]["metadata"]["name"]


@pytest.mark.parametrize("change", [{"settings": {"DROPCAST_TICK_MS": 5000}}, {"secret": {"revision": "7"}}])
def test_what_changes_for_the_server_replaces_the_pods(change: dict[str, Any]) -> None:
    before, after = rendered(example("ingress")), rendered(example("ingress", **change))
    for component in ("live", "admin"):
        assert _annotations(before, component) != _annotations(after, component)


def test_what_changes_for_the_edge_replaces_the_edge_alone() -> None:
    before, after = rendered(example("edge")), rendered(example("edge", edge={"workers": 3}))
    assert _annotations(before, "edge") != _annotations(after, "edge")
    assert of_kind(before, "Deployment")["live"] == of_kind(after, "Deployment")["live"]


def test_a_new_version_of_the_chart_alone_sends_nobody_away() -> None:
    for _, pod in pods(rendered(example("everything"))):
        assert not {"helm.sh/chart", "app.kubernetes.io/version"} & pod["metadata"]["labels"].keys()


def _annotations(manifests: list[Manifest], component: str) -> dict[str, str]:
    deployment = of_kind(manifests, "Deployment")[component]
    return dict(deployment["spec"]["template"]["metadata"]["annotations"])


def test_numbers_reach_the_server_as_people_write_them() -> None:
    (settings,) = of_kind(rendered(example("everything")), "ConfigMap").values()
    assert settings["data"]["DROPCAST_SOCKETS_PER_NETWORK"] == "1000000"
    assert settings["data"]["DROPCAST_DATABASE_DEADLINE_S"] == "2.5"
