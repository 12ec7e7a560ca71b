"""The consumer on Kafka, beyond what every source promises: faults of set-up and of the client."""

from collections.abc import Collection, Mapping
from typing import Any

import pytest
from confluent_kafka import KafkaError, KafkaException, Producer, TopicPartition

from afterword_consumers.kafka import KafkaSource
from afterword_consumers.source import Committed
from afterword_schemas import SetupError, StoreError
from afterword_stack.local.kafka import KafkaNode
from afterword_stack.local.mock_kafka import MockKafkaNode

pytestmark = pytest.mark.services


class Deaf:
    """A listener that does nothing."""

    def on_assigned(self, committed: Mapping[int, Committed]) -> None:
        """See `RebalanceListener`."""

    def on_revoked(self, partitions: Collection[int]) -> None:
        """See `RebalanceListener`."""

    def on_lost(self, partitions: Collection[int]) -> None:
        """See `RebalanceListener`."""


class Interrupted(KafkaSource):
    """A source whose committed offsets could not be fetched the first time."""

    failures = 1

    def _on_assign(self, consumer: Any, partitions: Any) -> None:
        if self.failures:
            self.failures -= 1
            raise KafkaException(KafkaError(KafkaError._TIMED_OUT))
        super()._on_assign(consumer, partitions)


def publish(kafka: KafkaNode, topic: str, first: int, count: int) -> None:
    """Publish numbered messages to partition 0."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers})
    for number in range(first, first + count):
        producer.produce(topic, b"%d" % number, partition=0)
    assert producer.flush(20) == 0


def read(source: KafkaSource, count: int) -> list[bytes | None]:
    """Poll until so many messages came, a hundred times at most, through errors."""
    values: list[bytes | None] = []
    for _ in range(100):
        try:
            values += [message.value() for message in source.poll(100, 0.1)]
        except StoreError:
            continue
        if len(values) >= count:
            break
    return values


def test_an_assignment_that_fails_reads_on_from_what_was_committed(
    kafka: KafkaNode, topic: str
) -> None:
    """An error while the offsets are fetched neither reads the topic anew nor skips anything."""
    publish(kafka, topic, 0, 6)
    first = KafkaSource(kafka.bootstrap_servers, topic=topic, group=topic)
    first.subscribe(Deaf())
    assert len(read(first, 6)) == 6
    first.commit({0: 3, 1: 0, 2: 0, 3: 0}, {})
    first.close()
    second = Interrupted(kafka.bootstrap_servers, topic=topic, group=topic)
    second.subscribe(Deaf())
    assert read(second, 3) == [b"3", b"4", b"5"]
    assert second.failures == 0
    publish(kafka, topic, 6, 2)
    assert read(second, 2) == [b"6", b"7"]
    second.close()


def test_a_missing_topic_is_the_operators_to_mend(kafka: KafkaNode) -> None:
    """The error names the topic and the command that makes it; nothing is created."""
    with pytest.raises(SetupError, match=r"no-such-topic does not exist.*kafka-topics\.sh"):
        KafkaSource(kafka.bootstrap_servers, topic="no-such-topic", group="g")


class Slow:
    """A client whose question for offsets runs out of time."""

    def committed(self, *_: object, **__: object) -> list[TopicPartition]:
        """See `Consumer.committed`."""
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))


def test_offsets_that_do_not_come_in_time_are_a_passing_error(kafka: KafkaNode, topic: str) -> None:
    """A worker outlives it; what the client itself hands on out of a callback nobody can catch."""
    source = KafkaSource(kafka.bootstrap_servers, topic=topic, group=topic)
    with pytest.raises(StoreError, match="Timed out"):
        source._on_assign(Slow(), [])  # type: ignore[arg-type]
    source.close()


def test_no_broker_at_all_is_the_operators_to_mend() -> None:
    """The error names the address; it does not wait for ever."""
    with pytest.raises(SetupError, match=r"No Kafka broker answers at 127\.0\.0\.1:9\b"):
        KafkaSource("127.0.0.1:9", topic="feedback.events", group="g", request_timeout_s=0.5)


def test_settings_cannot_weaken_delivery(kafka: KafkaNode, topic: str) -> None:
    """An auto-commit asked for by configuration commits nothing."""
    publish(kafka, topic, 0, 3)
    weak = {
        "enable.auto.commit": True,
        "auto.commit.interval.ms": 10,
        "auto.offset.reset": "latest",
    }
    first = KafkaSource(kafka.bootstrap_servers, topic=topic, group=topic, settings=weak)
    first.subscribe(Deaf())
    assert read(first, 3) == [b"0", b"1", b"2"]
    first.close()
    second = KafkaSource(kafka.bootstrap_servers, topic=topic, group=topic, settings=weak)
    second.subscribe(Deaf())
    assert read(second, 3) == [b"0", b"1", b"2"]
    second.close()


def test_the_classic_protocol_keeps_the_same_promise(kafka: KafkaNode, topic: str) -> None:
    """On brokers before 4.0, a member reads on from what was committed too."""
    publish(kafka, topic, 0, 6)
    servers = kafka.bootstrap_servers
    for expected in ([b"0", b"1", b"2", b"3", b"4", b"5"], [b"3", b"4", b"5"]):
        source = KafkaSource(servers, topic=topic, group=topic, group_protocol="classic")
        source.subscribe(Deaf())
        assert read(source, len(expected)) == expected
        source.commit({0: 3}, {})
        source.close()


def test_a_broker_without_topic_ids_is_not_waited_for() -> None:
    """The mock has no controller to ask for it: the name stands for the id, at once."""
    with MockKafkaNode() as mock:
        mock.create_topic("t")
        # Waiting would take a minute.
        source = KafkaSource(mock.bootstrap_servers, topic="t", group="g", request_timeout_s=60.0)
        assert source.topic_id == "t"
        source.close()
