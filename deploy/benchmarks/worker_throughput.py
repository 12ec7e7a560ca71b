"""How many events one worker process takes from Kafka into ClickHouse a second, and what they cost.

    python deploy/benchmarks/worker_throughput.py --events 1000000

Starts Kafka and ClickHouse of its own on this machine, publishes typical events (about 350 bytes),
then runs one worker over them. The clock runs from the first message read to the last row stored.
It ends with 1 if what is stored is not exactly what was published.
"""

# ruff: noqa: INP001, T201  # a script that prints its result, in no package

import argparse
import random
import resource
import sys
import time
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import orjson
import psutil
from confluent_kafka import Producer

from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.clickhouse.sink import ClickHouseSink
from afterword_consumers.ingest.source import Message
from afterword_consumers.ingest.worker import Worker, WorkerOptions
from afterword_consumers.kafka.consumer import KafkaSource
from afterword_schemas.migrate import migrate
from afterword_stack.local.kafka_admin import create_topic
from afterword_stack.local.stack import LocalStack

TOPIC = "feedback.events"


def publish(bootstrap_servers: str, count: int) -> float:
    """Publish so many events and return their mean size in bytes."""
    chance = random.Random(1)  # noqa: S311  # a benchmark's data, not a secret
    producer = Producer(
        {
            "bootstrap.servers": bootstrap_servers,
            "linger.ms": 20,
            "compression.type": "lz4",
            "queue.buffering.max.messages": 200_000,
        }
    )
    total_bytes = 0
    for number in range(count):
        event = typical_event(number, chance)
        raw = orjson.dumps(event)
        total_bytes += len(raw)
        headers: list[tuple[str, str | bytes | None]] = [("schema", b"feedback/v1")]
        while True:
            try:
                producer.produce(TOPIC, raw, str(event["feedback_id"]).encode(), headers=headers)
                break
            except BufferError:
                producer.poll(0.1)
        if number % 5000 == 0:
            producer.poll(0)
    producer.flush()
    return total_bytes / count


def typical_event(number: int, chance: random.Random) -> dict[str, object]:
    """Return a rating with a comment, nested steps, and the context that services send."""
    stamp = f"{1_767_225_600_000 + number:012x}"
    tail = uuid.UUID(int=chance.getrandbits(128)).hex[16:]
    return {
        "feedback_id": f"{stamp[:8]}-{stamp[8:]}-7000-8{tail[:3]}-{tail[3:15]}",
        "project": "acme",
        "trace_id": f"tr-{number:09d}",
        "value": 4,
        "feedback": {
            "rating": True,
            "score": chance.random(),
            "comment": "good enough for me",
            "step1": {"retry": False},
        },
        "metadata": {
            "model": "gpt-5",
            "_user": f"u-{number % 999}",
            "_prompt": "summarise-v2",
            "_environment": "prod",
        },
        "updated_at": "2026-11-20T10:00:00.123Z",
    }


@dataclass
class Costs:
    """Seconds of processor time of each part, those of this process included."""

    seconds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def now(cls) -> "Costs":
        """Read what each part has used until now."""
        costs = cls({"worker": time.process_time()})
        for child in psutil.Process().children(recursive=True):
            command = " ".join(child.cmdline())
            name = "kafka" if "kafka.Kafka" in command else "clickhouse"
            used = child.cpu_times()
            costs.seconds[name] = costs.seconds.get(name, 0.0) + used.user + used.system
        return costs

    def since(self, earlier: "Costs", events: int) -> str:
        """Describe what each event has cost since an earlier reading."""
        return ", ".join(
            f"{name} {(used - earlier.seconds.get(name, 0.0)) / events * 1e6:.1f} µs"
            for name, used in sorted(self.seconds.items())
        )


class Clocked(KafkaSource):
    """A source that notes when the first messages came, and ends the worker after the last."""

    worker: Worker
    events: int
    began_s = 0.0
    costs: Costs

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Message]:
        """See `KafkaSource`."""
        costs, now_s = (None, 0.0) if self.began_s else (Costs.now(), time.monotonic())
        messages = super().poll(max_messages, timeout_s)
        if costs is not None and messages:
            self.costs, self.began_s = costs, now_s
        if self.worker.stats.stored + self.worker.stats.rejected >= self.events:
            self.worker.stop()
        return messages


def work(bootstrap_servers: str, clickhouse: ClickHouse, events: int) -> None:
    """Run a worker over the topic and print what it took."""
    source = Clocked(bootstrap_servers, topic=TOPIC, group="benchmark")
    source.worker = worker = Worker(source, ClickHouseSink(clickhouse), WorkerOptions())
    source.events = events
    worker.run()
    elapsed_s = time.monotonic() - source.began_s
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    print(f"{events:,} events in {elapsed_s:.1f} s: {events / elapsed_s:,.0f} events/s")
    print(f"processor time an event: {Costs.now().since(source.costs, events)}")
    print(f"{worker.stats.batches} batches; peak memory of the worker {peak_mb} MB")


def prepare(url: str) -> ClickHouse:
    """Return a migrated database."""
    address = urlsplit(url)
    host, port = str(address.hostname), int(address.port or 8123)
    server = ClickHouse(ClickHouseAddress(host=host, port=port))
    server.command("CREATE DATABASE benchmark")
    server.close()
    clickhouse = ClickHouse(ClickHouseAddress(host=host, port=port, database="benchmark"))
    migrate(clickhouse)
    return clickhouse


def main() -> int:
    """Publish, work, and compare the counts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=4)
    options = parser.parse_args()
    with LocalStack.temporary() as stack:
        servers = stack.addresses.bootstrap_servers
        create_topic(servers, TOPIC, options.partitions, {})
        size = publish(servers, options.events)
        print(f"{options.events:,} events of {size:.0f} bytes published")
        clickhouse = prepare(stack.addresses.clickhouse_url)
        work(servers, clickhouse, options.events)
        counted = clickhouse.select("SELECT count(), uniqExact(feedback_id) FROM feedback_current")
        clickhouse.close()
    exact = tuple(counted[0]) == (options.events, options.events)
    print("every event is there once" if exact else f"WRONG: {counted[0]}")
    return 0 if exact else 1


if __name__ == "__main__":
    sys.exit(main())
