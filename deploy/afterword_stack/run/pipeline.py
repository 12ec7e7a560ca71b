"""A local stack with everything on it that a user needs: topic, tables, a worker, gateway and dashboard.

    with Pipeline(LocalStack.temporary(), settings) as pipeline:
        Client(pipeline.settings.kafka_bootstrap_servers, project="acme")

Worker, gateway and dashboard are processes of their own, as in production, and end with this one.
"""

import contextlib
import json
import sys
import urllib.request
from collections.abc import Callable, Iterator
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Final

from pydantic import SecretStr

from afterword_schemas import ConfigurationError
from afterword_stack.local.child import ChildProcess
from afterword_stack.local.clickhouse import ClickHouseNode
from afterword_stack.local.kafka import KafkaNode
from afterword_stack.local.lifecycle import Lifecycle
from afterword_stack.local.ports import persisted_ports
from afterword_stack.local.stack import LocalStack
from afterword_stack.run.database import prepare_database
from afterword_stack.run.restarts import Part, Restarts
from afterword_stack.settings import KEYS_FILE, Settings

PARTITIONS: Final = 4
"""Of the local topic: as many workers as a laptop has use for."""

_STOP_S: Final = 30.0
_SERVER_START_S: Final = 30.0


class Pipeline(Lifecycle):
    """Kafka, ClickHouse, one worker and what serves HTTP on one folder, started and stopped together.

    Args:
        stack: Not started yet.
        settings: Topic, group, database and batching; addresses and access become the stack's.
        servers: Whether the gateway and the dashboard are wanted, too.
    """

    def __init__(self, stack: LocalStack, settings: Settings, *, servers: bool = False) -> None:
        self.stack = stack
        self.settings = settings
        self._with_servers = servers
        self._worker: ChildProcess | None = None
        self._servers: list[tuple[ChildProcess, str]] = []
        self._cleanup = contextlib.ExitStack()

    @property
    def gateway_url(self) -> str:
        """Where the gateway is."""
        return _url(self.settings.gateway_host, self.settings.gateway_port)

    @property
    def dashboard_url(self) -> str:
        """Where the dashboard is."""
        return _url(self.settings.dashboard_host, self.settings.dashboard_port)

    @property
    def worker_says(self) -> str:
        """The end of the worker's log."""
        return "" if self._worker is None else self._worker.last_lines()

    def start(self) -> None:
        """Start all parts; on failure none is left running.

        Raises:
            ConfigurationError: A part cannot start.
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
                    "clickhouse_ca_file": None,
                    "clickhouse_client_cert_file": None,
                    "clickhouse_client_key_file": None,
                    "gateway_keys_file": self._keys_file(),
                }
            )
            self.stack.kafka.create_topic(self.settings.kafka_topic, partitions=PARTITIONS)
            prepare_database(self.settings.clickhouse)
            self._worker = self._start("The worker", "worker")
            if self._with_servers:
                self._start_server("The gateway", "gateway", lambda: self.gateway_url)
                self._start_server("The dashboard", "dashboard", lambda: self.dashboard_url)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the servers, the worker, which writes what it has, then the stack."""
        self._cleanup.close()

    def check(self) -> None:
        """Look whether all parts still run.

        Raises:
            ConfigurationError: One has ended; with the end of its log.
        """
        for part in self._parts():
            if not part.alive():
                raise part.failure()

    def restart_ended(self, restarts: Restarts) -> Iterator[str]:
        """Start the parts that have ended again, each on its own address, and yield a sentence for each.

        Raises:
            ConfigurationError: One ended too often, or does not start; with the end of its log.
        """
        return restarts.restart_ended(self._parts())

    def _parts(self) -> Iterator[Part]:
        """Yield the parts in the order in which they start."""
        yield self._stack_part("Kafka", self.stack.kafka)
        yield self._stack_part("ClickHouse", self.stack.clickhouse)
        if self._worker is not None:
            yield _child_part(self._worker, self._worker.restart)
        for server, url in self._servers:
            yield _child_part(server, partial(_restart_server, server, url))

    def _stack_part(self, name: str, node: KafkaNode | ClickHouseNode) -> Part:
        failure = ConfigurationError(f"{name} has ended.", f"Its log is in {self.stack.data_dir}.")
        return Part(name, lambda: node.alive, node.restart, lambda: failure)

    def _keys_file(self) -> Path:
        """Return the file that is set, else one beside the data: keys outlive a restart as they do."""
        if "gateway_keys_file" in self.settings.model_fields_set:
            return self.settings.gateway_keys_file.absolute()
        return self.stack.data_dir / KEYS_FILE

    def _start_server(self, name: str, part: str, url: Callable[[], str]) -> None:
        """Start a part that serves HTTP, on its own port where none is set, and wait until it answers."""
        if f"{part}_port" not in self.settings.model_fields_set:
            kept = persisted_ports(self.stack.data_dir / f"{part}.json", [part])
            self.settings = self.settings.model_copy(update={f"{part}_port": kept[part]})
        server = self._start(name, part)
        self._servers.append((server, url()))
        _wait_until_it_answers(server, url())

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


def _child_part(child: ChildProcess, restart: Callable[[], None]) -> Part:
    return Part(child.name, lambda: child.alive, restart, partial(_has_ended, child))


def _has_ended(child: ChildProcess) -> ConfigurationError:
    return ConfigurationError(
        f"{child.name} has ended. The end of its log:\n{child.last_lines()}\n",
        f"The whole log is {child.log_path}.",
    )


def _restart_server(server: ChildProcess, url: str) -> None:
    server.restart()
    _wait_until_it_answers(server, url)


def _wait_until_it_answers(server: ChildProcess, url: str) -> None:
    server.wait_ready(lambda: _answers(f"{url}/healthz"), _SERVER_START_S)


def _url(host: str, port: int) -> str:
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


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
    return {f"AFTERWORD_{name.upper()}": _as_variable(value) for name, value in values.items()}


def _as_variable(value: object) -> str:
    if value is None:
        return ""  # which is as good as no variable
    return json.dumps(value) if isinstance(value, dict) else str(value)
