"""What waits in the topic, looked for on the real Kafka."""

import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from confluent_kafka import Consumer, ConsumerGroupState, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewPartitions  # the package exports it without a type
from tests.mock_kafka import MockKafka
from tests.topics import recreate_topic
from tests.waiting import wait_until

from afterword_consumers.ingest.watermark import to_metadata
from afterword_consumers.kafka.partitioner import likely_partitions
from afterword_consumers.progress import backlog as module
from afterword_consumers.progress.backlog import Backlog, Found
from afterword_schemas import ConfigurationError, RetryableError
from afterword_stack.local.kafka import KafkaNode

pytestmark = pytest.mark.services

KEY = b"019c12e9-8b3d-7000-8000-000000000001"
OTHER = b"019c12e9-8b3d-7000-8000-000000000003"
PARTITION = likely_partitions(KEY, 4)[0]
NOTHING = Found(last=(), unread=0)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time to read."""
    monkeypatch.setattr(module, "_TAIL_S", 30.0)


class Topic:
    """A topic of four partitions, and a group that is behind on it."""

    def __init__(self, bootstrap_servers: str, topic: str) -> None:
        self.servers, self.name, self.group = bootstrap_servers, topic, f"{topic}-group"
        self._producer = Producer(
            {"bootstrap.servers": bootstrap_servers, "enable.idempotence": True, "linger.ms": 1}
        )

    def publish(self, *messages: tuple[bytes, bytes | None], partition: int = PARTITION) -> None:
        """Publish keys and values, and wait for the broker to have them."""
        errors: list[object] = []
        for key, value in messages:
            self._producer.produce(
                self.name, value, key, partition, on_delivery=lambda error, _: errors.append(error)
            )
        assert self._producer.flush(20) == 0
        assert errors == [None] * len(messages)

    def commit(self, offset: int, partition: int = PARTITION, metadata: str = "") -> None:
        """Commit as the group would."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": self.group})
        place = TopicPartition(self.name, partition, offset, metadata)
        consumer.commit(offsets=[place], asynchronous=False)
        consumer.close()

    def backlog(self, **settings: Any) -> Backlog:
        """Return the group's."""
        return Backlog(self.servers, topic=self.name, group=self.group, **settings)


@pytest.fixture
def behind(kafka: KafkaNode, topic: str) -> Topic:
    """A fresh one."""
    return Topic(kafka.bootstrap_servers, topic)


@pytest.fixture
def backlog(behind: Topic) -> Iterator[Backlog]:
    """What the group is behind."""
    one = behind.backlog()
    yield one
    one.close()


def any_payload(_: bytes) -> bool:
    """Want everything of the key."""
    return True


def places(found: Found) -> list[tuple[int, int]]:
    """Return partition and offset of what was found, where nothing was left unread."""
    assert found.unread == 0
    return [(place.partition, place.offset) for place in found.last]


def test_a_message_waits_until_the_group_has_committed_it(behind: Topic, backlog: Backlog) -> None:
    """Nothing is remembered: every search sees the topic and the group as they are."""
    assert backlog.search(KEY, any_payload) == NOTHING
    behind.publish((OTHER, b"a"), (KEY, b"b"), (OTHER, b"c"))
    assert places(backlog.search(KEY, any_payload)) == [(PARTITION, 1)]
    behind.commit(1)
    assert places(backlog.search(KEY, any_payload)) == [(PARTITION, 1)]
    behind.commit(2)
    assert backlog.search(KEY, any_payload) == NOTHING
    behind.publish((KEY, b"d"), (KEY, b"e"), (OTHER, b"f"))
    assert places(backlog.search(KEY, any_payload)) == [(PARTITION, 4)]


def test_what_was_committed_of_an_earlier_topic_of_the_name_is_not_read(
    behind: Topic, backlog: Backlog
) -> None:
    """The message waits, whatever offset the worker of the old topic has left."""
    behind.publish((KEY, b"a"), (OTHER, b"b"))
    behind.commit(2, metadata=to_metadata("AAAAAAAAAAAAAAAAAAAAAQ", None))
    found = backlog.search(KEY, any_payload)
    assert places(found) == [(PARTITION, 0)]
    behind.commit(2, metadata=to_metadata(found.last[0].topic_id, None))
    assert backlog.search(KEY, any_payload) == NOTHING


def test_a_topic_that_is_recreated_is_searched_from_then_on(
    behind: Topic, backlog: Backlog
) -> None:
    """Over the same connections, which knew the old one."""
    behind.publish((OTHER, b"a"), (KEY, b"b"))
    (old,) = backlog.search(KEY, any_payload).last
    recreate_topic(behind.servers, behind.name, 4)
    behind.publish((KEY, b"c"))

    def is_found() -> bool:
        found = backlog.search(KEY, any_payload)
        assert found.last or found.unread  # never as if nothing waited
        return any(place.topic_id != old.topic_id and place.offset == 0 for place in found.last)

    wait_until(is_found)


def test_only_a_wanted_payload_counts(behind: Topic, backlog: Backlog) -> None:
    """Of the messages of the key each is shown; one without a payload as empty bytes."""
    behind.publish((KEY, b"a"), (OTHER, b"b"), (KEY, None))
    seen: list[bytes] = []

    def nothing(raw: bytes) -> bool:
        seen.append(raw)
        return False

    assert backlog.search(KEY, nothing) == NOTHING
    assert seen == [b"a", b""]


@pytest.mark.parametrize("partition", likely_partitions(KEY, 4))
def test_both_likely_partitions_are_searched(
    behind: Topic, backlog: Backlog, partition: int
) -> None:
    """A producer in Java and one on librdkafka put the key into different ones."""
    behind.publish((KEY, b"a"), partition=partition)

    assert len(likely_partitions(KEY, 4)) == 2
    assert places(backlog.search(KEY, any_payload)) == [(partition, 0)]


def test_of_a_long_backlog_the_newest_are_read(
    behind: Topic, backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is older is counted, and nothing is said of it."""
    monkeypatch.setattr(module, "TAIL_MESSAGES", 10)
    old, new = (b"%s%d" % (KEY[:-1], digit) for digit in (4, 5))
    behind.publish((old, b"old"), *[(OTHER, b"x")] * 20, (new, b"new"), partition=PARTITION)
    monkeypatch.setattr(module, "likely_partitions", lambda *_: [PARTITION])

    found = backlog.search(new, any_payload)
    assert ([place.offset for place in found.last], found.unread) == ([21], 12)
    assert backlog.search(old, any_payload) == Found(last=(), unread=12)
    behind.commit(13)
    assert backlog.search(old, any_payload) == NOTHING


def test_a_search_without_time_leaves_all_unread(
    behind: Topic, backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It ends, and says how much it did not see."""
    monkeypatch.setattr(module, "_TAIL_S", 0.0)
    behind.publish((KEY, b"a"), (KEY, b"b"))

    assert backlog.search(KEY, any_payload) == Found(last=(), unread=2)


def test_deleted_messages_wait_no_more(
    behind: Topic, backlog: Backlog, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What retention took before the group's first commit is neither read nor counted."""
    monkeypatch.setattr(module, "TAIL_MESSAGES", 1)
    behind.publish((KEY, b"a"), (KEY, b"b"), (OTHER, b"c"))
    admin = AdminClient({"bootstrap.servers": behind.servers})
    (deleted,) = admin.delete_records([TopicPartition(behind.name, PARTITION, 2)]).values()
    deleted.result(20)

    assert backlog.search(KEY, any_payload) == NOTHING


def test_transactions_count_once_they_are_committed(behind: Topic, backlog: Backlog) -> None:
    """An open or aborted one is not there; the marks at its end are not waited for."""
    producer = Producer(
        {"bootstrap.servers": behind.servers, "transactional.id": f"{behind.name}-tx"}
    )
    producer.init_transactions(20)
    for key in (KEY, OTHER):
        producer.begin_transaction()
        producer.produce(behind.name, b"x", key, PARTITION)
        assert producer.flush(20) == 0
        assert backlog.search(KEY, any_payload) == NOTHING
        if key == KEY:
            producer.abort_transaction(20)
        else:
            producer.commit_transaction(20)
    assert places(backlog.search(OTHER, any_payload)) == [(PARTITION, 2)]


def test_the_group_does_not_notice(behind: Topic, backlog: Backlog) -> None:
    """A search neither joins nor commits, whatever the settings say."""
    behind.publish((KEY, b"a"), (OTHER, b"b"))
    behind.commit(1)
    eager = behind.backlog(settings={"enable.auto.commit": True, "auto.commit.interval.ms": 1})
    for one in (backlog, eager):
        assert one.search(KEY, any_payload) == NOTHING
    eager.close()

    admin = AdminClient({"bootstrap.servers": behind.servers})
    described = admin.describe_consumer_groups([behind.group])[behind.group].result()
    assert (described.members, described.state) == ([], ConsumerGroupState.EMPTY)
    assert places(backlog.search(OTHER, any_payload)) == [(PARTITION, 1)]


def test_a_search_that_is_over_reads_no_more(behind: Topic, backlog: Backlog) -> None:
    """Between searches nothing is fetched, found or not."""
    behind.publish((OTHER, b"a"))
    for key, found in ((OTHER, [(PARTITION, 0)]), (KEY, [])):
        assert places(backlog.search(key, any_payload)) == found
        assert backlog._reader is not None
        assert backlog._reader.assignment() == []


def test_searches_side_by_side_do_not_mix(behind: Topic, backlog: Backlog) -> None:
    """Many threads share one reader, and each gets the answer to its own question."""
    keys = [str(uuid.uuid4()).encode() for _ in range(40)]
    for partition in range(4):
        behind.publish(*[(OTHER, b"x" * 300)] * 2000, partition=partition)
    published = {key: likely_partitions(key, 4)[:1] for key in keys[::2]}
    for key, (partition,) in published.items():
        behind.publish((key, key), partition=partition)

    def look(key: bytes) -> list[int]:
        return [partition for partition, _ in places(backlog.search(key, key.__eq__))]

    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(look, keys * 3))

    assert found == [published.get(key, []) for key in keys * 3]


def test_added_partitions_are_searched_too(behind: Topic, backlog: Backlog) -> None:
    """With more partitions a key moves, and the next search knows."""
    key = next(
        key for key in map(str.encode, map(str, range(99))) if 6 in likely_partitions(key, 8)
    )
    assert backlog.search(key, any_payload) == NOTHING
    admin = AdminClient({"bootstrap.servers": behind.servers})
    (added,) = admin.create_partitions([NewPartitions(behind.name, 8)]).values()
    added.result(20)
    # the broker learns of it from the controller
    wait_until(
        lambda: len(admin.list_topics(behind.name, timeout=20).topics[behind.name].partitions) >= 8
    )
    behind.publish((key, b"a"), partition=6)

    assert places(backlog.search(key, any_payload)) == [(6, 0)]


def test_a_missing_topic_is_named(kafka: KafkaNode) -> None:
    """It may be made later, so it is an error of now; nothing is created by asking."""
    lost = Backlog(kafka.bootstrap_servers, topic="no-such-topic", group="g", timeout_s=5.0)
    with pytest.raises(RetryableError, match="topic no-such-topic: Broker: Unknown topic"):
        lost.search(KEY, any_payload)
    lost.close()
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers})
    assert "no-such-topic" not in admin.list_topics(timeout=20).topics


def test_a_broker_that_is_away_is_named_in_time() -> None:
    """Who waits for the answer gets it."""
    lost = Backlog("127.0.0.1:1", topic="t", group="g", timeout_s=0.3)
    began_s = time.monotonic()
    with pytest.raises(RetryableError, match=r"Kafka at 127\.0\.0\.1:1 does not tell"):
        lost.search(KEY, any_payload)
    assert time.monotonic() - began_s < 5
    lost.close()


def test_a_refused_setting_is_the_operators_to_mend() -> None:
    """The client's own words; it is tried again by the next search."""
    wrong = Backlog("127.0.0.1:1", topic="t", group="g", settings={"no.such.setting": 1})
    for _ in range(2):
        with pytest.raises(ConfigurationError, match=r"no\.such\.setting"):
            wrong.search(KEY, any_payload)
    wrong.close()


def test_a_broker_that_comes_back_is_asked_again(kafka: KafkaNode, behind: Topic) -> None:
    """The same reader goes on once the broker is there."""
    backlog = behind.backlog()
    behind.publish((KEY, b"a"))
    assert places(backlog.search(KEY, any_payload)) == [(PARTITION, 0)]
    kafka.kill()
    with pytest.raises(RetryableError):
        backlog.search(KEY, any_payload)
    kafka.start()
    assert places(backlog.search(KEY, any_payload)) == [(PARTITION, 0)]
    backlog.close()


def test_a_closed_backlog_opens_again(behind: Topic) -> None:
    """Closing twice, or unopened, does no harm."""
    backlog = behind.backlog()
    backlog.close()
    behind.publish((KEY, b"a"))
    for _ in range(2):
        assert places(backlog.search(KEY, any_payload)) == [(PARTITION, 0)]
        backlog.close()
    backlog.close()


def test_the_mock_broker_is_enough() -> None:
    """Where the local stack has no Kafka, receipts work all the same."""
    with MockKafka() as mock:
        mock.create_topic("t")
        topic = Topic(mock.bootstrap_servers, "t")
        backlog = topic.backlog()
        assert backlog.search(KEY, any_payload) == NOTHING
        topic.publish((OTHER, b"a"), (KEY, b"b"))
        assert places(backlog.search(KEY, any_payload)) == [(PARTITION, 1)]
        topic.commit(2)
        assert backlog.search(KEY, any_payload) == NOTHING
        backlog.close()
