"""How far a group is behind, asked of the real Kafka."""

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition

from afterword_consumers.kafka import lag
from afterword_consumers.kafka.lag import PartitionLag, find_partitions, read_lag
from afterword_schemas import ConfigurationError, RetryableError
from afterword_stack.local.kafka import KafkaNode

NOBODY = "127.0.0.1:1"


@pytest.mark.parametrize(
    ("committed", "begin", "end", "waiting"),
    [
        (None, 0, 8, 8),
        (None, 5, 8, 3),  # the oldest are deleted: nobody can read them any more
        (2, 5, 8, 3),
        (6, 5, 8, 2),
        (8, 5, 8, 0),
        (9, 0, 0, 0),  # of a topic that was made anew since
    ],
)
def test_lag_is_what_can_still_be_read(
    committed: int | None, begin: int, end: int, waiting: int
) -> None:
    """From where the group goes on, or from the oldest that is left, to the end."""
    assert PartitionLag(0, committed, begin, end).lag == waiting


@pytest.mark.services
def test_every_partition_is_listed_with_its_offsets(kafka: KafkaNode, topic: str) -> None:
    """In order, also those that hold nothing and those without a commit."""
    producer = Producer({"bootstrap.servers": kafka.bootstrap_servers, "enable.idempotence": True})
    for partition, count in ((0, 3), (2, 2)):
        for _ in range(count):
            producer.produce(topic, b"x", partition=partition)
    assert producer.flush(30) == 0
    group = f"{topic}-group"
    assert [at.committed for at in read_lag(kafka.bootstrap_servers, topic, group, {})] == [
        None
    ] * 4
    consumer = Consumer({"bootstrap.servers": kafka.bootstrap_servers, "group.id": group})
    consumer.commit(offsets=[TopicPartition(topic, 0, 1)], asynchronous=False)
    consumer.close()
    assert read_lag(kafka.bootstrap_servers, topic, group, {}) == [
        PartitionLag(0, 1, 0, 3),
        PartitionLag(1, None, 0, 0),
        PartitionLag(2, None, 0, 2),
        PartitionLag(3, None, 0, 0),
    ]


@pytest.mark.services
def test_a_topic_that_does_not_exist_is_named(kafka: KafkaNode) -> None:
    """A person must create it or correct the name; nothing is created by asking."""
    for _ in range(2):
        with pytest.raises(ConfigurationError, match="Topic no-such-topic does not exist on 127"):
            read_lag(kafka.bootstrap_servers, "no-such-topic", "g", {})


def test_a_broker_that_is_away_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """After the time for an answer, with its address."""
    monkeypatch.setattr(lag, "_TIMEOUT_S", 0.2)
    with pytest.raises(RetryableError, match=r"Kafka at 127\.0\.0\.1:1 does not answer"):
        find_partitions(NOBODY, "t", {})


@pytest.mark.parametrize("settings", [{"no.such.setting": 1}, {"security.protocol": "carrier"}])
def test_a_setting_that_the_client_refuses_is_named(settings: dict[str, str | int]) -> None:
    """The client's own words, in an error of ours."""
    with pytest.raises(ConfigurationError, match=next(iter(settings))):
        find_partitions(NOBODY, "t", settings)
