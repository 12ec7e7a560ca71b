"""A batch: every message once, as a line or a rejection, and up to where it covers a partition."""

from collections.abc import Collection

import orjson
import pytest

from afterword_consumers.batch import Batch, resolve_patches
from afterword_consumers.catalogue import Catalogue, Sighting
from afterword_consumers.rows import FEEDBACK_ID, KAFKA_OFFSET, VALUE, Key, Row, decode
from afterword_consumers.testing import MemoryBroker, MemoryMessage, MemoryStore
from afterword_schemas import Leaves, StoreError

ID = "5f0e2f0a-0000-4000-8000-000000000001"


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
    batch.take(messages, Catalogue())
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
    assert batch.raw_bytes == payloads + len(ID)  # with the key of the one refused that has one


def test_a_batch_covers_each_partition_to_its_last_message() -> None:
    """Refused messages move the offset on like good ones, each partition for itself."""
    good = {"trace_id": "t", "value": 1}
    batch = take(*publish(good, good, partition=0), *publish(good, None, b"x", partition=2))
    assert batch.next_offsets == {0: 2, 2: 3}
    batch.take(publish(good, good, good, partition=0)[2:], Catalogue())
    assert batch.next_offsets == {0: 3, 2: 3}


def test_a_message_that_breaks_the_code_is_rejected_alone() -> None:
    """A fault of our own costs the one message, kept for a replay, and not the partition."""

    class Faulty(Catalogue):
        def observe(
            self, project: str, leaves: Leaves, now_ms: int, value: float | None = None
        ) -> list[Sighting]:
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


def test_patches_build_on_each_other_within_a_batch() -> None:
    """A patch merges into the set before it, the next into both, a clear ends it."""
    store = MemoryStore()
    batch = take(
        *publish(
            {"trace_id": "t", "value": 1},
            {"op": "patch", "feedback": {"a": 1}},
            {"op": "patch", "value": 5},
            {"op": "clear"},
            {"op": "patch", "feedback": {"b": 2}},
        )
    )
    resolve_patches(batch, store)
    rows = [decode(line) for line in batch.body(0, len(batch)).splitlines()]
    seen = [(row[VALUE], row[12], row[17]) for row in rows]
    assert seen == [
        (1, {}, 0),
        (1, {"feedback.a": 1}, 0),
        (5, {"feedback.a": 1}, 0),
        (None, {}, 1),
        (None, {"feedback.b": 2}, 0),
    ]


def test_a_patch_merges_into_what_is_stored_under_its_project() -> None:
    """The base is looked up by project and id: another project's event is never touched."""
    store = MemoryStore()
    messages = publish(
        {"trace_id": "t", "value": 1},
        {"trace_id": "t", "value": 2, "project": "other"},
        {"op": "patch", "feedback": {"a": 1}},
    )
    first, second = take(*messages[:2]), take(messages[2])
    store.insert_feedback(first.body(0, 2), "t1")
    resolve_patches(second, store)
    row = decode(second.body(0, 1))
    assert (row[0], row[FEEDBACK_ID], row[VALUE], row[12]) == ("acme", ID, 1, {"feedback.a": 1})


def test_a_lookup_that_fails_leaves_the_batch_as_it_was() -> None:
    """The worker calls again after an error, and then gets what it would have got."""

    class Away(MemoryStore):
        def stored(self, keys: Collection[Key]) -> dict[Key, Row]:
            raise StoreError("away")

    batch = take(*publish({"trace_id": "t", "value": 1}, {"op": "patch", "value": 2}))
    with pytest.raises(StoreError):
        resolve_patches(batch, Away())
    resolve_patches(batch, MemoryStore())
    resolve_patches(batch, Away())  # nothing is left to look up
    assert [decode(line)[VALUE] for line in batch.body(0, 2).splitlines()] == [1, 2]
    assert batch.rejections == []


def test_a_token_belongs_to_one_batch() -> None:
    """Two batches of the same rows have different tokens, or the second would be dropped."""
    assert Batch("topic-id").token != Batch("topic-id").token


def test_keys_and_headers_of_refused_messages_count_as_bytes() -> None:
    """A flood of refused messages with large headers closes a batch like one of large payloads."""
    broker = MemoryBroker(partitions=1)
    broker.publish(None, key=b"k" * 1000, headers=[("h", b"v" * 5000), ("n", None)])
    batch = take(*broker.log[0])
    assert batch.raw_bytes >= 6000
