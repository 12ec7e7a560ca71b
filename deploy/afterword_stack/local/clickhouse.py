"""ClickHouse on this machine: the `clickhouse` program if there is one, else the server in chDB's wheel.

    with ClickHouseNode(Path("clickhouse-data")) as clickhouse:
        client = clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port)

A node started again on the same folder has the same address and data, also after SIGKILL: what an insert
acknowledged, the operating system has.
"""

import http.client
import shutil
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final
from urllib.request import ProxyHandler, build_opener

from afterword_schemas.errors import ConfigurationError
from afterword_stack.local.child import ChildProcess
from afterword_stack.local.clickhouse_config import Value, write_config
from afterword_stack.local.lifecycle import Lifecycle
from afterword_stack.local.ports import LOOPBACK, persisted_ports

_START_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 30.0
_HTTP_TIMEOUT_S: Final = 5.0


class ClickHouseNode(Lifecycle):
    """One ClickHouse and its data folder.

    A folder begun with chDB stays with it: the `clickhouse` program cannot read its data.

    Args:
        data_dir: Holds data, ports, configuration and log; created if need be.
        users: More users than `default`, which has no password; see `write_config`.
    """

    def __init__(
        self, data_dir: Path, *, users: Mapping[str, Mapping[str, Value]] | None = None
    ) -> None:
        self.data_dir = data_dir.absolute()
        self.host = LOOPBACK
        self._users = users
        self._port = self._native_port = 0
        self._engine = ""
        self._child: ChildProcess | None = None

    @property
    def port(self) -> int:
        """The HTTP port; known from the first start on."""
        if not self._port:
            raise ConfigurationError("ClickHouse has not been started.", "Start it first.")
        return self._port

    @property
    def native_port(self) -> int:
        """The port of the native protocol; known from the first start on."""
        if not self._native_port:
            raise ConfigurationError("ClickHouse has not been started.", "Start it first.")
        return self._native_port

    @property
    def url(self) -> str:
        """The address of the HTTP interface."""
        return f"http://{self.host}:{self.port}"

    @property
    def native_address(self) -> str:
        """The address of the native protocol, `host:port`."""
        return f"{self.host}:{self.native_port}"

    @property
    def engine(self) -> str:
        """What runs, with its version, as `chdb 26.9.2.1` or `clickhouse 26.9.2.1`."""
        if not self._engine:
            raise ConfigurationError("ClickHouse has not been started.", "Start it first.")
        return self._engine

    @property
    def log_path(self) -> Path:
        """The log since the last start."""
        return self.data_dir / "clickhouse.log"

    @property
    def alive(self) -> bool:
        """Whether its process runs."""
        return self._child is not None and self._child.alive

    def start(self) -> None:
        """Start it and return when it answers; does nothing if it runs.

        Raises:
            ConfigurationError: Its port is in use, or its own failure with its log.
        """
        if self.alive:
            return
        self.data_dir.mkdir(parents=True, exist_ok=True)
        ports = persisted_ports(self.data_dir / "ports.json", ["http", "native"])
        self._port, self._native_port = ports["http"], ports["native"]
        program = find_server(self.data_dir)
        self._child = ChildProcess("ClickHouse", self._command(program), self.log_path)
        self._child.start()
        self._child.wait_ready(lambda: _get(self.url, "/ping") == "Ok.\n", _START_TIMEOUT_S)
        version = _get(self.url, "/?query=SELECT+version()").strip()
        self._engine = f"{'clickhouse' if program else 'chdb'} {version}"

    def stop(self) -> None:
        """Let running statements end, then close the data."""
        if self._child is not None:
            self._child.stop(_STOP_TIMEOUT_S)

    def kill(self) -> None:
        """End it as a crash would, by SIGKILL."""
        if self._child is not None:
            self._child.kill()

    def restart(self) -> None:
        """Stop it in order, if it runs, and start it on the same data and address."""
        self.stop()
        self.start()

    def _command(self, program: Path | None) -> list[str]:
        """Write the configuration, and return the command that runs on it."""
        config, data = (
            self.data_dir / "config.xml",
            self.data_dir / ("server" if program else "chdb"),
        )
        write_config(
            config,
            data=data,
            http_port=self.port,
            native_port=self.native_port,
            users=self._users,
        )
        if program:
            return [str(program), "server", f"--config-file={config}"]
        module = "afterword_stack.local.chdb_server"
        return [sys.executable, "-m", module, "--config", str(config), "--path", str(data)]


def find_server(data_dir: Path) -> Path | None:
    """Return the `clickhouse` program to use for this folder; None means chDB."""
    found = shutil.which("clickhouse")
    return None if found is None or (data_dir / "chdb").exists() else Path(found)


def _get(url: str, path: str) -> str:
    """Return the answer's text; empty while nobody answers."""
    opener = build_opener(
        ProxyHandler({})
    )  # a proxy from the environment cannot reach the loopback
    try:
        with opener.open(url + path, timeout=_HTTP_TIMEOUT_S) as answer:
            return str(answer.read().decode())
    except (OSError, http.client.HTTPException):
        return ""
