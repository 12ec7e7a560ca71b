"""Exactness: reading messages again, as after a crash, changes nothing in the store."""

from datetime import UTC, datetime
from typing import Any

import orjson
from hypothesis import example, given
from hypothesis import strategies as st
from tests.consumers.written import write

from afterword_consumers.ingest.batch import Batch
from afterword_consumers.ingest.path_index import PathIndex
from afterword_consumers.ingest.rows import IS_DELETED, KAFKA_TOPIC, UPDATED_AT, Row, encode, to_row
from afterword_consumers.testing import MemoryBroker, MemoryMessage, MemoryStore
from afterword_schemas import read_event

ID = "5f0e2f0a-0000-4000-8000-000000000001"
Event = dict[str, Any]

_LEAVES = st.sampled_from([True, 1, 2, "a", {"p": 1}, {"q": 2, "p": {"r": 3}}, [1], [2, 3], []])
_YEARS = st.sampled_from([None, 2026, 2099])
NEW_YEAR_MS = 1_767_225_600_000
_CONTENT = st.dictionaries(st.sampled_from(["x", "y", "z"]), _LEAVES, max_size=2)


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Draw an event of one id, with times that need not fit its place in the sequence."""
    event: Event = {"op": draw(st.sampled_from(["set", "patch", "patch", "clear"]))}
    event["published_s"] = draw(st.sampled_from([0, 1, 3, 6, 1000]))
    event["updated_at"] = draw(
        st.integers(0, 6).map("2026-01-01T00:00:0{}Z".format) | st.just("2099-01-01T00:00:00Z")
    )
    if event["op"] == "clear":
        return event
    event |= {"trace_id": "t", "feedback": draw(_CONTENT)}
    event |= draw(
        st.fixed_dictionaries(
            {},
            optional={
                "value": st.integers(1, 3),
                "weight": st.sampled_from([0.25, 0.5]),
                "source": st.sampled_from(["explicit", "implicit"]),
                "metadata": st.sampled_from([{"_user": "u1"}, {"_user": 2}]),
                "created_at": st.sampled_from(["2026-01-01T00:00:01Z", "2026-01-01T00:00:05Z"]),
            },
        )
    )
    return event if event["feedback"] else event | {"value": 7}


def publish(sequence: list[Event]) -> list[MemoryMessage]:
    """Return the events as messages of one partition."""
    broker = MemoryBroker(partitions=1)
    for event in sequence:
        whole: Event = {"feedback_id": ID, "project": "acme"} | event
        published_ms = NEW_YEAR_MS + whole.pop("published_s", 0) * 1000
        broker.publish(orjson.dumps(whole), key=ID.encode(), timestamp_ms=published_ms)
    return broker.log[0]


def deliver(store: MemoryStore, messages: list[MemoryMessage], batch_rows: int) -> None:
    """Write messages as the worker does, so many to a batch."""
    for start in range(0, len(messages), batch_rows):
        batch = Batch("topic-id")
        batch.take(messages[start : start + batch_rows], PathIndex())
        write(batch, store, piece_bytes=1)


def seeded(year: int | None) -> MemoryStore:
    """Return a store with a row of this year, from before times that are to come were capped."""
    store = MemoryStore()
    if year is not None:
        message = publish([{"trace_id": "t", "feedback": {"x": 0}, "value": 9}])[0]
        row = to_row(*read_event(message.value() or b""), message, "topic-id", NEW_YEAR_MS)
        row[UPDATED_AT] = datetime(year, 1, 1, tzinfo=UTC).timestamp()
        row[KAFKA_TOPIC] = "before"
        store.insert_feedback(encode(row), "before")
    return store


def state(store: MemoryStore) -> tuple[list[Row], set[tuple[int, str]]]:
    """Return what readers see, for a cleared event that it is one, and what was refused."""
    refused = {(rejection.offset, rejection.code.value) for rejection in store.rejections.values()}
    return [row[:IS_DELETED] for row in store.current], refused


def first_then_again(
    sequence: list[Event], again: int, rows: tuple[int, int], year: int | None
) -> tuple[Any, Any]:
    """Return the state after all messages, and after those from a position were read again."""
    store, messages = seeded(year), publish(sequence)
    deliver(store, messages, rows[0])
    before = state(store)
    deliver(store, messages[again:], rows[1])
    return before, state(store)


_PATCHED_AFTER_A_SET = [
    {"op": "patch", "updated_at": "2026-01-01T00:00:01Z", "feedback": {"y": 1}},
    {"op": "set", "updated_at": "2026-01-01T00:00:02Z", "trace_id": "t", "feedback": {"x": 1}},
    {"op": "patch", "updated_at": "2026-01-01T00:00:03Z", "feedback": {"z": 1}},
]
_PATCHED_AFTER_A_CLEAR = [
    {"op": "patch", "updated_at": "2026-01-01T00:00:01Z", "feedback": {"y": 1}},
    {"op": "clear", "updated_at": "2026-01-01T00:00:02Z"},
    {"op": "patch", "updated_at": "2026-01-01T00:00:03Z", "feedback": {"z": 1}},
]


@given(
    sequence=st.lists(events(), min_size=1, max_size=6),
    again=st.integers(0, 5),
    rows=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    year=_YEARS,
)
@example(sequence=_PATCHED_AFTER_A_SET, again=0, rows=(3, 1), year=None)
@example(sequence=_PATCHED_AFTER_A_CLEAR, again=0, rows=(3, 1), year=None)
def test_reading_a_suffix_again_changes_nothing(
    sequence: list[Event], again: int, rows: tuple[int, int], year: int | None
) -> None:
    """Whatever the events and the batches, state and refusals after a redelivery are those before."""
    before, after = first_then_again(sequence, again, rows, year)
    assert after == before


@given(
    sequence=st.lists(events(), min_size=1, max_size=6),
    rows=st.tuples(st.integers(1, 6), st.integers(1, 6)),
    year=_YEARS,
)
def test_the_batches_make_no_difference(
    sequence: list[Event], rows: tuple[int, int], year: int | None
) -> None:
    """Where a batch ends is chance, and never shows in the state."""
    one, other, messages = seeded(year), seeded(year), publish(sequence)
    deliver(one, messages, rows[0])
    deliver(other, messages, rows[1])
    assert state(one) == state(other)
