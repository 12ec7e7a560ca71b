"""ClickHouse's HTTP interface in front of the chDB engine, as a process of its own.

    python -m afterword_stack.local.chdb_server --path DIR --port N

clickhouse-connect, curl and whatever else speaks HTTP to ClickHouse talk to it as to a server. Loopback
only. Each request stands alone: a session id is accepted, but temporary tables and SET end with their
request. Answers are never compressed, which would only cost time on the loopback, and `Native` is
written as for a client of revision 0, whatever `client_protocol_version` says. Whoever may log in reads
files as the user who started it: on a machine with other users, set a password.
"""

import argparse
import ipaddress
import os
import signal
import sys
import threading
from collections.abc import Iterable
from pathlib import Path

from afterword_schemas.errors import SetupError
from afterword_stack.local.chdb_engine import ChdbEngine
from afterword_stack.local.chdb_http import ChdbServer, Credentials


def require_loopback(host: str) -> None:
    """Refuse an address that other machines can reach.

    Raises:
        SetupError: It is one.
    """
    try:
        loopback = host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        loopback = False
    if not loopback:
        raise SetupError(
            f"{host} is not a loopback address, and this server is for one machine only.",
            "Use 127.0.0.1, or run a ClickHouse server for others to reach.",
        )


def serve(path: Path, host: str, port: int, credentials: Credentials) -> None:
    """Serve until SIGTERM or SIGINT, then end what runs and close the data."""
    require_loopback(host)
    engine = ChdbEngine(path)
    server = ChdbServer((host, port), engine, credentials)
    asked = _hear((signal.SIGTERM, signal.SIGINT))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sys.stderr.write(f"ClickHouse {engine.version} (chDB) on http://{host}:{port}\n")
    sys.stderr.flush()
    os.read(asked, 1)
    drained = server.drain()
    server.server_close()
    if not drained:
        os._exit(1)  # a statement that does not end would keep the engine from closing
    engine.close()


def _hear(numbers: Iterable[signal.Signals]) -> int:
    """Return the end of a pipe that gets a byte with each of these signals.

    The kernel may hand a signal to any of the engine's threads. An event that a handler sets would then
    wait until something else wakes the main one.
    """
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing)
    for number in numbers:
        signal.signal(number, lambda *_: None)
    return reading


def main() -> int:
    """Read the command line and serve."""
    parser = argparse.ArgumentParser(
        prog="chdb_server", description=(__doc__ or "").partition("\n")[0]
    )
    parser.add_argument("--path", type=Path, required=True, help="the data folder")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--host", default="127.0.0.1", help="a loopback address")
    parser.add_argument("--user", default="default", help="its password is $CLICKHOUSE_PASSWORD")
    options = parser.parse_args()
    # Not an option: every user of the machine can read a command line.
    credentials = Credentials(options.user, os.environ.get("CLICKHOUSE_PASSWORD", ""))
    try:
        serve(options.path, options.host, options.port, credentials)
    except SetupError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
