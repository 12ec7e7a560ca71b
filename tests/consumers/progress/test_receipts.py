"""Receipts: which of topic and tables decides, whose they are, and what they cost to look up."""

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest
from confluent_kafka import Consumer, Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.clickhouse.sink import ClickHouseSink
from afterword_consumers.ingest.rejection import Rejection
from afterword_consumers.ingest.rows import encode
from afterword_consumers.kafka.partitioner import likely_partitions
from afterword_consumers.kafka.topics import ask_topic_id
from afterword_consumers.progress import backlog as backlog_module
from afterword_consumers.progress.receipts import LOOKUP, ReceiptFinder
from afterword_schemas import Receipt, ReceiptStatus, RejectCode, RetryableError
from afterword_stack.local.clickhouse import ClickHouseNode
from afterword_stack.local.kafka import KafkaNode

pytestmark = pytest.mark.services

ID = "019c12e9-8b3d-7000-8000-000000000001"
PARTITION, OTHER_PARTITION = likely_partitions(ID.encode(), 4)
NOW_MS, FUTURE_MS = 1_769_850_000_123, 4_000_000_000_000
NOW = "2026-01-31T09:00:00.123Z"
EVENT = {"feedback_id": ID, "project": "acme", "trace_id": "t", "value": 1}

UNKNOWN = Receipt(ID, ReceiptStatus.UNKNOWN)
PENDING = Receipt(ID, ReceiptStatus.PENDING)
STORED = Receipt(ID, ReceiptStatus.STORED, updated_at=NOW, cleared=False)
REJECTED = Receipt(
    ID,
    ReceiptStatus.REJECTED,
    code="unknown_field",
    path="$.vlaue",
    place=f"{PARTITION}:7",
    detail="no such field",
)


@pytest.fixture(autouse=True)
def unhurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """A busy machine may take its time to read."""
    monkeypatch.setattr(backlog_module, "_TAIL_S", 30.0)


@dataclass
class ReceiptsHarness:
    """A topic and a database, into which a test puts what a worker would, and the receipts of both."""

    kafka: KafkaNode
    topic: str
    clickhouse: ClickHouse
    finder: ReceiptFinder

    def __post_init__(self) -> None:
        self._sink = ClickHouseSink(self.clickhouse)
        admin = AdminClient({"bootstrap.servers": self.kafka.bootstrap_servers})
        self.topic_id = ask_topic_id(admin, self.topic, 20.0)

    def publish(
        self,
        payload: bytes,
        count: int = 1,
        *,
        partition: int = PARTITION,
        timestamp_ms: int = NOW_MS,
    ) -> None:
        """Publish under the id, so many times."""
        producer = Producer(
            {"bootstrap.servers": self.kafka.bootstrap_servers, "enable.idempotence": True}
        )
        for _ in range(count):
            producer.produce(self.topic, payload, ID.encode(), partition, timestamp=timestamp_ms)
        assert producer.flush(20) == 0

    def commit(self, offset: int) -> None:
        """Commit as the workers would."""
        servers = self.kafka.bootstrap_servers
        consumer = Consumer({"bootstrap.servers": servers, "group.id": self.topic})
        consumer.commit(offsets=[TopicPartition(self.topic, PARTITION, offset)], asynchronous=False)
        consumer.close()

    def store(
        self,
        offset: int,
        *,
        partition: int = PARTITION,
        project: str = "acme",
        updated_ms: int = NOW_MS,
        cleared: int = 0,
        topic_id: str | None = None,
    ) -> None:
        """Insert a row; by default of the topic that is there."""
        row: list[Any] = [project, ID, "t", "", "", "explicit", "", "", "", "", 1, 1.0, {}, {}, {}]
        topic = [self.topic, self.topic_id if topic_id is None else topic_id]
        row += [updated_ms / 1000, updated_ms / 1000, cleared, *topic, partition, offset]
        self._sink.insert_feedback(encode(row), f"{project}-{offset}-{updated_ms}")

    def reject(
        self,
        offset: int,
        *,
        partition: int = PARTITION,
        payload: bytes = orjson.dumps(EVENT),
        key: bytes = ID.encode(),
        rejected_ms: int = NOW_MS,
        code: RejectCode = RejectCode.UNKNOWN_FIELD,
    ) -> None:
        """Insert a rejection."""
        one = Rejection(
            topic=self.topic,
            topic_id=self.topic_id,
            partition=partition,
            offset=offset,
            published_ms=NOW_MS,
            rejected_ms=rejected_ms,
            code=code,
            path="$.vlaue",
            detail="no such field",
            key=key,
            headers=(),
            payload=payload,
        )
        self._sink.insert_rejections([one])

    def find(self, project: str = "acme") -> Receipt:
        """Ask for the receipt of the id."""
        return self.finder.find(project, ID)


@pytest.fixture
def harness(
    kafka: KafkaNode, topic: str, clickhouse: ClickHouseNode, migrated_database: str
) -> Iterator[ReceiptsHarness]:
    """A topic and tables with nothing in them."""
    address = ClickHouseAddress(clickhouse.host, clickhouse.port, migrated_database)
    connection = ClickHouse(address)
    finder = ReceiptFinder(address, kafka.bootstrap_servers, topic=topic, group=topic)
    yield ReceiptsHarness(kafka, topic, connection, finder)
    finder.close()
    connection.close()


def test_an_event_that_is_nowhere_is_unknown(harness: ReceiptsHarness) -> None:
    """And certainly so: nothing waits unread."""
    assert harness.find() == UNKNOWN


def test_a_stored_event_is_told_with_its_time(harness: ReceiptsHarness) -> None:
    """To the millisecond; of several rows that are not merged yet, the newest."""
    harness.store(9)
    for offset in range(9):
        harness.store(offset, updated_ms=NOW_MS - 9 + offset)
    assert harness.find() == STORED


def test_a_tombstone_is_stored_and_cleared(harness: ReceiptsHarness) -> None:
    """Taking back is an event too, and its receipt says that it arrived."""
    harness.store(4, updated_ms=NOW_MS - 1)
    harness.store(5, cleared=1)
    assert harness.find() == replace(STORED, cleared=True)


def test_a_rejection_is_told_with_code_path_and_place(harness: ReceiptsHarness) -> None:
    """What to mend, and what to tell the operator."""
    harness.reject(7)
    assert harness.find() == REJECTED


def test_what_waits_is_pending_whatever_is_stored(harness: ReceiptsHarness) -> None:
    """A change that has not arrived must not look as if it had."""
    harness.store(2)
    harness.publish(orjson.dumps(EVENT), count=4)
    harness.commit(3)
    assert harness.find() == PENDING
    harness.commit(4)
    assert harness.find() == STORED


def test_what_is_in_the_tables_waits_no_more(harness: ReceiptsHarness) -> None:
    """Before the offset is committed too: a worker that died in between leaves that for later."""
    harness.publish(orjson.dumps(EVENT), count=4)
    harness.store(2)
    assert harness.find() == PENDING
    harness.store(3)
    assert harness.find() == STORED
    harness.publish(orjson.dumps(EVENT))
    assert harness.find() == PENDING
    harness.reject(4, rejected_ms=FUTURE_MS)
    assert harness.find().status == ReceiptStatus.REJECTED
    harness.publish(orjson.dumps(EVENT), partition=OTHER_PARTITION)
    assert harness.find() == PENDING


def test_rows_of_a_topic_that_was_made_anew_cover_nothing(harness: ReceiptsHarness) -> None:
    """Its offsets begin again, below those of the rows that the old one left; whatever a producer's clock says."""
    harness.store(1000, topic_id="of the one before")
    harness.publish(orjson.dumps(EVENT))
    assert harness.find() == PENDING
    harness.store(0, updated_ms=NOW_MS + 1)
    assert harness.find().status == ReceiptStatus.STORED


def test_rows_of_older_versions_are_told_apart_by_time(harness: ReceiptsHarness) -> None:
    """They have no topic id: what is older than the message is not of it."""
    harness.store(1000, topic_id="")
    soon_ms = time.time_ns() // 1_000_000 + 60_000
    harness.publish(orjson.dumps(EVENT), timestamp_ms=soon_ms)
    assert harness.find() == PENDING
    harness.commit(1)
    harness.publish(orjson.dumps(EVENT))
    assert harness.find() == STORED


@pytest.mark.parametrize(
    ("rejected_ms", "status"),
    [(NOW_MS, ReceiptStatus.STORED), (FUTURE_MS, ReceiptStatus.REJECTED)],
)
def test_between_two_topics_of_a_name_the_clock_decides(
    harness: ReceiptsHarness, rejected_ms: int, status: ReceiptStatus
) -> None:
    """The offsets of the old one are higher than those of the new one, and say nothing."""
    harness.store(1000, topic_id="of the one before")
    harness.reject(7, rejected_ms=rejected_ms)
    assert harness.find().status == status


def test_an_event_that_is_stored_meanwhile_is_not_overlooked(
    harness: ReceiptsHarness, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever is asked first, the workers may finish before the second: it is never unknown."""
    harness.publish(orjson.dumps(EVENT))

    def finish_after(ask: Callable[..., Any]) -> Callable[..., Any]:
        def interrupted(*arguments: object) -> object:
            answer = ask(*arguments)
            harness.store(0)
            harness.commit(1)
            return answer

        return interrupted

    for part, name in ((harness.finder._backlog, "search"), (harness.finder._clickhouse, "query")):
        monkeypatch.setattr(part, name, finish_after(getattr(part, name)))

    assert harness.find() == STORED


@pytest.mark.parametrize(
    ("stored", "rejected", "status"),
    [
        (6, 7, ReceiptStatus.REJECTED),
        (7, 7, ReceiptStatus.STORED),  # refused at first, and taken when it was read again
        (8, 7, ReceiptStatus.STORED),
    ],
)
def test_the_later_in_the_topic_decides(
    harness: ReceiptsHarness, stored: int, rejected: int, status: ReceiptStatus
) -> None:
    """By offset, not by the clocks of those who wrote it down; and what is stored is told anyhow."""
    harness.store(stored)
    harness.reject(rejected)
    found = harness.find()
    assert (found.status, found.updated_at, found.cleared) == (status, NOW, False)


@pytest.mark.parametrize(
    ("rejected_ms", "status"),
    [(NOW_MS, ReceiptStatus.STORED), (FUTURE_MS, ReceiptStatus.REJECTED)],
)
def test_between_partitions_the_clock_decides(
    harness: ReceiptsHarness, rejected_ms: int, status: ReceiptStatus
) -> None:
    """As for a patch under a wrong key: its offset says nothing."""
    harness.store(7)
    harness.reject(8 if status == "stored" else 6, partition=3, rejected_ms=rejected_ms)
    assert harness.find().status == status


def test_of_several_rejections_the_latest_counts(harness: ReceiptsHarness) -> None:
    """The one that was judged last, and of one batch the one that stood last."""
    harness.reject(7)
    for offset in range(7):
        harness.reject(offset, code=RejectCode.NO_TARGET)
    harness.reject(9, partition=3, code=RejectCode.EMPTY_EVENT, rejected_ms=NOW_MS - 1)
    assert harness.find() == REJECTED


def test_a_rejection_that_was_replayed_is_history(harness: ReceiptsHarness) -> None:
    """Its copy speaks for itself, from the topic on; also where the rejection is delivered once more."""
    harness.reject(7)
    harness.clickhouse.command(
        "INSERT INTO feedback_rejected SELECT * REPLACE (now64(3) AS replayed_at) "
        "FROM feedback_rejected"
    )
    harness.reject(7)
    assert harness.find() == UNKNOWN
    harness.reject(9)
    assert harness.find() == replace(REJECTED, place=f"{PARTITION}:9")


def test_another_project_learns_nothing(harness: ReceiptsHarness) -> None:
    """Neither of what is stored, nor of what was refused, nor of what waits."""
    harness.store(6)
    harness.reject(7)
    harness.publish(orjson.dumps(EVENT), count=9)
    assert harness.find("other") == UNKNOWN
    assert harness.find() == PENDING
    harness.commit(9)
    assert harness.find("other") == UNKNOWN
    assert harness.find().status == ReceiptStatus.REJECTED


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"no JSON",
        b'{"project": "acme", "feedback_id": "%s", "value": NaN}' % ID.encode(),
        b'{"project": "acme", "feedback_id": "%s", "x": "\xff"}' % ID.encode(),
        b'[{"project": "acme", "feedback_id": "%s"}]' % ID.encode(),
        b'{"feedback_id": "%s", "metadata": {"project": "acme"}}' % ID.encode(),
        b'{"project": ["acme"], "feedback_id": "%s"}' % ID.encode(),
        b'{"project": "acme\\n", "feedback_id": "%s"}' % ID.encode(),
        b'{"a":' * 100_000,
    ],
)
def test_a_message_that_names_no_project_has_no_receipt(
    harness: ReceiptsHarness, payload: bytes
) -> None:
    """A message that cannot be read could be anybody's: it is told to no one, waiting or refused."""
    harness.publish(payload)
    assert harness.find() == UNKNOWN
    harness.commit(1)
    harness.reject(0, payload=payload)
    assert harness.find() == UNKNOWN


def test_a_refused_message_is_found_by_what_it_says(harness: ReceiptsHarness) -> None:
    """A patch under a wrong key is refused for that, and found; so is an id in capitals."""
    loud = orjson.dumps(EVENT | {"feedback_id": ID.upper()})
    harness.reject(7, key=b"another", payload=loud)
    assert harness.find() == REJECTED


def test_the_nil_id_is_an_id(harness: ReceiptsHarness) -> None:
    """It is not the name of all that have none."""
    harness.reject(7, payload=b'{"project": "acme", "feedback_id": "none"}')
    nil = "00000000-0000-0000-0000-000000000000"
    assert harness.finder.find("acme", nil) == Receipt(nil, ReceiptStatus.UNKNOWN)


def test_doubt_is_told(harness: ReceiptsHarness, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the backlog is longer than what is read, nothing is claimed for certain."""
    monkeypatch.setattr(backlog_module, "TAIL_MESSAGES", 3)
    other = orjson.dumps(EVENT | {"project": "other"})
    harness.publish(orjson.dumps(EVENT))
    harness.publish(other, count=12)
    doubt = (
        "The workers are behind: 10 waiting messages were not looked through, and one may "
        "be of this event."
    )
    assert harness.find() == replace(UNKNOWN, unread=10, detail=doubt)
    harness.store(0)
    assert harness.find() == replace(STORED, unread=10, detail=doubt)
    harness.reject(1)
    found = harness.find()
    assert (found.status, found.detail, found.unread) == ("rejected", "no such field", 10)
    harness.commit(13)
    assert harness.find().unread == 0


def test_a_waiting_event_is_pending_without_clickhouse(
    harness: ReceiptsHarness, clickhouse: ClickHouseNode
) -> None:
    """That is when it matters; all else has to wait until ClickHouse is there again."""
    harness.store(0)
    assert harness.find() == STORED
    clickhouse.kill()
    with pytest.raises(RetryableError):
        harness.find()
    harness.publish(orjson.dumps(EVENT))
    assert harness.find() == PENDING
    clickhouse.start()
    harness.commit(1)
    assert harness.find() == STORED


def test_nothing_is_told_without_kafka(harness: ReceiptsHarness) -> None:
    """What is stored may be out of date, so it is no receipt."""
    harness.store(0)
    nowhere = ReceiptFinder(harness.clickhouse.address, "127.0.0.1:1", topic="t", group="g")
    with pytest.raises(RetryableError, match="Kafka does not answer as it should"):
        nowhere.find("acme", ID)
    nowhere.close()


def test_a_failure_is_the_operators_to_read(
    harness: ReceiptsHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """Whoever asks learns that ClickHouse has a fault, and no statement or name of a database."""
    elsewhere = replace(harness.clickhouse.address, database="default")
    finder = ReceiptFinder(
        elsewhere, harness.kafka.bootstrap_servers, topic=harness.topic, group=harness.topic
    )
    with pytest.raises(RetryableError) as raised:
        finder.find("acme", ID)
    assert str(raised.value) == "ClickHouse does not answer as it should; the log says more."
    assert "Unknown table" in caplog.text
    finder.close()


def test_a_lookup_reads_little_of_either_table(harness: ReceiptsHarness) -> None:
    """One granule by the primary key; of what was refused, those that its filter cannot rule out."""
    ids = "concat('019c12e9-8b3d-7000-8000-', leftPad(toString(number), 12, '0'))"
    payloads = f"""concat('{{"project":"acme","feedback_id":"', {ids}, '"}}')"""
    harness.clickhouse.command(
        "INSERT INTO feedback (project, feedback_id) "
        f"SELECT 'acme', toUUID({ids}) FROM numbers(500_000)"
    )
    harness.clickhouse.command(
        "INSERT INTO feedback_rejected (code, kafka_offset, payload) "
        f"SELECT 'c', number, {payloads} FROM numbers(500_000)"
    )
    estimate = harness.clickhouse.query(f"EXPLAIN ESTIMATE {LOOKUP}", {"project": "acme", "id": ID})
    granules = {str(table): int(str(marks)) for _, table, _, _, marks in estimate.rows}
    assert granules["feedback"] == 1
    assert granules["feedback_rejected"] <= 8  # of 62: four share a filter, which may err
