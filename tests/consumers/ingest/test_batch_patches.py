"""Patches in a batch: what they name, and what they only seem to name."""

from collections.abc import Mapping

import orjson
import pytest
from tests.consumers.written import write

from afterword_consumers.ingest.batch import Batch
from afterword_consumers.ingest.path_index import PathIndex
from afterword_consumers.ingest.rows import CREATED_AT, IS_DELETED, NUMBERS, PROJECT, VALUE, WEIGHT
from afterword_consumers.testing import MemoryBroker, MemoryStore
from afterword_schemas import RejectCode

ID = {"feedback_id": "5f0e2f0a-0000-4000-8000-00000000000a", "project": "acme"}


def batch_of(*events: Mapping[str, object]) -> Batch:
    """Return a batch of events of one id and partition; what is no event is refused."""
    broker = MemoryBroker(partitions=1)
    for event in events:
        raw = orjson.dumps({**ID, **event})
        broker.publish(raw, key=ID["feedback_id"].encode(), timestamp_ms=1_767_225_700_000)
    batch = Batch("topic-id")
    batch.take(broker.log[0], PathIndex())
    return batch


def test_a_field_that_is_null_is_not_named() -> None:
    """A patch whose weight and time are null leaves both as they are."""
    store = MemoryStore()
    whole = {"trace_id": "t", "value": 3, "weight": 0.5, "created_at": "2026-01-01T00:00:01Z"}
    patch = {"op": "patch", "value": 4, "weight": None, "created_at": None}

    write(batch_of(whole, patch), store)

    [row] = store.current
    assert (row[VALUE], row[WEIGHT], row[CREATED_AT]) == (4, 0.5, 1_767_225_601.0)


@pytest.mark.parametrize("change", [{"op": "clear"}, {"op": "patch", "value": 4}])
def test_a_message_that_waited_in_a_spool_does_not_win_by_arriving_late(
    change: dict[str, object],
) -> None:
    """It is published under the time of its call, and that is before what was said meanwhile."""
    broker, store = MemoryBroker(partitions=1), MemoryStore()
    hour_ms = 3_600_000
    events = [({"trace_id": "t", "value": 3}, 2 * hour_ms), (change, hour_ms)]
    for event, at_ms in events:
        key = ID["feedback_id"].encode()
        broker.publish(orjson.dumps(ID | event), key=key, timestamp_ms=1_767_225_600_000 + at_ms)

    batch = Batch("topic-id")
    batch.take(broker.log[0], PathIndex())
    write(batch, store)

    assert [(r.code, r.offset) for r in store.rejections.values()] == [
        (RejectCode.OLDER_THAN_STORED, 1)
    ]
    assert [row[VALUE] for row in store.current] == [3]


@pytest.mark.parametrize("key", [None, b"another", ID["feedback_id"].upper().encode()])
def test_a_patch_under_another_key_is_refused(key: bytes | None) -> None:
    """It may stand in another partition than the other events of its id, and be lost unnoticed."""
    broker = MemoryBroker(partitions=1)
    broker.publish(orjson.dumps(ID | {"op": "patch", "value": 4}), key=key)
    broker.publish(orjson.dumps(ID | {"trace_id": "t", "value": 4}), key=key)

    batch = Batch("topic-id")
    batch.take(broker.log[0], PathIndex())

    assert [(r.code, r.path, r.offset) for r in batch.rejections] == [
        (RejectCode.WRONG_KEY, "$.feedback_id", 0)
    ]
    assert len(batch) == 1


def test_patches_build_on_each_other_within_a_batch() -> None:
    """A patch merges into the set before it, the next into both, a clear ends it."""
    events: list[dict[str, object]] = [
        {"trace_id": "t", "value": 1},
        {"op": "patch", "feedback": {"a": 1}},
        {"op": "patch", "value": 5},
        {"op": "clear"},
        {"op": "patch", "feedback": {"b": 2}},
    ]
    seen = []
    for count in range(1, len(events) + 1):
        store = MemoryStore()
        write(batch_of(*events[:count]), store)
        [row] = store.rows.values()
        seen.append((row[VALUE], row[NUMBERS], row[IS_DELETED]))
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
    mine, others = {"trace_id": "t", "value": 1}, {"trace_id": "t", "value": 2, "project": "other"}
    write(batch_of(mine, others), store)
    write(batch_of({}, {}, {"op": "patch", "feedback": {"a": 1}}), store)
    assert sorted((row[PROJECT], row[VALUE], row[NUMBERS]) for row in store.current) == [
        ("acme", 1, {"feedback.a": 1}),
        ("other", 2, {}),
    ]
