"""Ports on the loopback that stay the same from start to start.

    ports = persisted_ports(data_dir / "ports.json", ["broker", "controller"])

A client that knew the address before a restart finds the server there again.
"""

import json
import random
import socket
import time
from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from typing import Final

from afterword_schemas.atomic_file import replace_file
from afterword_schemas.errors import ConfigurationError

LOOPBACK: Final = "127.0.0.1"

_LET_GO_S: Final = 1.0
_POLL_S: Final = 0.05

_CHOICE: Final = range(20_000, 32_000)
"""Below what Linux and macOS give to outgoing connections: one of those could take a port that was
found free before its server is up. At random, for stacks that start at the same time."""


def persisted_ports(path: Path, names: Sequence[str]) -> dict[str, int]:
    """Return the ports kept in the file, choosing free ones for names that it lacks.

    Raises:
        ConfigurationError: A kept port is in use by another program, or the file is damaged.
    """
    kept = _read(path) if path.exists() else {}
    lacking = [name for name in names if name not in kept]
    if lacking:
        kept |= dict(zip(lacking, _free_ports(len(lacking)), strict=True))
        _write(path, kept)
    ports = {name: kept[name] for name in names}
    for port in ports.values():
        if not _becomes_free(port):
            raise ConfigurationError(
                f"Port {port} on {LOOPBACK} is in use by another program.",
                f"Stop that program, or delete {path} to have another port chosen.",
            )
    return ports


def _read(path: Path) -> dict[str, int]:
    try:
        return {str(name): int(port) for name, port in json.loads(path.read_text()).items()}
    except (ValueError, AttributeError, TypeError) as error:
        raise ConfigurationError(
            f"{path} is damaged.", "Delete it to have other ports chosen."
        ) from error


def _write(path: Path, ports: dict[str, int]) -> None:
    replace_file(path, f"{json.dumps(ports)}\n".encode())


def _free_ports(count: int) -> list[int]:
    shuffled = random.sample(_CHOICE, len(_CHOICE))
    return list(islice(filter(_is_free, shuffled), count))


def _becomes_free(port: int) -> bool:
    """Return whether a port is free, or soon is: a server that was killed holds it for an instant."""
    deadline_s = time.monotonic() + _LET_GO_S
    while not (free := _is_free(port)) and time.monotonic() < deadline_s:
        time.sleep(_POLL_S)
    return free


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        # As the servers do: connections of the last run that linger in TIME_WAIT are no obstacle.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOOPBACK, port))
        except OSError:
            return False
    return True
