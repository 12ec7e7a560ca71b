"""How far a consumer group is behind the end of its topic, as the broker knows it."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import (
    ConsumerGroupTopicPartitions,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec  # the package exports it without a type

from afterword_consumers.topics import explain
from afterword_schemas import SetupError, StoreError

_log = logging.getLogger(__name__)

_TIMEOUT_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One partition.

    Attributes:
        committed: The offset that the group goes on from; None before its first commit.
        begin: The oldest offset that the broker still has.
        end: The offset that the next message gets.
    """

    partition: int
    committed: int | None
    begin: int
    end: int

    @property
    def lag(self) -> int:
        """How many messages wait, at the most: gaps of transactions count too."""
        return max(0, self.end - max(self.committed or 0, self.begin))


def find_partitions(
    bootstrap_servers: str, topic: str, settings: Mapping[str, Any]
) -> list[TopicPartition]:
    """Ask the broker for the partitions of a topic, in order.

    Raises:
        SetupError: It has no such topic, or the client refuses a setting.
        StoreError: It did not answer.
    """
    return _partitions(_connect(bootstrap_servers, settings), bootstrap_servers, topic)


def read_lag(
    bootstrap_servers: str, topic: str, group: str, settings: Mapping[str, Any]
) -> list[PartitionLag]:
    """Ask the broker for the lag of every partition of a topic; errors as for `find_partitions`."""
    admin = _connect(bootstrap_servers, settings)
    places = _partitions(admin, bootstrap_servers, topic)
    try:
        begins = _offsets(admin, places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]  # likewise
        ends = _offsets(admin, places, OffsetSpec.latest())  # type: ignore[no-untyped-call]  # likewise
        committed = _committed(admin, places, group)
    except KafkaException as error:
        raise _away(bootstrap_servers, error) from error
    return [
        PartitionLag(number, committed.get(number), begins[number], ends[number])
        for number in sorted(ends)
    ]


def _connect(bootstrap_servers: str, settings: Mapping[str, Any]) -> AdminClient:
    try:
        return AdminClient({**settings, "bootstrap.servers": bootstrap_servers}, logger=_log)
    except (KafkaException, TypeError, ValueError) as error:
        raise SetupError(f"The Kafka settings are refused: {explain(error)}.") from error


def _partitions(admin: AdminClient, bootstrap_servers: str, topic: str) -> list[TopicPartition]:
    try:
        found = admin.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
    except KafkaException as error:
        raise _away(bootstrap_servers, error) from error
    if found.error is not None:
        raise SetupError(
            f"Topic {topic} does not exist on {bootstrap_servers}.",
            "Create it, or set AFTERWORD_KAFKA_TOPIC to another.",
        )
    return [TopicPartition(topic, number) for number in sorted(found.partitions)]


def _away(bootstrap_servers: str, error: KafkaException) -> StoreError:
    return StoreError(
        f"Kafka at {bootstrap_servers} does not answer as it should: {explain(error)}"
    )


def _offsets(admin: AdminClient, places: list[TopicPartition], spec: OffsetSpec) -> dict[int, int]:
    found = admin.list_offsets(dict.fromkeys(places, spec), request_timeout=_TIMEOUT_S)
    return {place.partition: future.result().offset for place, future in found.items()}


def _committed(admin: AdminClient, places: list[TopicPartition], group: str) -> dict[int, int]:
    request = [ConsumerGroupTopicPartitions(group, places)]
    future = admin.list_consumer_group_offsets(request, request_timeout=_TIMEOUT_S)[group]
    try:
        found = future.result().topic_partitions
    except KafkaException as error:
        if error.args[0].code() == KafkaError.GROUP_ID_NOT_FOUND:  # nobody has joined it yet
            return {}
        raise
    return {place.partition: place.offset for place in found or () if place.offset >= 0}
