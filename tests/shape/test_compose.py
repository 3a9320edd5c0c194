"""What compose.yaml promises in its comments; tests/integration/test_compose.py runs what it would run."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from server import settings
from tests.services.compose import ROOT, SECRETS, TEXT, MissingVariableError, services

SERVICES = services(SECRETS)
REPLICAS = ("live-1", "live-2", "admin")
EVERY = pytest.mark.parametrize("service", SERVICES.values(), ids=list(SERVICES))


def test_it_is_what_the_compose_specification_allows(tmp_path: Path) -> None:
    def checked(text: str) -> str:
        (tmp_path / "compose.yaml").write_text(text)
        words = [sys.executable, "-m", "check_jsonschema", "--builtin-schema", "vendor.compose-spec"]
        return subprocess.run([*words, tmp_path / "compose.yaml"], capture_output=True, text=True, check=False).stdout

    assert checked(TEXT) == "ok -- validation done\n"
    assert "stop_grace" in checked(TEXT.replace("stop_grace_period", "stop_grace"))


@pytest.mark.parametrize("name", SECRETS)
def test_it_does_not_start_without_its_secrets_and_says_how_to_make_them(name: str) -> None:
    with pytest.raises(MissingVariableError, match=f"{name}: run `make env` first"):
        services({**SECRETS, name: ""})


def test_make_env_makes_them_once_for_their_owner_only(tmp_path: Path) -> None:
    words = ["make", "--no-print-directory", "--file", str(ROOT / "Makefile"), "env"]
    made = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=True)
    file = tmp_path / ".env"
    values = dict(line.split("=") for line in file.read_text().splitlines())
    assert values.keys() == SECRETS.keys()
    assert all(re.fullmatch(r"[0-9a-f]{64}", value) for value in values.values())
    assert len(set(values.values())) == len(values)
    assert file.stat().st_mode & 0o777 == 0o600
    assert not any(value in made.stdout + made.stderr for value in values.values())
    before = file.read_text()
    again = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert again.returncode != 0
    assert ".env is there already" in again.stderr
    assert file.read_text() == before


@EVERY
def test_every_service_is_hardened(service: dict[str, Any]) -> None:
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & service.keys()
    ours = "build" in service  # the image says who it runs as
    assert (service.get("user", "").partition(":")[0] in ("", "10001")) if ours else service["user"] != "0:0"


@EVERY
def test_every_service_that_stays_is_asked_for_its_health_and_restarted(service: dict[str, Any]) -> None:
    if service["restart"] == "no":
        return
    assert service["restart"] == "unless-stopped"
    assert service["healthcheck"]["test"][0] == "CMD"


@EVERY
def test_every_service_waits_for_what_it_needs_to_be_done_or_well(service: dict[str, Any]) -> None:
    for name, needed in service.get("depends_on", {}).items():
        done = SERVICES[name]["restart"] == "no"
        assert needed["condition"] == ("service_completed_successfully" if done else "service_healthy")


def test_the_world_reaches_nginx_and_nobody_else() -> None:
    published = {name: service["ports"] for name, service in SERVICES.items() if "ports" in service}
    assert published.pop("nginx") == ["8080:8080"]
    assert published.keys() == {"mailpit", "dev"}
    assert all(port.startswith("127.0.0.1:") for ports in published.values() for port in ports)
    assert "front" not in SERVICES["admin"]["networks"]
    assert set(SERVICES["mysql"]["networks"]) == set(SERVICES["redis"]["networks"]) == {"data"}
    assert re.search(r"^  data: \{internal: true\}$", TEXT, flags=re.MULTILINE)


@pytest.mark.parametrize("name", [*REPLICAS, "migrate"])
def test_the_replicas_can_read_their_settings(name: str) -> None:
    read = settings.read({"DROPCAST_BIND": "0.0.0.0:8080", **SERVICES[name]["environment"]})
    assert read.secret_keys == (SECRETS["DROPCAST_SECRET_KEYS"],)
    assert not read.embedded
    served = {"admin": {"admin"}, "migrate": {"viewer", "host", "admin"}}.get(name, {"viewer", "host"})
    assert set(read.surfaces) == served


@pytest.mark.parametrize("name", ["live-1", "live-2"])
def test_the_replicas_behind_nginx_trust_it_and_nobody_else(name: str) -> None:
    (nginx,) = SERVICES["nginx"]["networks"].values()
    assert SERVICES[name]["environment"]["DROPCAST_TRUSTED_PROXIES"] == nginx["ipv4_address"]
    assert f"--upstream {SERVICES[name]['networks']['front']['ipv4_address']}:8080" in SERVICES["edge"]["command"][0]


@pytest.mark.parametrize("name", REPLICAS)
def test_there_is_time_for_the_drain_and_room_for_the_viewers(name: str) -> None:
    service = SERVICES[name]
    drain = float(service["environment"]["DROPCAST_DRAIN_WITHIN_S"])
    assert float(service["stop_grace_period"].removesuffix("s")) >= drain + 20
    assert service["ulimits"]["nofile"]["soft"] >= 40_000 + 100
    folders = [folder.partition(":")[0] for folder in service["tmpfs"]]
    assert folders == ["/tmp", "/var/lib/dropcast"]


def test_the_databases_connections_are_enough_for_all_replicas() -> None:
    (most,) = [int(word.partition("=")[2]) for word in SERVICES["mysql"]["command"] if "max-connections" in word]
    assert most > len(REPLICAS) * int(settings.Settings.model_fields["database_pool_size"].default)
