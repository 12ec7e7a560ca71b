"""How many patches of distinct events one worker takes a second, what they cost, and its peak memory.

    python deploy/benchmarks/patches.py
    python deploy/benchmarks/patches.py --patches 5000 --stored 5000 --leaves 900

Starts Kafka and ClickHouse of its own on this machine, stores events, and publishes a small patch of
each of some of them, in random order. Then a worker in a process of its own takes the patches, so that its
peak memory is its own. Without options there are two cases: 300,000 patches among a million ordinary
events, and 5,000 patches of events with 900 leaves. It ends with 1 if any event lacks its patch.
"""

# ruff: noqa: INP001, T201  # a script that prints its result, in no package

import argparse
import random
import subprocess
import sys
from dataclasses import dataclass
from typing import Final

import orjson
from confluent_kafka import Producer
from worker_throughput import TOPIC, Costs, prepare

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.clickhouse.sink import ClickHouseSink
from afterword_consumers.ingest.rows import COLUMNS, Row, encode
from afterword_stack.local.kafka_admin import create_topic
from afterword_stack.local.stack import LocalStack

_BEGIN_MS: Final = 1_767_225_600_000
_WORKER: Final = """
import sys, worker_throughput
from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
servers, port, events = sys.argv[1:]
address = ClickHouseAddress(port=int(port), database="benchmark")
worker_throughput.work(servers, ClickHouse(address), int(events))
"""


@dataclass(frozen=True, slots=True)
class Case:
    """What is stored, and what is published.

    Attributes:
        leaves: Of each stored event.
    """

    patches: int
    stored: int
    leaves: int


_CASES: Final = (Case(300_000, 1_000_000, 8), Case(5_000, 5_000, 900))


def event_id(number: int) -> str:
    """Return a version 7 id, a second after the one before it."""
    stamp = f"{_BEGIN_MS + 1_000 * number:012x}"
    return f"{stamp[:8]}-{stamp[8:]}-7000-8000-{number:012x}"


def stored_row(number: int, leaves: int) -> Row:
    """Return the row of an event, of which a patch changes only the comment."""
    at_s = _BEGIN_MS // 1_000 + number
    columns = dict.fromkeys(COLUMNS, "") | {
        "project": "acme",
        "feedback_id": event_id(number),
        "trace_id": f"tr-{number:09d}",
        "source": "explicit",
        "user_id": f"u-{number % 999}",
        "prompt": "summarise-v2",
        "environment": "prod",
        "value": 4,
        "weight": 1.0,
        "numbers": {f"feedback.step{leaf}.score": leaf / 7 for leaf in range(leaves - 3)},
        "booleans": {"feedback.rating": True},
        "strings": {"feedback.comment": "good enough for me", "metadata.model": "gpt-5"},
        "created_at": at_s,
        "updated_at": at_s,
        "is_deleted": 0,
        "kafka_topic": "stored before",
        "kafka_partition": 0,
        "kafka_offset": number,
    }
    return list(columns.values())


def store(clickhouse: ClickHouse, case: Case) -> None:
    """Store the events, about 10 MB at a time."""
    sink = ClickHouseSink(clickhouse)
    step = 10_000_000 // len(encode(stored_row(0, case.leaves)))
    for start in range(0, case.stored, step):
        numbers = range(start, min(start + step, case.stored))
        lines = b"".join(encode(stored_row(number, case.leaves)) for number in numbers)
        sink.insert_feedback(lines, f"stored-{start}")


def publish(bootstrap_servers: str, case: Case) -> int:
    """Publish the patches and return the size of one."""
    chance = random.Random(1)  # noqa: S311  # a benchmark's data, not a secret
    producer = Producer({"bootstrap.servers": bootstrap_servers, "linger.ms": 20})
    raw = b""
    for number in chance.sample(range(case.stored), case.patches):
        id_ = event_id(number)
        raw = orjson.dumps(
            {"feedback_id": id_, "project": "acme", "op": "patch", "feedback": {"comment": "ok"}}
        )
        while True:
            try:
                producer.produce(TOPIC, raw, id_.encode())
                break
            except BufferError:
                producer.poll(0.1)
    producer.flush()
    return len(raw)


def work(stack: LocalStack, clickhouse: ClickHouse, case: Case) -> None:
    """Let a worker in a process of its own take the patches; it prints what it took."""
    before = Costs.now()
    subprocess.run(  # noqa: S603  # this very script's folder
        [
            *(sys.executable, "-c", _WORKER, stack.addresses.bootstrap_servers),
            *(str(clickhouse.address.port), str(case.patches)),
        ],
        check=True,
        cwd=sys.path[0],
    )
    print(f"with the start and the end of the worker: {Costs.now().since(before, case.patches)}")


def run(case: Case, partitions: int) -> bool:
    """Run a case, and say whether each patch is where it belongs."""
    with LocalStack.temporary() as stack:
        servers = stack.addresses.bootstrap_servers
        create_topic(servers, TOPIC, partitions, {})
        clickhouse = prepare(stack.addresses.clickhouse_url)
        store(clickhouse, case)
        size = publish(servers, case)
        print(
            f"{case.patches:,} patches of {size} bytes, "
            f"among {case.stored:,} events of {case.leaves} leaves"
        )
        work(stack, clickhouse, case)
        [[stored, patched]] = clickhouse.select(
            "SELECT count(), countIf(strings['feedback.comment'] = 'ok' "
            f"AND length(numbers) = {case.leaves - 3}) FROM feedback_current"
        )
        clickhouse.close()
    exact = (stored, patched) == (case.stored, case.patches)
    print("every patch is there once" if exact else f"WRONG: {stored}, {patched}")
    return exact


def main() -> int:
    """Run the cases, or the one that the options describe."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--patches", type=int)
    parser.add_argument("--stored", type=int)
    parser.add_argument("--leaves", type=int, default=8)
    parser.add_argument("--partitions", type=int, default=4)
    options = parser.parse_args()
    cases = list(_CASES)
    if options.patches is not None:
        cases = [Case(options.patches, options.stored or options.patches, options.leaves)]
    results = [run(case, options.partitions) for case in cases]
    return 0 if all(results) else 1


if __name__ == "__main__":
    sys.exit(main())
