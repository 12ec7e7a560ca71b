"""Exactness: reading messages again, as after a crash, changes nothing in the store."""

from typing import Any

import orjson
from hypothesis import example, given
from hypothesis import strategies as st
from tests.consumers.written import write

from afterword_consumers.batch import Batch
from afterword_consumers.catalogue import Catalogue
from afterword_consumers.rows import IS_DELETED, Row
from afterword_consumers.testing import MemoryBroker, MemoryMessage, MemoryStore

ID = "5f0e2f0a-0000-4000-8000-000000000001"
Event = dict[str, Any]

_LEAVES = st.sampled_from([True, 1, 2, "a", {"p": 1}, {"q": 2, "p": {"r": 3}}, [1], [2, 3], []])
_CONTENT = st.dictionaries(st.sampled_from(["x", "y", "z"]), _LEAVES, max_size=2)


@st.composite
def events(draw: st.DrawFn) -> Event:
    """Draw an event of one id, with a time that need not fit its place in the sequence."""
    event: Event = {"op": draw(st.sampled_from(["set", "patch", "patch", "clear"]))}
    event["updated_at"] = f"2026-01-01T00:00:0{draw(st.integers(0, 6))}Z"
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
    for number, event in enumerate(sequence):
        whole = {"feedback_id": ID, "project": "acme"} | event
        at_ms = 1_767_225_600_000 + 1_000 * number
        broker.publish(orjson.dumps(whole), key=ID.encode(), timestamp_ms=at_ms)
    return broker.log[0]


def deliver(store: MemoryStore, messages: list[MemoryMessage], batch_rows: int) -> None:
    """Write messages as the worker does, so many to a batch."""
    for start in range(0, len(messages), batch_rows):
        batch = Batch("topic-id")
        batch.take(messages[start : start + batch_rows], Catalogue())
        write(batch, store, piece_bytes=1)


def state(store: MemoryStore) -> list[Row]:
    """Return what readers see, and for a cleared event that it is one."""
    return [row[:IS_DELETED] for row in store.current]


def first_then_again(sequence: list[Event], again: int, rows: tuple[int, int]) -> tuple[Any, Any]:
    """Return the state after all messages, and after those from a position were read again."""
    store, messages = MemoryStore(), publish(sequence)
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
)
@example(sequence=_PATCHED_AFTER_A_SET, again=0, rows=(3, 1))
@example(sequence=_PATCHED_AFTER_A_CLEAR, again=0, rows=(3, 1))
def test_reading_a_suffix_again_changes_nothing(
    sequence: list[Event], again: int, rows: tuple[int, int]
) -> None:
    """Whatever the events and the batches, the state after a redelivery is the state before."""
    before, after = first_then_again(sequence, again, rows)
    assert after == before


@given(
    sequence=st.lists(events(), min_size=1, max_size=6),
    rows=st.tuples(st.integers(1, 6), st.integers(1, 6)),
)
def test_the_batches_make_no_difference(sequence: list[Event], rows: tuple[int, int]) -> None:
    """Where a batch ends is chance, and never shows in the state."""
    one, other, messages = MemoryStore(), MemoryStore(), publish(sequence)
    deliver(one, messages, rows[0])
    deliver(other, messages, rows[1])
    assert state(one) == state(other)
