"""What every sink promises: the fake in memory, ClickHouse, and ClickHouse in a container."""

import uuid
from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Protocol

import pytest

from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.clickhouse.sink import ClickHouseSink
from afterword_consumers.ingest.path_index import PathSeen
from afterword_consumers.ingest.rejection import Rejection
from afterword_consumers.ingest.rows import (
    IS_DELETED,
    KAFKA_OFFSET,
    PROJECT,
    UPDATED_AT,
    VALUE,
    Key,
    Row,
    encode,
    key,
)
from afterword_consumers.ingest.sink import Sink
from afterword_consumers.testing import MemoryStore
from afterword_schemas import RejectCode
from afterword_schemas.migrate import migrate

ID = "019c12e9-8b3d-7000-8000-000000000001"
ROW: Row = [
    "acme", ID, "trace-1", "session-1", "span-1", "explicit",
    "user-7", "org", "prompt", "prod",
    4, 0.25,
    {"feedback.score": 0.1, "feedback.step1.retries": 3, "metrics.huge": 1.7976931348623157e308},
    {"feedback.rating": True, "feedback.gpt-4%2E1": False},
    {"feedback.comment": "día 👍\x00\"\\\n", "feedback.": "empty key", "feedback.date": "2026-01-31"},
    1769851800.125, 1769851800.126, 0, "feedback.events", "topic-id", 3, 41,
]  # fmt: skip
REJECTION = Rejection(
    topic="feedback.events",
    topic_id="topic-id",
    partition=2,
    offset=9,
    published_ms=1_769_851_800_125,
    rejected_ms=1_769_851_800_500,
    code=RejectCode.INVALID_UTF8,
    path="$",
    detail="byte 0 is not valid UTF-8",
    key=b"\xff\x00key",
    headers=((b"schema", b"feedback/v1"), (b"x", b"\xfe\x00"), (b"x", b"")),
    payload=bytes(range(256)) + b"\\n\\\\t\\0\r\n'",  # each byte, and what looks escaped already
)


class SinkHarness(Protocol):
    """A sink, and what a test reads back that a worker never does."""

    sink: Sink

    def current(self) -> list[tuple[object, ...]]:
        """Project, id and value of each row that was not cleared, in order."""

    def rejections(self) -> list[tuple[object, ...]]:
        """Place, code, path, detail, key, headers and payload of each, in order of offset."""

    def paths(self) -> list[tuple[object, ...]]:
        """Project, path and type of what the catalogue holds, each once, in order."""


class MemorySinkHarness:
    """The fake."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.sink: Sink = self.store

    def current(self) -> list[tuple[object, ...]]:
        """See `SinkHarness`."""
        return sorted((row[PROJECT], row[1], row[VALUE]) for row in self.store.current)

    def rejections(self) -> list[tuple[object, ...]]:
        """See `SinkHarness`."""
        return [
            (r.topic_id, r.partition, r.offset, str(r.code), r.path, r.detail, r.key,
             list(r.headers), r.payload)
            for _, r in sorted(self.store.rejections.items())
        ]  # fmt: skip

    def paths(self) -> list[tuple[object, ...]]:
        """See `SinkHarness`."""
        return sorted({(s.project, s.path, s.type) for s in self.store.paths_seen})


class ClickHouseSinkHarness:
    """ClickHouse, in a database of its own."""

    def __init__(self, host: str, port: int) -> None:
        name = f"contract_{uuid.uuid4().hex}"
        self._server = ClickHouse(ClickHouseAddress(host=host, port=port))
        self._server.command(f"CREATE DATABASE {name}")
        self._clickhouse = ClickHouse(ClickHouseAddress(host=host, port=port, database=name))
        migrate(self._clickhouse)
        self.sink: Sink = ClickHouseSink(self._clickhouse)

    def current(self) -> list[tuple[object, ...]]:
        """See `SinkHarness`."""
        return self._rows(
            "SELECT project, toString(feedback_id), value FROM feedback_current ORDER BY ALL"
        )

    def rejections(self) -> list[tuple[object, ...]]:
        """See `SinkHarness`."""
        rows = self._rows(
            "SELECT topic_id, kafka_partition, kafka_offset, code, path, detail, hex(message_key),"
            " arrayMap(h -> (hex(h.1), hex(h.2)), headers), hex(payload)"
            " FROM feedback_rejected FINAL ORDER BY ALL"
        )
        return [
            (*row[:6], bytes.fromhex(str(row[6])), _headers(row[7]), bytes.fromhex(str(row[8])))
            for row in rows
        ]

    def paths(self) -> list[tuple[object, ...]]:
        """See `SinkHarness`."""
        return self._rows("SELECT project, path, type FROM feedback_paths FINAL ORDER BY ALL")

    def close(self) -> None:
        """Drop the database."""
        self._clickhouse.command(f"DROP DATABASE {self._clickhouse.address.database} SYNC")
        self._clickhouse.close()
        self._server.close()

    def _rows(self, sql: str) -> list[tuple[object, ...]]:
        return [tuple(row) for row in self._clickhouse.select(sql)]


def _headers(pairs: object) -> list[tuple[bytes, bytes]]:
    assert isinstance(pairs, list)
    return [(bytes.fromhex(name), bytes.fromhex(value)) for name, value in pairs]


@pytest.fixture(
    params=[
        "memory",
        pytest.param("real", marks=pytest.mark.services),
        pytest.param("docker", marks=pytest.mark.docker),
    ]
)
def harness(request: pytest.FixtureRequest) -> Iterator[SinkHarness]:
    """Each kind of sink in turn."""
    if request.param == "memory":
        yield MemorySinkHarness()
        return
    if request.param == "real":
        node = request.getfixturevalue("clickhouse")
        host, port = node.host, node.port
    else:
        host, port = request.getfixturevalue("clickhouse_container")
    on_clickhouse = ClickHouseSinkHarness(host, port)
    yield on_clickhouse
    on_clickhouse.close()


def row(**columns: object) -> Row:
    """Return ROW with other values in some columns, named in lower case."""
    places = {"project": 0, "feedback_id": 1, "value": VALUE, "updated_at": UPDATED_AT,
              "is_deleted": IS_DELETED, "kafka_offset": KAFKA_OFFSET}  # fmt: skip
    made = list(ROW)
    for name, value in columns.items():
        made[places[name]] = value
    return made


def stored(harness: SinkHarness, keys: Collection[Key]) -> dict[Key, Row]:
    """Return the stored rows of keys, each of which came once."""
    rows = list(harness.sink.stored(keys))
    by_key = {key(row): row for row in rows}
    assert len(by_key) == len(rows)
    return by_key


def test_a_row_comes_back_as_it_went_in(harness: SinkHarness) -> None:
    """Every column of a stored row reads back equal, odd text and extreme numbers included."""
    harness.sink.insert_feedback(encode(ROW), "t1")
    assert stored(harness, [("acme", ID)]) == {("acme", ID): ROW}


def test_only_rows_of_the_asked_keys_come_back(harness: SinkHarness) -> None:
    """The same id in another project is another row, and an unknown key is left out."""
    harness.sink.insert_feedback(encode(ROW) + encode(row(project="other", value=-3)), "t1")
    asked = [("other", ID), ("acme", "019c12e9-8b3d-7000-8000-000000000002")]
    assert stored(harness, asked) == {("other", ID): row(project="other", value=-3)}
    assert stored(harness, []) == {}


def test_the_same_insert_again_changes_nothing(harness: SinkHarness) -> None:
    """Rows sent twice, under the same token or another, count once."""
    for token in ("t1", "t1", "t2"):
        harness.sink.insert_feedback(encode(ROW), token)
    assert harness.current() == [("acme", ID, 4)]


def test_the_newer_row_wins_whatever_comes_last(harness: SinkHarness) -> None:
    """A row with an older time, inserted later, does not replace a newer one."""
    newer = row(value=9, updated_at=1769851900.0)
    harness.sink.insert_feedback(encode(newer), "t1")
    harness.sink.insert_feedback(encode(ROW), "t2")
    assert stored(harness, [("acme", ID)]) == {("acme", ID): newer}
    assert harness.current() == [("acme", ID, 9)]


def test_of_two_rows_of_one_time_the_later_wins(harness: SinkHarness) -> None:
    """Two states of one millisecond, in one insert or in two: the one inserted last is current."""
    second, third = row(value=5, kafka_offset=42), row(value=6, kafka_offset=43)
    harness.sink.insert_feedback(encode(ROW) + encode(second), "t1")
    assert harness.current() == [("acme", ID, 5)]
    harness.sink.insert_feedback(encode(third), "t2")
    assert harness.current() == [("acme", ID, 6)]
    assert stored(harness, [("acme", ID)]) == {("acme", ID): third}


def test_of_two_rows_of_one_time_the_later_in_the_topic_wins_whatever_comes_last(
    harness: SinkHarness,
) -> None:
    """A worker that lost its partition may insert an old row after its successor's new one."""
    new, old = row(), row()
    new[VALUE], new[KAFKA_OFFSET] = 9, 42
    old[VALUE], old[KAFKA_OFFSET] = -9, 41

    harness.sink.insert_feedback(encode(new), "new")
    harness.sink.insert_feedback(encode(old), "old")

    assert harness.current() == [("acme", ID, 9)]
    assert stored(harness, [("acme", ID)])["acme", ID][VALUE] == 9


def test_a_tombstone_is_stored_but_not_current(harness: SinkHarness) -> None:
    """A cleared event is gone for readers and still there for a patch to find."""
    tombstone = row(is_deleted=1, updated_at=1769851900.0)
    harness.sink.insert_feedback(encode(ROW), "t1")
    harness.sink.insert_feedback(encode(tombstone), "t2")
    harness.sink.insert_feedback(encode(ROW), "t3")
    assert harness.current() == []
    assert stored(harness, [("acme", ID)]) == {("acme", ID): tombstone}


def test_many_keys_are_looked_up_at_once(harness: SinkHarness) -> None:
    """120,000 keys, more than one query asks for, and all 12,000 rows come back."""
    ids = [f"019c12e9-8b3d-7000-8000-{number:012x}" for number in range(120_000)]
    lines = b"".join(encode(row(feedback_id=id_)) for id_ in ids[::10])
    harness.sink.insert_feedback(lines, "t1")
    assert len(stored(harness, [("acme", id_) for id_ in ids])) == 12_000


def test_a_reader_of_stored_rows_may_stop_early(harness: SinkHarness) -> None:
    """After the first of many rows the others are left, and the next question is answered whole."""
    keys = [("acme", f"019c12e9-8b3d-7000-8000-{number:012x}") for number in range(5_000)]
    lines = b"".join(encode(row(feedback_id=id_)) for _, id_ in keys)
    harness.sink.insert_feedback(lines, "t1")

    rows = harness.sink.stored(keys)
    first = next(rows)
    rows.close()

    assert key(first) in keys
    assert len(stored(harness, keys)) == 5_000


def test_projects_and_versions_of_ids_do_not_mix(harness: SinkHarness) -> None:
    """Each key gets its own row, among projects of like names, ids of all kinds and many parts."""
    kinds = ("019c12e9-8b3d-7000-8000-00000000000f", "f19c12e9-8b3d-4000-8000-000000000001",
             "00000000-0000-0000-0000-000000000000", "ffffffff-ffff-ffff-ffff-ffffffffffff")  # fmt: skip
    keys = [(project, id_) for project in ("a", "A", "a.b-c_d", "a" * 64) for id_ in kinds]
    for number, (project, id_) in enumerate(keys):
        made = row(project=project, feedback_id=id_, value=number % 10, kafka_offset=number)
        harness.sink.insert_feedback(encode(made), f"t{number}")
    assert {key: made[KAFKA_OFFSET] for key, made in stored(harness, keys).items()} == {
        key: number for number, key in enumerate(keys)
    }


def test_a_rejection_is_kept_byte_for_byte_and_once(harness: SinkHarness) -> None:
    """Bytes that are no UTF-8 survive in key, headers and payload; sent again they count once."""
    harness.sink.insert_rejections([REJECTION, replace(REJECTION, offset=10, key=b"", headers=())])
    harness.sink.insert_rejections([REJECTION])
    told = ("invalid_utf8", "$", "byte 0 is not valid UTF-8")
    headers = [(b"schema", b"feedback/v1"), (b"x", b"\xfe\x00"), (b"x", b"")]
    assert harness.rejections() == [
        ("topic-id", 2, 9, *told, b"\xff\x00key", headers, REJECTION.payload),
        ("topic-id", 2, 10, *told, b"", [], REJECTION.payload),
    ]


def test_a_path_is_catalogued_once_for_each_type(harness: SinkHarness) -> None:
    """The same path seen twice is one entry, and with another type a second one."""
    harness.sink.insert_paths_seen(
        [
            PathSeen("acme", "feedback.rating", "boolean", 1_769_851_800_000, "true"),
            PathSeen("acme", "feedback.rating", "string", 1_769_851_800_000, "👍\x00"),
        ]
    )
    harness.sink.insert_paths_seen(
        [PathSeen("acme", "feedback.rating", "boolean", 1_769_851_900_000, "false")]
    )
    assert harness.paths() == [
        ("acme", "feedback.rating", "boolean"),
        ("acme", "feedback.rating", "string"),
    ]
