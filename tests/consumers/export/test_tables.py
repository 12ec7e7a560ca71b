"""CSV with a column for each path, Parquet with typed maps; both read back by others."""

import csv
import io
import tracemalloc
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow.parquet
import pytest

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.export import (
    Piece,
    export_csv,
    export_events,
    export_parquet,
    parse_selection,
    tables,
)
from afterword_consumers.query import QuestionError, Table
from afterword_schemas import RetryableError

pytestmark = pytest.mark.services

Say = Callable[..., None]
FIXED = [
    *("feedback_id", "project", "trace_id", "session_id", "span_id", "source"),
    *("user_id", "organisation", "prompt", "environment", "value", "weight"),
    *("created_at", "updated_at", "ingested_at"),
]


def read_csv(stored: ClickHouse, now: datetime, **selected: Any) -> list[dict[str, str]]:
    """Return the rows of an export as a program reads them."""
    pieces = export_csv(parse_selection(now, **selected), stored)
    text = b"".join(piece.data for piece in pieces).decode()
    return list(csv.DictReader(io.StringIO(text, newline="")))


def test_a_csv_has_columns_then_paths(say: Say, stored: ClickHouse, now: datetime) -> None:
    """A path of several types is one column, missing is empty, texts are as they were."""
    say(
        {"value": 3, "feedback": {"rating": True, "note": 'a "b",\nc'}, "metadata": {"_user": "u"}},
        {"feedback": {"rating": "good", "score": 0.1}, "weight": 0.5},
        {"feedback": {"score": 1e300}},
    )
    first, second, third = read_csv(stored, now)
    assert list(first) == [*FIXED, "feedback.note", "feedback.rating", "feedback.score"]
    assert (first["value"], first["user_id"], first["weight"]) == ("3", "u", "1")
    assert first["created_at"] == "2026-01-31T09:30:00.000Z"
    assert (first["feedback.note"], first["feedback.rating"]) == ('a "b",\nc', "true")
    assert (second["feedback.rating"], second["feedback.score"]) == ("good", "0.1")
    assert (second["value"], second["feedback.note"], second["weight"]) == ("", "", "0.5")
    assert float(third["feedback.score"]) == 1e300


def test_a_carriage_return_tears_no_line(say: Say, stored: ClickHouse, now: datetime) -> None:
    """A comment with any end of a line is one field, for readers that take each for an end too."""
    say({"feedback": {"comment": "one\rtwo", "name\r": "a\r\nb\n"}})
    pieces = export_csv(parse_selection(now), stored)
    text = b"".join(piece.data for piece in pieces).decode()
    ((first, second),) = [
        (row["feedback.comment"], row["feedback.name\n"])
        for row in csv.DictReader(io.StringIO(text, newline=None))
    ]
    assert (first, second) == ("one\ntwo", "a\nb\n")
    assert read_csv(stored, now)[0]["feedback.comment"] == "one\rtwo"


def test_paths_of_other_feedback_get_no_column(say: Say, stored: ClickHouse, now: datetime) -> None:
    """A narrow selection makes a narrow table; an empty one a header."""
    say({"feedback": {"a": 1}}, {"feedback": {"b": 1}}, {"feedback": {"c": 1}, "project": "bank"})
    assert list(read_csv(stored, now, project="bank")[0])[len(FIXED) :] == ["feedback.c"]
    pieces = list(export_csv(parse_selection(now, project="none"), stored))
    assert b"".join(piece.data for piece in pieces).decode().rstrip("\n").split(",") == FIXED


def test_a_table_of_too_many_columns_is_refused(
    say: Say, stored: ClickHouse, now: datetime, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Before anything is written, with what to do."""
    monkeypatch.setattr(tables, "MAX_CSV_PATHS", 2)
    say({"feedback": {"a": 1, "b": 1}})
    assert len(read_csv(stored, now)) == 1
    say({"feedback": {"a": 1, "b": 1, "c": 1}})
    with pytest.raises(QuestionError, match="--format parquet"):
        read_csv(stored, now)


@dataclass
class ConcurrentlyWrittenDatabase:
    """A database to which something is written between the two queries of an export."""

    database: ClickHouse
    meddle: Callable[[], None]

    def query(self, sql: str, parameters: Mapping[str, Any], settings: Mapping[str, Any]) -> Table:
        """See `Database`."""
        return self.database.query(sql, parameters, settings)

    def stream(
        self, sql: str, parameters: Mapping[str, Any], settings: Mapping[str, Any], form: str
    ) -> Generator[bytes, None, None]:
        """See `StreamingDatabase`."""
        self.meddle()
        return self.database.stream(sql, parameters, settings, form)


def test_a_path_that_comes_meanwhile_is_no_silent_gap(
    say: Say, stored: ClickHouse, now: datetime
) -> None:
    """The header is written by then: the export fails rather than leave the value out."""
    say({"feedback": {"a": 1}})
    meddled = ConcurrentlyWrittenDatabase(
        stored, lambda: say({"feedback": {"a": 1}}, {"feedback": {"b": 1}})
    )
    with pytest.raises(RetryableError, match="write it again"):
        list(export_csv(parse_selection(now), meddled))


def test_parquet_has_typed_columns_and_maps(
    say: Say, stored: ClickHouse, now: datetime, tmp_path: Path
) -> None:
    """Ids are text, times are UTC times, and each type of a path is in a map of its own."""
    say(
        {"value": 3, "feedback": {"rating": True, "n": 2}},
        {"feedback": {"rating": "good"}},
        {"feedback": {"rating": False}, "project": "bank"},
    )
    path = tmp_path / "all.parquet"
    selection = parse_selection(now, where=("feedback_id != 5f0e2f0a-0000-4000-8000-000000000003",))
    path.write_bytes(b"".join(p.data for p in export_parquet(selection, stored)))
    found = pyarrow.parquet.read_table(path)
    assert found.column_names == [*FIXED, "numbers", "booleans", "strings"]
    first, second = found.to_pylist()
    assert (first["feedback_id"], first["value"]) == ("5f0e2f0a-0000-4000-8000-000000000001", 3)
    assert first["created_at"] == datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    assert (first["numbers"], first["booleans"]) == (
        [("feedback.n", 2.0)],
        [("feedback.rating", True)],
    )
    assert (second["value"], second["strings"]) == (None, [("feedback.rating", "good")])


def generate(stored: ClickHouse, rows: int) -> None:
    """Write rows that a worker could have written."""
    stored.command("TRUNCATE TABLE feedback")
    stored.command(
        "INSERT INTO feedback (project, feedback_id, trace_id, source, weight, numbers, strings, "
        "created_at, updated_at, kafka_offset) SELECT 'acme', generateUUIDv7(number), 't', 'explicit', "
        "1, map('feedback.score', number), map('feedback.comment', repeat('ü', 200)), now64(), now64(), "
        f"number FROM numbers({rows})"
    )


def peak_bytes(pieces: Generator[Piece, None, None] | Any) -> tuple[int, int]:
    """Return the most memory that Python held while pieces passed, and how many rows they were."""
    tracemalloc.start()
    rows = sum(piece.data.count(b"\n") for piece in pieces)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most, rows


@pytest.mark.parametrize("export", [export_csv, export_events])
def test_memory_does_not_grow_with_what_is_exported(
    stored: ClickHouse, now: datetime, export: Callable[..., Any]
) -> None:
    """Ten times the rows, some 25 MB of text, and not a MiB more is held."""
    generate(stored, 5_000)
    few, rows = peak_bytes(export(parse_selection(now), stored))
    assert rows in {5_000, 5_001}
    generate(stored, 50_000)
    many, rows = peak_bytes(export(parse_selection(now), stored))
    assert rows in {50_000, 50_001}
    assert many - few < 2**20
