"""Bytes that are refused: each with its code and its path."""

import json
import pickle
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword_schemas import InvalidEventError, RejectCode, read_event
from afterword_schemas.limits import MAX_EVENT_BYTES

HEAD = b'"feedback_id": "019c12e9-8b3d-7000-8000-000000000000", "project": "acme", "trace_id": "t"'
SECRET = "q7Zx-secret-9K"


def event(rest: str | bytes) -> bytes:
    """Write an event of the required fields, a trace and the rest."""
    return b"{" + HEAD + b", " + (rest if isinstance(rest, bytes) else rest.encode()) + b"}"


def said(feedback: str) -> bytes:
    """Write an event of this feedback, in JSON."""
    return event(f'"feedback": {feedback}')


def time(text: str) -> bytes:
    """Write an event of this time, in JSON."""
    return event(f'"value": 1, "created_at": {text}')


TEXTS: dict[str, tuple[bytes, str, str]] = {
    "no payload": (b"", "empty_message", "$"),
    "blank": (b" \n", "invalid_json", "$"),
    "a byte too many": (said(f'"{"x" * MAX_EVENT_BYTES}"'), "too_large", "$"),
    "no JSON": (b"<html>", "invalid_json", "$"),
    "cut off": (event('"value": 1')[:-1], "invalid_json", "$"),
    "trailing comma": (event('"value": 1,'), "invalid_json", "$"),
    "trailing garbage": (event('"value": 1') + b" x", "invalid_json", "$"),
    "two events": (event('"value": 1') * 2, "invalid_json", "$"),
    "single quotes": (b"{'project': 'acme'}", "invalid_json", "$"),
    "comment": (event('"value": 1 /* why */'), "invalid_json", "$"),
    "raw line break in a string": (said('{"a": "x\ny"}'), "invalid_json", "$"),
    "unknown escape": (said(r'{"a": "\x41"}'), "invalid_json", "$"),
    "byte order mark": (b"\xef\xbb\xbf" + event('"value": 1'), "invalid_json", "$"),
    "UTF-16": (event('"value": 1').decode().encode("utf-16"), "invalid_utf8", "$"),
    "Latin-1": (said('{"a": "é"}').decode().encode("latin-1"), "invalid_utf8", "$"),
    "surrogate as UTF-8": (event(b'"feedback": {"a": "\xed\xa0\x80"}'), "invalid_utf8", "$"),
    "half a surrogate pair": (said(r'{"a": "\ud800"}'), "invalid_unicode", "$"),
    "the other half": (said(r'{"a": "\udc00x"}'), "invalid_unicode", "$"),
    "half in a key": (said(r'{"\ud800": 1}'), "invalid_unicode", "$"),
    "half in a field name": (event(r'"\ud83d": 1'), "invalid_unicode", "$"),
    "array": (b"[]", "not_an_object", "$"),
    "null": (b"null", "not_an_object", "$"),
    "text": (b'"event"', "not_an_object", "$"),
    "number": (b"1", "not_an_object", "$"),
    "100,000 brackets": (b"[" * 100_000, "too_deep", "$"),
    "100,000 braces": (b'{"a":' * 100_000, "too_deep", "$"),
    "100,000 brackets in an event": (said("[" * 100_000), "too_deep", "$"),
    "integer of 5,000 digits": (said(f'{{"a": {"9" * 5000}}}'), "out_of_range", "$"),
}

FIELDS: dict[str, tuple[bytes, str, str]] = {
    "no id": (b'{"project": "acme"}', "missing_field", "$.feedback_id"),
    "no project": (
        b'{"feedback_id": "019c12e9-8b3d-7000-8000-000000000000"}',
        "missing_field",
        "$.project",
    ),
    "empty object": (b"{}", "missing_field", "$.feedback_id"),
    "typo": (event('"valeu": 1'), "unknown_field", "$.valeu"),
    "other case": (event('"Value": 1'), "unknown_field", "$.Value"),
    "dotted field": (event('"feedback.a": 1'), "unknown_field", '$["feedback.a"]'),
    "project too long": (b'{"project": "%s"}' % (b"a" * 65), "missing_field", "$.feedback_id"),
    "op unknown": (event('"op": "delete"'), "invalid_format", "$.op"),
    "source unknown": (event('"source": "guess"'), "invalid_format", "$.source"),
    "empty trace": (event('"span_id": ""'), "out_of_range", "$.span_id"),
    "long session": (event(f'"session_id": "{"é" * 257}"'), "out_of_range", "$.session_id"),
    "value 11": (event('"value": 11'), "out_of_range", "$.value"),
    "value -11": (event('"value": -11'), "out_of_range", "$.value"),
    "value 4.5": (event('"value": 4.5'), "wrong_type", "$.value"),
    "value nearly 4": (event('"value": 4.0000000000001'), "wrong_type", "$.value"),
    "value NaN": (event('"value": NaN'), "not_finite", "$.value"),
    "value 1e400": (event('"value": 1e400'), "not_finite", "$.value"),
    "weight 1.01": (event('"weight": 1.01'), "out_of_range", "$.weight"),
    "weight -0.01": (event('"weight": -0.01'), "out_of_range", "$.weight"),
    "weight Infinity": (event('"weight": Infinity'), "not_finite", "$.weight"),
    "year 1": (time('"0001-01-01T00:00:00Z"'), "out_of_range", "$.created_at"),
    "year 9999": (time('"9999-12-31T23:59:59-23:59"'), "out_of_range", "$.created_at"),
    "a millisecond before 2015": (
        time('"2014-12-31T23:59:59.999Z"'),
        "out_of_range",
        "$.created_at",
    ),
    "2100": (time('"2100-01-01T00:00:00Z"'), "out_of_range", "$.created_at"),
    "naive time": (time('"2026-01-31T09:30:00"'), "invalid_format", "$.created_at"),
    "numeric-string time": (time('"1769851800"'), "invalid_format", "$.created_at"),
    "date alone": (time('"2026-01-31"'), "invalid_format", "$.created_at"),
    "30 February": (time('"2026-02-30T00:00:00Z"'), "invalid_format", "$.created_at"),
    "leap second": (time('"2016-12-31T23:59:60Z"'), "invalid_format", "$.created_at"),
    "line break after the time": (
        time(r'"2026-01-31T09:30:00Z\n"'),
        "invalid_format",
        "$.created_at",
    ),
    "wide digits": (time('"２０２６-01-31T09:30:00Z"'), "invalid_format", "$.created_at"),
    "no target": (
        event('"value": 1').replace(b', "trace_id": "t"', b""),
        "no_target",
        "$",
    ),
    "nothing said": (event('"feedback": {"a": [{}, [null]]}'), "empty_event", "$"),
    "metadata alone": (event('"metadata": {"a": 1}'), "empty_event", "$"),
    "empty patch": (
        event('"op": "patch", "metadata": {}').replace(b', "trace_id": "t"', b""),
        "empty_event",
        "$",
    ),
    "patch of its time alone": (
        event('"op": "patch", "updated_at": "2026-01-31T09:30:00Z"').replace(
            b', "trace_id": "t"', b""
        ),
        "empty_event",
        "$",
    ),
    "clear with a value": (event('"op": "clear", "value": 1'), "not_allowed", "$.value"),
    "clear with metadata": (event('"op": "clear", "metadata": {}'), "not_allowed", "$.metadata"),
}

PARTS: dict[str, tuple[bytes, str, str]] = {
    "NaN": (said('{"a": {"b": NaN}}'), "not_finite", "$.feedback.a.b"),
    "Infinity": (said('{"a": [Infinity]}'), "not_finite", "$.feedback.a[0]"),
    "minus Infinity": (said('{"a": -Infinity}'), "not_finite", "$.feedback.a"),
    "1e400": (said('{"a": 1e400}'), "not_finite", "$.feedback.a"),
    "an integer of 65 bits": (said(f'{{"a": {2**64}}}'), "out_of_range", "$.feedback.a"),
    "a negative of 65 bits": (said(f'{{"a": {-(2**63) - 1}}}'), "out_of_range", "$.feedback.a"),
    "4,000 digits": (said(f'{{"a": {"9" * 4000}}}'), "out_of_range", "$.feedback.a"),
    "too many values": (said(f'{{"a": {[1] * 1001}}}'), "too_many_leaves", "$"),
    "path too long": (said(f'{{"{"k" * 504}": 1}}'), "path_too_long", "$.feedback"),
    "key twice": (said('{"a": {"b": 1, "b": 1}}'), "duplicate_key", "$.feedback.a.b"),
    "objects six deep": (
        said('{"a": {"a": {"a": {"a": {"a": {"a": {}}}}}}}'),
        "too_deep",
        "$.feedback.a.a.a.a.a.a",
    ),
    "arrays three deep": (said('{"a": [0, [[]]]}'), "too_deep", "$.feedback.a[1][0]"),
    "reserved boolean": (event('"metadata": {"_user": true}'), "wrong_type", "$.metadata._user"),
    "reserved float": (event('"metadata": {"_prompt": 4.0}'), "wrong_type", "$.metadata._prompt"),
    "reserved object": (
        event('"metadata": {"_environment": {}}'),
        "wrong_type",
        "$.metadata._environment",
    ),
    "reserved array": (
        event('"metadata": {"_organisation": ["a"]}'),
        "wrong_type",
        "$.metadata._organisation",
    ),
}

OTHER_TYPES: dict[str, tuple[str, ...]] = {
    "feedback_id": ("null", "7", "true", "[]", "{}"),
    "project": ("null", "7", "true", "[]", "{}"),
    "op": ("null", "7", "true", "[]", "{}"),
    "trace_id": ("7", "true", "[]", "{}"),
    "session_id": ("7", "true", "[]", "{}"),
    "span_id": ("7", "true", "[]", "{}"),
    "source": ("null", "7", "true", "[]", "{}"),
    "value": ('"4"', "true", "[]", "{}"),
    "weight": ('"0.5"', "true", "[]", "{}"),
    "feedback": ('"text"', "7", "true", "[]"),
    "metadata": (r'"{\"a\": 1}"', "7", "true", "[]"),
    "metrics": ('"text"', "7", "true", "[]"),
    "created_at": ("1769851800", "true", "[]", "{}"),
    "updated_at": ("1769851800.5", "true", "[]", "{}"),
}


@pytest.mark.parametrize(
    ("raw", "code", "path"),
    [*TEXTS.values(), *FIELDS.values(), *PARTS.values()],
    ids=[*TEXTS, *FIELDS, *PARTS],
)
def test_refused_with_code_and_path(raw: bytes, code: str, path: str) -> None:
    """Each fault has one code, at the place where it is."""
    error = refusal(raw)
    assert (error.code.value, error.path) == (code, path)


@pytest.mark.parametrize(
    ("field", "other"),
    [(field, other) for field, others in OTHER_TYPES.items() for other in others],
)
def test_another_type_is_named_as_such(field: str, other: str) -> None:
    """A value of another JSON type is a wrong type, whatever rule it also breaks."""
    fields = {"feedback_id": '"019c12e9-8b3d-7000-8000-000000000000"', "project": '"a"'} | {
        field: other
    }
    raw = "{" + ", ".join(f'"{name}": {text}' for name, text in fields.items()) + "}"
    error = refusal(raw.encode())
    assert (error.code, error.path) == (RejectCode.WRONG_TYPE, f"$.{field}")
    assert error.detail.startswith(f"{field} takes ")


@pytest.mark.parametrize(
    ("raw", "sentence"),
    [
        (event('"valeu": 1'), "no such field; did you mean value? [unknown_field at $.valeu]"),
        (event('"Weight": 1'), "no such field; did you mean weight? [unknown_field at $.Weight]"),
        (
            event('"rating": 1'),
            (
                'no such field; rating belongs under feedback: {"feedback": {"rating": …}}'
                " [unknown_field at $.rating]"
            ),
        ),
        (
            event('"user_id": "u"'),
            (
                'no such field; user_id belongs under metadata as _user: {"metadata": {"_user": …}}'
                " [unknown_field at $.user_id]"
            ),
        ),
        (
            event('"quux": 1'),
            "no such field; free-form data goes into feedback or metadata [unknown_field at $.quux]",
        ),
        (event('"value": 11'), "value must be at most 10 [out_of_range at $.value]"),
        (event('"weight": -0.5'), "weight must be at least 0 [out_of_range at $.weight]"),
        (
            time('"2100-01-01T00:00:00Z"'),
            "created_at must be before 2100-01-01T00:00:00Z [out_of_range at $.created_at]",
        ),
        (
            time('"2014-12-31T00:00:00Z"'),
            "created_at must be at least 2015-01-01T00:00:00Z [out_of_range at $.created_at]",
        ),
        (
            time('"1970-01-21T11:37:31Z"'),
            (
                "created_at must be at least 2015-01-01T00:00:00Z; a time in 1970 comes from seconds that"
                " were taken for milliseconds [out_of_range at $.created_at]"
            ),
        ),
        (
            event('"op": 5'),
            "op takes 'set', 'patch' or 'clear' [wrong_type at $.op]",
        ),
        (
            b'{"valeu": 1}',
            "feedback_id is required (also wrong: $.project, $.valeu) [missing_field at $.feedback_id]",
        ),
        (
            said(r'{"a": "\ud800"}'),
            "half of a surrogate pair at line 1 column 118 [invalid_unicode at $]",
        ),
        (b"\xff{}", "byte 0 is not valid UTF-8 [invalid_utf8 at $]"),
    ],
)
def test_sentence_says_what_to_do(raw: bytes, sentence: str) -> None:
    """A person reads what is wrong, and what would be right."""
    assert str(refusal(raw)) == sentence


def test_every_code_is_reached() -> None:
    """The tables above have each code of the closed list that an event's bytes can earn."""
    reached = {code for _, code, _ in [*TEXTS.values(), *FIELDS.values(), *PARTS.values()]}
    assert set(RejectCode) - reached == {
        RejectCode.WRONG_KEY,
        RejectCode.OLDER_THAN_STORED,
        RejectCode.STORE_REFUSED,
        RejectCode.INTERNAL_ERROR,
    }


def test_sentence_stays_short_whatever_the_event() -> None:
    """A key of a megabyte, or eighty thousand unknown fields, make no megabyte of report."""
    long = event(f'"{"k" * 900_000}": 1')
    many = event(", ".join(f'"k{number}": 1' for number in range(50_000)))
    doubled = said(f'{{"{"k" * 400_000}": 1, "{"k" * 400_000}": 1}}').replace(
        b'"feedback"', b'"metrics": {"a": 1}, "feedback"'
    )
    hidden = doubled[:-1] + b', "feedback": {}}'
    for raw in (long, many, doubled, hidden):
        assert len(str(refusal(raw))) < 5_000


@given(st.text(alphabet="{}:,[]\\ \n\t1e.", max_size=8), st.integers(0, 200), st.data())
def test_no_message_quotes_a_value(noise: str, at: int, data: st.DataObject) -> None:
    """A marker put in as a value is in no sentence, whatever is wrong with the event."""
    name = data.draw(st.sampled_from(sorted(OTHER_TYPES)))
    nested = data.draw(st.booleans())
    wrapped: Any = {"a": [[[[SECRET]]]]} if nested else SECRET
    fields = {"op": "clear", "feedback": {"_": SECRET}, "trace_id": SECRET * 50, name: wrapped}
    text = json.dumps(fields)
    with pytest.raises(InvalidEventError) as caught:
        read_event((text[:at] + noise + text[at:]).encode())
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("raw", [raw for raw, _, _ in TEXTS.values()], ids=list(TEXTS))
def test_error_survives_pickling(raw: bytes) -> None:
    """A refusal crosses a process border whole."""
    error = refusal(raw)
    copy = pickle.loads(pickle.dumps(error))
    assert (copy.code, copy.path, copy.detail) == (error.code, error.path, error.detail)
    assert str(copy) == str(error)


def refusal(raw: bytes) -> InvalidEventError:
    """Return the error with which an event is refused."""
    with pytest.raises(InvalidEventError) as caught:
        read_event(raw)
    return caught.value


@pytest.mark.parametrize(
    ("word", "meant"),
    [
        ("score", '{"feedback": {"score": …}}'),
        ("Scores", '{"feedback": {"scores": …}}'),
        ("comment", '{"feedback": {"comment": …}}'),
        ("reason", '{"feedback": {"reason": …}}'),
        ("user", '{"metadata": {"_user": …}}'),
        ("userId", '{"metadata": {"_user": …}}'),
        ("prompt", '{"metadata": {"_prompt": …}}'),
        ("organization", '{"metadata": {"_organisation": …}}'),
        ("model", '{"metadata": {"model": …}}'),
        ("traceId", "did you mean trace_id?"),
        ("trace", "did you mean trace_id?"),
        ("span", "did you mean span_id?"),
        ("conversation_id", "did you mean session_id?"),
        ("id", "did you mean feedback_id?"),
        ("timestamp", "did you mean created_at?"),
        ("thumbs", 'a vote is "value": 1 or "value": -1'),
        ("sorce", "did you mean source?"),
        ("vlaue", "did you mean value?"),
        ("weigth", "did you mean weight?"),
        ("metadat", "did you mean metadata?"),
        ("message_id", "free-form data goes into feedback or metadata"),
        ("run_id", "free-form data goes into feedback or metadata"),
    ],
)
def test_an_unknown_field_points_at_what_was_meant(word: str, meant: str) -> None:
    """Words of other systems have their place; a typo is near, and nothing else is called near."""
    error = refusal(event(f'"{word}": 1'))
    assert error.code is RejectCode.UNKNOWN_FIELD
    assert error.detail.endswith(meant)
