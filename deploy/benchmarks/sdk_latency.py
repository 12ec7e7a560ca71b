"""Measure how long `feedback()` keeps its caller, and how many bytes an event takes.

    python deploy/benchmarks/sdk_latency.py
    python deploy/benchmarks/sdk_latency.py --url http://127.0.0.1:8080
    python deploy/benchmarks/sdk_latency.py --spool /var/tmp

Starts a Kafka of its own on this machine, or sends to a gateway that runs. Prints microseconds per call, paced as a busy service would and flat
out, and the same for one bare `produce` of librdkafka, which no SDK can go below. Or with a spool on the disk of a folder, with and without waiting
for that disk, from one thread and from eight at once.
"""

# ruff: noqa: INP001, T201  # a script that prints its result, in no package

import argparse
import json
import platform
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

from confluent_kafka import Producer

from afterword import KAFKA_DEFAULTS, Client, KafkaTransport, SpoolTransport
from afterword_stack.local.kafka import KafkaNode

TOPIC = "feedback.events"
TEXT = "The date of the meeting was missed; the rest of the summary was right."


def main() -> None:
    """Start Kafka, run all measurements and print one line each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=20_000)
    parser.add_argument("--compression", default=KAFKA_DEFAULTS["compression.type"])
    parser.add_argument("--url", help="of a gateway, to send to it instead")
    parser.add_argument("--spool", type=Path, help="a folder in which to make a spool")
    options = parser.parse_args()
    if options.url:
        with Client(url=options.url, project="benchmark") as client:
            run_client(client, options.calls)
        return
    print(f"{platform.python_version()}, {platform.machine()}, {options.compression}")
    with tempfile.TemporaryDirectory() as folder, KafkaNode(Path(folder)) as kafka:
        kafka.create_topic(TOPIC, partitions=4)
        if options.spool:
            run_spool(kafka.bootstrap_servers, options.calls, options.spool)
        else:
            run(kafka.bootstrap_servers, options.calls, options.compression)


def run(bootstrap_servers: str, calls: int, compression: str) -> None:
    """Measure the bare producer and the SDK on a broker."""
    sent_bytes = [0]

    def on_stats(text: str) -> None:
        sent_bytes[0] = json.loads(text)["tx_bytes"]

    settings = {
        "compression.type": compression,
        "statistics.interval.ms": 200,
        "stats_cb": on_stats,
    }
    producer = Producer({**KAFKA_DEFAULTS, "bootstrap.servers": bootstrap_servers})
    value = json.dumps({"trace_id": "tr-7f3", "value": 1, "feedback": {"comment": TEXT}}).encode()

    def produce(_: int) -> None:
        producer.produce(TOPIC, value, b"k" * 36, on_delivery=lambda *_: None)
        producer.poll(0)

    with Client(bootstrap_servers, project="benchmark", topic=TOPIC, kafka=settings) as client:
        report("produce() alone, 1,000/s", measure(produce, calls // 10, 1000))
        run_client(client, calls)
        time.sleep(0.5)
        print(f"{sent_bytes[0] / client.stats.sent:.0f} bytes an event")
    producer.flush(60)


def run_spool(bootstrap_servers: str, calls: int, folder: Path) -> None:
    """Measure the SDK on a broker, by way of a disk."""
    for fsync in (True, False):
        print(f"spool, {fsync = }")
        kafka = KafkaTransport(bootstrap_servers, topic=TOPIC)
        with tempfile.TemporaryDirectory(dir=folder) as path:
            spool = SpoolTransport(kafka, path, fsync=fsync)
            with Client(project="benchmark", transport=spool) as client:
                run_client(client, calls)
                run_threads(client, calls)


def run_threads(client: Client, calls: int) -> None:
    """Measure calls from eight threads at once."""
    took: list[float] = []

    def work() -> None:
        took.extend(measure(caller(client), calls // 8, 0))

    threads = [threading.Thread(target=work) for _ in range(8)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    elapsed_s = time.perf_counter() - began
    report("feedback(), 8 threads", sorted(took))
    print(f"{len(took) / elapsed_s:,.0f} calls a second, of all threads together")


def caller(client: Client) -> Callable[[int], None]:
    """Return a function that emits an event as a service would."""

    def feedback(number: int) -> None:
        client.feedback(
            trace_id=f"tr-{number}",
            session_id=f"s-{number % 1000}",
            value=number % 21 - 10,
            feedback={"rating": number % 2 == 0, "comment": TEXT, "step": {"retry": False}},
            metadata={"_user": f"u-{number % 5000}", "model": "m-4.1"},
        )

    return feedback


def run_client(client: Client, calls: int) -> None:
    """Measure the SDK's calls, and how fast what they left behind is delivered."""
    feedback = caller(client)
    report("feedback(), 1,000/s", measure(feedback, calls // 10, 1000))
    client.flush(60)
    began = time.perf_counter()
    report("feedback(), flat out", measure(feedback, calls, 0))
    client.flush(60)
    print(f"{client.stats}, {calls / (time.perf_counter() - began):,.0f} delivered a second")


def measure(call: Callable[[int], None], calls: int, per_second: int) -> list[float]:
    """Return each call's seconds, sorted; `per_second` 0 leaves no pause."""
    took: list[float] = []
    began = time.perf_counter()
    for number in range(calls):
        if per_second:
            time.sleep(max(0.0, began + number / per_second - time.perf_counter()))
        start = time.perf_counter()
        call(number)
        took.append(time.perf_counter() - start)
    return sorted(took)


def report(name: str, took: list[float]) -> None:
    """Print a line of percentiles."""
    p50, p99, p999 = (took[int(len(took) * share)] * 1e6 for share in (0.5, 0.99, 0.999))
    rate = len(took) / sum(took)
    print(f"{name:26} p50 {p50:6.1f}  p99 {p99:6.1f}  p99.9 {p999:7.1f} µs  {rate:8,.0f}/s")


if __name__ == "__main__":
    main()
