"""A server process of ours: its log, its readiness, its end.

    child = ChildProcess("Kafka", ["java", ...], data_dir / "kafka.log")
    child.start()
    child.wait_ready(probe, timeout_s=60)
    child.stop(timeout_s=20)

The process never outlives this one, even when this one is killed (see `guard`), and never gets a
terminal's Ctrl-C directly: whoever started it decides the order in which things stop.
"""

import os
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from afterword_schemas.errors import ConfigurationError

_GUARD: Final = Path(__file__).with_name("guard.py")
_POLL_S: Final = 0.02
_KILL_TIMEOUT_S: Final = 10.0


class ChildProcess:
    """One server, started at most once at a time.

    Args:
        name: What to call it in errors.
        command: Program and arguments.
        log_path: Gets stdout and stderr; the log of the start before is kept beside it as `*.1`.
        environment: Variables on top of this process's own; unlike arguments, others cannot see them.
        folder: Where it runs; by default where this process does.
    """

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        log_path: Path,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        self.name = name
        self._folder = folder
        self._environment = environment or {}
        self.log_path = log_path
        self._command = [str(part) for part in command]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def alive(self) -> bool:
        """Whether the process runs."""
        process = self._process  # another thread may be ending it
        return process is not None and process.poll() is None

    @property
    def pid(self) -> int:
        """The id of the process group that holds the server and its guard."""
        if self._process is None:
            raise ConfigurationError(f"{self.name} is not running.", "Start it first.")
        return self._process.pid

    def start(self) -> None:
        """Start the process; it may not be ready yet."""
        if self.log_path.exists():
            self.log_path.replace(self.log_path.with_name(self.log_path.name + ".1"))
        with self.log_path.open("wb") as log:
            self._process = subprocess.Popen(  # noqa: S603  # a command built by this package
                [sys.executable, "-E", "-S", str(_GUARD), *self._command],
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=subprocess.STDOUT,
                env={**os.environ, **self._environment},
                cwd=self._folder,
                start_new_session=True,
            )

    def wait_ready(self, probe: Callable[[], bool], timeout_s: float) -> None:
        """Poll until the probe says yes; otherwise leave no process behind.

        Raises:
            ConfigurationError: The process ended, or the time is over; with the end of its log.
        """
        try:
            self._poll(probe, timeout_s)
        except BaseException:  # Ctrl-C too: a half-started server serves nobody
            self.kill()
            raise

    def stop(self, timeout_s: float) -> None:
        """Ask the process to end, and kill it if it has not done so in time."""
        process, self._process = self._process, None
        if process is None:
            return
        try:
            _signal_group(process.pid, signal.SIGTERM)
            process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            pass  # the guard kills it now
        finally:
            _finish(process)

    def kill(self) -> None:
        """End the process at once, as a crash would, and wait until it is gone."""
        process, self._process = self._process, None
        if process is not None:
            _finish(process)

    def restart(self) -> None:
        """Start the process again, and end first what is left of it."""
        self.kill()
        self.start()

    def last_lines(self, count: int = 20) -> str:
        """Return the end of the log; empty if there is none."""
        if not self.log_path.exists():
            return ""
        with self.log_path.open(errors="replace") as log:
            return "".join(deque(log, maxlen=count)).rstrip()

    def _poll(self, probe: Callable[[], bool], timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while not probe():
            if not self.alive:
                raise self._failed("stopped while starting")
            if time.monotonic() > deadline:
                raise self._failed(f"was not ready after {timeout_s:.0f} s")
            time.sleep(_POLL_S)

    def _failed(self, what: str) -> ConfigurationError:
        return ConfigurationError(
            f"{self.name} {what}. The end of its log:\n{self.last_lines()}\n",
            f"The whole log is {self.log_path}.",
        )


def _finish(guard: subprocess.Popen[bytes]) -> None:
    """Have the guard kill what still runs, and wait for it: then port, files and locks are free.

    Signalling the group alone would end the guard first, and nobody could wait for its child.
    """
    if guard.stdin is not None:
        guard.stdin.close()
    try:
        guard.wait(_KILL_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        _signal_group(guard.pid, signal.SIGKILL)
        guard.wait()
    # Empty by now, unless somebody killed the guard before its child.
    _signal_group(guard.pid, signal.SIGKILL)


def _signal_group(group: int, signal_number: signal.Signals) -> None:
    try:
        os.killpg(group, signal_number)
    except (ProcessLookupError, PermissionError):  # gone; macOS says EPERM for a group of zombies
        return
