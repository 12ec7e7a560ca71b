"""The SDK's verdict is the worker's: what one takes or refuses, so does the other."""

import json
from typing import Any, cast

from hypothesis import given
from hypothesis import strategies as st

from afterword import Client, EventError, MemoryTransport, RejectCode
from afterword_schemas.event import read_event

Verdict = tuple[RejectCode, str] | None

FEEDBACK_ID = "019c12e9-8b3d-7000-8000-000000000000"

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
leaves = (
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
documents = st.dictionaries(
    texts,
    st.recursive(
        leaves,
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    ),
    max_size=4,
)
ids = st.sampled_from(["t", "x" * 256]) | st.sampled_from(["", "x" * 257]) | leaves
times = st.sampled_from(["2026-01-31T09:30:00Z", "2026-01-31T09:30:00", "1769851800", 5])
roots = st.one_of(documents, documents, documents, leaves, st.just([]))
fields = st.fixed_dictionaries(
    {},
    optional={
        "trace_id": st.just("t"),
        "session_id": ids,
        "span_id": ids,
        "value": st.integers(-12, 12) | leaves,
        "weight": st.floats(-0.1, 1.1) | leaves,
        "feedback": roots,
        "metadata": roots | st.fixed_dictionaries({"_user": leaves}),
        "metrics": roots,
        "source": st.sampled_from(["explicit", "implicit", "other"]),
        "created_at": times,
        "updated_at": times,
    },
)
events = st.builds(
    lambda given, rest: {**rest, **given},
    st.fixed_dictionaries(
        {"feedback_id": st.just(FEEDBACK_ID), "project": st.just("acme")},
        optional={"op": st.sampled_from(["set", "patch", "clear", "SET"]), "extra": leaves},
    ),
    fields,
)


def worker_verdict(raw: bytes) -> Verdict:
    """Judge the bytes of an event as the worker does."""
    try:
        read_event(raw)
    except EventError as error:
        return error.code, error.path
    return None


def to_json(event: dict[str, Any]) -> bytes:
    """Write an event with another library than the SDK's."""
    return json.dumps(event, ensure_ascii=False).encode()


def has_wide_integer(node: object) -> bool:
    """Whether JSON can write an integer in it that orjson cannot."""
    if isinstance(node, dict):
        return any(map(has_wide_integer, node.values()))
    if isinstance(node, list):
        return any(map(has_wide_integer, node))
    return isinstance(node, int) and not -(2**63) <= node < 2**64


@given(events)
def test_an_event_gets_the_workers_verdict(event: dict[str, Any]) -> None:
    """`publish` refuses what the worker refuses, with the same code and path, and nothing else."""
    memory = MemoryTransport()
    client = Client(project="acme", transport=memory)
    expected = worker_verdict(to_json(event))
    verdict: Verdict = None
    try:
        client.publish(event)
    except EventError as error:
        verdict = (error.code, error.path)
    if has_wide_integer(event):
        # Beyond 64 bits the SDK stops at the first such number, whatever else is wrong.
        assert (verdict is None) == (expected is None)
    else:
        assert verdict == expected
    assert [json.loads(message.value) for message in memory.messages] == [event] * (not verdict)


@given(events)
def test_bytes_get_the_workers_verdict(event: dict[str, Any]) -> None:
    """Of bytes the verdict is the same to the letter, and they are sent untouched."""
    memory = MemoryTransport()
    raw = to_json(event)
    verdict: Verdict = None
    try:
        Client(project="acme", transport=memory).publish(raw)
    except EventError as error:
        verdict = (error.code, error.path)
    assert verdict == worker_verdict(raw)
    assert [message.value for message in memory.messages] == [raw] * (not verdict)


@given(fields, st.sampled_from(["feedback", "copied", "regenerated", "edited"]))
def test_what_a_call_takes_the_worker_takes(fields: dict[str, Any], method: str) -> None:
    """Whatever a call is given: it raises an EventError, or sends what the worker can store."""
    memory = MemoryTransport()
    client = Client(project="acme", transport=memory)
    try:
        feedback_id = getattr(client, method)(**cast("Any", fields))
    except EventError:
        assert memory.messages == ()
        return
    [message] = memory.messages
    event, _ = read_event(message.value)
    assert event.feedback_id == feedback_id
    assert message.key == feedback_id.encode()


@given(fields)
def test_feedback_loses_and_invents_nothing(fields: dict[str, Any]) -> None:
    """An event that is taken holds each field of the call, and besides only what is documented."""
    memory = MemoryTransport()
    try:
        Client(project="acme", transport=memory).feedback(**cast("Any", fields))
    except EventError:
        return
    [sent] = memory.events
    given_fields = {name: entry for name, entry in fields.items() if entry is not None}
    added = {name: sent.pop(name) for name in ("feedback_id", "project", "op")}
    if "updated_at" not in given_fields:
        del sent["updated_at"]
    assert sent == given_fields
    assert (added["project"], added["op"]) == ("acme", "set")
