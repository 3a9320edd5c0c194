"""A service: one program of ours, started and awaited, stopped, killed, paused and restarted."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Self

from tests.services.ports import free_port
from tests.services.programs import path_of

_PORT_TRIES = 5
_POLL_S = 0.01

# The kernel sends the parent-death signal when the *thread* that started the child ends, so every child is started
# by one thread that lives as long as the process does.
_starter = ThreadPoolExecutor(max_workers=1, thread_name_prefix="service-starter")


class ServiceError(RuntimeError):
    """A service did not start or stop; the message ends with the tail of its log."""


class PortTakenError(ServiceError):
    """Somebody else listens on the service's port."""


class Service(ABC):
    """One program on a private port, in a short temporary folder that goes away with it.

    `with Service() as service:` starts it and, at the end, stops it and removes the folder. `stop` and `kill`
    leave the folder, so that `start` and `restart` find what the program had written; the port stays the same.
    """

    name: str
    start_within_s = 30.0
    stop_within_s = 20.0
    death_signal = "KILL"
    """What the program gets when the test run dies; a program with children needs one it can pass on."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix=f"dc-{self.name}-", dir="/tmp"))  # short: unix sockets lie in it
        self.log = self.folder / "log"
        self.port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self._ready_once = False

    # What each service says of itself

    @abstractmethod
    def command(self) -> Sequence[str]:
        """The program and its arguments, for the present port."""

    @abstractmethod
    def is_ready(self) -> bool:
        """Whether the program answers in its own protocol, and it is this program that answers."""

    def environment(self) -> Mapping[str, str]:
        """The program's whole environment."""
        return {name: os.environ[name] for name in ("PATH", "HOME", "USER", "TMPDIR", "LANG") if name in os.environ}

    # What tests do with it

    @property
    def pid(self) -> int:
        """The program's process id, which is also its group's."""
        if self._process is None:
            raise ServiceError(f"{self.name} is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether the program runs (or is paused)."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> Self:
        """Starts the program and returns once it is ready. Raises `ServiceError` at once when it exits instead."""
        if self.running:
            raise ServiceError(f"{self.name} runs already")
        for _ in range(_PORT_TRIES):
            try:
                self._start()
            except PortTakenError:
                if self._ready_once:  # clients know this port
                    raise
                self.port = free_port()
            else:
                self._ready_once = True
                return self
        raise PortTakenError(f"{self.name} found no free port in {_PORT_TRIES} tries")

    def stop(self) -> None:
        """Asks the program to end and waits for it and its children. Raises `ServiceError` when it does not."""
        if self._process is None:
            return
        self.terminate()
        self.resume()  # a paused program cannot hear
        self.await_exit(self.stop_within_s)

    def terminate(self) -> None:
        """SIGTERM, and back at once: the program ends while the test looks on. `await_exit` waits for its end."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)  # does nothing once the program was reaped

    def await_exit(self, within_s: float) -> int:
        """The exit status of a program that is ending. Raises `ServiceError`, having killed it, when it does not."""
        if self._process is None:
            raise ServiceError(f"{self.name} is not running")
        try:
            status = self._process.wait(within_s)
        except subprocess.TimeoutExpired:
            self.kill()
            raise ServiceError(f"{self.name} did not stop in {within_s:.0f} s{self._tail()}") from None
        self._reap_group()
        return status

    def kill(self) -> None:
        """SIGKILL to the program and its children: what it had not written is lost. Safe to repeat."""
        if self._process is None:
            return
        self._signal_group(signal.SIGKILL)
        self._process.wait(self.stop_within_s)
        self._reap_group()

    def restart(self) -> None:
        """Stops the program if it runs and starts it again, on the same port and the same folder."""
        self.stop()
        self.start()

    def pause(self) -> None:
        """SIGSTOP: the program keeps its sockets and answers nothing."""
        self._signal_group(signal.SIGSTOP)

    def resume(self) -> None:
        """SIGCONT. Safe when the program is not paused."""
        self._signal_group(signal.SIGCONT)

    def ensure(self) -> Self:
        """Running, not paused and ready, whatever an earlier test did to it."""
        if self.running:
            self.resume()
            self._await_ready()
        else:
            self.start()
        return self

    def remove(self) -> None:
        """Stops the program and removes its folder."""
        try:
            self.stop()
        finally:
            shutil.rmtree(self.folder, ignore_errors=True)

    def log_text(self) -> str:
        """Everything the program has said."""
        return self.log.read_text(encoding="utf-8", errors="replace") if self.log.exists() else ""

    def __enter__(self) -> Self:
        try:
            return self.start()
        except BaseException:
            self.remove()
            raise

    def __exit__(self, *_: object) -> None:
        self.remove()

    # How

    def _start(self) -> None:
        before = self.log.stat().st_size if self.log.exists() else 0
        self._process = _starter.submit(self._spawn).result()
        try:
            self._await_ready()
        except ServiceError as error:
            self.kill()
            said = self.log.read_bytes()[before:].decode(errors="replace").lower()
            if "address already in use" in said:
                raise PortTakenError(str(error)) from None
            raise

    def _spawn(self) -> subprocess.Popen[bytes]:
        with self.log.open("ab") as log:
            return subprocess.Popen(
                [path_of("setpriv"), "--pdeathsig", self.death_signal, "--", *self.command()],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=self.folder,
                env=self.environment(),
                process_group=0,
            )

    def _await_ready(self) -> None:
        deadline = time.monotonic() + self.start_within_s
        while True:
            ready = self.is_ready()
            if not self.running:
                raise ServiceError(f"{self.name} exited instead of starting{self._tail()}")
            if ready:
                return
            if time.monotonic() > deadline:
                raise ServiceError(f"{self.name} was not ready in {self.start_within_s:.0f} s{self._tail()}")
            time.sleep(_POLL_S)

    def _reap_group(self) -> None:
        """Waits for the program's children; kills those that stay."""
        group, self._process = self.pid, None
        if not eventually(lambda: not members_of_group(group), within_s=2.0):
            _kill_group(group, signal.SIGKILL)
            if not eventually(lambda: not members_of_group(group), within_s=5.0):
                raise ServiceError(f"{self.name} left processes behind in group {group}")

    def _signal_group(self, number: signal.Signals) -> None:
        if self._process is not None:
            _kill_group(self._process.pid, number)

    def _tail(self) -> str:
        lines = self.log_text().splitlines()[-30:]
        return "; it said:\n  " + "\n  ".join(lines) if lines else "; it said nothing"


def eventually(condition: Callable[[], bool], *, within_s: float) -> bool:
    """Asks again and again whether `condition` holds; False when it did not in time. For what sends no signal."""
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(_POLL_S)
    return True


def members_of_group(group: int) -> list[int]:
    """The processes of a group that still run: in a container the dead may stay as zombies that nobody reaps."""
    return [pid for pid in map(int, filter(str.isdigit, os.listdir("/proc"))) if _living_group(pid) == group]


def _living_group(pid: int) -> int | None:
    try:
        after_name = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, _parent, group = after_name[:3]
    return None if state in "ZX" else int(group)


def _kill_group(group: int, number: signal.Signals) -> None:
    with suppress(ProcessLookupError):
        os.killpg(group, number)
