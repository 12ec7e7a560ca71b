"""A batch: every message once, as a line or a rejection, and up to where it covers a partition."""

import orjson

from afterword_consumers.ingest.batch import Batch
from afterword_consumers.ingest.path_index import PathIndex, PathSeen
from afterword_consumers.ingest.rows import KAFKA_OFFSET, VALUE, decode
from afterword_consumers.testing import MemoryBroker, MemoryMessage
from afterword_schemas import Leaves

ID = "019b0000-0000-7000-8000-000000000001"


def publish(*events: object, partition: int = 0) -> list[MemoryMessage]:
    """Return events as messages; bytes and None go in as they are."""
    broker = MemoryBroker(partitions=3)
    for event in events:
        if isinstance(event, dict):
            whole = {"feedback_id": ID, "project": "acme"} | event
            key = str(whole["feedback_id"]).encode()
            broker.publish(
                orjson.dumps(whole), key=key, partition=partition, timestamp_ms=1_767_225_600_000
            )
        else:
            assert event is None or isinstance(event, bytes)
            broker.publish(event, partition=partition)
    return broker.log[partition]


def take(*messages: MemoryMessage) -> Batch:
    """Return a batch of messages."""
    batch = Batch("topic-id")
    batch.take(messages, PathIndex())
    return batch


def test_every_message_is_a_line_or_a_rejection() -> None:
    """Good ones keep their order, refused ones stand aside, and all of them are counted."""
    good = {"trace_id": "t", "value": 1}
    messages = publish(good, b"nope", good, None, good | {"value": 11}, good)
    batch = take(*messages)
    rows = [decode(line) for line in batch.body(0, len(batch)).splitlines()]
    assert [row[KAFKA_OFFSET] for row in rows] == [0, 2, 5]
    assert [rejection.offset for rejection in batch.rejections] == [1, 3, 4]
    assert batch.count == 6
    payloads = sum(len(message.value() or b"") for message in messages)
    keys = sum(len(message.key() or b"") for message in messages)
    assert batch.raw_bytes == payloads + keys


def test_a_batch_covers_each_partition_to_its_last_message() -> None:
    """Refused messages move the offset on like good ones, each partition for itself."""
    good = {"trace_id": "t", "value": 1}
    batch = take(*publish(good, good, partition=0), *publish(good, None, b"x", partition=2))
    assert batch.next_offsets == {0: 2, 2: 3}
    batch.take(publish(good, good, good, partition=0)[2:], PathIndex())
    assert batch.next_offsets == {0: 3, 2: 3}


def test_a_message_that_breaks_the_code_is_rejected_alone() -> None:
    """A fault of our own costs the one message, kept for a replay, and not the partition."""

    class Faulty(PathIndex):
        def observe(
            self, project: str, leaves: Leaves, now_ms: int, value: float | None = None
        ) -> list[PathSeen]:
            if project == "faulty":
                raise ZeroDivisionError
            return super().observe(project, leaves, now_ms, value)

    good = {"trace_id": "t", "value": 1}
    batch = Batch("topic-id")
    batch.take(publish(good, good | {"project": "faulty"}, good), Faulty())
    assert [(r.offset, r.code) for r in batch.rejections] == [(1, "internal_error")]
    assert (len(batch), batch.count, batch.next_offsets) == (2, 3, {0: 3})


def test_a_slice_of_the_lines_is_itself_lines() -> None:
    """Any part of a batch can be inserted by itself."""
    batch = take(*publish(*[{"trace_id": "t", "value": n} for n in range(4)]))
    assert [decode(line)[VALUE] for line in batch.body(1, 3).splitlines()] == [1, 2]
    assert batch.body(2, 2) == b""
    assert batch.body(0, 4) == b"".join(batch.body(n, n + 1) for n in range(4))


def test_rows_of_an_id_with_a_patch_are_left_to_its_chain() -> None:
    """They are not written before the patch between them: each builds on the one before it."""
    other = {"feedback_id": ID[:-1] + "2", "trace_id": "t", "value": 7}
    batch = take(
        *publish(
            {"trace_id": "t", "value": 1},
            other,
            {"op": "patch", "value": 2},
            {"project": "other", "trace_id": "t", "value": 3},
            {"op": "clear"},
        )
    )
    assert batch.chains() == {("acme", ID): [0, 2, 4]}
    rows = [decode(line) for line in batch.body(0, len(batch)).splitlines()]
    assert [row[VALUE] for row in rows] == [7, 3]
    assert batch.body(2, 3) == b""


def test_a_set_whose_time_is_only_a_default_needs_what_is_stored() -> None:
    """A version 7 id and a `created_at` of its own are stable, unless the id's time lies ahead."""
    random_id = "5f0e2f0a-0000-4000-8000-000000000001"
    ahead = "01ffffff-0000-7000-8000-000000000001"
    batch = take(
        *publish(
            {"feedback_id": random_id, "trace_id": "t", "value": 1},
            {"feedback_id": random_id, "project": "other", "op": "clear"},
            {
                "feedback_id": random_id[:-1] + "2",
                "trace_id": "t",
                "value": 1,
                "created_at": "2026-01-01T00:00:00Z",
            },
            {"trace_id": "t", "value": 1},
            {"feedback_id": ahead, "trace_id": "t", "value": 1},
        )
    )
    assert batch.chains() == {
        ("acme", random_id): [0],
        ("other", random_id): [1],  # a clear looks up what it takes back
        ("acme", ahead): [4],
    }


def test_a_batch_is_full_by_what_it_makes_of_its_payloads() -> None:
    """One long key above many short ones stands in each path: 60 events of 9 KB make 14 MB of lines."""
    feedback = {"k" * 480: {f"{number:x}": True for number in range(1_000)}}
    messages = publish(*[{"trace_id": "t", "feedback": feedback}] * 60)
    batch = Batch("topic-id", max_bytes=2_000_000)

    taken = batch.take(messages, PathIndex())

    assert batch.raw_bytes < 100_000
    assert (taken, batch.count, batch.next_offsets) == (3, 3, {0: 3})
    assert batch.is_full
    assert batch.take(messages[taken:], PathIndex()) == 0


def test_a_batch_is_full_by_the_headers_of_its_messages() -> None:
    """They are kept with the message until it is written, however small its payload is."""
    broker = MemoryBroker(partitions=1)
    raw = orjson.dumps({"feedback_id": ID, "project": "acme", "trace_id": "t", "value": 1})
    for _ in range(10):
        broker.publish(raw, key=b"k" * 1_000, headers=[("trace", b"x" * 100_000), ("none", None)])
    batch = Batch("topic-id", max_bytes=300_000)

    assert batch.take(broker.log[0], PathIndex()) == 3
    assert batch.raw_bytes == 3 * (len(raw) + 1_000 + len("trace") + 100_000 + len("none"))


def test_a_batch_is_full_by_the_paths_that_it_has_to_catalogue() -> None:
    """Each of them takes more memory than the leaf: 1,000 new ones an event are counted."""
    events = [
        {"trace_id": "t", "feedback": {f"{event}-{leaf}": True for leaf in range(1_000)}}
        for event in range(20)
    ]
    batch = Batch("topic-id", max_bytes=1_000_000)

    taken = batch.take(publish(*events), PathIndex())

    assert taken < 5
    assert len(batch.paths_seen) == 1_000 * taken


def test_a_token_belongs_to_one_batch() -> None:
    """Two batches of the same rows have different tokens, or the second would be dropped."""
    assert Batch("topic-id").token != Batch("topic-id").token


def test_keys_and_headers_of_refused_messages_count_as_bytes() -> None:
    """A flood of refused messages with large headers closes a batch like one of large payloads."""
    broker = MemoryBroker(partitions=1)
    broker.publish(None, key=b"k" * 1000, headers=[("h", b"v" * 5000), ("n", None)])
    batch = take(*broker.log[0])
    assert batch.raw_bytes >= 6000
