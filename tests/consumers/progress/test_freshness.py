"""Until when the tables are complete: what lags say of it, and what the real Kafka says of them."""

import threading
import time
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient
from tests.mock_kafka import MockKafka
from tests.waiting import wait_until

from afterword_consumers.ingest.source import Committed
from afterword_consumers.ingest.watermark import to_metadata
from afterword_consumers.kafka.consumer import KafkaSource
from afterword_consumers.kafka.lag import PartitionLag, read_lag
from afterword_consumers.progress.freshness import FreshnessReader, judge
from afterword_consumers.query import Freshness
from afterword_stack.local.kafka import KafkaNode

NOBODY = "127.0.0.1:1"
WRONG = (
    "Kafka lacks the topic, or refuses the settings: see `afterword doctor`. "
    "So how complete this is, is not known."
)
NOW = datetime(2026, 11, 20, 11, 0, tzinfo=UTC)


def ago(seconds: float) -> datetime:
    """Return a time before NOW."""
    return NOW - timedelta(seconds=seconds)


@pytest.mark.parametrize(
    ("lags", "expected"),
    [
        ([PartitionLag(0, 8, 0, 8, ago(9)), PartitionLag(1, None, 0, 0)], Freshness(NOW, 0)),
        ([PartitionLag(0, 0, 0, 0), PartitionLag(1, None, 0, 0)], Freshness(NOW, 0)),
        (
            [PartitionLag(0, 5, 0, 5), PartitionLag(1, 8, 0, 8, ago(9))],
            Freshness(None, 0, "No worker has confirmed yet that it read up to the end."),
        ),
        ([PartitionLag(0, None, 8, 8)], Freshness(None, 0, "No worker has read this topic yet.")),
        (
            [PartitionLag(0, None, 8, 8), PartitionLag(1, 8, 0, 8, ago(9))],
            Freshness(None, 0, "Kafka has deleted messages before a worker read them."),
        ),
        ([PartitionLag(0, 8, 8, 8, ago(3600))], Freshness(NOW, 0)),
        (
            [PartitionLag(0, 8, 0, 8, ago(9)), PartitionLag(1, 5, 0, 9, ago(2))],
            Freshness(ago(2), 4),
        ),
        (
            [PartitionLag(0, 1, 0, 2, ago(31)), PartitionLag(1, 5, 0, 9, ago(2))],
            Freshness(ago(31), 5, "The worker is behind, or stopped: 5 messages wait."),
        ),
        (
            [PartitionLag(0, 1, 0, 2), PartitionLag(1, 5, 0, 5, ago(2))],
            Freshness(None, 1, "The worker is behind, or stopped: 1 message waits."),
        ),
        (
            [PartitionLag(0, 0, 0, 12_000), PartitionLag(1, None, 0, 1)],
            Freshness(None, 12_001, "The worker is behind, or stopped: 12,001 messages wait."),
        ),
        (
            [PartitionLag(0, None, 5, 8), PartitionLag(1, None, 0, 0)],
            Freshness(None, 3, "No worker has read this topic yet."),
        ),
        (
            [PartitionLag(0, 3, 5, 5)],
            Freshness(None, 0, "Kafka has deleted messages before a worker read them."),
        ),
        (
            [PartitionLag(0, 9, 0, 3)],
            Freshness(
                None,
                0,
                "The topic ends before the place that the workers have reached: messages were lost "
                "in Kafka, or the topic was made anew.",
            ),
        ),
        ([PartitionLag(0, 1, 0, 2, NOW + timedelta(hours=1))], Freshness(NOW, 1)),
    ],
)
def test_the_last_partition_decides(lags: Sequence[PartitionLag], expected: Freshness) -> None:
    """The earliest time counts; one that is not known leaves all unknown; a note says why."""
    assert judge(lags, NOW) == expected


def test_what_waits_is_told_of_each_partition() -> None:
    """By its number; together it is what waits."""
    fresh = judge([PartitionLag(0, 8, 0, 8), PartitionLag(3, 5, 0, 9)], NOW)
    assert (fresh.lags, fresh.waiting) == ({0: 0, 3: 4}, 4)


class NullListener:
    """A listener that does nothing."""

    def on_assigned(self, committed: Mapping[int, Committed]) -> None:
        """See `RebalanceListener`."""

    def on_revoked(self, partitions: Collection[int]) -> None:
        """See `RebalanceListener`."""

    def on_lost(self, partitions: Collection[int]) -> None:
        """See `RebalanceListener`."""


class Topic:
    """A topic of four partitions, a group that reads it, and a reader about it."""

    def __init__(self, bootstrap_servers: str, name: str) -> None:
        self.servers, self.name, self.group = bootstrap_servers, name, f"{name}-group"
        self._producer = Producer(
            {"bootstrap.servers": bootstrap_servers, "enable.idempotence": True, "linger.ms": 0}
        )
        self.reader = FreshnessReader(bootstrap_servers, topic=name, group=self.group)

    def publish(self, partition: int, *, timestamp_ms: int = 0) -> None:
        """Append a message, and wait for the broker to have it."""
        self._producer.produce(self.name, b"x", partition=partition, timestamp=timestamp_ms)
        assert self._producer.flush(20) == 0

    def commit(self, offsets: Mapping[int, int], caught_up: datetime | None = None) -> None:
        """Commit as a worker would."""
        source = KafkaSource(self.servers, topic=self.name, group=self.group)
        metadata = None if caught_up is None else to_metadata(source.topic_id, caught_up)
        source.close()
        self.commit_raw(offsets, metadata)

    def commit_raw(self, offsets: Mapping[int, int], metadata: str | None) -> None:
        """Commit as anything might."""
        consumer = Consumer({"bootstrap.servers": self.servers, "group.id": self.group})
        places = [
            TopicPartition(self.name, p, offset, metadata)
            if metadata
            else TopicPartition(self.name, p, offset)
            for p, offset in offsets.items()
        ]
        consumer.commit(offsets=places, asynchronous=False)
        consumer.close()


@pytest.fixture
def followed(kafka: KafkaNode, topic: str) -> Iterator[Topic]:
    """A fresh one."""
    one = Topic(kafka.bootstrap_servers, topic)
    yield one
    one.reader.close()


@pytest.mark.services
def test_without_a_worker_nothing_is_known(followed: Topic) -> None:
    """Messages wait and nobody has ever read any."""
    followed.publish(0)
    followed.publish(2)
    assert followed.reader.read() == Freshness(None, 2, "No worker has read this topic yet.")


@pytest.mark.services
def test_an_empty_topic_is_complete(followed: Topic) -> None:
    """Nothing was published, so nothing is missing, worker or none."""
    before = datetime.now(UTC)
    fresh = followed.reader.read()
    assert fresh.complete_until is not None
    assert before <= fresh.complete_until <= datetime.now(UTC)
    assert (fresh.waiting, fresh.note) == (0, "")


@pytest.mark.services
def test_a_group_that_has_everything_is_complete_until_the_question(followed: Topic) -> None:
    """Whatever its last commit says, and whatever clock the producers have."""
    hour_ahead_ms = int(time.time() * 1000) + 3_600_000
    followed.publish(0, timestamp_ms=hour_ahead_ms)
    followed.commit({0: 1}, ago(3600))
    before = datetime.now(UTC)
    fresh = followed.reader.read()
    assert fresh.complete_until is not None
    assert before <= fresh.complete_until <= datetime.now(UTC)
    assert (fresh.waiting, fresh.note) == (0, "")


@pytest.mark.services
def test_a_group_that_is_behind_says_what_its_worker_could_prove(followed: Topic) -> None:
    """The earliest of its partitions, and nothing of what producers say of the time."""
    now = datetime.now(UTC).replace(microsecond=0)
    hour_ahead_ms = int(time.time() * 1000) + 3_600_000
    for partition in (0, 1, 1, 2, 3):
        followed.publish(partition, timestamp_ms=hour_ahead_ms)
    followed.commit({0: 0}, now - timedelta(seconds=3))
    followed.commit({1: 1}, now - timedelta(seconds=5))
    followed.commit({2: 1, 3: 1}, now - timedelta(hours=5))  # at their ends
    assert followed.reader.read() == Freshness(now - timedelta(seconds=5), 2)
    followed.commit_raw({1: 1}, None)  # as kafka-consumer-groups.sh would
    note = "The worker is behind, or stopped: 2 messages wait."
    assert followed.reader.read() == Freshness(None, 2, note)


@pytest.mark.services
def test_offsets_that_a_person_sets_to_the_end_prove_nothing(followed: Topic) -> None:
    """As `kafka-consumer-groups.sh --reset-offsets --to-latest` does: nobody has read these."""
    for _ in range(5):
        followed.publish(0)
    followed.commit_raw({0: 5}, None)
    note = "No worker has confirmed yet that it read up to the end."
    assert followed.reader.read() == Freshness(None, 0, note)


@pytest.mark.services
def test_a_log_that_kafka_has_emptied_proves_nothing(followed: Topic) -> None:
    """Nothing waits, as nobody can read it any more; but it was published, and is not stored."""
    for _ in range(5):
        followed.publish(0)
    admin = AdminClient({"bootstrap.servers": followed.servers})
    place = TopicPartition(followed.name, 0, 5)
    admin.delete_records([place])[place].result()
    assert followed.reader.read() == Freshness(None, 0, "No worker has read this topic yet.")


@pytest.mark.services
def test_an_open_transaction_hides_nothing(followed: Topic) -> None:
    """What others publish behind it is published, though no worker can read it yet."""
    producer = Producer(
        {"bootstrap.servers": followed.servers, "transactional.id": uuid.uuid4().hex}
    )
    producer.init_transactions(20)
    producer.begin_transaction()
    producer.produce(followed.name, b"open", partition=0)
    producer.flush(20)
    followed.publish(0)
    published = datetime.now(UTC)
    source = KafkaSource(followed.servers, topic=followed.name, group=followed.group)
    source.subscribe(NullListener())
    ends = None
    while ends is None or ends.asked_at < published:
        assert source.poll(10, 0.05) == []
        ends = source.end_offsets() or ends
    source.close()
    assert ends.offsets[0] == 2  # 0 is how far the worker may read
    followed.commit({0: 0}, ago(3600))
    assert followed.reader.read().complete_until == ago(3600)
    assert followed.reader.read().waiting == 2
    producer.abort_transaction(20)


@pytest.mark.services
def test_what_is_said_of_another_topic_of_the_name_is_not_believed(followed: Topic) -> None:
    """An offset that happens to be the end is of the topic before, and so proves nothing."""
    followed.publish(0)
    followed.commit_raw({0: 1}, to_metadata("AAAAAAAAAAAAAAAAAAAAAQ", datetime.now(UTC)))
    assert followed.reader.read() == Freshness(None, 1, "No worker has read this topic yet.")
    assert read_lag(followed.servers, followed.name, followed.group, {})[0].committed is None


@pytest.mark.services
def test_a_topic_made_anew_starts_anew(kafka: KafkaNode, followed: Topic) -> None:
    """Offsets and times went with the old one."""
    followed.publish(0)
    followed.commit({0: 1}, datetime.now(UTC))
    admin = AdminClient({"bootstrap.servers": followed.servers})
    admin.delete_topics([followed.name])[followed.name].result()
    wait_until(lambda: followed.reader.read().waiting is None)
    assert followed.reader.read().note == WRONG
    kafka.create_topic(followed.name, partitions=4)
    wait_until(lambda: followed.reader.read().waiting == 0)
    followed.publish(0)
    assert followed.reader.read() == Freshness(None, 1, "No worker has read this topic yet.")


def test_without_kafka_it_says_so_soon() -> None:
    """Nobody listens there: noticed well before the time for an answer is over, each time."""
    timeout_s = 60.0
    reader = FreshnessReader(
        NOBODY, topic="feedback.events", group="afterword", timeout_s=timeout_s
    )
    note = "Kafka does not answer, so how complete this is, is not known."
    for _ in range(2):
        began_s = time.monotonic()
        assert reader.read() == Freshness(None, None, note)
        assert time.monotonic() - began_s < timeout_s / 2
    reader.close()


def test_settings_that_the_client_refuses_are_no_error() -> None:
    """A question of an analyst does not fail for that; the note says who can tell more."""
    reader = FreshnessReader(NOBODY, topic="t", group="g", settings={"no.such.setting": 1})
    fresh = reader.read()
    assert (fresh.complete_until, fresh.waiting) == (None, None)
    assert fresh.note == WRONG


@pytest.mark.services
def test_a_topic_that_does_not_exist_is_no_error(kafka: KafkaNode) -> None:
    """Nor is a broker named, of which not everybody should know who reads a note."""
    reader = FreshnessReader(kafka.bootstrap_servers, topic="no-such-topic", group="g")
    assert reader.read().note == WRONG
    reader.close()


@pytest.mark.services
def test_a_freshness_reader_notices_that_kafka_comes_and_goes() -> None:
    """One reader, through an outage."""
    mock = MockKafka()
    with mock:
        mock.create_topic("t")
        servers = mock.bootstrap_servers
        reader = FreshnessReader(servers, topic="t", group="g")
        assert reader.read().waiting == 0
        connection = reader._reader
        assert connection is not None
        assert connection._readers
    assert reader.read().waiting is None
    assert not connection._readers  # closed, not only forgotten
    reader.close()


@pytest.mark.services
def test_many_threads_may_ask_at_once(followed: Topic, monkeypatch: pytest.MonkeyPatch) -> None:
    """They share answers, and none gets one that was asked for before it came."""
    followed.publish(0)
    followed.commit({0: 1}, ago(3600))
    asked: list[float] = []
    real = followed.reader._read

    def slowly() -> Freshness:
        asked.append(time.monotonic())
        all_came.wait(20)
        return real()

    monkeypatch.setattr(followed.reader, "_read", slowly)
    all_came = threading.Event()

    def ask() -> bool:
        came = datetime.now(UTC)
        until = followed.reader.read().complete_until
        return until is not None and until >= came

    with ThreadPoolExecutor(8) as threads:
        answers = [threads.submit(ask) for _ in range(8)]
        wait_until(lambda: len(asked) == 1 and threads._work_queue.empty())
        all_came.set()
        assert all(answer.result() for answer in answers)
    assert len(asked) < 8
