"""What the broker and the operator can do to a worker: it goes on, or it stops and says why."""

import threading
import time
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import TopicPartition
from confluent_kafka.admin import AdminClient

from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.clickhouse.sink import ClickHouseSink
from afterword_consumers.ingest.worker import Worker, WorkerOptions
from afterword_schemas import ConfigurationError
from afterword_schemas.backoff import Backoff

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Pipeline

pytestmark = pytest.mark.services


def events(first: int, count: int) -> list[dict[str, Any]]:
    """Return numbered events."""
    return [
        {
            "feedback_id": f"5f0e2f0a-0000-4000-8000-{number:012}",
            "project": "acme",
            "trace_id": "t",
            "value": 1,
        }
        for number in range(first, first + count)
    ]


def stored(pipeline: "Pipeline") -> tuple[int, int]:
    """Return how many events readers see, and how many different ones."""
    count, different = pipeline.select(
        "SELECT count(), uniqExact(feedback_id) FROM feedback_current"
    )[0]
    return count, different


def test_a_broker_killed_and_restarted_is_read_on(pipeline: "Pipeline") -> None:
    """The worker outlives the broker, and reads what was published before and after."""
    pipeline.publish(events(0, 500))
    worker = pipeline.worker()
    restarted = False

    def restart_then_publish() -> bool:
        nonlocal restarted
        if not restarted and worker.stats.stored >= 500:
            pipeline.kafka.kill()
            pipeline.kafka.start()
            pipeline.publish(events(500, 500))
            restarted = True
        return restarted and stored(pipeline) == (1000, 1000)

    pipeline.work(worker, until=restart_then_publish)


def test_a_worker_started_while_the_broker_comes_up_reads_all(pipeline: "Pipeline") -> None:
    """A broker that goes away between joining and the first message costs time only."""
    pipeline.publish(events(0, 500))
    worker = pipeline.worker()
    pipeline.kafka.kill()
    starting = threading.Thread(target=pipeline.kafka.start)
    starting.start()
    pipeline.work(worker, until=lambda: stored(pipeline) == (500, 500))
    starting.join()


def test_messages_deleted_before_they_were_read_stop_the_worker(pipeline: "Pipeline") -> None:
    """An offset that the broker no longer has is lost data: the worker says so and skips nothing."""
    for number in range(4):
        pipeline.publish_raw(b"bad %d" % number, b"one partition")
    pipeline.flush()
    pipeline.work_off(4)
    (partition,) = pipeline.select("SELECT DISTINCT kafka_partition FROM feedback_rejected")[0]
    for number in range(4):
        pipeline.publish_raw(b"never read %d" % number, b"one partition")
    pipeline.flush()
    admin = AdminClient({"bootstrap.servers": pipeline.kafka.bootstrap_servers})
    (deleted,) = admin.delete_records([TopicPartition(pipeline.topic, partition, 6)]).values()
    deleted.result(20)
    worker = pipeline.worker()
    began_s = time.monotonic()
    with pytest.raises(ConfigurationError, match=f"Partition {partition} no longer has offset 4"):
        pipeline.work(worker, until=lambda: False)
    assert time.monotonic() - began_s < 15
    assert worker.stats.batches == 0
    assert pipeline.select("SELECT count() FROM feedback_rejected FINAL") == [(4,)]


def test_a_store_that_is_absent_at_the_start_is_waited_for(pipeline: "Pipeline") -> None:
    """Without ClickHouse a worker starts, reads, tries and, once it is there, delivers."""
    pipeline.publish(events(0, 500))
    pipeline.node.kill()
    address = ClickHouseAddress(
        port=pipeline.node.port, database=pipeline.clickhouse.address.database
    )
    fresh = ClickHouse(address)
    options = WorkerOptions(batch_max_age_s=0.05, backoff=Backoff(first_s=0.02, max_s=0.1))
    worker = Worker(pipeline.source(), ClickHouseSink(fresh), options)

    def start_after_three_tries() -> bool:
        if worker.stats.retries >= 3 and not pipeline.node.alive:
            pipeline.node.start()
        return worker.stats.stored == 500

    pipeline.work(worker, until=start_after_three_tries)
    assert stored(pipeline) == (500, 500)
    fresh.close()
