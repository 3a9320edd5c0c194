"""What the kernel knows of a process: CPU, memory, and the core it may run on. Linux only."""

from __future__ import annotations

import os
import resource
from pathlib import Path

from loadtest.errors import CannotGoOn

_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_NICE = 10


def cpu_s(pid: int) -> float:
    """Seconds of CPU, user and system, of all threads so far; steps of 10 ms. Raises `CannotGoOn` when it is gone."""
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()
    except OSError:
        raise CannotGoOn(f"there is no process {pid} any more") from None
    return (int(after_name[11]) + int(after_name[12])) / _TICKS_PER_S


def rss_kb(pid: int) -> int:
    """Resident memory (VmRSS) in KB. Raises `CannotGoOn` when it is gone."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        raise CannotGoOn(f"there is no process {pid} any more") from None
    return next((int(line.split()[1]) for line in lines if line.startswith("VmRSS:")), 0)


def workers(pid: int) -> list[int]:
    """The processes that this one has started: nginx's workers, of its master."""
    try:
        return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii").split()]
    except OSError:
        raise CannotGoOn(f"there is no process {pid} any more") from None


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text(encoding="ascii", errors="replace").rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state not in ("Z", "X")


def require_replica(pid: int) -> None:
    """Raises `CannotGoOn` unless this is a `dropcast serve`: a signal must not hit somebody else."""
    try:
        words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
    except OSError:
        words = []
    if b"serve" not in words:
        raise CannotGoOn(f"process {pid} is not `dropcast serve`")


def pin(pid: int, core: int | None) -> None:
    """Keeps a process (0: this one) on one core; None leaves it where it is."""
    if core is not None:
        try:
            os.sched_setaffinity(pid, {core})
        except OSError as error:
            raise CannotGoOn(f"core {core} cannot be used: {error.strerror}") from None


def step_back() -> None:
    """From now on this process gets the processor after the others of its core.

    A crowd stands for thousands of machines: it must not starve the database or the buyers that share its core.
    """
    os.nice(_NICE)


def allow_files(needed: int) -> None:
    """Lifts this process's own limit of open files as far as needed. Raises `CannotGoOn` when that is not allowed."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft != resource.RLIM_INFINITY and soft < needed:
        if hard != resource.RLIM_INFINITY and hard < needed:
            raise CannotGoOn(f"this needs {needed} open files and the machine allows {hard}: raise `ulimit -Hn`")
        resource.setrlimit(resource.RLIMIT_NOFILE, (needed, hard))
