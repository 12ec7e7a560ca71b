"""How far a consumer group is behind the end of its topic, as the broker knows it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import ConsumerGroupTopicPartitions, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import OffsetSpec  # the package exports it without a type

from afterword_schemas import StoreError

_TIMEOUT_S: Final = 10.0


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
        return self.end - max(self.committed or 0, self.begin)


def read_lag(
    bootstrap_servers: str, topic: str, group: str, settings: Mapping[str, Any]
) -> list[PartitionLag]:
    """Ask the broker for the lag of every partition of a topic, in order.

    Raises:
        StoreError: It did not answer, or has no such topic.
    """
    admin = AdminClient({**settings, "bootstrap.servers": bootstrap_servers})
    try:
        metadata = admin.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
        if metadata.error is not None:
            raise StoreError(f"topic {topic} does not exist")
        places = [TopicPartition(topic, number) for number in sorted(metadata.partitions)]
        begins = _offsets(admin, places, OffsetSpec.earliest())  # type: ignore[no-untyped-call]  # likewise
        ends = _offsets(admin, places, OffsetSpec.latest())  # type: ignore[no-untyped-call]  # likewise
        committed = _committed(admin, places, group)
    except KafkaException as error:
        raise StoreError(f"Kafka at {bootstrap_servers}: {error.args[0].str()}") from error
    return [
        PartitionLag(number, committed.get(number), begins[number], ends[number])
        for number in sorted(ends)
    ]


def _offsets(admin: AdminClient, places: list[TopicPartition], spec: OffsetSpec) -> dict[int, int]:
    found = admin.list_offsets(dict.fromkeys(places, spec), request_timeout=_TIMEOUT_S)
    return {place.partition: future.result().offset for place, future in found.items()}


def _committed(admin: AdminClient, places: list[TopicPartition], group: str) -> dict[int, int]:
    request = [ConsumerGroupTopicPartitions(group, places)]
    future = admin.list_consumer_group_offsets(request, request_timeout=_TIMEOUT_S)[group]
    try:
        found = future.result().topic_partitions
    except KafkaException:  # a group that nobody has joined yet
        return {}
    return {place.partition: place.offset for place in found or () if place.offset >= 0}
