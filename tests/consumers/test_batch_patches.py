"""Patches in a batch: what they name, and what they only seem to name."""

import orjson

from afterword_consumers.batch import Batch, resolve_patches
from afterword_consumers.catalogue import Catalogue
from afterword_consumers.rows import CREATED_AT, VALUE, WEIGHT, decode
from afterword_consumers.testing import MemoryBroker, MemoryStore

ID = {"feedback_id": "5f0e2f0a-0000-4000-8000-000000000001", "project": "acme"}


def test_a_field_that_is_null_is_not_named() -> None:
    """A patch whose weight and time are null leaves both as they are."""
    broker, store = MemoryBroker(partitions=1), MemoryStore()
    whole = {"trace_id": "t", "value": 3, "weight": 0.5, "created_at": "2026-01-01T00:00:01Z"}
    patch = {"op": "patch", "value": 4, "weight": None, "created_at": None}
    for event in (whole, patch):
        broker.publish(orjson.dumps(ID | event), timestamp_ms=1_767_225_700_000)

    batch = Batch("topic-id")
    batch.take(broker.log[0], Catalogue())
    resolve_patches(batch, store)

    row = decode(batch.body(1, 2))
    assert (row[VALUE], row[WEIGHT], row[CREATED_AT]) == (4, 0.5, 1_767_225_601.0)
