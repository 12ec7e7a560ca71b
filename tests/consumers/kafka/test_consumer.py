"""The consumer on Kafka, beyond what every source promises: faults of set-up and of the client."""

from collections.abc import Callable, Collection, Mapping
from typing import Any

import pytest
from confluent_kafka import Consumer, KafkaError, KafkaException, Producer, TopicPartition
from tests.mock_kafka import MockKafka
from tests.topics import delete_topic, recreate_topic
from tests.waiting import wait_until

from afterword_consumers.ingest.source import Committed
from afterword_consumers.ingest.watermark import to_metadata
from afterword_consumers.kafka import stall
from afterword_consumers.kafka.consumer import KafkaSource
from afterword_schemas import ConfigurationError, RetryableError
from afterword_stack.local.kafka import KafkaNode

pytestmark = pytest.mark.services


class NullListener:
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
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "enable.idempotence": True})
    for number in range(first, first + count):
        producer.produce(topic, b"%d" % number, partition=0)
    assert producer.flush(20) == 0


def read(source: KafkaSource, count: int) -> list[bytes | None]:
    """Poll until so many messages came, a hundred times at most, through errors."""
    values: list[bytes | None] = []
    for _ in range(100):
        try:
            values += [message.value() for message in source.poll(100, 0.1)]
        except RetryableError:
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
    first.subscribe(NullListener())
    assert len(read(first, 6)) == 6
    first.commit({0: 3, 1: 0, 2: 0, 3: 0}, {})
    first.close()
    second = Interrupted(kafka.bootstrap_servers, topic=topic, group=topic)
    second.subscribe(NullListener())
    assert read(second, 3) == [b"3", b"4", b"5"]
    assert second.failures == 0
    publish(kafka, topic, 6, 2)
    assert read(second, 2) == [b"6", b"7"]
    second.close()


def commit_raw(kafka: KafkaNode, topic: str, offset: int, metadata: str) -> None:
    """Commit an offset of partition 0 as anything might; the group bears the topic's name."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": topic})
    place = TopicPartition(topic, 0, offset, metadata)
    consumer.commit(offsets=[place], asynchronous=False)
    consumer.close()


def committed(kafka: KafkaNode, topic: str) -> TopicPartition:
    """Return what the group has of partition 0."""
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": topic})
    (place,) = consumer.committed([TopicPartition(topic, 0)], timeout=20)
    consumer.close()
    return place


def test_an_offset_of_an_earlier_topic_of_the_name_is_not_gone_on_from(
    kafka: KafkaNode, topic: str, caplog: pytest.LogCaptureFixture
) -> None:
    """The topic is read from its start, and the log says so in one line."""
    publish(kafka, topic, 0, 4)
    commit_raw(kafka, topic, 3, to_metadata("AAAAAAAAAAAAAAAAAAAAAQ", None))
    source = KafkaSource(kafka.bootstrap_servers, topic=topic, group=topic)
    source.subscribe(NullListener())
    assert read(source, 4) == [b"0", b"1", b"2", b"3"]
    source.close()
    said = [line for line in caplog.messages if "earlier topic" in line]
    assert len(said) == 1
    assert said[0].startswith("the offsets of partitions [0] were committed for an earlier topic")


def test_an_offset_that_a_person_has_set_is_gone_on_from(kafka: KafkaNode, topic: str) -> None:
    """As kafka-consumer-groups.sh does it, without a topic id: that would be nobody's to overrule."""
    publish(kafka, topic, 0, 4)
    commit_raw(kafka, topic, 3, "")
    source = KafkaSource(kafka.bootstrap_servers, topic=topic, group=topic)
    source.subscribe(NullListener())
    assert read(source, 1) == [b"3"]
    source.close()


def test_every_commit_names_the_topic_id(kafka: KafkaNode, topic: str) -> None:
    """With a time beside it or none."""
    publish(kafka, topic, 0, 1)
    source = KafkaSource(kafka.bootstrap_servers, topic=topic, group=topic)
    source.subscribe(NullListener())
    assert read(source, 1) == [b"0"]
    source.commit({0: 1}, {})
    assert committed(kafka, topic).metadata == f"afterword/1 topic {source.topic_id}"
    source.close()


class RecreatedTopicSource(KafkaSource):
    """A source whose topic is recreated between its look at the id and its commit."""

    overtake: Callable[[], None]

    def _check_topic(self) -> None:
        super()._check_topic()
        self.overtake()


def test_a_commit_that_a_new_topic_overtakes_is_seen_and_counts_for_nothing(
    kafka: KafkaNode, topic: str
) -> None:
    """Kafka takes it for the new topic. The member is told, and whoever reads on begins at the start."""
    servers = kafka.bootstrap_servers
    publish(kafka, topic, 0, 4)
    source = RecreatedTopicSource(servers, topic=topic, group=topic)
    source.subscribe(NullListener())
    source.overtake = lambda: None
    assert len(read(source, 4)) == 4
    source.overtake = lambda: recreate_topic(servers, topic, 4)
    with pytest.raises(RetryableError, match="was deleted"):
        source.commit({0: 4}, {})
    assert source.topic_is_gone
    assert committed(kafka, topic).offset == 4  # or this test would show nothing
    source.close()
    publish(kafka, topic, 0, 6)
    heir = KafkaSource(servers, topic=topic, group=topic)
    heir.subscribe(NullListener())
    assert read(heir, 6) == [b"0", b"1", b"2", b"3", b"4", b"5"]
    heir.close()


def test_an_offset_beyond_the_end_of_a_new_topic_stops_nobody(kafka: KafkaNode, topic: str) -> None:
    """It was right in the topic before: no message was deleted unread, so the worker begins anew."""
    servers = kafka.bootstrap_servers
    publish(kafka, topic, 0, 40)
    source = KafkaSource(servers, topic=topic, group=topic)
    source.subscribe(NullListener())
    assert len(read(source, 40)) == 40
    recreate_topic(servers, topic, 4)
    publish(kafka, topic, 0, 2)
    while not source.topic_is_gone:
        source.poll(100, 0.1)  # which alone has to notice it: the ends are not asked for
    source.rejoin()
    assert read(source, 2) == [b"0", b"1"]
    source.close()


def test_a_topic_that_is_gone_cannot_be_rejoined_until_it_is_there(
    kafka: KafkaNode, topic: str
) -> None:
    """Which is a passing error, as a topic may be created at any time."""
    source = KafkaSource(kafka.bootstrap_servers, topic=topic, group=topic)
    source.subscribe(NullListener())
    delete_topic(kafka.bootstrap_servers, topic)
    for _ in range(2):
        with pytest.raises(RetryableError, match=f"Topic {topic} does not exist"):
            source.rejoin()
    kafka.create_topic(topic, partitions=4)
    publish(kafka, topic, 0, 2)
    source.rejoin()
    assert read(source, 2) == [b"0", b"1"]
    source.close()


def test_messages_behind_an_open_transaction_are_told_of(
    kafka: KafkaNode,
    topic: str,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They wait and do not come; once the transaction has ended, its mark is no message that waits."""
    monkeypatch.setattr(stall, "STALLED_S", 0.001)
    servers = kafka.bootstrap_servers
    producer = Producer({"bootstrap.servers": servers, "transactional.id": topic})
    producer.init_transactions(20)
    source = KafkaSource(servers, topic=topic, group=topic)
    source.subscribe(NullListener())
    producer.begin_transaction()
    producer.produce(topic, b"0", partition=0)
    producer.flush(20)

    def looks() -> bool:
        source.poll(10, 0.05)
        source.end_offsets()
        return (
            bool(caplog.messages) and "message waits in partitions [0], but" in caplog.messages[-1]
        )

    wait_until(looks)
    producer.commit_transaction(20)
    assert read(source, 1) == [b"0"]
    wait_until(lambda: not source.poll(10, 0.05) and source._stall._reached[0] == 2)
    source.close()


def test_a_missing_topic_is_the_operators_to_mend(kafka: KafkaNode) -> None:
    """The error names the topic and the command that makes it; nothing is created."""
    with pytest.raises(ConfigurationError, match=r"no-such-topic does not exist.*kafka-topics\.sh"):
        KafkaSource(kafka.bootstrap_servers, topic="no-such-topic", group="g")


class TimedOutClient:
    """A client whose question for offsets runs out of time."""

    def __init__(self) -> None:
        self.assigned: list[object] = []

    def incremental_assign(self, partitions: list[TopicPartition]) -> None:
        """See `Consumer.incremental_assign`."""
        self.assigned.append(partitions)

    def committed(self, *_: object, **__: object) -> list[TopicPartition]:
        """See `Consumer.committed`."""
        raise KafkaException(KafkaError(KafkaError._TIMED_OUT))


def test_offsets_that_do_not_come_in_time_are_a_passing_error(kafka: KafkaNode, topic: str) -> None:
    """A worker outlives it; what the client itself hands on out of a callback nobody can catch."""
    source = KafkaSource(kafka.bootstrap_servers, topic=topic, group=topic)
    with pytest.raises(RetryableError, match="Timed out"):
        source._on_assign(TimedOutClient(), [])  # type: ignore[arg-type]
    source.close()


def test_a_member_that_leaves_takes_no_partition_over(kafka: KafkaNode, topic: str) -> None:
    """It asks for no offsets, which might not come in time and end the worker by an error."""
    source = KafkaSource(kafka.bootstrap_servers, topic=topic, group=topic)
    source.close()
    client = TimedOutClient()
    source._on_assign(client, [TopicPartition(topic, 0)])  # type: ignore[arg-type]
    assert client.assigned == [[]]


def test_no_broker_at_all_is_a_passing_error() -> None:
    """It names the address; it does not wait for ever."""
    with pytest.raises(RetryableError, match=r"Kafka at 127\.0\.0\.1:9 does not answer"):
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
    first.subscribe(NullListener())
    assert read(first, 3) == [b"0", b"1", b"2"]
    first.close()
    second = KafkaSource(kafka.bootstrap_servers, topic=topic, group=topic, settings=weak)
    second.subscribe(NullListener())
    assert read(second, 3) == [b"0", b"1", b"2"]
    second.close()


def test_the_classic_protocol_keeps_the_same_promise(kafka: KafkaNode, topic: str) -> None:
    """On brokers before 4.0, a member reads on from what was committed too."""
    publish(kafka, topic, 0, 6)
    servers = kafka.bootstrap_servers
    for expected in ([b"0", b"1", b"2", b"3", b"4", b"5"], [b"3", b"4", b"5"]):
        source = KafkaSource(servers, topic=topic, group=topic, group_protocol="classic")
        source.subscribe(NullListener())
        assert read(source, len(expected)) == expected
        source.commit({0: 3}, {})
        source.close()


def test_a_broker_without_topic_ids_is_not_waited_for() -> None:
    """The mock has no controller to ask for it: the name stands for the id, at once."""
    with MockKafka() as mock:
        mock.create_topic("t")
        # Waiting would take a minute.
        source = KafkaSource(mock.bootstrap_servers, topic="t", group="g", request_timeout_s=60.0)
        assert source.topic_id == "t"
        source.close()
