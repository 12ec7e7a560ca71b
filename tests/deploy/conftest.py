"""The `afterword` command on real parts, each test with a topic, a group and a database of its own."""

import threading
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from confluent_kafka import Producer
from tests.consumers.kafka.one_fetch import ingest

from afterword.gateway import KeyFile
from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.clickhouse.sink import ClickHouseSink
from afterword_consumers.ingest.worker import Worker, WorkerOptions
from afterword_consumers.kafka.consumer import KafkaSource
from afterword_stack.commands import run
from afterword_stack.local.clickhouse import ClickHouseNode
from afterword_stack.local.kafka import KafkaNode
from afterword_stack.run.gateway import open_gateway
from afterword_stack.settings import Settings, load_settings


@dataclass(frozen=True, slots=True)
class CommandResult:
    """What a command did."""

    status: int
    out: str
    err: str


Afterword = Callable[..., CommandResult]
"""Runs a command in this process: `afterword("check", "events.jsonl")`."""


@pytest.fixture
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the user's running stack, data and settings file out; the cache of jars stays."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    return tmp_path / "work"


@pytest.fixture
def afterword(own_folders: Path, capsys: pytest.CaptureFixture[str]) -> Afterword:
    """Run a command in this process, in an empty folder."""
    assert own_folders.is_dir()

    def call(*arguments: str) -> CommandResult:
        capsys.readouterr()
        status = run(arguments)
        said = capsys.readouterr()
        return CommandResult(status, said.out, said.err)

    return call


@pytest.fixture
def topic_set(topic: str, kafka: KafkaNode, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let settings name a fresh topic and a group of its own on the real Kafka."""
    monkeypatch.setenv("AFTERWORD_KAFKA_BOOTSTRAP_SERVERS", kafka.bootstrap_servers)
    monkeypatch.setenv("AFTERWORD_KAFKA_TOPIC", topic)
    monkeypatch.setenv("AFTERWORD_KAFKA_GROUP", f"group-{uuid.uuid4().hex}")
    return topic


@pytest.fixture
def database_set(clickhouse: ClickHouseNode, database: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """Let settings name a fresh, empty database on the real ClickHouse."""
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", clickhouse.url)
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_DATABASE", database)
    return database


@pytest.fixture
def settings(
    own_folders: Path,
    topic_set: str,
    clickhouse: ClickHouseNode,
    migrated_database: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Settings:
    """Return settings of a topic and of a database with all tables."""
    assert own_folders.is_dir()
    assert topic_set
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", clickhouse.url)
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_DATABASE", migrated_database)
    return load_settings()


@pytest.fixture
def database_of(settings: Settings) -> Iterator[ClickHouse]:
    """Give a connection to the database of the settings."""
    connection = ClickHouse(settings.clickhouse)
    yield connection
    connection.close()


@dataclass(frozen=True, slots=True)
class InProcessPipeline:
    """The way from raw messages to rows, in this process."""

    settings: Settings

    def publish(
        self,
        *payloads: bytes,
        key: bytes = b"key",
        headers: Sequence[tuple[str, bytes]] = (),
        timestamp_ms: int = 0,
    ) -> None:
        """Put messages on the topic as they are, all on one partition; at 0, their time is now."""
        producer = Producer(
            {
                "bootstrap.servers": self.settings.kafka_bootstrap_servers,
                "enable.idempotence": True,
                "partitioner": "murmur2_random",
            }
        )
        for payload in payloads:
            producer.produce(
                self.settings.kafka_topic,
                payload,
                key,
                headers=list(headers),
                timestamp=timestamp_ms,
            )
        assert producer.flush(30) == 0

    def ingest(self, count: int) -> tuple[int, int]:
        """Run a worker until so many messages were handled; return those stored and rejected."""
        settings = self.settings
        clickhouse = ClickHouse(settings.clickhouse)
        source = KafkaSource(
            settings.kafka_bootstrap_servers, topic=settings.kafka_topic, group=settings.kafka_group
        )
        worker = Worker(source, ClickHouseSink(clickhouse), WorkerOptions(batch_max_age_s=0.05))
        over = threading.Event()

        def watch() -> None:
            while worker.stats.stored + worker.stats.rejected < count and not over.wait(0.02):
                pass
            worker.stop()

        watcher = threading.Thread(target=watch)
        late = threading.Timer(30, over.set)
        watcher.start()
        late.start()
        worker.run()
        late.cancel()
        watcher.join()
        clickhouse.close()
        return worker.stats.stored, worker.stats.rejected


@pytest.fixture
def pipeline(settings: Settings) -> InProcessPipeline:
    """Give the way from messages to rows of this test's settings."""
    return InProcessPipeline(settings)


@pytest.fixture
def store_events(database_of: ClickHouse) -> Callable[..., None]:
    """`store_events(b'{…}', b'{…}')`: the worker's own way into the tables, without Kafka."""

    def store(*payloads: bytes) -> None:
        ingest(database_of, payloads)

    return store


@pytest.fixture
def gateway_address(settings: Settings) -> Iterator[str]:
    """Where a gateway of this test's settings runs, without keys."""
    settings = settings.model_copy(update={"gateway_port": 0})
    with open_gateway(settings, KeyFile(settings.gateway_keys_file)) as server:
        serving = threading.Thread(target=server.run)
        serving.start()
        yield server.address
        server.should_exit = True
        serving.join()
