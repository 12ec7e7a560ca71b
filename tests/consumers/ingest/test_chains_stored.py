"""Events that need what is stored, on the real tables: in pieces, and sent again."""

from collections.abc import Iterator

import orjson
import pytest
from tests.consumers.written import write

from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.clickhouse.sink import ClickHouseSink
from afterword_consumers.ingest.batch import Batch
from afterword_consumers.ingest.path_index import PathIndex
from afterword_consumers.testing import MemoryBroker
from afterword_stack.local.clickhouse import ClickHouseNode

pytestmark = pytest.mark.services

AT_MS = 1_767_225_600_000


@pytest.fixture
def store(clickhouse: ClickHouseNode, migrated_database: str) -> Iterator[ClickHouse]:
    """A database with empty tables."""
    connection = ClickHouse(ClickHouseAddress(clickhouse.host, clickhouse.port, migrated_database))
    yield connection
    connection.close()


def batches(*parts: list[dict[str, object]]) -> list[Batch]:
    """Return a batch for each list of events, all of one partition, a second apart."""
    broker, made = MemoryBroker(partitions=1), []
    for part in parts:
        begin = len(broker.log[0])
        for event in part:
            at_ms = AT_MS + 1_000 * len(broker.log[0])
            key = str(event["feedback_id"]).encode()
            broker.publish(orjson.dumps({"project": "acme", **event}), key=key, timestamp_ms=at_ms)
        batch = Batch("topic-id")
        batch.take(broker.log[0][begin:], PathIndex())
        made.append(batch)
    return made


def test_patches_in_many_pieces_reach_every_event(store: ClickHouse) -> None:
    """Each answer is left in the middle, and the next one goes on behind it: nothing is lost or doubled."""
    ids = [f"019b0000-0000-7000-8000-{number:012}" for number in range(1_000)]
    leaves = {f"step{number}": number for number in range(100)}
    stored, patched = batches(
        [{"feedback_id": id_, "trace_id": "t", "feedback": leaves} for id_ in ids[::2]],
        [{"feedback_id": id_, "op": "patch", "feedback": {"note": id_}} for id_ in ids],
    )
    sink = ClickHouseSink(store)

    write(stored, sink)
    write(patched, sink, piece_bytes=100_000)

    rows = store.select(
        "SELECT length(numbers) AS leaves, count(), "
        "countIf(strings['feedback.note'] = toString(feedback_id)) "
        "FROM feedback_current GROUP BY leaves ORDER BY leaves"
    )
    assert [tuple(row) for row in rows] == [(0, 500, 500), (100, 500, 500)]


def test_a_vote_sent_again_keeps_when_it_was_given(store: ClickHouse) -> None:
    """Under a random id, batch by batch and read again: the time of the first message stays."""
    vote = {"feedback_id": "5f0e2f0a-0000-4000-8000-000000000001", "trace_id": "t"}
    first, second = batches([{**vote, "value": 1}], [{**vote, "value": -1}])
    for batch in (first, second):
        write(batch, ClickHouseSink(store))
    (again,) = batches([{**vote, "value": 1}, {**vote, "value": -1}])

    write(again, ClickHouseSink(store))

    rows = store.select(
        "SELECT value, toUnixTimestamp64Milli(created_at), toUnixTimestamp64Milli(updated_at) "
        "FROM feedback_current"
    )
    assert [tuple(row) for row in rows] == [(-1, AT_MS, AT_MS + 1_000)]
