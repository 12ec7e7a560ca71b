"""Patches in a batch: what they name, and what they only seem to name."""

import orjson
import pytest

from afterword_consumers.batch import Batch, resolve_patches
from afterword_consumers.catalogue import Catalogue
from afterword_consumers.rows import CREATED_AT, VALUE, WEIGHT, decode
from afterword_consumers.testing import MemoryBroker, MemoryStore
from afterword_schemas import RejectCode

ID = {"feedback_id": "5f0e2f0a-0000-4000-8000-00000000000a", "project": "acme"}


def test_a_field_that_is_null_is_not_named() -> None:
    """A patch whose weight and time are null leaves both as they are."""
    broker, store = MemoryBroker(partitions=1), MemoryStore()
    whole = {"trace_id": "t", "value": 3, "weight": 0.5, "created_at": "2026-01-01T00:00:01Z"}
    patch = {"op": "patch", "value": 4, "weight": None, "created_at": None}
    for event in (whole, patch):
        key = ID["feedback_id"].encode()
        broker.publish(orjson.dumps(ID | event), key=key, timestamp_ms=1_767_225_700_000)

    batch = Batch("topic-id")
    batch.take(broker.log[0], Catalogue())
    resolve_patches(batch, store)

    row = decode(batch.body(1, 2))
    assert (row[VALUE], row[WEIGHT], row[CREATED_AT]) == (4, 0.5, 1_767_225_601.0)


@pytest.mark.parametrize("key", [None, b"another", ID["feedback_id"].upper().encode()])
def test_a_patch_under_another_key_is_refused(key: bytes | None) -> None:
    """It may stand in another partition than the other events of its id, and be lost unnoticed."""
    broker = MemoryBroker(partitions=1)
    broker.publish(orjson.dumps(ID | {"op": "patch", "value": 4}), key=key)
    broker.publish(orjson.dumps(ID | {"trace_id": "t", "value": 4}), key=key)

    batch = Batch("topic-id")
    batch.take(broker.log[0], Catalogue())

    assert [(r.code, r.path, r.offset) for r in batch.rejections] == [
        (RejectCode.WRONG_KEY, "$.feedback_id", 0)
    ]
    assert len(batch) == 1
