"""Commands against servers that hang or are not there: they end, and say what they waited for."""

import socket
from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

from afterword_stack import settings as settings_module
from afterword_stack.local.folders import data_dir
from afterword_stack.local.lock import FileLock
from afterword_stack.settings import Settings
from afterword_stack.terminal import console

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword

pytestmark = pytest.mark.slow

ASKING = [
    "paths",
    "paths --measured",
    "query count",
    "export -",
    "rejected list",
    "rejected show 0:1",
    "promote",
    "promote feedback.score",
    "demote feedback.score",
    "migrate",
    "doctor",
]


@pytest.fixture
def hanging(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The URL of a ClickHouse that takes connections and never answers, as one that was stopped."""
    monkeypatch.setenv("AFTERWORD_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    with socket.create_server(("127.0.0.1", 0)) as server:
        url = f"http://127.0.0.1:{server.getsockname()[1]}"
        monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", url)
        yield url


@pytest.mark.parametrize("command", ASKING)
def test_a_clickhouse_that_hangs_does_not_hang_a_command(
    afterword: "Afterword", hanging: str, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    """It says what it waits for, and gives up after its time-out."""
    monkeypatch.setattr(console, "_MOMENT_S", 0.0)
    ran = afterword(*command.split(), "--timeout", "1")
    assert ran.status == (2 if command == "doctor" else 1)
    assert f"waiting for ClickHouse at {hanging}, at most 1 s\n" in ran.err
    assert f"ClickHouse at {hanging} did not answer in time" in ran.out + ran.err


def test_the_doctor_does_not_start_another_where_one_hangs(
    afterword: "Afterword", hanging: str
) -> None:
    """What hangs has to be looked at; what is not there has to be started."""
    lines = afterword("doctor", "--timeout", "1").out.splitlines()
    (at,) = [n for n, line in enumerate(lines) if f"ClickHouse at {hanging} did not" in line]
    assert lines[at + 1].strip() == (
        "→ something listens there: look whether it hangs or is busy, and at AFTERWORD_CLICKHOUSE_URL"
    )


@pytest.mark.services
def test_status_does_not_hang(
    afterword: "Afterword",
    hanging: str,
    topic_set: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The time-out is a setting, too; what Kafka says is shown before."""
    assert topic_set
    monkeypatch.setenv("AFTERWORD_COMMAND_TIMEOUT_S", "1")
    ran = afterword("status")
    assert ran.status == 1
    assert ran.out.startswith("partition")
    assert ran.err.endswith(
        f"afterword: ClickHouse at {hanging} did not answer in time; see `afterword doctor`\n"
    )


def test_a_command_that_is_answered_soon_says_nothing_of_waiting(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """Not a line for each request."""
    with console.waiting("Godot", 1):
        pass
    assert capsys.readouterr().err == ""


class UnreachableSettings(Settings):
    """Settings whose default addresses are surely nobody's."""

    kafka_bootstrap_servers: str = "127.0.0.1:2"
    clickhouse_url: str = "http://127.0.0.1:3"


def test_without_a_stack_and_addresses_it_says_how_to_start_one(
    afterword: "Afterword", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once `up` has ended, nobody means the servers at the default addresses."""
    monkeypatch.setattr(settings_module, "Settings", UnreachableSettings)
    paths, status, doctor = afterword("paths"), afterword("status"), afterword("doctor")
    assert (paths.status, status.status, doctor.status) == (2, 2, 2)
    assert paths.err == (
        "afterword: No local stack is up, and no ClickHouse is at the default address, "
        "http://127.0.0.1:3. Start one with `afterword up`, or set AFTERWORD_CLICKHOUSE_URL.\n"
    )
    assert status.err.endswith(
        "afterword: No local stack is up, and no Kafka is at the default address, 127.0.0.1:2. "
        "Start one with `afterword up`, or set AFTERWORD_KAFKA_BOOTSTRAP_SERVERS.\n"
    )
    assert doctor.out.count("✗ No local stack is up, and no ") == 2


def test_while_a_stack_starts_it_says_so(
    afterword: "Afterword", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its folder is held, and its addresses are not known yet."""
    monkeypatch.setattr(settings_module, "Settings", UnreachableSettings)
    data_dir().mkdir(parents=True)
    with FileLock(data_dir() / "lock", busy=AssertionError()):
        ran = afterword("paths")
    assert ran.status == 1
    assert ran.err == (f"afterword: The local stack on {data_dir()} is starting. Try again soon.\n")
