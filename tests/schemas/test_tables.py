"""The tables of `0001_tables.sql` on a real engine: where a row lies, and what replaces it."""

from collections.abc import Iterator
from typing import Any
from uuid import UUID

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

from afterword_schemas.migrate import migrations
from afterword_stack.local.clickhouse import ClickHouseNode

pytestmark = pytest.mark.services


@pytest.fixture
def client(clickhouse: ClickHouseNode, database: str) -> Iterator[Client]:
    """A database with the tables of the first migration."""
    with clickhouse_connect.get_client(
        host=clickhouse.host, port=clickhouse.port, database=database
    ) as client:
        for statement in migrations()[0].sql:
            client.command(statement)
        yield client


def uuid7(ms: int, tail: int = 0) -> str:
    """Write a version 7 UUID of a time in milliseconds since 1970."""
    return str(UUID(int=ms << 80 | 7 << 76 | 2 << 62 | tail))


def put(client: Client, feedback_id: str, **change: Any) -> None:
    """Insert one row."""
    row: dict[str, Any] = {"project": "p", "feedback_id": feedback_id, "updated_at": 0} | change
    client.insert("feedback", [list(row.values())], column_names=list(row))


@pytest.mark.parametrize(
    ("feedback_id", "partition"),
    [
        (uuid7(1_769_851_800_000), "202601"),
        (uuid7(1_769_903_999_999), "202601"),
        (uuid7(1_769_904_000_000), "202602"),
        (uuid7(1_420_070_400_000), "201501"),
        (uuid7(1_420_070_399_999), "0"),
        (uuid7(2_524_607_999_999), "204912"),
        (uuid7(2_524_608_000_000), "0"),
        (uuid7(0), "0"),
        (uuid7(2**48 - 1), "0"),
        ("9b3d0f8a-1c2d-4e5f-8a7b-0123456789ab", "0"),
        ("00000000-0000-0000-0000-000000000000", "0"),
        ("ffffffff-ffff-ffff-ffff-ffffffffffff", "0"),
        ("1ec9414c-232a-6b00-b3c8-9e6bdeced846", "0"),
    ],
)
def test_row_lies_in_the_month_of_its_id(client: Client, feedback_id: str, partition: str) -> None:
    """The month is the id's own, in UTC; any other UUID, or an odd time, is in partition 0."""
    put(client, feedback_id)
    found = client.query("SELECT _partition_id FROM feedback").result_rows
    assert found == [(partition,)]


def test_identity_is_project_and_id_alone(client: Client) -> None:
    """The same feedback of another day, trace or user replaces itself; another project's does not."""
    first = uuid7(1_769_851_800_000)
    put(client, first, trace_id="t1", created_at=1_000, updated_at=1_000)
    put(client, first, trace_id="t2", created_at=90_000_000, updated_at=90_000_000)
    put(client, first, trace_id="old", updated_at=500)
    put(client, first, project="q", trace_id="t3")
    rows = client.query("SELECT project, trace_id FROM feedback FINAL ORDER BY project").result_rows
    assert rows == [("p", "t2"), ("q", "t3")]


def test_tombstone_hides_what_is_older(client: Client) -> None:
    """A `clear` takes the feedback back; a newer event brings it again."""
    cleared, given_again = uuid7(1_769_851_800_000), uuid7(1_769_851_800_001)
    for feedback_id in (cleared, given_again):
        put(client, feedback_id, updated_at=1)
        put(client, feedback_id, updated_at=2, is_deleted=1)
    put(client, given_again, updated_at=3)
    rows = client.query("SELECT toString(feedback_id) FROM feedback FINAL").result_rows
    assert rows == [(given_again,)]


def test_rows_are_in_order_of_time(client: Client) -> None:
    """As a number, version 7 sorts by its time, whatever its random bits."""
    ids = [uuid7(1_769_851_800_000 + n, tail=(97 * n) % 101) for n in range(20)]
    client.insert("feedback", [["p", each] for each in reversed(ids)], ["project", "feedback_id"])
    rows = client.query("SELECT toString(feedback_id) FROM feedback").result_rows
    assert [each for (each,) in rows] == ids
    (order,) = client.query(
        "SELECT sorting_key FROM system.tables WHERE database = currentDatabase() AND name = 'feedback'"
    ).result_rows
    assert order == ("project, toUInt128(feedback_id)",)


def test_missing_path_is_null(client: Client) -> None:
    """An aggregate passes over rows that lack the path."""
    put(client, uuid7(1), numbers={"feedback.score": 0.5})
    put(client, uuid7(2), numbers={})
    rows = client.query("SELECT avg(numbers['feedback.score']) FROM feedback").result_rows
    assert rows == [(0.5,)]


def test_rejection_redelivered_after_its_replay_stays_replayed(client: Client) -> None:
    """The row of the replay wins over the one that comes again."""
    columns = ["topic_id", "kafka_partition", "kafka_offset", "payload"]
    client.insert("feedback_rejected", [["t", 0, 7, b"\xff"]], columns)
    client.insert("feedback_rejected", [["t", 0, 7, b"\xff", 5]], [*columns, "replayed_at"])
    client.insert("feedback_rejected", [["t", 0, 7, b"\xff"]], columns)
    rows = client.query(
        "SELECT toUnixTimestamp64Milli(replayed_at), hex(payload) FROM feedback_rejected FINAL"
    ).result_rows
    assert rows == [(5, "FF")]


def test_acknowledged_rows_survive_a_power_cut(client: Client) -> None:
    """In every table that workers write: rows without their catalogue would be left out of answers."""
    for migration in migrations()[1:]:
        for statement in migration.sql:
            client.command(statement)
    found = client.query(
        "SELECT name FROM system.tables WHERE database = currentDatabase() "
        "AND engine_full LIKE '%fsync_after_insert = 1%fsync_part_directory = 1%' ORDER BY name"
    ).result_rows
    assert found == [("feedback",), ("feedback_paths",), ("feedback_rejected",)]
