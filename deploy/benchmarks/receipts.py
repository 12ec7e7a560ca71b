"""What one receipt costs, with the workers up to date and behind, and how soon it tells of a row.

    python deploy/benchmarks/receipts.py

Starts Kafka and ClickHouse of its own on this machine, stores a million typical events with one worker, and
asks for receipts of events drawn at random, in rounds, of which the best and the worst are printed. Then
so many messages wait in every partition, and it asks again.
"""

# ruff: noqa: INP001, T201  # a script that prints its result, in no package

import argparse
import random
import statistics
import sys
import threading
import time
import uuid
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import orjson
from confluent_kafka import Producer

from afterword import KAFKA_DEFAULTS
from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.clickhouse.sink import ClickHouseSink
from afterword_consumers.ingest.worker import Worker, WorkerOptions
from afterword_consumers.kafka.consumer import KafkaSource
from afterword_consumers.progress.receipts import ReceiptFinder
from afterword_schemas import ReceiptStatus
from afterword_schemas.migrate import migrate
from afterword_stack.local.kafka_admin import create_topic
from afterword_stack.local.stack import LocalStack

TOPIC = "feedback.events"
GROUP = "benchmark"
ROUNDS = 10
CHANCE = random.Random(1)  # noqa: S311  # a benchmark's data, not a secret


class ReceiptBenchmark:
    """The stack's addresses, and what is published there."""

    def __init__(self, bootstrap_servers: str, clickhouse_url: str) -> None:
        self.servers = bootstrap_servers
        url = urlsplit(clickhouse_url)
        self.address = ClickHouseAddress(str(url.hostname), int(url.port or 8123), "benchmark")
        server = ClickHouse(ClickHouseAddress(self.address.host, self.address.port))
        server.command("CREATE DATABASE benchmark")
        server.close()
        self.clickhouse = ClickHouse(self.address)
        migrate(self.clickhouse)
        self.finder = ReceiptFinder(self.address, self.servers, topic=TOPIC, group=GROUP)
        self.doubtful = 0
        self._producer = Producer({**KAFKA_DEFAULTS, "bootstrap.servers": self.servers})

    def publish(self, count: int) -> list[str]:
        """Publish so many events of about 350 bytes, and return their ids."""
        ids = [str(uuid.UUID(int=CHANCE.getrandbits(128), version=4)) for _ in range(count)]
        for feedback_id in ids:
            while True:
                try:
                    self._producer.produce(TOPIC, typical_event(feedback_id), feedback_id.encode())
                    break
                except BufferError:
                    self._producer.poll(0.1)
        self._producer.flush()
        return ids

    def worker(self) -> tuple[Worker, threading.Thread]:
        """Start a worker in a thread."""
        source = KafkaSource(self.servers, topic=TOPIC, group=GROUP)
        worker = Worker(source, ClickHouseSink(ClickHouse(self.address)), WorkerOptions())
        thread = threading.Thread(target=worker.run)
        thread.start()
        return worker, thread

    def work_off(self, count: int) -> None:
        """Let a worker store so many events, and end it."""
        worker, thread = self.worker()
        while worker.stats.stored < count:
            time.sleep(0.1)
        worker.stop()
        thread.join()

    def ask(self, feedback_id: str, expected: ReceiptStatus) -> float:
        """Ask for a receipt and return the milliseconds it took."""
        began_s = time.perf_counter()
        receipt = self.finder.find("acme", feedback_id)
        took_ms = (time.perf_counter() - began_s) * 1000
        if receipt.unread:  # the machine was too busy to read all in time
            self.doubtful += 1
        elif receipt.status != expected:
            raise SystemExit(f"WRONG: {receipt}, expected {expected}")
        return took_ms


def typical_event(feedback_id: str) -> bytes:
    """Return a rating with a comment, nested steps, and the context that services send."""
    return orjson.dumps(
        {
            "feedback_id": feedback_id,
            "project": "acme",
            "trace_id": f"tr-{feedback_id[:9]}",
            "value": 4,
            "feedback": {
                "rating": True,
                "score": CHANCE.random(),
                "comment": "good enough for me",
                "step1": {"retry": False},
            },
            "metadata": {"model": "gpt-5", "_user": "u-17", "_environment": "prod"},
            "updated_at": "2026-11-20T10:00:00.123Z",
        }
    )


def measure(
    benchmark: ReceiptBenchmark, name: str, ids: Sequence[str], expected: ReceiptStatus
) -> None:
    """Ask for receipts one after another, then from eight threads; print what it took in each round."""
    benchmark.ask(ids[0], expected)
    medians_ms, rates = [], []
    size = len(ids) // ROUNDS
    for begin in range(0, size * ROUNDS, size):
        some = ids[begin : begin + size]
        medians_ms.append(statistics.median(benchmark.ask(each, expected) for each in some))
        began_s = time.perf_counter()
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(lambda feedback_id: benchmark.ask(feedback_id, expected), some))
        rates.append(size / (time.perf_counter() - began_s))
    print(
        f"{name:10} median {min(medians_ms):5.1f} to {max(medians_ms):5.1f} ms; "
        f"eight threads {max(rates):4.0f} to {min(rates):4.0f} a second"
    )


def measure_delay(benchmark: ReceiptBenchmark, rounds: int) -> None:
    """Print how long after a row is in the table its receipt says so."""
    worker, thread = benchmark.worker()
    delays_ms = []
    for _ in range(rounds):
        (feedback_id,) = benchmark.publish(1)
        while benchmark.finder.find("acme", feedback_id).status != ReceiptStatus.STORED:
            pass
        now_ms = time.time() * 1000
        ((ingested_ms,),) = benchmark.clickhouse.query(
            "SELECT toUnixTimestamp64Milli(ingested_at) FROM feedback WHERE project = 'acme' "
            "AND toUInt128(feedback_id) = toUInt128({id:UUID})",
            {"id": feedback_id},
        ).rows
        delays_ms.append(now_ms - float(ingested_ms or 0))
    worker.stop()
    thread.join()
    median, most = statistics.median(delays_ms), max(delays_ms)
    print(f"stored, after the row was written: median {median:.0f} ms, most {most:.0f} ms")


def main() -> int:
    """Store, ask, let a backlog grow, ask again."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--events", type=int, default=1_000_000)
    parser.add_argument("--partitions", type=int, default=12)
    parser.add_argument("--receipts", type=int, default=1_000)
    parser.add_argument("--backlog", type=int, default=5_000, help="of each partition")
    options = parser.parse_args()
    receipts = options.receipts
    strangers = [str(uuid.uuid4()) for _ in range(receipts)]
    with LocalStack.temporary() as stack:
        create_topic(stack.addresses.bootstrap_servers, TOPIC, options.partitions, {})
        benchmark = ReceiptBenchmark(
            stack.addresses.bootstrap_servers, stack.addresses.clickhouse_url
        )
        stored = benchmark.publish(options.events)
        benchmark.work_off(options.events)
        print(f"{options.events:,} events stored, nothing waits")
        measure(benchmark, "  stored", CHANCE.sample(stored, receipts), ReceiptStatus.STORED)
        measure(benchmark, "  unknown", strangers, ReceiptStatus.UNKNOWN)
        measure_delay(benchmark, 30)
        waiting = benchmark.publish(options.backlog * options.partitions)
        print(f"about {options.backlog:,} messages wait in each of {options.partitions} partitions")
        measure(benchmark, "  stored", CHANCE.sample(stored, receipts), ReceiptStatus.STORED)
        measure(benchmark, "  unknown", strangers, ReceiptStatus.UNKNOWN)
        measure(benchmark, "  pending", CHANCE.sample(waiting, receipts), ReceiptStatus.PENDING)
        print(f"{benchmark.doubtful} receipts were doubtful")
        benchmark.finder.close()
        benchmark.clickhouse.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
