"""The whole pipeline on real parts: a topic, a group, a database, and workers between them."""

import threading
import uuid
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pytest
from confluent_kafka import KafkaError, Message, Producer
from tests.waiting import wait_until

from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.clickhouse.sink import ClickHouseSink
from afterword_consumers.ingest.worker import Worker, WorkerOptions
from afterword_consumers.kafka.consumer import KafkaSource
from afterword_schemas.backoff import Backoff
from afterword_stack.local.clickhouse import ClickHouseNode
from afterword_stack.local.kafka import KafkaNode

Headers = Sequence[tuple[str, bytes | None]]


@dataclass
class Pipeline:
    """One topic of four partitions, read by one group into one database."""

    kafka: KafkaNode
    node: ClickHouseNode
    topic: str
    clickhouse: ClickHouse
    group: str = field(default_factory=lambda: f"g-{uuid.uuid4().hex}")

    def __post_init__(self) -> None:
        self._undelivered: list[KafkaError] = []
        self._producer = Producer(
            {
                "bootstrap.servers": self.kafka.bootstrap_servers,
                "enable.idempotence": True,
                "linger.ms": 5,
                "acks": "all",
                "message.max.bytes": 1_048_000,  # the broker takes more than an event may have
            }
        )

    def publish(self, events: Iterable[dict[str, Any]]) -> None:
        """Publish events, each under its id, and wait for the broker to have them."""
        for event in events:
            self.publish_raw(orjson.dumps(event), event["feedback_id"].encode())
        self.flush()

    def publish_raw(self, value: bytes | None, key: bytes | None, headers: Headers = ()) -> None:
        """Publish bytes; `flush` waits."""
        self._producer.produce(
            self.topic, value, key, headers=list(headers), on_delivery=self._on_delivery
        )
        self._producer.poll(0)

    def _on_delivery(self, error: KafkaError | None, _message: Message) -> None:
        if error is not None:
            self._undelivered.append(error)

    def flush(self) -> None:
        """Wait for the broker to have everything."""
        assert self._producer.flush(30) == 0
        assert self._undelivered == []

    def source(self) -> KafkaSource:
        """Return a member of the group."""
        return KafkaSource(self.kafka.bootstrap_servers, topic=self.topic, group=self.group)

    def worker(self, *, rows: int = 100_000, age_s: float = 0.2) -> Worker:
        """Return a worker that has not started."""
        backoff = Backoff(first_s=0.02, max_s=0.2)
        options = WorkerOptions(batch_max_rows=rows, batch_max_age_s=age_s, backoff=backoff)
        return Worker(self.source(), ClickHouseSink(self.clickhouse), options)

    def work(self, *workers: Worker, until: Callable[[], bool]) -> None:
        """Run workers, each in a thread, until a condition holds; what ends one is raised."""
        failures: list[BaseException] = []

        def run(worker: Worker) -> None:
            try:
                worker.run()
            except BaseException as failure:  # noqa: BLE001  # raised again below
                failures.append(failure)

        threads = [threading.Thread(target=run, args=(worker,)) for worker in workers]
        for thread in threads:
            thread.start()
        try:
            wait_until(lambda: bool(failures) or until())
        finally:
            for worker in workers:
                worker.stop()
            for thread in threads:
                thread.join()
        if failures:
            raise failures[0]

    def work_off(self, count: int) -> Worker:
        """Run one worker until it has stored or rejected so many messages."""
        worker = self.worker()
        self.work(worker, until=lambda: worker.stats.stored + worker.stats.rejected >= count)
        return worker

    def select(self, sql: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query."""
        return [tuple(row) for row in self.clickhouse.select(sql)]


@pytest.fixture
def pipeline(
    kafka: KafkaNode, clickhouse: ClickHouseNode, topic: str, migrated_database: str
) -> Iterator[Pipeline]:
    """A pipeline with nothing in it."""
    address = ClickHouseAddress(
        host=clickhouse.host, port=clickhouse.port, database=migrated_database
    )
    connection = ClickHouse(address)
    yield Pipeline(kafka, clickhouse, topic, connection)
    connection.close()
