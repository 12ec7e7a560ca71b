"""What is malformed gets the worker's code at the gateway, whatever bytes it is."""

import json
from typing import Any

from hypothesis import assume, example, given
from hypothesis import strategies as st

from afterword.gateway.http.responses import ItemError, RequestError
from afterword.gateway.intake import Rules, judge
from afterword_schemas import InvalidEventError, RejectCode, read_event

RULES = Rules(received_at="2026-01-31T09:30:00.000Z", defaults={"project": "acme"})
EVENT = {
    "feedback_id": "019c12e9-8b3d-7000-8000-000000000000",
    "project": "acme",
    "updated_at": "2026-01-31T09:30:00Z",
    "trace_id": "t",
    "value": 1,
    "feedback": {"comment": 'good \\ "☺"', "tags": ["a", 1.5, None], "a": {"b": True}},
}
RAW = json.dumps(EVENT, ensure_ascii=False).encode()
FILLED_IN = ("feedback_id", "project", "updated_at")
SPLICES = [
    *(
        rb"\ud83d",
        rb"\ud8",
        rb"\u12",
        rb"\x41",
        b"\\",
        b'"',
        b"\xff",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
    ),
    *(b"[" * 500, b'{"a":' * 500, b"[" * 200 + b"]" * 200, b"NaN", b"-Infinity", b"1e999", b"01"),
    *(b"9" * 5_000, b"\n", b"\0", b"{}", b"[]", b",", b":", b"null", b"\x7f"),
]

Edit = tuple[int, int, bytes]
edits: st.SearchStrategy[Edit] = st.tuples(
    st.integers(0, len(RAW)),
    st.sampled_from([0, 1, 2, 1_000]),
    st.sampled_from(SPLICES) | st.binary(max_size=3),
)


def mutated(changes: list[Edit]) -> bytes:
    """Return the event's bytes with stretches replaced."""
    raw = RAW
    for start, length, splice in changes:
        raw = raw[:start] + splice + raw[start + length :]
    return raw


def workers_code(raw: bytes) -> RejectCode | None:
    """Judge bytes as the worker does."""
    try:
        read_event(raw)
    except InvalidEventError as error:
        return error.code
    return None


def gateways_code(raw: bytes) -> str | None:
    """Judge bytes as `POST /v1/feedback` does."""
    try:
        [judged] = judge(raw, RULES)
    except RequestError as error:
        return error.code
    return judged.code if isinstance(judged, ItemError) else None


def is_completed(raw: bytes) -> bool:
    """Whether the gateway adds to an event, or reads several: then it is not what the worker would read."""
    try:
        parsed: Any = json.loads(raw.decode(errors="surrogateescape"))
    except (ValueError, RecursionError):
        return raw.lstrip(b" \t\r\n").startswith(b"[")
    if isinstance(parsed, list):
        return True
    translated = {"traceID", "traceparent", "0"}
    return isinstance(parsed, dict) and not (
        parsed.keys() >= set(FILLED_IN) and translated.isdisjoint(parsed)
    )


@given(st.lists(edits, min_size=1, max_size=3))
@example([(0, 1_000, b"[" * 100_000)])
@example([(0, 1_000, b"")])
@example([(0, 1_000, b'"\xff"')])
@example([(0, 1_000, rb'"\ud83d"')])
@example([(0, 1_000, b'{"a":' * 100_000)])
@example([(200, 0, rb"\ud8")])
@example([(100, 2, b"\x80\\"), (131, 0, b"[" * 500)])
def test_malformed_bytes_have_the_workers_code(changes: list[Edit]) -> None:
    """Not the same verdict only: a dashboard groups by the code, and a client reads it."""
    raw = mutated(changes)
    assume(not is_completed(raw) or raw.startswith(b"[" * 500))
    assert gateways_code(raw) == workers_code(raw)


@given(st.lists(edits, min_size=1, max_size=2))
def test_a_malformed_element_of_a_batch_has_the_workers_code(changes: list[Edit]) -> None:
    """Where the array around it can still be read, the one beside it is judged as ever."""
    raw = mutated(changes)
    assume(not is_completed(raw))
    try:
        judged = list(judge(b"[" + raw + b"," + RAW + b"]", RULES))
    except RequestError:
        return
    assume(len(judged) == 2)
    codes = [one.code if isinstance(one, ItemError) else None for one in judged]
    assert codes == [workers_code(raw), None]
