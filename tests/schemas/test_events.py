"""What `read_event` accepts, up to each limit, and that it never fails in another way."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword_schemas import (
    Event,
    InvalidEventError,
    Leaves,
    RejectCode,
    flatten,
    read_event,
    to_ms,
)
from afterword_schemas.testing import events

SET: dict[str, Any] = {
    "feedback_id": "019c12e9-8b3d-7000-8000-000000000000",
    "project": "acme",
    "trace_id": "t",
    "value": 4,
}


def read(**change: Any) -> tuple[Event, Leaves]:
    """Judge a `set` with some fields changed."""
    return read_event(json.dumps(SET | change).encode())


def test_event_comes_back_as_sent() -> None:
    """Fields keep their values, absent ones get their defaults, and parts become paths."""
    event, leaves = read(weight=0.5, feedback={"ok": True}, metadata={"_user": "u", "n": 3})
    assert event == Event(
        feedback_id="019c12e9-8b3d-7000-8000-000000000000",
        project="acme",
        trace_id="t",
        value=4.0,
        weight=0.5,
        feedback={"ok": True},
        metadata={"_user": "u", "n": 3},
    )
    assert (event.op, event.source, event.session_id, event.created_at) == (
        "set",
        "explicit",
        None,
        None,
    )
    assert leaves == Leaves(
        numbers={"metadata.n": 3},
        booleans={"feedback.ok": True},
        strings={"metadata._user": "u"},
        keys=3,
    )


@pytest.mark.parametrize("text", ["4", "4.0", "4e0", "40E-1"])
def test_whole_number_has_many_spellings(text: str) -> None:
    """`4.0` is 4."""
    raw = json.dumps(SET).replace('"value": 4', f'"value": {text}').encode()
    assert read_event(raw)[0].value == 4


@pytest.mark.parametrize("value", [-10, -1, 0, -0.0, 10])
def test_value_reaches_its_bounds(value: float) -> None:
    """Ten on either side is inside."""
    assert read(value=value)[0].value == value


@pytest.mark.parametrize("weight", [0, 1, 0.5, 1.0, 5e-324])
def test_weight_reaches_its_bounds(weight: float) -> None:
    """Nought and one are inside."""
    assert read(weight=weight)[0].weight == weight


@pytest.mark.parametrize(
    ("text", "ms"),
    [
        ("2026-01-31T09:30:00Z", 1_769_851_800_000),
        ("2026-01-31T09:30:00.125Z", 1_769_851_800_125),
        ("2026-01-31T09:30:00.125999999Z", 1_769_851_800_125),
        ("2026-01-31t09:30:00z", 1_769_851_800_000),
        ("2026-01-31 09:30:00Z", 1_769_851_800_000),
        ("2026-01-31T10:30:00+01:00", 1_769_851_800_000),
        ("2026-01-31T09:30:00-00:00", 1_769_851_800_000),
        ("2015-01-01T00:00:00Z", 1_420_070_400_000),
        ("2014-12-31T23:00:00-01:00", 1_420_070_400_000),
        ("2099-12-31T23:59:59.999Z", 4_102_444_799_999),
        ("2100-01-01T00:59:59.999+01:00", 4_102_444_799_999),
    ],
)
def test_times_are_read_to_the_millisecond(text: str, ms: int) -> None:
    """RFC 3339 with any offset, from 2015 to the last millisecond of 2099 in UTC."""
    event, _ = read(created_at=text, updated_at=text)
    assert event.created_at is not None
    assert event.updated_at is not None
    assert to_ms(event.created_at) == to_ms(event.updated_at) == ms


@given(st.datetimes(datetime(2015, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)))  # noqa: DTZ001  # Hypothesis adds the zone
def test_milliseconds_are_exact(time: datetime) -> None:
    """No float comes between a time and its milliseconds."""
    ms = to_ms(time)
    seconds, part = divmod(ms, 1000)
    assert datetime.fromtimestamp(seconds, UTC) == time.replace(microsecond=0)
    assert part == time.microsecond // 1000


@pytest.mark.parametrize(
    "text", ["\0", "😀", " ", "e\u0301", "\u202e", '"', "\\", "x" * 256, "😀" * 256]
)
def test_identifier_may_be_any_text(text: str) -> None:
    """A trace id is the caller's: 1 to 256 characters, whatever they are."""
    assert read(trace_id=text)[0].trace_id == text


def test_identifier_is_lower_case() -> None:
    """One UUID has one spelling, so that it has one partition and one row."""
    event, _ = read(feedback_id="019C12E9-8B3D-7000-8000-00000000000A")
    assert event.feedback_id == "019c12e9-8b3d-7000-8000-00000000000a"


@pytest.mark.parametrize("change", [{"source": "implicit"}, {"created_at": "2026-01-31T09:30:00Z"}])
def test_patch_may_mend_one_field(change: dict[str, Any]) -> None:
    """Whatever a merge would write is enough for a patch."""
    patch = {name: SET[name] for name in ("feedback_id", "project")} | {"op": "patch"} | change
    assert read_event(json.dumps(patch).encode())[0].op == "patch"


@pytest.mark.parametrize("blank", [b" ", b"\n", b"\t", b"\r\n", b" \n\t\r " * 100])
def test_white_space_around_is_allowed(blank: bytes) -> None:
    """A file of lines may end its lines as it likes."""
    raw = json.dumps(SET).encode()
    assert read_event(blank + raw + blank) == read_event(raw)


def test_largest_event_is_accepted() -> None:
    """A million bytes are allowed, and not one more."""
    text = "x" * (1_000_000 - len(json.dumps(SET | {"feedback": {"a": ""}})))
    raw = json.dumps(SET | {"feedback": {"a": text}}).encode()
    assert len(raw) == 1_000_000
    assert read_event(raw)[1].strings == {"feedback.a": text}
    assert refusal_code(raw + b" ") == RejectCode.TOO_LARGE


def test_thousand_values_are_accepted() -> None:
    """The limit counts leaves of all parts together, and nothing else."""
    parts: dict[str, dict[str, Any]] = {
        "feedback": {"a": [1] * 500, "none": [None] * 5000},
        "metadata": {f"k{number}": "x" for number in range(300)},
        "metrics": {"a": {f"k{number}": True for number in range(200)}, "b": [{}] * 5000},
    }
    assert len(read(**parts)[1]) == 1000
    parts["metrics"]["c"] = 1
    assert refusal_code(json.dumps(SET | parts).encode()) == RejectCode.TOO_MANY_LEAVES


@pytest.mark.parametrize(
    ("key", "bytes_"), [("k", 503), ("é", 502), ("😀", 500), (".", 501), ("%", 501)]
)
def test_longest_path_is_accepted(key: str, bytes_: int) -> None:
    """Of `feedback.` and 503 bytes more; escapes count as they are written."""
    size = len(key.replace("%", "%25").replace(".", "%2E").encode())
    longest = key * (bytes_ // size) + "k" * (bytes_ % size)
    longest += "k" * (512 - len(next(iter(flatten({"feedback": {longest: 1}}).numbers)).encode()))
    (path,) = read(feedback={longest: 1})[1].numbers
    assert len(path.encode()) == 512
    assert refusal_code(said({longest + "k": 1})) == RejectCode.PATH_TOO_LONG


def test_deepest_nesting_is_accepted() -> None:
    """Five objects and two arrays below the root, in any order, and none more of either."""
    deepest: Any = {"a": [{"b": {"c": [{"d": {"e": 1}}]}}]}
    assert read(feedback=deepest)[1].numbers == {"feedback.a.0.b.c.0.d.e": 1}
    assert refusal_code(said({"z": {"a": [{"b": {"c": [{"d": {"e": {}}}]}}]}})) == "too_deep"
    assert refusal_code(said({"a": [[[]]]})) == "too_deep"


@pytest.mark.parametrize("number", [-(2**63), 2**64 - 1, 2**53 + 1, 1.7976931348623157e308])
def test_largest_numbers_are_accepted(number: float) -> None:
    """Integers of 64 bits, signed or not, and every finite double."""
    assert read(metrics={"n": number})[1].numbers == {"metrics.n": number}


@given(events())
def test_event_is_read_as_json_reads_it(event: dict[str, Any]) -> None:
    """Values are those that the standard library reads, and parts are flattened as by `flatten`."""
    read_, leaves = read_event(json.dumps(event).encode())
    parts = {root: event.get(root) for root in ("feedback", "metadata", "metrics")}
    assert leaves == flatten(parts)
    assert read_.model_fields_set == event.keys()
    for name in event.keys() - {"created_at", "updated_at"}:
        assert getattr(read_, name) == event[name]


@given(events())
def test_spelling_of_the_json_does_not_matter(event: dict[str, Any]) -> None:
    """Escapes, white space and the order of fields change no verdict."""
    spelled = dict(reversed(event.items()))
    bare = json.dumps(spelled, separators=(",", ":"), ensure_ascii=False).encode()
    wide = json.dumps(event, indent=3, ensure_ascii=True).encode()
    assert read_event(bare) == read_event(wide)


@given(st.lists(events() | st.dictionaries(st.text(), st.integers(), max_size=2), max_size=5))
def test_batch_is_judged_as_its_events(batch: list[dict[str, Any]]) -> None:
    """What came before an event changes neither its verdict nor its row."""
    raws = [json.dumps(event).encode() for event in batch]
    together = [judge(raw) for raw in raws]
    assert [judge(raw) for raw in reversed(raws)] == together[::-1]


@given(st.binary())
def test_any_bytes_get_a_verdict(raw: bytes) -> None:
    """Nothing but an `InvalidEventError` comes out of arbitrary bytes."""
    judge(raw)


@given(events(), st.data())
def test_damaged_event_gets_a_verdict(event: dict[str, Any], data: st.DataObject) -> None:
    """Nothing but an `InvalidEventError` comes out of an event with some bytes overwritten."""
    raw = bytearray(json.dumps(event, ensure_ascii=False).encode())
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(raw)))
        until = at + data.draw(st.integers(0, 4))
        raw[at:until] = data.draw(st.binary(max_size=3) | st.sampled_from(DAMAGE))
    judge(bytes(raw))


DAMAGE = [
    b'"',
    b"\\",
    b"{",
    b"[",
    b",",
    b"\\u0022",
    b"\\ud800",
    b"1e999",
    b"NaN",
    b"9" * 5000,
    b"null",
]


def judge(raw: bytes) -> tuple[Event, Leaves] | tuple[RejectCode, str]:
    """Return the event and its leaves, or code and path of the refusal."""
    try:
        return read_event(raw)
    except InvalidEventError as error:
        return error.code, error.path


def said(feedback: dict[str, Any]) -> bytes:
    """Write an event of this feedback."""
    return json.dumps(SET | {"feedback": feedback}).encode()


def refusal_code(raw: bytes) -> RejectCode:
    """Return the code with which an event is refused."""
    with pytest.raises(InvalidEventError) as caught:
        read_event(raw)
    return caught.value.code
