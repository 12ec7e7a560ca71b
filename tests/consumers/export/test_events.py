"""JSONL: events that make the same rows when they are published again."""

import json
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from tests.examples import on_services

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.export import export_events, parse_selection
from afterword_consumers.ingest.rows import COLUMNS
from afterword_schemas import read_event
from afterword_schemas.testing import events

pytestmark = pytest.mark.services

Say = Callable[..., None]
Publish = Callable[[Sequence[bytes]], None]
ID = "5f0e2f0a-0000-4000-8000-00000000000"


def export(stored: ClickHouse, now: datetime, **selected: Any) -> list[bytes]:
    """Return the lines of an export."""
    pieces = list(export_events(parse_selection(now, **selected), stored))
    lines = b"".join(piece.data for piece in pieces).splitlines()
    assert sum(piece.rows for piece in pieces) == len(lines)
    return lines


def rows(stored: ClickHouse) -> list[tuple[object, ...]]:
    """Return the current rows without where and when they came from."""
    unread = {"topic_id", "is_deleted"}
    told = [name for name in COLUMNS if not name.startswith("kafka_") and name not in unread]
    maps = {"numbers", "booleans", "strings"}
    columns = ", ".join(f"mapSort({name})" if name in maps else name for name in told)
    found = stored.query(
        f"SELECT {columns} FROM feedback_current ORDER BY project, toUInt128(feedback_id)"
    )
    return [tuple(map(str, row)) for row in found.rows]


def test_a_line_is_the_event(say: Say, stored: ClickHouse, now: datetime) -> None:
    """Documents nested as they were, columns under the names they came by, times in full."""
    said = {"edits": [{"value": "Oslo"}, {"value": 3}], "gpt-4.1": {"50%": True}}
    say(
        {
            "session_id": "s",
            "source": "implicit",
            "value": -1,
            "weight": 0.25,
            "feedback": said,
            "metadata": {"_user": 7, "_prompt": "v1", "model": "m"},
            "metrics": {"expert": {"score": 0.5}},
        }
    )
    (line,) = export(stored, now)
    assert json.loads(line) == {
        "feedback_id": f"{ID}1",
        "project": "acme",
        "trace_id": "t",
        "session_id": "s",
        "source": "implicit",
        "value": -1,
        "weight": 0.25,
        "feedback": said,
        "metadata": {"_user": "7", "_prompt": "v1", "model": "m"},
        "metrics": {"expert": {"score": 0.5}},
        "created_at": "2026-01-31T09:30:00.000Z",
        "updated_at": "2026-01-31T09:30:00.125Z",
    }


def test_only_the_latest_state_is_exported(say: Say, stored: ClickHouse, now: datetime) -> None:
    """What was taken back is not there, and what was patched is whole."""
    later = {"updated_at": "2026-02-01T00:00:00Z"}
    say({"value": 1, "feedback": {"a": 1}}, {"value": 2}, {"value": 3})
    say(
        {"op": "patch", "feedback": {"b": 2}, **later},
        {"op": "clear", **later},
        {"value": 5, **later},
    )
    first, third = map(json.loads, export(stored, now))
    assert (first["value"], first["feedback"]) == (1, {"a": 1, "b": 2})
    assert (third["feedback_id"], third["value"]) == (f"{ID}3", 5)


def test_what_patches_alone_have_made_is_a_patch(
    say: Say, stored: ClickHouse, now: datetime
) -> None:
    """A whole event would be refused without a target, or with nothing said."""
    say(
        {"op": "patch", "trace_id": None, "feedback": {"a": 1}},
        {"op": "patch", "metadata": {"model": "m"}},
        {"op": "patch", "feedback": {"a": 1}},
    )
    lines = export(stored, now)
    assert [json.loads(line).get("op") for line in lines] == ["patch", "patch", None]
    for line in lines:
        read_event(line)


@on_services
@given(said=st.lists(events(), min_size=1, max_size=4))
def test_publishing_an_export_makes_the_same_rows(
    stored: ClickHouse, publish: Publish, now: datetime, said: list[dict[str, Any]]
) -> None:
    """Of any events, patches and clears among them, whatever their keys, numbers and depth."""
    assume(len({event["feedback_id"] for event in said}) == len(said))
    stored.command("TRUNCATE TABLE feedback")
    publish([json.dumps(event).encode() for event in said])
    before, lines = rows(stored), export(stored, now)
    stored.command("TRUNCATE TABLE feedback")
    if lines:
        publish(lines)
    assert rows(stored) == before


def test_publishing_an_export_again_undoes_nothing(
    say: Say, publish: Publish, stored: ClickHouse, now: datetime
) -> None:
    """Its times are the events' own: what was said since is newer."""
    say({"value": 1}, {"value": 2})
    lines = export(stored, now)
    say({"value": 5, "updated_at": "2026-02-01T00:00:00Z"})
    before = rows(stored)
    publish(lines)
    assert rows(stored) == before


def test_lines_are_in_order_of_project_and_id(
    publish: Publish, stored: ClickHouse, now: datetime
) -> None:
    """Whatever the order of arrival and the parts they lie in: the same state is the same bytes."""
    for number in (3, 1, 4, 2):
        fields = {"feedback_id": f"{ID}{number}", "trace_id": f"t{9 - number}", "value": 1}
        publish([json.dumps({**fields, "project": name}).encode() for name in ("bank", "acme")])
    lines = export(stored, now)
    keys = [(event["project"], event["feedback_id"][-1]) for event in map(json.loads, lines)]
    assert keys == [(name, number) for name in ("acme", "bank") for number in "1234"]
    stored.command("OPTIMIZE TABLE feedback FINAL")
    assert export(stored, now) == lines
