"""From an event to its row: defaults, reserved metadata, tombstones, and the wire."""

import math
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword_consumers.ingest.rows import (
    BOOLEANS,
    COLUMNS,
    CREATED_AT,
    IS_DELETED,
    NUMBERS,
    STRINGS,
    UPDATED_AT,
    USER_ID,
    VALUE,
    WEIGHT,
    Row,
    decode,
    encode,
    published,
    to_row,
)
from afterword_consumers.testing import MemoryMessage
from afterword_schemas import read_event

V4 = "5F0E2F0A-0000-4000-8000-000000000001"
V7 = "019c12e9-8b3d-7000-8000-000000000001"  # of 2026-01-31T07:17:01.373Z
PUBLISHED_MS = 1_767_225_600_125
NOW_MS = 1_800_000_000_000


def make(published_ms: int = PUBLISHED_MS, **fields: Any) -> Row:
    """Return the row of an event published at a time."""
    event = {"feedback_id": V4, "project": "acme", "trace_id": "t", "value": 4} | fields
    raw = orjson.dumps({name: value for name, value in event.items() if value is not None})
    message = MemoryMessage("feedback.events", 3, 41, None, raw, (), published_ms)
    return to_row(*read_event(raw), message, "topic-id", published(message, NOW_MS))


def test_a_whole_event_fills_every_column() -> None:
    """Each field stands in its column, each leaf in the map of its type."""
    row = make(
        session_id="s",
        span_id="p",
        source="implicit",
        value=-10,
        weight=0.5,
        feedback={"rating": True, "score": 0.5, "edits": [{"value": "Oslo"}]},
        metadata={"_user": "u", "_organisation": "o", "_prompt": "p1", "_environment": "e", "m": 1},
        metrics={"judge": {"ok": False}},
        created_at="2026-01-01T01:00:00.5+01:00",
        updated_at="2026-01-01T00:00:01.001Z",
    )
    assert dict(zip(COLUMNS, row, strict=True)) == {
        "project": "acme",
        "feedback_id": "5f0e2f0a-0000-4000-8000-000000000001",
        "trace_id": "t",
        "session_id": "s",
        "span_id": "p",
        "source": "implicit",
        "user_id": "u",
        "organisation": "o",
        "prompt": "p1",
        "environment": "e",
        "value": -10,
        "weight": 0.5,
        "numbers": {"feedback.score": 0.5, "metadata.m": 1},
        "booleans": {"feedback.rating": True, "metrics.judge.ok": False},
        "strings": {"feedback.edits.0.value": "Oslo"},
        "created_at": 1767225600.5,
        "updated_at": 1767225601.001,
        "is_deleted": 0,
        "kafka_topic": "feedback.events",
        "topic_id": "topic-id",
        "kafka_partition": 3,
        "kafka_offset": 41,
    }


def test_times_default_to_when_the_message_was_published() -> None:
    """Without times of its own, and with an id that tells none, an event is as old as its message."""
    row = make()
    assert (row[CREATED_AT], row[UPDATED_AT]) == (1767225600.125, 1767225600.125)


def test_a_version_7_id_tells_when_the_feedback_was_given() -> None:
    """Its own time is the default of created_at; updated_at stays the message's."""
    row = make(1_769_900_000_000, feedback_id=V7)
    assert (row[CREATED_AT], row[UPDATED_AT]) == (1769843821.373, 1769900000.0)


@pytest.mark.parametrize(
    "time",
    ["ffffffff-ffff", "ee6b2800-0000", "00000000-0000", "014a9cdf-c7ff", "019c12e9-8b3d"],
    ids=["year 10889", "year 10252", "1970", "the end of 2014", "30 days ahead"],
)
def test_an_id_of_an_odd_time_tells_nothing(time: str) -> None:
    """The event is taken, for an id is an identity first; it is as old as its message."""
    assert make(feedback_id=f"{time}-7000-8000-000000000001")[CREATED_AT] == 1767225600.125


def test_a_time_ahead_of_the_message_becomes_the_messages() -> None:
    """A clock that is a day ahead, or a century, does not outlive what is said after it."""
    row = make(created_at="2026-01-02T00:00:00Z", updated_at="2099-01-01T00:00:00Z")
    assert (row[CREATED_AT], row[UPDATED_AT]) == (1767225600.125, 1767225600.125)
    row = make(created_at="2026-01-01T00:05:00.125Z", updated_at="2026-01-01T00:05:00.126Z")
    assert (row[CREATED_AT], row[UPDATED_AT]) == (1767225900.125, 1767225600.125)


@pytest.mark.parametrize("published_ms", [-1, 0, 1_420_070_399_999, 4_102_444_800_000, 2**62])
def test_a_message_of_an_impossible_time_counts_as_published_now(published_ms: int) -> None:
    """A producer's broken clock cannot write a time that no event may carry."""
    assert make(published_ms)[UPDATED_AT] == 1_800_000_000.0


def test_a_message_without_a_time_counts_as_published_now() -> None:
    """Kafka's kind 0 means that there is none."""

    class Timeless(MemoryMessage):
        def timestamp(self) -> tuple[int, int]:
            return 0, -1

    message = Timeless("feedback.events", 0, 0, None, b"", (), 0)
    assert published(message, NOW_MS) == NOW_MS


def test_reserved_metadata_may_be_integers() -> None:
    """Portkey's users are often numbers: they become text in the column and leave the map."""
    row = make(metadata={"_user": 42, "_organisation": 0, "_prompt": -7, "_environment": 2**63})
    assert row[USER_ID : USER_ID + 4] == ["42", "0", "-7", "9223372036854775808"]
    assert row[NUMBERS] == {}


def test_an_empty_or_absent_user_is_none() -> None:
    """Empty text and null are the same as nothing, and leave no path either."""
    row = make(metadata={"_user": "", "_prompt": None})
    assert row[USER_ID : USER_ID + 4] == ["", "", "", ""]
    assert row[STRINGS] == {}


def test_a_clear_makes_a_tombstone() -> None:
    """It has an identity and a time, and nothing of the event."""
    row = make(op="clear", value=None, trace_id=None)
    assert (row[IS_DELETED], row[VALUE], row[WEIGHT]) == (1, None, 1.0)
    assert row[NUMBERS] == row[BOOLEANS] == row[STRINGS] == {}


def test_a_value_written_with_a_point_is_whole_in_the_row() -> None:
    """The column is an Int8: 4.0 must arrive as 4, and zero is a value."""
    assert orjson.loads(encode(make(value=4.0)))[VALUE] == 4
    assert b"4.0" not in encode(make(value=4.0))
    assert make(value=0, weight=0)[VALUE : WEIGHT + 1] == [0, 0]


_TEXT = st.text(st.characters(exclude_categories=["Cs"]))


@given(
    strings=st.dictionaries(_TEXT, _TEXT),
    numbers=st.dictionaries(_TEXT, st.floats(allow_nan=False, allow_infinity=False)),
)
def test_a_row_survives_the_wire(strings: dict[str, str], numbers: dict[str, float]) -> None:
    """What is encoded is one line, and decodes to the same row."""
    row = make()
    row[STRINGS], row[NUMBERS] = strings, numbers
    line = encode(row)
    assert line.count(b"\n") == 1
    assert decode(line) == row
    assert all(
        math.copysign(1, a) == math.copysign(1, b)
        for a, b in zip(decode(line)[NUMBERS].values(), numbers.values(), strict=True)
    )
