"""Where a key's messages are: held against what the clients really do."""

import uuid
from typing import Any

import pytest
from confluent_kafka import Message, Producer
from hypothesis import given
from hypothesis import strategies as st

from afterword import KAFKA_DEFAULTS
from afterword_consumers.kafka.partitioner import likely_partitions, murmur2
from afterword_stack.local.kafka import KafkaNode

PARTITIONS = 12


@pytest.mark.parametrize(
    ("key", "digest"),
    [
        (b"21", -973932308),
        (b"abc", 479470107),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
    ],
)
def test_murmur2_has_the_values_of_kafkas_clients(key: bytes, digest: int) -> None:
    """What Java's clients compute, in their signed form."""
    assert murmur2(key) == digest % 2**32


@given(st.binary(max_size=64), st.integers(1, 1000))
def test_a_partition_is_one_of_the_topics(key: bytes, count: int) -> None:
    """One or two numbers below the count, in order."""
    found = likely_partitions(key, count)
    assert found in ([found[0]], [found[0], found[-1]])
    assert 0 <= found[0] <= found[-1] < count


@pytest.mark.services
@pytest.mark.parametrize(
    "settings", [{"partitioner": KAFKA_DEFAULTS["partitioner"]}, {}], ids=["sdk", "librdkafka"]
)
def test_keys_are_where_producers_put_them(kafka: KafkaNode, settings: dict[str, Any]) -> None:
    """The SDK's partitioner and librdkafka's own both choose one of the likely partitions."""
    topic = f"test-{uuid.uuid4().hex}"
    kafka.create_topic(topic, partitions=PARTITIONS)
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "enable.idempotence": True, **settings}
    )
    keys = [str(uuid.uuid4()).encode() for _ in range(300)]
    keys += [b"k" * length for length in range(1, 10)]
    places: dict[bytes, int | None] = {}

    def note(_: object, message: Message) -> None:
        places[message.key() or b""] = message.partition()

    for key in keys:
        producer.produce(topic, b"x", key, on_delivery=note)
    assert producer.flush(30) == 0

    assert len(places) == len(keys)
    assert [key for key in keys if places[key] not in likely_partitions(key, PARTITIONS)] == []
