"""Run the demo: start everything, feed it, wait until all has arrived, ask, clean up.

run_demo(pipeline, events=50_000, now=datetime.now(UTC))
"""

import time
from collections.abc import Callable, Iterable
from datetime import datetime
from types import TracebackType
from typing import Final, Self

from afterword import Client, DeliveryFailure, KafkaTransport, QueueFullError, Transport
from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.explore.paths import has_feedback
from afterword_consumers.explore.sample import SAMPLE
from afterword_schemas.counted import counted
from afterword_stack.demo.report import print_report
from afterword_stack.demo.traffic import PROJECT, Send, traffic
from afterword_stack.errors import CommandError
from afterword_stack.run.database import open_database
from afterword_stack.run.pipeline import Pipeline
from afterword_stack.terminal.console import notice, out, progress

SAMPLE_EVENTS: Final = 50_000

_LOOK_EVERY_S: Final = 0.2
_STALLED_S: Final = 60.0
_FLUSH_S: Final = 30.0


def run_demo(pipeline: Pipeline, *, events: int, now: datetime) -> None:
    """Publish events, wait for them, and print what was asked.

    Raises:
        CommandError: What was published is not what arrived, or nothing arrives any more.
    """
    began_s = time.monotonic()
    with open_database(pipeline.settings.clickhouse) as clickhouse:
        stored, rejected = _feed(pipeline, clickhouse, events, now)
        took_s = time.monotonic() - began_s
        out(f"\npublished {events:,} = stored {stored:,} + rejected {rejected:,}")
        out(f"in {took_s:.1f} s, from the first event to the last row")
        if stored + rejected != events:
            raise CommandError("These numbers should be equal: please report this.")
        print_report(clickhouse, now)


def fill_sample(pipeline: Pipeline, *, now: datetime, events: int = SAMPLE_EVENTS) -> None:
    """Publish a month of made-up feedback to the project `SAMPLE`, if it is not there yet.

    Raises:
        CommandError: Kafka did not take it all.
    """
    settings = pipeline.settings
    with open_database(settings.clickhouse) as clickhouse:
        if has_feedback(clickhouse, project=SAMPLE):
            notice(f"the project {SAMPLE} is there already")
            return
    transport = KafkaTransport(settings.kafka_bootstrap_servers, topic=settings.kafka_topic)
    with Feeder(transport, SAMPLE) as feeder, progress("publishing the sample", events) as advance:
        feeder.publish(traffic(events, now, SAMPLE), advance)
    notice(
        f"{events:,} made-up events are in the project {SAMPLE}; `afterword sample remove` takes them out"
    )


def _feed(
    pipeline: Pipeline, clickhouse: ClickHouse, events: int, now: datetime
) -> tuple[int, int]:
    settings = pipeline.settings
    transport = KafkaTransport(settings.kafka_bootstrap_servers, topic=settings.kafka_topic)
    with Feeder(transport) as feeder:
        with progress("publishing", events) as advance:
            feeder.publish(traffic(events, now), advance)
        with progress("ingesting", events) as advance:
            _await(pipeline, clickhouse, events, advance)
    return _arrived(clickhouse)


class Feeder:
    """Publishes the demo's traffic: whole events by the SDK, broken ones as they are."""

    def __init__(self, transport: Transport, project: str = PROJECT) -> None:
        self._transport = transport
        self._sent = 0
        self._reports: list[DeliveryFailure | None] = []
        self._client = Client(
            project=project,
            transport=transport,
            on_delivery=lambda delivery: self._reports.append(delivery.error),
            close_timeout_s=_FLUSH_S,
        )

    def publish(self, sends: Iterable[Send], advance: Callable[[int], None]) -> None:
        """Publish events and wait until Kafka has them.

        Raises:
            CommandError: It did not take them all.
        """
        for send in sends:
            try:
                send(self._client, self._send_raw)
            except QueueFullError:
                self._transport.flush(_FLUSH_S)
                send(self._client, self._send_raw)
            self._sent += 1
            advance(1)
        self._transport.flush(_FLUSH_S)
        missing = self._sent - self._reports.count(None)
        if missing:
            raise CommandError(
                f"Kafka did not take all events: {counted(missing, 'is', 'are')} missing."
            )

    def _send_raw(self, key: bytes, value: bytes) -> None:
        self._transport.send(key, value, (), self._reports.append)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._client.__exit__(kind, error, trace)


def _await(
    pipeline: Pipeline, clickhouse: ClickHouse, events: int, advance: Callable[[int], None]
) -> None:
    """Wait until all messages have become rows, as long as there is progress."""
    before, moved_s = 0, time.monotonic()
    while (arrived := sum(_arrived(clickhouse))) < events:
        if arrived > before:
            advance(arrived - before)
            before, moved_s = arrived, time.monotonic()
        pipeline.check()
        if time.monotonic() - moved_s > _STALLED_S:
            raise CommandError(
                f"Nothing arrived for {_STALLED_S:.0f} s; {arrived:,} of {events:,} did. "
                f"The end of the worker's log:\n{pipeline.worker_says}"
            )
        time.sleep(_LOOK_EVERY_S)
    advance(arrived - before)


def _arrived(clickhouse: ClickHouse) -> tuple[int, int]:
    stored, rejected = clickhouse.query(
        "SELECT (SELECT count() FROM feedback_current), (SELECT count() FROM feedback_rejected FINAL)"
    ).rows[0]
    return int(stored or 0), int(rejected or 0)
