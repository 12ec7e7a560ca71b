"""A local stack with everything on it that a user needs: topic, tables and a worker.

    with Pipeline(LocalStack.temporary(), settings) as pipeline:
        Client(pipeline.settings.kafka_bootstrap_servers, project="acme")

The worker is a process of its own, as in production, and ends with this one.
"""

import contextlib
import json
import sys
from typing import Final

from pydantic import SecretStr

from afterword_schemas import SetupError
from afterword_stack.database import prepare_database
from afterword_stack.local.child import ChildProcess
from afterword_stack.local.lifecycle import Lifecycle
from afterword_stack.local.stack import LocalStack
from afterword_stack.settings import Settings

PARTITIONS: Final = 4
"""Of the local topic: as many workers as a laptop has use for."""

_WORKER_STOP_S: Final = 30.0


class Pipeline(Lifecycle):
    """Kafka, ClickHouse and one worker on one folder, started and stopped together.

    Args:
        stack: Not started yet.
        settings: Topic, group, database and batching; addresses and access become the stack's.
    """

    def __init__(self, stack: LocalStack, settings: Settings) -> None:
        self.stack = stack
        self.settings = settings
        self._worker: ChildProcess | None = None
        self._cleanup = contextlib.ExitStack()

    @property
    def worker_says(self) -> str:
        """The end of the worker's log."""
        return "" if self._worker is None else self._worker.last_lines()

    def start(self) -> None:
        """Start all parts; on failure none is left running.

        Raises:
            SetupError: A part cannot start.
        """
        try:
            self._cleanup.callback(self.stack.stop)
            addresses = self.stack.start()
            self.settings = self.settings.model_copy(
                update={
                    "kafka_bootstrap_servers": addresses.bootstrap_servers,
                    "clickhouse_url": addresses.clickhouse_url,
                    # A local stack lets everyone in; what the user's own servers want is theirs.
                    "kafka": {},
                    "clickhouse_user": "default",
                    "clickhouse_password": SecretStr(""),
                }
            )
            self.stack.kafka.create_topic(self.settings.kafka_topic, partitions=PARTITIONS)
            prepare_database(self.settings.clickhouse)
            self._start_worker()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the worker, which writes what it has, then the stack."""
        self._cleanup.close()

    def check(self) -> None:
        """Look whether all parts still run.

        Raises:
            SetupError: One has ended; with the end of its log.
        """
        for name, part in (("Kafka", self.stack.kafka), ("ClickHouse", self.stack.clickhouse)):
            if not part.alive:
                raise SetupError(f"{name} has ended.", f"Its log is in {self.stack.data_dir}.")
        if self._worker is not None and not self._worker.alive:
            raise SetupError(
                f"The worker has ended. The end of its log:\n{self.worker_says}\n",
                f"The whole log is {self._worker.log_path}.",
            )

    def _start_worker(self) -> None:
        command = [sys.executable, "-m", "afterword_stack", "worker"]
        environment = _as_environment(self.settings)
        # In the stack's folder, where no settings file of the user's lies: all settings are passed.
        folder = self.stack.data_dir
        log = folder / "worker.log"
        self._worker = ChildProcess("The worker", command, log, environment, folder)
        self._worker.start()
        self._cleanup.callback(self._worker.stop, _WORKER_STOP_S)


def _as_environment(settings: Settings) -> dict[str, str]:
    """Return the settings as variables for a process that reads them again."""
    values = settings.model_dump(mode="json", exclude={"clickhouse_password"})
    values["clickhouse_password"] = settings.clickhouse_password.get_secret_value()
    return {
        f"AFTERWORD_{name.upper()}": json.dumps(value) if isinstance(value, dict) else str(value)
        for name, value in values.items()
    }
