"""Builds the image without an engine, as root, over a Debian that is made here in the place of the public bases."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.services.programs import MissingProgramsError, path_of
from tests.services.release import ROOT

_CACHE = ROOT / "test-artifacts" / "image"
_AUTHORITIES = Path("/etc/ssl/certs")
_BASE, _NODE_BASE, IMAGE = "localhost/base", "localhost/node-base", "localhost/dropcast-test"
_AS_A_CONTAINER = """
root=$1 data=$2
shift 2
mount --bind "$root" "$root"
mount --bind "$data" "$root/var/lib/dropcast"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -o remount,bind,ro "$root"
exec chroot "$root" "$@"
"""
"""Each program takes the place of the one before, so that a signal reaches the last of them, as in a container."""
_PACKAGES = "python3,python3-venv,ca-certificates"


def build() -> None:
    """Builds `IMAGE`. The bases stay in test-artifacts/ for the next time; the first time takes about four minutes."""
    if os.geteuid() != 0:
        raise MissingProgramsError("tests/image must be run as root: building without an engine changes root folders")
    _CACHE.mkdir(parents=True, exist_ok=True)
    if not _is_there(_BASE):
        _make_base()
    if not _is_there(_NODE_BASE):
        _build(_NODE_BASE, f"FROM {_BASE}\nRUN apt-get update && apt-get install -y --no-install-recommends npm\n")
    _build(IMAGE, None, "--build-arg", f"BASE={_BASE}", "--build-arg", f"NODE_BASE={_NODE_BASE}", *_package_sources())
    _buildah("rmi", "--prune")  # the one before, and its stages


def configuration() -> dict[str, Any]:
    """What the image says about itself: User, Entrypoint, Cmd, Env, Healthcheck, …"""
    found: dict[str, Any] = json.loads(_buildah("inspect", "--type", "image", IMAGE))["Docker"]["config"]
    return found


@contextmanager
def mounted() -> Iterator[Path]:
    """The folder that is the image's root."""
    container = _buildah("from", "--pull-never", IMAGE).strip()
    try:
        yield Path(_buildah("mount", container).strip())
    finally:
        _buildah("rm", container)


def in_container(root: Path, data: Path, words: Sequence[str], environment: Mapping[str, str]) -> list[str]:
    """The words that run `words` as the image's user on a root nobody can write to, with nothing of this process.

    `data` is what stands at /var/lib/dropcast. The network is this machine's.
    """
    says = configuration()
    user, group = says["User"].split(":")
    os.chown(data, int(user), int(group))
    set_ = {**dict(entry.split("=", 1) for entry in says["Env"]), **environment}
    return [
        *(path_of("unshare"), "--mount", "--", "/bin/sh", "-euc", _AS_A_CONTAINER, "sh", str(root), str(data)),
        *("/usr/bin/setpriv", f"--reuid={user}", f"--regid={group}", "--clear-groups", "--pdeathsig=KILL"),
        *("--inh-caps=-all", "--bounding-set=-all", "--no-new-privs", "--"),
        *("/usr/bin/env", "--ignore-environment", f"--chdir={says['WorkingDir']}"),
        *(f"{name}={value}" for name, value in set_.items()),
        *words,
    ]


def _make_base() -> None:
    root, archive = _CACHE / "root", _CACHE / "root.tar"
    shutil.rmtree(root, ignore_errors=True)
    said = subprocess.run(
        [path_of("debootstrap"), "--variant=minbase", f"--include={_PACKAGES}", "bookworm", str(root)],
        capture_output=True,
        text=True,
        check=False,
    )
    if said.returncode:
        raise RuntimeError(f"debootstrap failed:\n{said.stdout[-2000:]}{said.stderr[-2000:]}")
    subprocess.run([path_of("tar"), "-C", str(root), "-cf", str(archive), "."], check=True)
    _build(
        _BASE, "FROM scratch\nADD root.tar /\nENV PATH=/usr/local/bin:/usr/local/sbin:/usr/sbin:/usr/bin:/sbin:/bin\n"
    )
    shutil.rmtree(root)
    archive.unlink()


def _build(name: str, containerfile: str | None, *options: str) -> None:
    where = (str(ROOT),) if containerfile is None else ("--file", "-", str(_CACHE))
    _buildah(
        "build", "--isolation", "chroot", "--format", "docker", *options, "--tag", name, *where, said=containerfile
    )


def _is_there(name: str) -> bool:
    return bool(_buildah("images", "--quiet", "--filter", f"reference={name}").strip())


def _package_sources() -> list[str]:
    """Where pip and npm of this machine look for packages, handed over as the secrets that the Dockerfile knows."""
    pip, npm = _CACHE / "pip.conf", _CACHE / "npmrc"
    lines = [f"{name} = {said}" for name in ("index-url", "proxy", "trusted-host") if (said := _pip_setting(name))]
    pip.write_text("\n".join(["[global]", f"cert = {_AUTHORITIES}/ca-certificates.crt", *lines, ""]))
    registry = subprocess.run([path_of("npm"), "config", "get", "registry"], capture_output=True, text=True, check=True)
    npm.write_text(f"registry={registry.stdout.strip()}\ncafile={_AUTHORITIES}/ca-certificates.crt\n")
    secrets = [word for file in (pip, npm) for word in ("--secret", f"id={file.name},src={file}")]
    return [*secrets, "--volume", f"{_AUTHORITIES}:{_AUTHORITIES}:ro"]


def _pip_setting(name: str) -> str:
    words = [path_of("python3"), "-m", "pip", "config", "get", f"global.{name}"]
    return subprocess.run(words, capture_output=True, text=True, check=False).stdout.strip()


def _buildah(*words: str, said: str | None = None) -> str:
    folders = ("--root", str(_CACHE / "storage"), "--runroot", str(_CACHE / "run"))
    done = subprocess.run(
        [path_of("buildah"), "--storage-driver", "vfs", *folders, *words],
        input=said if said is not None else "",
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"buildah {words[0]} failed:\n{done.stdout[-4000:]}{done.stderr[-4000:]}")
    return done.stdout
