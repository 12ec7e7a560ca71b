"""Run the demo: start everything, feed it, wait until all has arrived, ask, clean up.

run_demo(pipeline, events=50_000, now=datetime.now(UTC))
"""

import time
from collections.abc import Callable
from datetime import datetime
from typing import Final

from afterword import Client, KafkaTransport, QueueFullError
from afterword_consumers.clickhouse import ClickHouse
from afterword_schemas import StoreError
from afterword_stack.console import notice, out, progress
from afterword_stack.database import open_database
from afterword_stack.demo.report import print_report
from afterword_stack.demo.traffic import PROJECT, Send, traffic
from afterword_stack.pipeline import Pipeline

_LOOK_EVERY_S: Final = 0.2
_STALLED_S: Final = 60.0
_FLUSH_S: Final = 30.0
_VOLATILE_CHUNK: Final = 5_000
"""What the mock broker surely still has when the worker comes: it forgets beyond 5 MiB a partition."""


def run_demo(pipeline: Pipeline, *, events: int, now: datetime) -> None:
    """Publish events, wait for them, and print what was asked.

    Raises:
        StoreError: What was published is not what arrived, or nothing arrives any more.
    """
    chunk = _VOLATILE_CHUNK if pipeline.stack.addresses.volatile else events
    began_s = time.monotonic()
    with open_database(pipeline.settings.clickhouse) as clickhouse:
        stored, rejected = _feed(pipeline, clickhouse, events, chunk, now)
        took_s = time.monotonic() - began_s
        out(f"\npublished {events:,} = stored {stored:,} + rejected {rejected:,}")
        out(f"in {took_s:.1f} s, from the first event to the last row")
        if stored + rejected != events:
            raise StoreError("These numbers should be equal: please report this.")
        print_report(clickhouse, now)


def _feed(
    pipeline: Pipeline, clickhouse: ClickHouse, events: int, chunk: int, now: datetime
) -> tuple[int, int]:
    settings = pipeline.settings
    transport = KafkaTransport(settings.kafka_bootstrap_servers, topic=settings.kafka_topic)
    client = Client(project=PROJECT, transport=transport, close_timeout_s=_FLUSH_S)
    sends = list(traffic(events, now))
    with client:
        for start in range(0, events, chunk):
            some = sends[start : start + chunk]
            with progress("publishing", len(some)) as advance:
                _publish(client, transport, some, advance)
            with progress("ingesting", start + len(some)) as advance:
                _await(pipeline, clickhouse, start + len(some), advance)
    return _arrived(clickhouse)


def _publish(
    client: Client, transport: KafkaTransport, sends: list[Send], advance: Callable[[int], None]
) -> None:
    failures = list[StoreError]()

    def report(error: StoreError | None) -> None:
        if error is not None:
            failures.append(error)

    def send_raw(key: bytes, value: bytes) -> None:
        transport.send(key, value, (), report)

    for send in sends:
        while True:
            try:
                send(client, send_raw)
            except QueueFullError:
                client.flush(_LOOK_EVERY_S)
            else:
                break
        advance(1)
    if transport.flush(_FLUSH_S) or failures or client.stats.failed:
        raise StoreError(
            f"Kafka did not take all events: {client.stats.failed + len(failures)} failed."
        )


def _await(
    pipeline: Pipeline, clickhouse: ClickHouse, expected: int, advance: Callable[[int], None]
) -> None:
    """Wait until so many messages have become rows, as long as there is progress."""
    before, moved_s = 0, time.monotonic()
    while (arrived := sum(_arrived(clickhouse))) < expected:
        if arrived > before:
            advance(arrived - before)
            before, moved_s = arrived, time.monotonic()
        pipeline.check()
        if time.monotonic() - moved_s > _STALLED_S:
            notice(f"the worker's log is {pipeline.worker_log}")
            raise StoreError(
                f"Nothing arrived for {_STALLED_S:.0f} s; {arrived:,} of {expected:,} did."
            )
        time.sleep(_LOOK_EVERY_S)
    advance(arrived - before)


def _arrived(clickhouse: ClickHouse) -> tuple[int, int]:
    stored, rejected = clickhouse.query(
        "SELECT (SELECT count() FROM feedback_current), (SELECT count() FROM feedback_rejected FINAL)"
    ).rows[0]
    return int(stored or 0), int(rejected or 0)
