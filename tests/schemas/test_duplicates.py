"""An object that names a key twice is refused, however the text hides it."""

import json
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from afterword_schemas import InvalidEventError, RejectCode, read_event
from afterword_schemas import event as event_module
from afterword_schemas.limits import MAX_JSON_LEVELS
from afterword_schemas.testing import events

_INNER = MAX_JSON_LEVELS - 2  # below the event and its feedback
HEAD = '"feedback_id": "019c12e9-8b3d-7000-8000-000000000000", "project": "a", "span_id": "s"'


@pytest.mark.parametrize(
    ("rest", "path"),
    [
        ('"value": 1, "value": 1', "$.value"),
        ('"value": 1, "project": "a"', "$.project"),
        ('"value": null, "value": 1', "$.value"),
        ('"feedback": {"a": 1}, "feedback": {"a": 1}', "$.feedback"),
        ('"feedback": {"a": 1, "a": 2}', "$.feedback.a"),
        ('"feedback": {"": 1, "": 2}', '$.feedback[""]'),
        ('"feedback": {"x": [0, {"b": 1, "b": null}]}', "$.feedback.x[1].b"),
        ('"value": 1, "metadata": {"_user": "u", "_user": "v"}', "$.metadata._user"),
        ('"value": 1, "metrics": {"a": {}, "a": []}', "$.metrics.a"),
        (r'"feedback": {"a": 1, "\u0061": 2}', "$.feedback.a"),
        (r'"value": 1, "\u0076alue": 2', "$.value"),
        ('"feedback":\n{"a"\t:1 , \r\n"a" :2}', "$.feedback.a"),
        (r'"feedback": {"q": "say \"hi\"", "q": 1}', "$.feedback.q"),
        (r'"feedback": {"q": "\\", "q": "\\\""}', "$.feedback.q"),
        (r'"feedback": {"a\"b": 1, "a\u0022b": 2}', '$.feedback["a\\"b"]'),
        (r'"feedback": {"a": "\"\"", "a": "\"\""}', "$.feedback.a"),
        ('"feedback": {"a": {"b": 1, "b": 2}, "a": 1}', "$.feedback.a.b"),
        ('"feedback": {"l": [1, 2], "a": 1, "a": 2}', "$.feedback.a"),
        (r'"feedback": {"a": 1, "a": 2, "p": "\\", "q": "\\"}', "$.feedback.a"),
        (f'"feedback": {{"a": {"[" * _INNER}{"]" * _INNER}, "a": 1}}', "$.feedback.a"),
        (f'"feedback": {{"a": {"9" * 4300}, "a": 1}}', "$.feedback.a"),
        ('"feedback": {"a": NaN, "a": 1}', "$.feedback.a"),
    ],
)
def test_duplicate_is_refused_where_it_stands(rest: str, path: str) -> None:
    """The second key is named, at any level and in any spelling."""
    with pytest.raises(InvalidEventError) as caught:
        read_event(f"{{{HEAD}, {rest}}}".encode())
    assert (caught.value.code, caught.value.path) == (RejectCode.DUPLICATE_KEY, path)


@pytest.mark.parametrize(
    "feedback",
    [
        r'{"a": "\"a\": 1, \"a\": 2"}',
        r'{"a": "\\", "b": "\\\\\""}',
        r'{"a\\": 1, "a": 1}',
        r'{"a\"": 1, "a": 1, "\u0022a": 1}',
        '{"a": {"a": {"a": 1}}, "b": [{"a": 1}, {"a": 1}]}',
        '{"A": 1, "a": 1, "a ": 1, "ä": 1, "a\u0308": 1}',
        '{"0": 1, "l": [1]}',
        '{"a": null, "b": {}, "c": [], "d": [null, {}]  , "e": 1}',
    ],
)
def test_what_only_looks_doubled_is_accepted(feedback: str) -> None:
    """Text about keys is no key, and the same key in two objects is no duplicate."""
    read_event(f'{{{HEAD}, "feedback": {feedback}}}'.encode())


@given(events())
def test_event_without_escapes_is_parsed_once(event: dict[str, Any]) -> None:
    """The slow look, key by key, is only for texts with backslashes: the count is exact."""
    text = json.dumps(event, ensure_ascii=False)
    assume("\\" not in text)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(event_module, "find_duplicate_key", pytest.fail)
        read_event(text.encode())


BLANKS = st.text(" \n\r\t", max_size=2)
LETTERS = st.sampled_from(["a", "b", '"', "\\", "é", "\n"])
WORDS = st.lists(LETTERS, max_size=2).map("".join)


@st.composite
def strings(draw: st.DrawFn) -> str:
    """Write a word as a JSON string, each letter in one of its spellings."""
    return f'"{"".join(draw(spellings(letter)) for letter in draw(WORDS))}"'


def spellings(letter: str) -> st.SearchStrategy[str]:
    """List the ways in which JSON may write a letter."""
    escaped = json.dumps(letter)[1:-1]
    return st.sampled_from([escaped, f"\\u{ord(letter):04x}", f"\\u{ord(letter):04X}"])


@st.composite
def objects(draw: st.DrawFn, depth: int = 2) -> str:
    """Write an object with random white space, escapes and, now and then, a key twice."""
    values = strings() | st.sampled_from(["1", "true", "null", "{}", "-0.5e1"])
    if depth:
        values |= objects(depth - 1) | objects(depth - 1).map(lambda text: f"[{text} ,1]")
    pairs = draw(st.lists(st.tuples(strings(), values), max_size=3))
    return (
        "{" + ",".join(f"{draw(BLANKS)}{key}{draw(BLANKS)}:{value}" for key, value in pairs) + "}"
    )


@given(objects(), objects(), st.sampled_from(["metadata", "metrics"]))
@example('{"a": 1}', '{"a": 1}', "metrics")
def test_refused_if_and_only_if_a_key_is_doubled(one: str, other: str, name: str) -> None:
    """The count of quotes finds what reading key by key finds, and nothing else."""
    text = f'{{{HEAD}, "value": 1, "metrics": {one}, "{name}": {other}}}'
    assert code_of(text) == (RejectCode.DUPLICATE_KEY if has_duplicate(text) else None)


def code_of(text: str) -> RejectCode | None:
    """Return the code with which an event is refused, None if it is accepted."""
    try:
        read_event(text.encode())
    except InvalidEventError as error:
        return error.code
    return None


def has_duplicate(text: str) -> bool:
    """Whether any object of a JSON text names a key twice, by the standard library."""
    found = False

    def look(pairs: list[tuple[str, Any]]) -> None:
        nonlocal found
        found |= len({key for key, _ in pairs}) < len(pairs)

    json.loads(text, object_pairs_hook=look)
    return found
