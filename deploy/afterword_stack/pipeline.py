"""A local stack with everything on it that a user needs: topic, tables, a worker, a gateway.

    with Pipeline(LocalStack.temporary(), settings) as pipeline:
        Client(pipeline.settings.kafka_bootstrap_servers, project="acme")

Worker and gateway are processes of their own, as in production, and end with this one.
"""

import contextlib
import json
import sys
import urllib.request
from http import HTTPStatus
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from afterword_schemas import SetupError
from afterword_stack.database import prepare_database
from afterword_stack.local.child import ChildProcess
from afterword_stack.local.lifecycle import Lifecycle
from afterword_stack.local.ports import persisted_ports
from afterword_stack.local.stack import LocalStack
from afterword_stack.settings import KEYS_FILE, Settings

PARTITIONS: Final = 4
"""Of the local topic: as many workers as a laptop has use for."""

_STOP_S: Final = 30.0
_GATEWAY_START_S: Final = 30.0


class Pipeline(Lifecycle):
    """Kafka, ClickHouse, one worker and a gateway on one folder, started and stopped together.

    Args:
        stack: Not started yet.
        settings: Topic, group, database and batching; addresses and access become the stack's.
        gateway: Whether the HTTP gateway is wanted, too.
    """

    def __init__(self, stack: LocalStack, settings: Settings, *, gateway: bool = False) -> None:
        self.stack = stack
        self.settings = settings
        self._with_gateway = gateway
        self._worker: ChildProcess | None = None
        self._gateway: ChildProcess | None = None
        self._cleanup = contextlib.ExitStack()

    @property
    def gateway_url(self) -> str:
        """Where the gateway is."""
        host = self.settings.gateway_host
        return f"http://{f'[{host}]' if ':' in host else host}:{self.settings.gateway_port}"

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
                    "gateway_keys_file": self._keys_file(),
                }
            )
            self.stack.kafka.create_topic(self.settings.kafka_topic, partitions=PARTITIONS)
            prepare_database(self.settings.clickhouse)
            self._worker = self._start("The worker", "worker")
            if self._with_gateway:
                self._start_gateway()
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the gateway, the worker, which writes what it has, then the stack."""
        self._cleanup.close()

    def check(self) -> None:
        """Look whether all parts still run.

        Raises:
            SetupError: One has ended; with the end of its log.
        """
        for name, part in (("Kafka", self.stack.kafka), ("ClickHouse", self.stack.clickhouse)):
            if not part.alive:
                raise SetupError(f"{name} has ended.", f"Its log is in {self.stack.data_dir}.")
        for child in (self._worker, self._gateway):
            if child is not None and not child.alive:
                raise SetupError(
                    f"{child.name} has ended. The end of its log:\n{child.last_lines()}\n",
                    f"The whole log is {child.log_path}.",
                )

    def _keys_file(self) -> Path:
        """Return the file that is set, else one beside the data: keys outlive a restart as they do."""
        if "gateway_keys_file" in self.settings.model_fields_set:
            return self.settings.gateway_keys_file.absolute()
        return self.stack.data_dir / KEYS_FILE

    def _start_gateway(self) -> None:
        if "gateway_port" not in self.settings.model_fields_set:
            kept = persisted_ports(self.stack.data_dir / "gateway.json", ["gateway"])
            self.settings = self.settings.model_copy(update={"gateway_port": kept["gateway"]})
        self._gateway = self._start("The gateway", "gateway")
        self._gateway.wait_ready(lambda: _answers(f"{self.gateway_url}/healthz"), _GATEWAY_START_S)

    def _start(self, name: str, command: str) -> ChildProcess:
        """Start a part as a process of its own."""
        # In the stack's folder, where no settings file of the user's lies: all settings are passed.
        folder = self.stack.data_dir
        part = ChildProcess(
            name,
            [sys.executable, "-m", "afterword_stack", command],
            folder / f"{command}.log",
            _as_environment(self.settings),
            folder,
        )
        part.start()
        self._cleanup.callback(part.stop, _STOP_S)
        return part


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=1) as answer:  # noqa: S310  # http, made above
            return bool(answer.status == HTTPStatus.OK)
    except OSError:
        return False


def _as_environment(settings: Settings) -> dict[str, str]:
    """Return the settings as variables for a process that reads them again."""
    values = settings.model_dump(mode="json", exclude={"clickhouse_password"})
    values["clickhouse_password"] = settings.clickhouse_password.get_secret_value()
    return {
        f"AFTERWORD_{name.upper()}": json.dumps(value) if isinstance(value, dict) else str(value)
        for name, value in values.items()
    }
