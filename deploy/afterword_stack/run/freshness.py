"""What Kafka says of the workers: how complete an answer is, and how far they are behind.

fresh = read_freshness(settings)     # before the tables are read
notice(freshness_line(fresh))        # after the answer

Neither kind of look joins the group.
"""

from contextlib import AbstractContextManager, closing
from typing import Final

from afterword_consumers.kafka.lag import PartitionLag, read_lag
from afterword_consumers.progress.freshness import FreshnessReader
from afterword_consumers.query import Freshness
from afterword_consumers.rfc3339 import rfc3339
from afterword_schemas.counted import counted
from afterword_stack.settings import Settings
from afterword_stack.terminal.console import waiting

_KAFKA_WAIT_S: Final = 5.0


def read_freshness(settings: Settings) -> Freshness:
    """Return how complete the tables are now; without Kafka, that it is not known."""
    with closing(open_freshness_reader(settings)) as reader, _waiting_for_kafka(settings):
        return reader.read()


def open_freshness_reader(settings: Settings) -> FreshnessReader:
    """Return a reader about the topic and the group of the settings, for who asks often."""
    return FreshnessReader(
        settings.kafka_bootstrap_servers,
        topic=settings.kafka_topic,
        group=settings.kafka_group,
        settings=settings.kafka,
    )


def read_lags(settings: Settings) -> list[PartitionLag]:
    """Return how far the group is behind in each partition; errors as for `LagReader`."""
    with _waiting_for_kafka(settings):
        return read_lag(
            settings.kafka_bootstrap_servers,
            settings.kafka_topic,
            settings.kafka_group,
            settings.kafka,
        )


def _waiting_for_kafka(settings: Settings) -> AbstractContextManager[None]:
    return waiting(f"Kafka at {settings.kafka_bootstrap_servers}", _KAFKA_WAIT_S)


def freshness_line(fresh: Freshness) -> str:
    """Return it as a sentence for people."""
    if fresh.complete_until is None:
        return fresh.note
    line = f"complete until {rfc3339(fresh.complete_until)}"
    if fresh.note:
        return f"{line}: {fresh.note}"
    if not fresh.waiting:
        return line
    return f"{line}; {counted(fresh.waiting, 'more message waits', 'more messages wait')}"
