"""Times that clients make, on a real Kafka and ClickHouse: none of them outlives what is said later."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest

from afterword import Client
from afterword_consumers.progress.receipts import ReceiptFinder
from afterword_schemas import Receipt, ReceiptStatus

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Pipeline

pytestmark = pytest.mark.services

ID = "019c12e9-8b3d-7000-8000-000000000001"
OTHER = "5f0e2f0a-0000-4000-8000-000000000001"
AHEAD = "2099-01-01T00:00:00.000Z"


@pytest.fixture
def client(pipeline: "Pipeline") -> Iterator[Client]:
    """The SDK, on the pipeline's topic."""
    with Client(pipeline.kafka.bootstrap_servers, topic=pipeline.topic, project="acme") as client:
        yield client


@pytest.fixture
def finder(pipeline: "Pipeline") -> Iterator[ReceiptFinder]:
    """The receipts of what the pipeline's workers do."""
    one = ReceiptFinder(
        pipeline.clickhouse.address,
        pipeline.kafka.bootstrap_servers,
        topic=pipeline.topic,
        group=pipeline.group,
    )
    yield one
    one.close()


def event(feedback_id: str = ID, **fields: Any) -> dict[str, Any]:
    """Return an event."""
    return {"feedback_id": feedback_id, "project": "acme", "trace_id": "t", "value": 1} | fields


def values(pipeline: "Pipeline") -> list[tuple[Any, ...]]:
    """Return the values that readers see."""
    return pipeline.select("SELECT value FROM feedback_current ORDER BY toUInt128(feedback_id)")


def test_what_a_wrong_clock_said_can_be_changed_and_taken_back(
    pipeline: "Pipeline", client: Client
) -> None:
    """In the same batch and in one after it; both are what the person said last."""
    pipeline.publish([event(updated_at=AHEAD), event(OTHER, updated_at=AHEAD)])
    client.update(ID, value=-1)
    assert client.flush() == 0
    pipeline.work_off(3)
    client.clear(OTHER)
    client.update(ID, value=-2)
    assert client.flush() == 0
    pipeline.work_off(2)
    assert values(pipeline) == [(-2,)]


def test_a_row_from_before_such_times_were_capped_gives_way(
    pipeline: "Pipeline", client: Client, finder: ReceiptFinder
) -> None:
    """An update and a clear win over it, also once ClickHouse has merged the rows."""
    pipeline.clickhouse.command(
        "INSERT INTO feedback (project, feedback_id, trace_id, source, value, weight, created_at, updated_at,"
        " is_deleted, kafka_topic, kafka_partition, kafka_offset) VALUES"
        f" ('acme', '{ID}', 't', 'explicit', 5, 1, '{AHEAD[:-1]}', '{AHEAD[:-1]}', 0, 'x', 0, 1000),"
        f" ('acme', '{OTHER}', 't', 'explicit', 5, 1, '{AHEAD[:-1]}', '{AHEAD[:-1]}', 0, 'x', 0, 1000)"
    )
    client.update(ID, value=-1)
    client.clear(OTHER)
    assert client.flush() == 0
    pipeline.work_off(2)
    assert values(pipeline) == [(-1,)]
    pipeline.clickhouse.command("OPTIMIZE TABLE feedback FINAL")
    assert values(pipeline) == [(-1,)]
    assert finder.find("acme", OTHER).cleared
    client.update(OTHER, value=2)
    assert client.flush() == 0
    pipeline.work_off(1)
    assert values(pipeline) == [(-1,), (2,)]


def test_what_is_too_old_to_be_kept_is_shown(pipeline: "Pipeline", finder: ReceiptFinder) -> None:
    """A clear and an update that came late say so in the receipt and the table, once each."""
    old = {"updated_at": "2026-01-01T00:00:00Z"}
    pipeline.publish([event(updated_at="2026-01-01T00:00:01Z"), event(OTHER)])
    pipeline.work_off(2)
    late = [{"feedback_id": each, "project": "acme"} | old for each in (ID, OTHER)]
    pipeline.publish([late[0] | {"op": "clear"}, late[1] | {"op": "patch", "value": 3}])
    assert pipeline.work_off(2).stats.rejected == 2

    for each in (ID, OTHER):
        receipt = finder.find("acme", each)
        assert (receipt.status, receipt.code, receipt.path, receipt.cleared) == (
            ReceiptStatus.REJECTED,
            "older_than_stored",
            "$.updated_at",
            False,
        )
    rejected = "SELECT feedback_id, code FROM feedback_rejected FINAL ORDER BY feedback_id"
    expected = [(UUID(ID), "older_than_stored"), (UUID(OTHER), "older_than_stored")]
    assert pipeline.select(rejected) == expected

    pipeline.group += "-again"  # everything is read again
    pipeline.work_off(4)
    assert pipeline.select(rejected) == expected
    assert values(pipeline) == [(1,), (1,)]


def test_a_change_that_is_read_again_is_never_too_old(
    pipeline: "Pipeline", finder: ReceiptFinder
) -> None:
    """Changes that newer ones followed were in time when they came first."""
    for second in range(3):
        time = {"updated_at": f"2026-01-01T00:00:0{second}Z"}
        change = {"feedback_id": ID, "project": "acme", "value": second} | time
        pipeline.publish([change | {"op": "patch"}, event(OTHER, **time)])
        pipeline.publish([{"feedback_id": OTHER, "project": "acme", "op": "clear"} | time])
    first = pipeline.work_off(9)
    pipeline.group += "-again"
    again = pipeline.work_off(9)
    assert (first.stats.rejected, again.stats.rejected) == (0, 0)
    assert values(pipeline) == [(2,)]
    assert finder.find("acme", OTHER) == Receipt(
        OTHER, ReceiptStatus.STORED, updated_at="2026-01-01T00:00:02.000Z", cleared=True
    )


def test_ids_of_two_hundred_months_in_one_batch_are_stored(pipeline: "Pipeline") -> None:
    """An id's time chooses the partition: no time in an id, however odd, stops the worker."""
    months = [1_421_280_000_000 + month * 2_629_800_000 for month in range(200)]
    odd = [0, 1, 1_420_070_399_999, 2_524_608_000_000, 4_102_444_800_000, 2**48 - 1]
    ids = [str(UUID(int=ms << 80 | 7 << 76 | 2 << 62 | 1)) for ms in months + odd]
    pipeline.publish([event(each) for each in ids])
    worker = pipeline.work_off(len(ids))
    assert (worker.stats.stored, worker.stats.retries) == (len(ids), 0)
    assert values(pipeline) == [(1,)] * len(ids)
    partitions = pipeline.select(
        "SELECT uniqExact(partition) FROM system.parts"
        " WHERE active AND database = currentDatabase() AND table = 'feedback'"
    )
    assert partitions == [(201,)]
