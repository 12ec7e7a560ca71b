"""The worker as a process: it ingests, ends on signals, and outlasts a ClickHouse that is away."""

import os
import signal
import socket
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar

import pytest
from tests.waiting import wait_until

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.kafka.lag import read_lag
from afterword_stack.local.clickhouse import ClickHouseNode
from afterword_stack.local.kafka import KafkaNode
from afterword_stack.settings import Settings, load_settings

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword

pytestmark = pytest.mark.services

EVENT = b'{"feedback_id":"%s","project":"p","trace_id":"t","value":1}\n'
NOT_YET = "The worker keeps trying."


class WorkerProcess:
    """One `afterword worker`, whose log a test can wait for."""

    started: ClassVar[list[subprocess.Popen[str]]] = []

    def __init__(self, *options: str, **settings: str) -> None:
        variables = {f"AFTERWORD_{name.upper()}": value for name, value in settings.items()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "afterword_stack", "worker", *options],
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "AFTERWORD_BATCH_MAX_AGE_S": "0.1", **variables},
        )
        self.started.append(self.process)
        self.log: list[str] = []
        self._more = threading.Condition()
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            with self._more:
                self.log.append(line.rstrip())
                self._more.notify_all()

    def wait_for(self, text: str) -> None:
        """Wait until a line of the log holds the text."""
        with self._more:
            assert self._more.wait_for(lambda: any(text in line for line in self.log), 30), self.log

    def end(self, *signals: signal.Signals) -> int:
        """Send signals, wait for its end and return its status."""
        for number in signals:
            self.process.send_signal(number)
        status = self.process.wait(30)
        self._reader.join()
        assert self.process.stderr is not None
        self.process.stderr.close()
        return status


@pytest.fixture(autouse=True)
def _none_left() -> Iterator[None]:
    """End the workers of a test that failed in the middle."""
    yield
    while WorkerProcess.started:
        WorkerProcess.started.pop().kill()


class DelayedProxy:
    """A port that leads to another once it is opened, and then passes on what comes."""

    def __init__(self, port_behind: int) -> None:
        self._behind = port_behind
        self._passing = threading.Event()
        self._socket = socket.socket()
        self._socket.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        self.address = f"127.0.0.1:{self._socket.getsockname()[1]}"
        self.url = f"http://{self.address}"

    def hang(self) -> None:
        """Take connections from now on, and answer none until it is opened."""
        self._socket.listen()
        threading.Thread(target=self._accept, daemon=True).start()

    def open(self) -> None:
        """Let connections through from now on."""
        self._passing.set()
        self.hang()

    def close(self) -> None:
        """Refuse again."""
        self._socket.close()

    def _accept(self) -> None:
        try:
            while True:
                near, _ = self._socket.accept()
                self._passing.wait()
                far = socket.create_connection(("127.0.0.1", self._behind))
                for pair in ((near, far), (far, near)):
                    threading.Thread(target=_copy, args=pair, daemon=True).start()
        except OSError:
            return


def _copy(source: socket.socket, target: socket.socket) -> None:
    with source, target:
        try:
            while data := source.recv(65536):
                target.sendall(data)
        except OSError:
            return


@pytest.fixture
def gate(settings: Settings) -> Iterator[DelayedProxy]:
    """A closed gate before the real ClickHouse."""
    gate = DelayedProxy(settings.clickhouse.port)
    yield gate
    gate.close()


@pytest.fixture
def kafka_gate(settings: Settings) -> Iterator[DelayedProxy]:
    """A closed gate before the real Kafka, for the first connection to it."""
    gate = DelayedProxy(int(settings.kafka_bootstrap_servers.rsplit(":", 1)[1]))
    yield gate
    gate.close()


def publish(afterword: "Afterword", count: int) -> None:
    """Publish events by the command."""
    ids = (str(uuid.uuid4()).encode() for _ in range(count))
    Path("events.jsonl").write_bytes(b"".join(EVENT % one for one in ids))
    assert afterword("publish", "events.jsonl").status == 0


def waiting(settings: Settings) -> int:
    """Return how many messages the group has not committed."""
    servers, topic = settings.kafka_bootstrap_servers, settings.kafka_topic
    return sum(at.lag for at in read_lag(servers, topic, settings.kafka_group, {}))


def test_a_worker_ingests_what_was_published_and_ends_on_sigterm(
    afterword: "Afterword", settings: Settings, database_of: ClickHouse
) -> None:
    """After writing and committing what it had, with status 0."""
    publish(afterword, 500)
    worker = WorkerProcess()
    wait_until(lambda: not waiting(settings), alive=lambda: worker.process.poll() is None)
    assert worker.end(signal.SIGTERM) == 0
    assert worker.log[-1] == "stopped: 500 stored, 0 rejected"
    assert database_of.select("SELECT count() FROM feedback_current") == ((500,),)
    assert "; 0 messages wait\ncomplete until 20" in afterword("status").out


def test_a_worker_makes_the_tables_if_it_is_asked_to(
    afterword: "Afterword", topic_set: str, database_set: str
) -> None:
    """With `--migrate`; then Ctrl-C ends it as SIGTERM does."""
    assert database_set
    worker = WorkerProcess("--migrate")
    worker.wait_for(f"reading {topic_set} into http://127.0.0.1:")
    assert worker.end(signal.SIGINT) == 0, worker.log
    assert not any("afterword migrate" in line for line in worker.log)
    assert afterword("migrate").out == ""


def test_clickhouse_may_come_later(
    afterword: "Afterword", settings: Settings, gate: DelayedProxy, database_of: ClickHouse
) -> None:
    """The worker says so, keeps the batch, and writes it when ClickHouse is there."""
    publish(afterword, 20)
    worker = WorkerProcess(clickhouse_url=gate.url, retry_max_s="0.2")
    worker.wait_for(f"ClickHouse at {gate.url} does not answer")
    worker.wait_for(NOT_YET)
    worker.wait_for("try 2 failed")
    gate.open()
    wait_until(lambda: not waiting(settings), alive=lambda: worker.process.poll() is None)
    assert worker.end(signal.SIGTERM) == 0
    assert database_of.select("SELECT count() FROM feedback_current") == ((20,),)


def test_a_second_signal_ends_it_at_once_and_loses_nothing(
    afterword: "Afterword", settings: Settings, gate: DelayedProxy, database_of: ClickHouse
) -> None:
    """Where the first waits for a ClickHouse that is away; the next worker reads it all again."""
    publish(afterword, 20)
    worker = WorkerProcess(clickhouse_url=gate.url, retry_max_s="0.2", drain_timeout_s="600")
    worker.wait_for("try 1 failed")
    worker.process.send_signal(signal.SIGTERM)
    seen = len(worker.log)
    # it goes on trying to write what it has
    wait_until(lambda: len(worker.log) >= seen + 3, alive=lambda: worker.process.poll() is None)
    assert worker.end(signal.SIGTERM) == 0
    assert worker.log[-1] == "stopped: 0 stored, 0 rejected"
    assert waiting(settings) == 20
    again = WorkerProcess()
    wait_until(lambda: not waiting(settings), alive=lambda: again.process.poll() is None)
    assert again.end(signal.SIGTERM) == 0
    assert database_of.select("SELECT count() FROM feedback_current") == ((20,),)


@pytest.mark.parametrize(
    ("setting", "said"),
    [
        ("KAFKA_TOPIC=no-such-topic", "Topic no-such-topic does not exist on 127.0.0.1:"),
        ('KAFKA={"no.such": 1}', "The Kafka settings are refused: No such configuration"),
    ],
)
def test_a_configuration_error_ends_the_worker(
    afterword: "Afterword",
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    setting: str,
    said: str,
) -> None:
    """With status 2 and what to do."""
    assert settings.kafka_topic
    name, _, value = setting.partition("=")
    monkeypatch.setenv(f"AFTERWORD_{name}", value)
    ran = afterword("worker")
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err


def test_a_topic_that_takes_less_than_afterword_is_warned_of(
    settings: Settings, kafka: KafkaNode
) -> None:
    """At the start, where an operator looks; the worker works all the same."""
    small = f"{settings.kafka_topic}-small"
    kafka.create_topic(small, config={"max.message.bytes": "20000"})
    worker = WorkerProcess(kafka_topic=small)
    worker.wait_for(f"warning: max.message.bytes of topic {small} is 20,000: Kafka refuses events")
    assert worker.end(signal.SIGTERM) == 0


def test_missing_tables_are_waited_for(
    afterword: "Afterword", topic_set: str, database_set: str
) -> None:
    """Outside the group, until somebody migrates; then the worker goes on by itself."""
    assert database_set
    worker = WorkerProcess()
    worker.wait_for("The tables are missing or old: run `afterword migrate`. The worker waits.")
    publish(afterword, 20)
    assert afterword("migrate").status == 0
    worker.wait_for(f"reading {topic_set} into ")
    settings = load_settings()
    wait_until(lambda: not waiting(settings), alive=lambda: worker.process.poll() is None)
    assert worker.end(signal.SIGTERM) == 0
    assert worker.log[-1] == "stopped: 20 stored, 0 rejected"
    assert not any("failed" in line for line in worker.log)


def test_a_signal_ends_a_worker_that_waits_for_tables(topic_set: str, database_set: str) -> None:
    """With status 0, as nothing was read."""
    assert topic_set
    assert database_set
    worker = WorkerProcess()
    worker.wait_for("The worker waits.")
    assert worker.end(signal.SIGTERM) == 0
    assert worker.log[-1] == "stopped before anything was read"


def test_kafka_may_come_later(
    afterword: "Afterword", settings: Settings, kafka_gate: DelayedProxy, database_of: ClickHouse
) -> None:
    """The worker says that it waits, and joins once a broker is there."""
    publish(afterword, 20)
    worker = WorkerProcess(kafka_bootstrap_servers=kafka_gate.address)
    worker.wait_for(f"Kafka at {kafka_gate.address} does not answer. The worker waits.")
    kafka_gate.open()
    wait_until(lambda: not waiting(settings), alive=lambda: worker.process.poll() is None)
    assert worker.end(signal.SIGTERM) == 0
    assert database_of.select("SELECT count() FROM feedback_current") == ((20,),)


def test_a_worker_joins_at_once_while_clickhouse_hangs(
    topic_set: str, database_set: str, clickhouse: ClickHouseNode
) -> None:
    """It looks for tables beside that, and says what it finds once ClickHouse answers."""
    assert database_set
    hanging = DelayedProxy(clickhouse.port)
    hanging.hang()
    worker = WorkerProcess(clickhouse_url=hanging.url)
    worker.wait_for(f"reading {topic_set} into ")
    worker.wait_for("assigned partitions ")
    hanging.open()
    worker.wait_for(
        "The tables are missing or old: run `afterword migrate`. The worker keeps trying."
    )
    assert worker.end(signal.SIGTERM) == 0
    hanging.close()
