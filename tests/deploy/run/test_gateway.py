"""`afterword gateway` as a process: it says where it serves, to whom, and ends in order."""

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.waiting import wait_until

from afterword_stack.local.kafka import KafkaNode
from afterword_stack.settings import Settings

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword

pytestmark = pytest.mark.services

EVENT = b'{"trace_id": "tr-1", "value": 1}'


class Process:
    """The command in a process of its own, in an empty folder."""

    def __init__(self, **settings: str) -> None:
        environment = {f"AFTERWORD_{name.upper()}": value for name, value in settings.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "afterword_stack", "gateway"],
            env={**os.environ, "AFTERWORD_GATEWAY_PORT": "0", **environment},
            stderr=subprocess.PIPE,
            text=True,
        )

    def heard(self) -> str:
        """Return the next line that it says."""
        assert self.process.stderr is not None
        return self.process.stderr.readline().rstrip()

    def post(self, address: str, **headers: str) -> int:
        """Send an event and return the status."""
        request = urllib.request.Request(
            f"{address}/v1/feedback", EVENT, {"content-type": "application/json", **headers}
        )
        try:
            with urllib.request.urlopen(request, timeout=20) as answer:
                return int(answer.status)
        except urllib.error.HTTPError as error:
            return error.code

    def end(self, number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
        """Send a signal and return the exit status and the last line."""
        self.process.send_signal(number)
        _, err = self.process.communicate(timeout=30)
        return self.process.returncode, err.splitlines()[-1]


@pytest.fixture
def started(settings: Settings) -> Iterator[list[Process]]:
    """A list whose processes are ended after the test."""
    assert settings.kafka_topic
    processes: list[Process] = []
    yield processes
    for one in processes:
        one.process.kill()
        one.process.communicate()


def serving(pipeline: str) -> str:
    """Return the address in the line that says where it serves."""
    found = re.match(r"(http://\S+) serves ", pipeline)
    assert found, pipeline
    return found[1]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_gateway_serves_until_a_signal(started: list[Process], number: signal.Signals) -> None:
    """Events are taken at the address that it prints, and a signal ends it with status 0."""
    started.append(gateway := Process())
    assert gateway.heard().startswith("publishing to test-")
    line = gateway.heard()
    where = Path("afterword.keys.json").absolute()
    assert line.endswith(f"serves this machine alone, as there is no {where}; Ctrl-C stops")
    assert gateway.post(serving(line)) == 200
    assert gateway.end(number) == (0, "stopped")


def test_keys_are_followed_while_it_runs(started: list[Process], afterword: "Afterword") -> None:
    """A first key ends the time without keys, and a revoked one ends its bearer's."""
    started.append(gateway := Process())
    gateway.heard()
    address = serving(gateway.heard())
    assert gateway.post(address) == 200

    secret = afterword("keys", "create", "--project", "p", "--scope", "write").out.strip()
    # followed within a second
    wait_until(lambda: gateway.post(address) != 200, alive=lambda: gateway.process.poll() is None)
    assert gateway.post(address) == 401
    assert gateway.post(address, authorization=f"Bearer {secret}") == 200

    afterword("keys", "revoke", secret)
    wait_until(
        lambda: gateway.post(address, authorization=f"Bearer {secret}") != 200,
        alive=lambda: gateway.process.poll() is None,
    )
    assert gateway.end() == (0, "stopped")


def test_the_gateway_without_keys_serves_only_the_loopback(
    afterword: "Afterword", settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another address than the loopback wants keys first, and the hint says how."""
    assert settings.kafka_topic
    monkeypatch.setenv("AFTERWORD_GATEWAY_HOST", "0.0.0.0")
    ran = afterword("gateway")
    assert ran.status == 2
    assert "afterword keys create --project NAME --scope write" in ran.err


def test_a_taken_port_is_named(
    afterword: "Afterword", settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the settings that change it."""
    assert settings.kafka_topic
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setenv("AFTERWORD_GATEWAY_PORT", str(port))
        ran = afterword("gateway")
    assert ran.status == 2
    assert f"127.0.0.1:{port} cannot be listened on" in ran.err
    assert "AFTERWORD_GATEWAY_PORT" in ran.err


def test_a_broken_keys_file_is_named(afterword: "Afterword", settings: Settings) -> None:
    """It does not start as if there were no keys."""
    assert settings.kafka_topic
    Path("afterword.keys.json").write_text("{")
    ran = afterword("gateway")
    assert ran.status == 2
    assert "afterword.keys.json is not a file of keys" in ran.err


def test_the_gateway_warns_of_a_topic_whose_limit_is_below_its_own(
    started: list[Process], settings: Settings, kafka: KafkaNode
) -> None:
    """Beside its other notices; it serves all the same."""
    small = f"{settings.kafka_topic}-small"
    kafka.create_topic(small, config={"max.message.bytes": "20000"})
    started.append(gateway := Process(kafka_topic=small))
    heard = ""
    while not heard.startswith(f"warning: max.message.bytes of topic {small} is 20,000: "):
        heard = gateway.heard()
        assert heard, "the gateway has ended"


def test_the_gateway_starts_while_kafka_is_away(started: list[Process]) -> None:
    """It says so, lives, and tells clients to come again."""
    with socket.create_server(("127.0.0.1", 0)) as closed:
        nowhere = f"127.0.0.1:{closed.getsockname()[1]}"
    started.append(
        gateway := Process(kafka_bootstrap_servers=nowhere, gateway_delivery_timeout_s="0.2")
    )
    assert f"Kafka at {nowhere} does not answer" in gateway.heard()
    gateway.heard()
    address = serving(gateway.heard())
    assert gateway.post(address) == 503
    with urllib.request.urlopen(f"{address}/healthz") as answer:
        assert answer.status == 200
    assert gateway.end() == (0, "stopped")
