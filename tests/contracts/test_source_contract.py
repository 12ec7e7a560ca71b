"""What every source promises: the fake in memory, Kafka, and Kafka in a container."""

import threading
import time
import uuid
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Protocol

import pytest
from confluent_kafka import Producer
from tests.topics import recreate_topic

from afterword_consumers.ingest.source import Committed, EndOffsets, Message, Source
from afterword_consumers.kafka.consumer import KafkaSource
from afterword_consumers.testing import MemoryBroker
from afterword_schemas import RetryableError
from afterword_stack.local.kafka_admin import create_topic

PARTITIONS = 4
GROUP = "afterword"


class Broker(Protocol):
    """A topic of four partitions."""

    def publish(
        self,
        partition: int,
        value: bytes | None,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> None:
        """Append a message, at once."""

    def member(self) -> Source:
        """Return a member of the group, not subscribed yet."""

    def recreate(self) -> None:
        """Delete the topic, and create another of its name at once."""


class MemoryTopic:
    """The fake."""

    def __init__(self) -> None:
        self._broker = MemoryBroker(partitions=PARTITIONS)

    def publish(
        self,
        partition: int,
        value: bytes | None,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> None:
        """See `Broker`."""
        self._broker.publish(value, key=key, headers=headers, partition=partition)

    def member(self) -> Source:
        """See `Broker`."""
        return self._broker.member(GROUP)

    def recreate(self) -> None:
        """See `Broker`."""
        self._broker.recreate()


class KafkaTopic:
    """Kafka, with a topic of its own."""

    def __init__(self, bootstrap_servers: str) -> None:
        self._servers, self._topic = bootstrap_servers, f"contract-{uuid.uuid4().hex}"
        create_topic(bootstrap_servers, self._topic, PARTITIONS, {})
        self._producer = Producer(
            {"bootstrap.servers": bootstrap_servers, "enable.idempotence": True, "linger.ms": 0}
        )

    def publish(
        self,
        partition: int,
        value: bytes | None,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
    ) -> None:
        """See `Broker`."""
        self._producer.produce(self._topic, value, key, partition, headers=list(headers))
        assert self._producer.flush(20) == 0

    def member(self) -> Source:
        """See `Broker`."""
        return KafkaSource(self._servers, topic=self._topic, group=GROUP + self._topic)

    def recreate(self) -> None:
        """See `Broker`."""
        recreate_topic(self._servers, self._topic, PARTITIONS)


class Listener:
    """Notes what a member is told, and does something on a revoke."""

    def __init__(self, on_revoke: Callable[[], None] = lambda: None) -> None:
        self.revoked: list[int] = []
        self.lost: list[int] = []
        self.assigned: dict[int, Committed] = {}
        self._on_revoke = on_revoke

    def on_assigned(self, committed: Mapping[int, Committed]) -> None:
        """Note them."""
        self.assigned |= committed

    def on_revoked(self, partitions: Collection[int]) -> None:
        """Note them."""
        self.revoked += sorted(partitions)
        self._on_revoke()

    def on_lost(self, partitions: Collection[int]) -> None:
        """Note them."""
        self.lost += sorted(partitions)


@pytest.fixture(
    params=[
        "memory",
        pytest.param("real", marks=pytest.mark.services),
        pytest.param("docker", marks=pytest.mark.docker),
    ]
)
def broker(request: pytest.FixtureRequest) -> Broker:
    """Each kind of broker in turn."""
    if request.param == "memory":
        return MemoryTopic()
    if request.param == "real":
        return KafkaTopic(request.getfixturevalue("kafka").bootstrap_servers)
    return KafkaTopic(request.getfixturevalue("kafka_container"))


@pytest.fixture
def join(broker: Broker) -> Iterator[Callable[..., Source]]:
    """A function that returns a subscribed member, closed when the test ends."""
    members: list[Source] = []

    def subscribe(listener: Listener | None = None) -> Source:
        member = broker.member()
        members.append(member)
        member.subscribe(listener or Listener())
        return member

    yield subscribe
    for member in members:
        member.close()


Join = Callable[..., Source]


def read(source: Source, count: int, *others: Source) -> list[Message]:
    """Poll until so many messages came, or too long has passed; others are kept alive meanwhile."""
    messages: list[Message] = []
    deadline_s = time.monotonic() + 20
    while len(messages) < count and time.monotonic() < deadline_s:
        messages += source.poll(count - len(messages), 0.05)
        for other in others:
            assert not other.poll(1, 0.0)
    return messages


def values(messages: Sequence[Message], partition: int) -> list[bytes | None]:
    """Return the values of one partition in the order in which they were read."""
    return [message.value() for message in messages if message.partition() == partition]


def test_messages_come_whole_and_in_order(broker: Broker, join: Join) -> None:
    """Key, value and headers are as published, offsets count up, each partition in its order."""
    broker.publish(0, b"\xff\x00", b"k\xfe", [("a", b"\xff"), ("a", None)])
    broker.publish(0, None)
    broker.publish(3, b"")
    messages = sorted(read(join(), 3), key=lambda m: (m.partition(), m.offset()))
    found = [(m.partition(), m.offset(), m.key(), m.value(), m.headers()) for m in messages]
    assert found == [
        (0, 0, b"k\xfe", b"\xff\x00", [("a", b"\xff"), ("a", None)]),
        (0, 1, None, None, None),
        (3, 0, None, b"", None),
    ]
    kind, published_ms = messages[0].timestamp()
    assert kind == 1
    assert abs(published_ms / 1000 - time.time()) < 60


def test_what_is_not_committed_is_read_again(broker: Broker, join: Join) -> None:
    """The next member goes on from the committed offset, or from the start where there is none."""
    for number in range(6):
        broker.publish(1, b"%d" % number)
        broker.publish(2, b"%d" % number)
    first = join()
    assert len(read(first, 12)) == 12
    first.commit({1: 4}, {})
    first.close()
    again = read(join(), 8)
    assert values(again, 1) == [b"4", b"5"]
    assert values(again, 2) == [b"0", b"1", b"2", b"3", b"4", b"5"]


def test_a_pause_holds_messages_back_and_loses_none(broker: Broker, join: Join) -> None:
    """While paused nothing comes, also what was published meanwhile; then all of it does."""
    broker.publish(0, b"0")
    source = join()
    assert values(read(source, 1), 0) == [b"0"]
    source.pause()
    for number in range(1, 4):
        broker.publish(0, b"%d" % number)
    assert [len(source.poll(10, 0.05)) for _ in range(10)] == [0] * 10
    source.resume()
    assert values(read(source, 3), 0) == [b"1", b"2", b"3"]


def test_a_member_that_joins_takes_over_from_what_was_committed(broker: Broker, join: Join) -> None:
    """The first is told what it gives up and can commit then; the second starts right there."""
    for partition in range(PARTITIONS):
        for number in range(4):
            broker.publish(partition, b"%d" % number)
    listener = Listener(lambda: first.commit(dict.fromkeys(range(PARTITIONS), 3), {}))
    first = join(listener)
    assert len(read(first, 16)) == 16
    second = join()
    given_up = 2 if isinstance(broker, KafkaTopic) else PARTITIONS  # the fake stops the world
    taken = _read_while(second, first, 2)
    assert [message.value() for message in taken] == [b"3", b"3"]
    assert len(listener.revoked) == given_up
    assert {message.partition() for message in taken} <= set(listener.revoked)
    assert listener.lost == []


def _read_while(source: Source, giving_up: Source, count: int) -> list[Message]:
    """Read from one member while another is polled in its own thread, as it would be in life."""
    stop = threading.Event()

    def keep_polling() -> None:
        while not stop.is_set():
            giving_up.poll(100, 0.05)

    thread = threading.Thread(target=keep_polling)
    thread.start()
    try:
        return read(source, count)
    finally:
        stop.set()
        thread.join()


def test_leaving_tells_the_listener_while_it_can_still_commit(broker: Broker, join: Join) -> None:
    """A close revokes every partition first, and what is committed then counts."""
    for partition in range(PARTITIONS):
        broker.publish(partition, b"0")
    listener = Listener(lambda: source.commit(dict.fromkeys(range(PARTITIONS), 1), {}))
    source = join(listener)
    assert len(read(source, 4)) == 4
    source.close()
    assert listener.revoked == [0, 1, 2, 3]
    broker.publish(2, b"1")
    assert [m.value() for m in read(join(), 1)] == [b"1"]


def test_a_time_committed_beside_an_offset_is_told_to_the_next_member(
    broker: Broker, join: Join
) -> None:
    """With the offset, for each partition; one committed without takes an earlier one away."""
    caught_up = datetime(2026, 1, 31, 9, 30, 0, 125_000, UTC)
    for partition in range(PARTITIONS):
        broker.publish(partition, b"0")
    first, listener = join(), Listener()
    assert len(read(first, 4)) == 4
    first.commit({1: 1, 2: 1}, {1: caught_up, 2: caught_up})
    first.commit({2: 1, 3: 1}, {3: caught_up})
    first.close()
    assert len(read(join(listener), 1)) == 1
    assert listener.assigned == {
        0: Committed(0),
        1: Committed(1, caught_up),
        2: Committed(1),
        3: Committed(1, caught_up),
    }


def test_the_ends_of_its_logs_are_told_after_a_while(broker: Broker, join: Join) -> None:
    """What was published by the time at which they were asked for is before them."""
    broker.publish(0, b"0")
    source = join()
    assert len(read(source, 1)) == 1
    broker.publish(0, b"1")
    broker.publish(3, b"0")
    published = datetime.now(UTC)
    ends = _ends_since(source, published)
    assert ends.offsets == {0: 2, 1: 0, 2: 0, 3: 1}
    assert published < ends.asked_at <= datetime.now(UTC)


def _ends_since(source: Source, time_: datetime) -> EndOffsets:
    """Return the first ends that were asked for after a time."""
    tick = threading.Event()
    for _ in range(2000):
        ends = source.end_offsets()
        if ends is not None and ends.asked_at > time_:
            return ends
        tick.wait(0.01)
    pytest.fail("no ends were told")


def test_a_topic_that_is_recreated_is_read_from_its_start(broker: Broker, join: Join) -> None:
    """The member notices it, commits nothing more of the old one, and is lost to the group till it rejoins."""
    for number in range(4):
        broker.publish(1, b"old %d" % number)
    listener = Listener()
    source = join(listener)
    old_id = source.topic_id
    assert len(read(source, 4)) == 4
    source.commit({1: 3}, {})
    assert not source.topic_is_gone
    broker.recreate()
    for number in range(6):
        broker.publish(1, b"new %d" % number)
    tick = threading.Event()
    while not source.topic_is_gone:
        source.end_offsets()
        tick.wait(0.01)
    with pytest.raises(RetryableError, match="was deleted"):
        source.commit({1: 4}, {})
    source.rejoin()
    assert listener.lost == [0, 1, 2, 3]
    assert not source.topic_is_gone
    assert source.topic_id != old_id
    assert values(read(source, 6), 1) == [b"new %d" % number for number in range(6)]
    assert listener.assigned == dict.fromkeys(range(PARTITIONS), Committed(0))
    source.commit({1: 6}, {})
    source.close()
    broker.publish(1, b"new 6")
    assert values(read(join(), 1), 1) == [b"new 6"]


def test_the_topic_has_one_id(broker: Broker) -> None:
    """Every member names the topic alike."""
    first, second = broker.member(), broker.member()
    assert first.topic_id == second.topic_id
    assert len(first.topic_id) > 0
    first.close()
    second.close()
