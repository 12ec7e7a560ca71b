"""Kafka and ClickHouse together, for `afterword up`, `afterword demo` and tests.

    with LocalStack.temporary() as stack:
        stack.addresses.bootstrap_servers, stack.addresses.clickhouse_url

Both start at the same time and stop together; when one cannot start, the other is stopped. One stack
a folder: the lock on it is the kernel's and ends with the process. The folder also says where its stack
is, so several stacks run side by side and nobody mistakes one for another.
"""

import contextlib
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final, Self

from afterword_schemas.atomic_file import replace_file
from afterword_schemas.errors import ConfigurationError
from afterword_stack.local.clickhouse import ClickHouseNode
from afterword_stack.local.folders import data_dir as default_data_dir
from afterword_stack.local.jars import Progress, print_progress
from afterword_stack.local.kafka import KafkaNode
from afterword_stack.local.lifecycle import Lifecycle
from afterword_stack.local.lock import FileLock, is_locked

# A look at who runs holds the lock for an instant.
_LOCK_WAIT_S: Final = 0.5


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running stack is.

    Attributes:
        bootstrap_servers: Kafka's, `host:port`.
        clickhouse_url: Of ClickHouse's HTTP interface.
        clickhouse_native: Of its native protocol, `host:port`.
        kafka: What runs as Kafka, with its version.
        clickhouse: What runs as ClickHouse, with its version.
        data_dir: The stack's folder.
        pid: The process that keeps it up.
    """

    bootstrap_servers: str
    clickhouse_url: str
    clickhouse_native: str
    kafka: str
    clickhouse: str
    data_dir: str
    pid: int


class LocalStack(Lifecycle):
    """Kafka and ClickHouse on one data folder.

    Args:
        data_dir: By default the user's, `~/.local/share/afterword`.
        kafka_properties: For the broker.
        progress: Is told what takes long.
    """

    def __init__(
        self,
        data_dir: Path | None = None,
        *,
        kafka_properties: Mapping[str, str] | None = None,
        progress: Progress = print_progress,
    ) -> None:
        self.data_dir = (data_dir or default_data_dir()).absolute()
        self.clickhouse = ClickHouseNode(self.data_dir / "clickhouse")
        self.kafka = KafkaNode(
            self.data_dir / "kafka", extra_properties=kafka_properties, progress=progress
        )
        self._cleanup = contextlib.ExitStack()
        self._addresses: Addresses | None = None

    @classmethod
    def temporary(
        cls,
        *,
        kafka_properties: Mapping[str, str] | None = None,
        progress: Progress = print_progress,
    ) -> Self:
        """Make a stack on a folder of its own that leaves nothing behind."""
        folder = Path(tempfile.mkdtemp(prefix="afterword-"))
        stack = cls(folder, kafka_properties=kafka_properties, progress=progress)
        stack._cleanup.callback(shutil.rmtree, folder, ignore_errors=True)
        return stack

    @property
    def addresses(self) -> Addresses:
        """Where the running stack is."""
        if self._addresses is None:
            raise ConfigurationError("The local stack is not running.", "Start it first.")
        return self._addresses

    def start(self) -> Addresses:
        """Start both parts and return when both serve; does nothing if they run.

        Raises:
            ConfigurationError: The folder is in use, or a part cannot start; nothing is left running.
        """
        if self._addresses is not None:
            return self._addresses
        try:
            self._lock()
            _start_together(self.kafka, self.clickhouse)
            self._addresses = self._describe()
            _write_state(self._addresses)
            self._cleanup.callback(_state_file(self.data_dir).unlink, missing_ok=True)
        except BaseException:
            self.stop()
            raise
        return self._addresses

    def stop(self) -> None:
        """Stop both parts, and remove a temporary stack's data."""
        self._addresses = None
        try:
            with ThreadPoolExecutor(2) as pool:
                stopping = [pool.submit(part.stop) for part in (self.kafka, self.clickhouse)]
            for one in stopping:
                one.result()
        finally:
            self._cleanup.close()

    def _lock(self) -> None:
        self.data_dir.mkdir(parents=True, exist_ok=True)
        busy = ConfigurationError(
            f"A local stack is already running on {self.data_dir}.",
            "Use that one, stop it, or set XDG_DATA_HOME to another folder.",
        )
        lock = FileLock(self.data_dir / "lock", busy=busy, wait_s=_LOCK_WAIT_S)
        self._cleanup.enter_context(lock)
        _state_file(self.data_dir).unlink(missing_ok=True)  # of a stack that was killed

    def _describe(self) -> Addresses:
        return Addresses(
            bootstrap_servers=self.kafka.bootstrap_servers,
            clickhouse_url=self.clickhouse.url,
            clickhouse_native=self.clickhouse.native_address,
            kafka=self.kafka.version,
            clickhouse=self.clickhouse.engine,
            data_dir=str(self.data_dir),
            pid=os.getpid(),
        )


def running_stack(data_dir: Path | None = None) -> Addresses | None:
    """Return where the stack of a folder is, by default the user's; None if none runs there.

    The file that says so may be left over from a crash, so the lock on the folder decides.
    """
    folder = (data_dir or default_data_dir()).absolute()
    return _read_state(folder) if is_starting_or_up(folder) else None


def is_starting_or_up(data_dir: Path | None = None) -> bool:
    """Return whether a process holds the folder, by default the user's, for its stack."""
    return is_locked((data_dir or default_data_dir()) / "lock")


def _state_file(folder: Path) -> Path:
    return folder / "running.json"


def _read_state(folder: Path) -> Addresses | None:
    try:
        return Addresses(**json.loads(_state_file(folder).read_text()))
    except (OSError, ValueError, TypeError):
        return None


def _write_state(addresses: Addresses) -> None:
    content = json.dumps(asdict(addresses), indent=2) + "\n"
    replace_file(_state_file(Path(addresses.data_dir)), content.encode())


def _start_together(kafka: KafkaNode, clickhouse: ClickHouseNode) -> None:
    with ThreadPoolExecutor(2) as pool:
        starting = [pool.submit(part.start) for part in (kafka, clickhouse)]
        try:
            for one in starting:
                one.result()
        except BaseException:
            _end_starts(starting, kafka, clickhouse)
            raise


def _end_starts(starting: list[Future[None]], kafka: KafkaNode, clickhouse: ClickHouseNode) -> None:
    # Again and again: a part may be about to start its process just now.
    while wait(starting, timeout=0.05).not_done:
        kafka.kill()
        clickhouse.kill()
