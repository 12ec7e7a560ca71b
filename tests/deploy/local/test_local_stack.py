"""The local stack: both parts together, found by others, gone afterwards."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import psutil
import pytest
from tests.waiting import wait_until

from afterword_schemas.errors import ConfigurationError
from afterword_stack.local import kafka as kafka_module
from afterword_stack.local.clickhouse import ClickHouseNode, _get
from afterword_stack.local.kafka_admin import new_admin, serves
from afterword_stack.local.lock import FileLock, is_locked
from afterword_stack.local.stack import Addresses, LocalStack, running_stack

pytestmark = pytest.mark.services


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep the user's own running stack out of the tests."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))


def nothing(_: str) -> None:
    """Take a line of progress and forget it."""


def serve(addresses: Addresses) -> tuple[bool, bool]:
    """Return whether Kafka and ClickHouse answer."""
    ping = _get(addresses.clickhouse_url, "/ping")
    return serves(new_admin(addresses.bootstrap_servers)), ping == "Ok.\n"


def test_a_temporary_stack_serves_and_leaves_nothing() -> None:
    """Both parts answer inside, and afterwards neither process nor file is left."""
    with LocalStack.temporary() as stack:
        addresses = stack.addresses
        assert serve(addresses) == (True, True)
        assert addresses.kafka == "4.3.1"
        assert running_stack() is None
    assert serve(addresses) == (False, False)
    assert not Path(addresses.data_dir).exists()


def test_a_running_stack_is_found_by_others(tmp_path: Path) -> None:
    """Another process reads the addresses while it runs, and nothing afterwards."""
    code = "from afterword_stack.local.stack import running_stack; print(running_stack())"
    with LocalStack(tmp_path / "afterword") as stack:
        found = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=True
        )
        assert found.stdout.strip() == str(stack.addresses)
    assert running_stack() is None


def test_a_second_stack_on_the_folder_is_refused_and_harms_nothing(tmp_path: Path) -> None:
    """The error says that one runs already, and that one goes on."""
    with LocalStack(tmp_path / "afterword") as first:
        with pytest.raises(ConfigurationError, match="already running"):
            LocalStack(tmp_path / "afterword").start()
        assert first.start() == first.addresses
        assert serve(first.addresses) == (True, True)
        assert running_stack() == first.addresses


def test_each_of_two_stacks_is_found_by_its_own_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second one changes nothing for the user of the first, neither beside it nor after its end."""
    with LocalStack() as first:
        with LocalStack(tmp_path / "other" / "afterword") as second:
            assert running_stack() == first.addresses
            monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "other"))
            assert running_stack() == second.addresses
        assert running_stack() is None
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
        assert running_stack() == first.addresses
    assert running_stack() is None


def test_a_stack_keeps_address_and_data(tmp_path: Path) -> None:
    """Started again on its folder, it is what it was."""
    with LocalStack(tmp_path / "afterword") as stack:
        before = stack.addresses
        stack.kafka.create_topic("t", partitions=2)
    with LocalStack(tmp_path / "afterword") as stack:
        assert stack.addresses == before
        topics = new_admin(before.bootstrap_servers).list_topics(timeout=10).topics
        assert len(topics["t"].partitions) == 2


def test_when_one_part_fails_the_other_is_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A ClickHouse that cannot start takes Kafka down with it, and the folder is free again."""

    def fail(_: ClickHouseNode) -> None:
        raise ConfigurationError("no disk", "buy one")

    monkeypatch.setattr(ClickHouseNode, "start", fail)
    stack = LocalStack(tmp_path / "afterword")
    with pytest.raises(ConfigurationError, match="no disk"):
        stack.start()
    assert not stack.kafka.alive
    assert not is_locked(tmp_path / "afterword" / "lock")
    assert running_stack() is None


def test_ctrl_c_while_starting_leaves_nothing(tmp_path: Path) -> None:
    """An interrupt in the middle of the start ends both parts."""
    code = (
        "import sys, pathlib; from afterword_stack.local.stack import LocalStack\n"
        "print('go', flush=True)\n"
        "LocalStack(pathlib.Path(sys.argv[1]), progress=print).start()\n"
        "import signal; signal.pause()\n"  # a start that was quicker than the interrupt ends by it, too
    )
    log = tmp_path / "afterword" / "kafka" / "kafka.log"
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "afterword")],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as starter:
        # the broker's process has begun, and needs a second
        wait_until(log.exists, alive=lambda: starter.poll() is None)
        family = psutil.Process(starter.pid).children(recursive=True)
        starter.send_signal(signal.SIGINT)
        assert starter.wait(30) != 0
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    assert not is_locked(tmp_path / "afterword" / "lock")


def test_a_stack_killed_by_sigkill_is_not_found_and_can_start_again(tmp_path: Path) -> None:
    """The state it left says nothing, as the kernel freed its lock."""
    code = (
        "import sys, pathlib; from afterword_stack.local.stack import LocalStack\n"
        "print(LocalStack(pathlib.Path(sys.argv[1])).start().pid, flush=True)\n"
        "sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path / "afterword")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as starter:
        assert starter.stdout is not None
        pid = int(starter.stdout.readline())
        found = running_stack()
        assert found is not None
        assert found.pid == pid == starter.pid
        family = psutil.Process(pid).children(recursive=True)
        starter.kill()
    psutil.wait_procs(family, timeout=20)
    assert running_stack() is None
    with LocalStack(tmp_path / "afterword") as stack:
        assert serve(stack.addresses) == (True, True)


def test_without_java_it_ends_and_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing stands in for Kafka, and ClickHouse does not stay behind."""
    monkeypatch.setattr(kafka_module, "find_java", lambda: None)
    stack = LocalStack(tmp_path / "afterword")
    with pytest.raises(
        ConfigurationError, match=r"Kafka needs Java 17 or later, and there is none\."
    ) as told:
        stack.start()
    assert "install a JRE and put it on PATH" in told.value.next_step
    assert not stack.clickhouse.alive
    assert not is_locked(tmp_path / "afterword" / "lock")


def test_without_kafka_s_jars_it_ends_and_says_what_to_do(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As without a network on the first day."""

    def out_of_reach(**_: object) -> Path:
        raise ConfigurationError("no route to host", "Check the network.")

    monkeypatch.setattr(kafka_module, "resolve_kafka_jars", out_of_reach)
    stack = LocalStack(tmp_path / "afterword", progress=nothing)
    with pytest.raises(ConfigurationError, match="no route to host"):
        stack.start()
    assert not stack.clickhouse.alive


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"pid": 1}'])
def test_a_damaged_state_file_is_no_stack(tmp_path: Path, content: str) -> None:
    """What cannot be read says nothing."""
    path = tmp_path / "afterword" / "running.json"
    path.parent.mkdir()
    path.write_text(content)
    with FileLock(path.with_name("lock"), busy=AssertionError()):
        assert running_stack() is None


def test_a_stale_state_file_is_no_stack(tmp_path: Path) -> None:
    """Even with a living process id, nothing runs where nobody holds the lock."""
    path = tmp_path / "afterword" / "running.json"
    path.parent.mkdir()
    stale = Addresses(
        "a:1",
        "http://a:2",
        "a:9",
        "k",
        "c",
        data_dir=str(path.parent),
        pid=os.getpid(),
    )
    path.write_text(json.dumps({name: getattr(stale, name) for name in stale.__slots__}))
    assert running_stack() is None
    with FileLock(path.with_name("lock"), busy=AssertionError()):
        assert running_stack() == stale


def test_a_stack_that_starts_takes_away_what_a_killed_one_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While it starts nobody is sent to the old addresses."""
    path = tmp_path / "afterword" / "running.json"
    path.parent.mkdir()
    old = Addresses("a:1", "http://a:2", "a:9", "k", "c", data_dir="d", pid=1)
    path.write_text(json.dumps({name: getattr(old, name) for name in old.__slots__}))
    found: list[Addresses | None] = []

    def look(_: ClickHouseNode) -> None:
        found.append(running_stack())
        raise ConfigurationError("enough", "")

    monkeypatch.setattr(ClickHouseNode, "start", look)
    with pytest.raises(ConfigurationError, match="enough"):
        LocalStack().start()
    assert found == [None]
