"""ClickHouse on this machine: a server if the machine has one, else its engine from PyPI.

    with ClickHouseNode(Path("clickhouse-data")) as clickhouse:
        client = clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port)

A node started again on the same folder has the same address and data, also after SIGKILL: what an insert
acknowledged, the operating system has.
"""

import http.client
import json
import shutil
import sys
from pathlib import Path
from typing import Final
from urllib.request import ProxyHandler, build_opener

from afterword_schemas.errors import SetupError
from afterword_stack.local.child import ChildProcess
from afterword_stack.local.lifecycle import Lifecycle
from afterword_stack.local.ports import LOOPBACK, persisted_ports

_START_TIMEOUT_S: Final = 60.0
_STOP_TIMEOUT_S: Final = 30.0
_HTTP_TIMEOUT_S: Final = 5.0


class ClickHouseNode(Lifecycle):
    """One ClickHouse and its data folder.

    A folder begun with the engine from PyPI stays with it: a server cannot read its data.

    Args:
        data_dir: Holds data, port, configuration and log; created if need be.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir = data_dir.absolute()
        self.host = LOOPBACK
        self._port = 0
        self._engine = ""
        self._child: ChildProcess | None = None

    @property
    def port(self) -> int:
        """The HTTP port; known from the first start on."""
        if not self._port:
            raise SetupError("ClickHouse has not been started.", "Start it first.")
        return self._port

    @property
    def url(self) -> str:
        """The address of the HTTP interface."""
        return f"http://{self.host}:{self.port}"

    @property
    def engine(self) -> str:
        """What runs, with its version, as `chdb 26.9.2.1` or `clickhouse 26.9.2.1`."""
        if not self._engine:
            raise SetupError("ClickHouse has not been started.", "Start it first.")
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
            SetupError: Its port is in use, or its own failure with its log.
        """
        if self.alive:
            return
        self.data_dir.mkdir(parents=True, exist_ok=True)
        self._port = persisted_ports(self.data_dir / "ports.json", ["http"])["http"]
        binary = find_server(self.data_dir)
        command = self._server_command(binary) if binary else self._chdb_command()
        self._child = ChildProcess("ClickHouse", command, self.log_path)
        self._child.start()
        self._child.wait_ready(lambda: _get(self.url, "/ping") == "Ok.\n", _START_TIMEOUT_S)
        version = _get(self.url, "/?query=SELECT+version()").strip()
        self._engine = f"{'clickhouse' if binary else 'chdb'} {version}"

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

    def _chdb_command(self) -> list[str]:
        module = "afterword_stack.local.chdb_server"
        options = ["--path", str(self.data_dir / "chdb"), "--port", str(self._port)]
        return [sys.executable, "-m", module, *options]

    def _server_command(self, binary: Path) -> list[str]:
        config = self.data_dir / "config.json.yaml"  # JSON is YAML, and needs no writer
        config.write_text(json.dumps(_server_config(self.data_dir / "server", config, self._port)))
        return [str(binary), "server", f"--config-file={config}"]


def find_server(data_dir: Path) -> Path | None:
    """Return the `clickhouse` program to use for this folder; None means chDB."""
    found = shutil.which("clickhouse")
    return None if found is None or (data_dir / "chdb").exists() else Path(found)


def _server_config(path: Path, config: Path, port: int) -> dict[str, object]:
    """Return the least that a server needs; it listens on nothing but the one port."""
    user = {"password": "", "networks": {"ip": ["127.0.0.1", "::1"]}}
    return {
        "logger": {"level": "warning", "console": 1},
        "listen_host": LOOPBACK,
        "http_port": port,
        "path": f"{path}/",
        "tmp_path": f"{path / 'tmp'}/",
        "user_files_path": f"{path / 'user_files'}/",
        "format_schema_path": f"{path / 'format_schemas'}/",
        "user_directories": {"users_xml": {"path": str(config)}},
        "profiles": {"default": {}},
        "quotas": {"default": {}},
        "users": {"default": user | {"profile": "default", "quota": "default"}},
    }


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
