"""Ports on the loopback that stay the same from start to start.

    ports = persisted_ports(data_dir / "ports.json", ["broker", "controller"])

A client that knew the address before a restart finds the server there again.
"""

import json
import socket
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

from afterword_schemas.errors import SetupError

LOOPBACK: Final = "127.0.0.1"


def persisted_ports(path: Path, names: Sequence[str]) -> dict[str, int]:
    """Return the ports kept in the file, choosing free ones the first time.

    Raises:
        SetupError: A kept port is in use by another program, or the file is damaged.
    """
    if not path.exists():
        _write(path, dict(zip(names, _free_ports(len(names)), strict=True)))
    ports = _read(path, names)
    for port in ports.values():
        if not _is_free(port):
            raise SetupError(
                f"Port {port} on {LOOPBACK} is in use by another program.",
                f"Stop that program, or delete {path} to have another port chosen.",
            )
    return ports


def _read(path: Path, names: Sequence[str]) -> dict[str, int]:
    try:
        kept = json.loads(path.read_text())
        return {name: int(kept[name]) for name in names}
    except (ValueError, KeyError, TypeError) as error:
        raise SetupError(f"{path} is damaged.", "Delete it to have other ports chosen.") from error


def _write(path: Path, ports: dict[str, int]) -> None:
    fresh = path.with_suffix(".tmp")
    fresh.write_text(json.dumps(ports) + "\n")
    fresh.replace(path)


def _free_ports(count: int) -> list[int]:
    with ExitStack() as held:  # all at once, or the same port could come twice
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((LOOPBACK, 0))
        return [one.getsockname()[1] for one in sockets]


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: connections of the last run that linger in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
