"""Helm 3 and 4, and what they make of the chart."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
CHART = ROOT / "helm"
EXAMPLES = sorted((CHART / "examples").glob("*.yaml"))
HELMS = ("helm3", "helm4")
RELEASE, NAMESPACE = "friday", "shops"

Manifest = dict[str, Any]


@cache
def _installed() -> Path:
    done = subprocess.run([ROOT / ".ci" / "install-helm"], capture_output=True, text=True, check=False, timeout=110)
    assert done.returncode == 0, done.stderr
    return ROOT / ".venv" / "helm"


def helm(name: str, *arguments: str, values: Mapping[str, Any] | None = None) -> subprocess.CompletedProcess[str]:
    """Runs one of the two, whatever its exit status; `values` go in by standard input."""
    command = [str(_installed() / name), *arguments]
    if values is not None:
        command += ["--values", "-"]
    given = yaml.safe_dump(dict(values)) if values is not None else ""
    return subprocess.run(command, input=given, capture_output=True, text=True, check=False, timeout=60)


def example(name: str, **changes: Any) -> dict[str, Any]:
    """The values of `helm/examples/NAME.yaml`, with changes on top: `edge={"tlsSecret": ""}`."""
    return merged(yaml.safe_load((CHART / "examples" / f"{name}.yaml").read_text("utf-8")), changes)


def merged(values: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """As Helm puts values over values."""
    result = dict(values)
    for name, change in changes.items():
        both = isinstance(change, Mapping) and isinstance(result.get(name), Mapping)
        result[name] = merged(result[name], change) if both else change
    return result


def rendered(values: Mapping[str, Any], name: str = "helm4") -> list[Manifest]:
    """The manifests. Fails the test, with what Helm said, when there are none."""
    manifests = yaml.load_all(_text(yaml.safe_dump(dict(values)), name), yaml.CSafeLoader)
    return sorted(
        (manifest for manifest in manifests if manifest is not None),
        key=lambda manifest: (manifest["kind"], manifest["metadata"]["name"]),
    )


@cache
def _text(values: str, name: str) -> str:
    done = helm(name, "template", RELEASE, str(CHART), "--namespace", NAMESPACE, values=yaml.safe_load(values))
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(values: Mapping[str, Any], name: str = "helm4") -> str:
    """What Helm says instead of rendering. Fails the test when it renders."""
    done = helm(name, "template", RELEASE, str(CHART), values=values)
    assert done.returncode != 0, "it was rendered"
    assert done.stdout == ""
    return done.stderr


def of_kind(manifests: list[Manifest], kind: str) -> dict[str, Manifest]:
    """Those of a kind, by what follows the release's name in theirs."""
    found = [manifest for manifest in manifests if manifest["kind"] == kind]
    return {manifest["metadata"]["name"].rpartition("-")[2]: manifest for manifest in found}


def pods(manifests: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    """Every pod template, with the name of what makes it."""
    for manifest in manifests:
        template = manifest.get("spec", {}).get("template") if manifest["kind"] in ("Deployment", "Job") else None
        if template is not None:
            yield manifest["metadata"]["name"], template


@cache
def sets() -> dict[str, dict[str, Any]]:
    """The value sets that are looked at: the examples, and what they leave out."""
    known = {path.stem: example(path.stem) for path in EXAMPLES}
    known["edge without TLS"] = example("edge", edge={"tlsSecret": "", "service": {"type": "NodePort"}})
    known["edge behind a balancer"] = example("edge", edge={"tlsSecret": "", "behind": ["10.0.0.0/16", "fd00:1::/56"]})
    known["CPU alone"] = example("ingress", autoscaling={"enabled": True})
    known["a drain of ten minutes"] = example("ingress", settings={"DROPCAST_DRAIN_WITHIN_S": 600}, preStopSleepS=1)
    return known
