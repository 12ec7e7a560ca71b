"""A ClickHouse server out of chDB's wheel, as a process of its own.

    python -m afterword_stack.local.chdb_server --config DIR/config.xml --path DIR/data

The wheel holds all of ClickHouse, its HTTP and native interfaces included. `clickhouse-local` begins to listen
by a statement, and goes on for as long as a query runs. So this process runs one that reads a pipe, and ends it
by closing the pipe. An HTTP request that runs at the end has five seconds to get its answer.

Exit status: 0 after SIGTERM or SIGINT, 1 if the engine ended by itself, 2 if it is not installed.
"""

import argparse
import contextlib
import ctypes
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Collection, Iterable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType
from typing import Any, Final
from xml.etree import ElementTree as ET

from afterword_schemas.errors import ConfigurationError

_POLL_S: Final = 0.01
_ENDED: Final = b"\0"
"""The engine ended; no signal has this number."""


def serve(config: Path, path: Path) -> bool:
    """Serve until SIGTERM or SIGINT, then end what runs and close the data.

    Args:
        config: A file named `config.xml`; its folder becomes the working folder.
        path: The data folder; created if need be.

    Returns:
        Whether a signal ended it. If not, the engine has written to stderr what is wrong.

    Raises:
        ConfigurationError: chDB is not installed.
    """
    # Before the engine has threads: the kernel may hand a signal to any of them.
    woken, wake = _hear((signal.SIGTERM, signal.SIGINT))
    engine = load_engine()
    os.chdir(config.parent)  # the engine reads `config.xml` there
    read_end, write_end = os.pipe()
    running = threading.Thread(target=_run, args=(engine, path, read_end, wake), daemon=True)
    running.start()
    asked = os.read(woken, 1) != _ENDED
    os.close(write_end)
    ports = _ports(config)
    while running.is_alive():
        _end_idle_connections(ports)
        running.join(_POLL_S)
    return asked


def load_engine() -> Any:
    """Load the extension module of chDB without the package around it.

    The package opens and closes an engine in memory when it is imported. A second engine in the same process
    then logs nothing and cannot start a table of the Kafka engine. The import also takes a second longer.

    Raises:
        ConfigurationError: chDB is not installed, or is not the one that this was written for.
    """
    spec = find_spec("chdb")
    if spec is None or not spec.submodule_search_locations:
        raise ConfigurationError(
            "The ClickHouse engine chDB is not installed.",
            "pip install '.[local]' in a clone brings it; or put a clickhouse binary on PATH.",
        )
    package = ModuleType("chdb")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["chdb"] = package
    try:
        if sys.platform == "linux":
            # As the package does: its allocator then serves the whole module, whatever else is loaded.
            module = Path(package.__path__[0], "_chdb.abi3.so")
            ctypes.CDLL(str(module), mode=sys.getdlopenflags() | os.RTLD_DEEPBIND)
        return import_module("chdb._chdb")
    except (ImportError, OSError) as error:
        raise ConfigurationError(
            f"The ClickHouse engine chDB cannot be loaded: {error}.",
            "Install the version that this project was tested with: pip install '.[local]' in a clone.",
        ) from error


def _run(engine: Any, path: Path, read_end: int, wake: int) -> None:
    """Listen, and return once nobody has the pipe open for writing any more."""
    # Not a named pipe: `file` takes `*` and `{` in its path for a pattern.
    sql = (
        "SYSTEM START LISTEN TCP; SYSTEM START LISTEN HTTP; "
        f"SELECT count() FROM file('/dev/fd/{read_end}', 'LineAsString', 'line String')"
    )
    try:
        result = engine.query(sql, "TSV", path=str(path))
        if result.has_error():
            sys.stderr.write(f"{result.error_message()}\n")
    except RuntimeError as error:  # the engine's own
        sys.stderr.write(f"{error}\n")
    finally:
        os.write(wake, _ENDED)


def _ports(config: Path) -> set[int]:
    values = ET.parse(config)  # noqa: S314  # written by this package
    return {int(values.findtext(name, "0")) for name in ("http_port", "tcp_port")}


def _end_idle_connections(ports: Collection[int]) -> None:
    """Let clients' connections see their end; the engine would wait five seconds for each.

    Nothing more is read from them: an idle one closes, and a busy one of HTTP still answers.
    """
    for file in map(int, os.listdir("/dev/fd")):  # noqa: PTH208  # numbers, not paths
        with contextlib.suppress(OSError):  # it has gone, or nobody is connected to it
            if stat.S_ISSOCK(os.fstat(file).st_mode):
                with socket.socket(fileno=os.dup(file)) as connection:
                    if connection.family == socket.AF_INET and _port(connection) in ports:
                        connection.getpeername()
                        connection.shutdown(socket.SHUT_RD)


def _port(connection: socket.socket) -> int:
    return int(connection.getsockname()[1])


def _hear(numbers: Iterable[signal.Signals]) -> tuple[int, int]:
    """Return both ends of a pipe that gets a byte with each of these signals."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    return reading, writing


def main() -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(
        prog="chdb_server", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--config", type=Path, required=True, help="a file named config.xml")
    parser.add_argument("--path", type=Path, required=True, help="the data folder")
    options = parser.parse_args()
    try:
        asked = serve(options.config.absolute(), options.path.absolute())
    except ConfigurationError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    if not asked:
        sys.stderr.write("ClickHouse ended by itself; what it wrote stands above.\n")
    sys.stdout.flush()
    return 0 if asked else 1


if __name__ == "__main__":
    sys.exit(main())
