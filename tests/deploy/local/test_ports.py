"""Ports that stay the same, and are not taken away before their server is up."""

import json
import socket
from pathlib import Path

import pytest

from afterword_schemas import ConfigurationError
from afterword_stack.local.ports import persisted_ports


def test_ports_are_kept(tmp_path: Path) -> None:
    """The second start gets what the first one got."""
    path = tmp_path / "ports.json"

    first = persisted_ports(path, ["broker", "controller"])

    assert persisted_ports(path, ["broker", "controller"]) == first
    assert len(set(first.values())) == 2


def test_no_outgoing_connection_can_take_a_chosen_port(tmp_path: Path) -> None:
    """They are chosen below the range that the system gives to connections."""
    ports = persisted_ports(tmp_path / "ports.json", [str(number) for number in range(50)])

    with socket.create_server(("127.0.0.1", 0)) as server:
        given = server.getsockname()[1]

    assert max(ports.values()) < 32_000 < given


def test_a_kept_port_that_is_taken_is_named(tmp_path: Path) -> None:
    """The user learns which port, and what to do."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        path = tmp_path / "ports.json"
        path.write_text(json.dumps({"http": port}))

        with pytest.raises(ConfigurationError, match=f"Port {port} on 127.0.0.1 is in use"):
            persisted_ports(path, ["http"])
