"""Filters: what their text means, and which feedback passes them."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.consumers.query.conftest import NOW
from tests.examples import on_services

from afterword_consumers.query import Cell, Question, QuestionError, parse
from afterword_consumers.query.language.filters import Operator, parse_filter
from afterword_consumers.query.language.periods import Clock, Moment

Ask = Callable[..., list[dict[str, Cell]]]
Row = Callable[..., dict[str, Any]]
Store = Callable[..., None]

_CLOCK = Clock(datetime(2026, 2, 10, tzinfo=UTC), UTC)
_MOMENT = Moment(datetime(2026, 1, 31, 9, 30, tzinfo=UTC), None, "UTC")


@pytest.mark.parametrize(
    ("text", "name", "operator", "values"),
    [
        ("feedback.score>=3", "feedback.score", Operator.GE, [3.0]),
        ("feedback.score == -2.5e1", "feedback.score", Operator.EQ, [-25.0]),
        ("feedback.score > .5", "feedback.score", Operator.GT, [0.5]),
        ("feedback.score in (5., -.5e1)", "feedback.score", Operator.IN, [5.0, -5.0]),
        (
            "metadata.version in (., 1.2.3, -., 5.e)",
            "metadata.version",
            Operator.IN,
            [".", "1.2.3", "-.", "5.e"],
        ),
        ("metadata.model = gpt-5", "metadata.model", Operator.EQ, ["gpt-5"]),
        ("metadata.model='gpt 5'", "metadata.model", Operator.EQ, ["gpt 5"]),
        ('metadata.version != "5"', "metadata.version", Operator.NE, ["5"]),
        ("feedback.liked = TRUE", "feedback.liked", Operator.EQ, [True]),
        ("feedback.liked = 'true'", "feedback.liked", Operator.EQ, ["true"]),
        ("feedback.plan in (a, 1, true)", "feedback.plan", Operator.IN, ["a", 1.0, True]),
        ("feedback.plan NOT IN ('b, c')", "feedback.plan", Operator.NOT_IN, ["b, c"]),
        ("feedback.note contains slow", "feedback.note", Operator.CONTAINS, ["slow"]),
        ("feedback.note exists", "feedback.note", Operator.EXISTS, []),
        ("'feedback.how was it' missing", "feedback.how was it", Operator.MISSING, []),
        (r"feedback.note = 'it\'s \\ fine'", "feedback.note", Operator.EQ, ["it's \\ fine"]),
        ("created_at >= 2026-01-31T09:30:00Z", "created_at", Operator.GE, [_MOMENT]),
    ],
)
def test_each_form_of_a_filter_is_parsed_as_documented(
    text: str, name: str, operator: Operator, values: list[object]
) -> None:
    """Each form of the grammar reads as its documentation says."""
    found = parse_filter(text, _CLOCK)
    assert (found.field.name, found.operator) == (name, operator)
    assert [literal.value for literal in found.values] == values
    assert [type(literal.value) for literal in found.values] == [type(value) for value in values]


NAMES = ("feedback.x", "feedback.x ", "feedback.x\n", "feedback. x")


def test_a_name_is_taken_with_its_spaces(store: Store, row: Row, ask: Ask) -> None:
    """They are a part of the key, so that no path answers with the numbers of another."""
    store([row(at, feedback={name[9:]: 2**at}) for at, name in enumerate(NAMES)])
    for at, name in enumerate(NAMES):
        assert [(found["n"], found["sum"]) for found in ask(name)] == [(1, 2**at)]
        assert [found["n"] for found in ask("count", where=(f'"{name}" exists',))] == [1]
        groups = ask("count", group_by=(name,), where=(f'"{name}" = {2**at}',))
        assert [found["n"] for found in groups] == [1]
    for padded in (" feedback.x", "value ", "\nmetadata._user"):
        with pytest.raises(QuestionError, match="is neither a path nor a column"):
            parse(Question(padded), NOW)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not a filter"),
        ("feedback.score", "is not a filter"),
        ("feedback.score >=", "is not a filter"),
        (">= 3", "is not a filter"),
        ("feedback.score >= 3 and prompt = a", "each condition is a filter of its own"),
        ("metadata.model = gpt 5", "is not a filter"),
        ("metadata.model = 'gpt", "is not a filter"),
        ("prompt in a, b", "is not a filter"),
        ("prompt in ()", "is not a filter"),
        ("prompt in (a b)", "is not a filter"),
        ("prompt in (a,)", "is not a filter"),
        ("prompt exists yes", "is not a filter"),
        ("prompt = (", "is not a filter"),
        ("score >= 3", "Write feedback.score, metadata.score or metrics.score"),
        ("promt = v1", "Did you mean prompt"),
        ("feedback = 3", "Write a path below it, such as feedback.score"),
        ("fedback.score >= 3", "Did you mean feedback.score"),
        ("Feedback.step1.Score >= 3", "Did you mean feedback.step1.Score"),
        ("feedback.\udcff = 3", "is not a filter"),
        ("feedback.tags.* = a", "has a wildcard"),
        ("feedback.score > 1e999", "beyond what a number can be"),
        ("feedback.x in (" + ", ".join(["1"] * 1001) + ")", "more than 1000 values"),
        ("feedback.x = \ud800", "is not a filter"),
    ],
)
def test_no_filter_says_what_to_write(text: str, message: str) -> None:
    """What is not a filter is refused with examples of what is one."""
    with pytest.raises(QuestionError, match=message):
        parse(Question("value", where=(text,)), NOW)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("value = good", "Write for example value >= 3"),
        ("value in (1, a)", "is a number"),
        ("value contains 3", "is not text"),
        ("feedback.liked > true", "has no order"),
        ("feedback_id < 019c12e9-8b3d-7000-8000-000000000001", "has no order"),
        ("feedback_id = 7", "Write a UUID"),
        ("created_at > soon", "Write a duration before now"),
        ("prompt = ''", "Write prompt missing"),
        ("feedback.note contains ''", "Write feedback.note exists"),
    ],
)
def test_impossible_comparisons_say_what_to_write(ask: Ask, text: str, message: str) -> None:
    """A column is not compared with what it cannot be."""
    with pytest.raises(QuestionError, match=message):
        ask("value", where=(text,))


@pytest.fixture
def five(store: Store, row: Row) -> None:
    """Five feedback events of all types."""
    store(
        [
            row(1, value=1, feedback={"x": 3, "note": "Too SLOW"}, prompt="p"),
            row(2, value=2, feedback={"x": 4.5}, prompt="it's", source="implicit"),
            row(3, value=3, feedback={"x": "3", "note": "fine"}, trace_id="t3"),
            row(4, value=4, feedback={"x": True}, user_id="7"),
            row(5, value=5, metadata={"a b": "c"}),
        ]
    )


@pytest.mark.usefixtures("five")
@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("feedback.x = 3", [1]),
        ("feedback.x = '3'", [3]),
        ("feedback.x = true", [4]),
        ("feedback.x != 3", [2, 3, 4, 5]),
        ("feedback.x > 3", [2]),
        ("feedback.x <= 4.5", [1, 2]),
        ("feedback.x >= a", []),
        ("feedback.x in (3, '3')", [1, 3]),
        ("feedback.x not in (3, true)", [2, 3, 5]),
        ("feedback.x exists", [1, 2, 3, 4]),
        ("feedback.x missing", [5]),
        ("feedback.note contains slow", [1]),
        ("'metadata.a b' = c", [5]),
        ("prompt = p", [1]),
        ('prompt = "it\'s"', [2]),
        ("prompt missing", [3, 4, 5]),
        ("prompt is missing", [3, 4, 5]),
        ("prompt != p", [2, 3, 4, 5]),
        ("prompt < z", [1, 2]),
        ("metadata._user = 7", [4]),
        ("metadata._user exists", [4]),
        ("source = implicit", [2]),
        ("trace_id in (t3, t4)", [3]),
        ("value >= 4", [4, 5]),
        ("value missing", []),
        ("feedback_id = 019c12e9-8b3d-7000-8000-000000000002", [2]),
        ("feedback_id != 019C12E9-8B3D-7000-8000-000000000002", [1, 3, 4, 5]),
        ("created_at >= 1d", []),
        ("created_at < 1d", [1, 2, 3, 4, 5]),
        ("project contains CM", [1, 2, 3, 4, 5]),
    ],
)
def test_a_filter_passes_the_rows_that_it_describes(
    ask: Ask, text: str, expected: list[int]
) -> None:
    """Values are compared by their type, and what lacks the path equals nothing."""
    found = ask("value", group_by=("value",), where=(text,))
    assert sorted(int(each["sum"] or 0) for each in found) == expected


_values = (
    st.none() | st.booleans() | st.sampled_from([0, 1, 2.5]) | st.sampled_from(["a", "B", "1"])
)
_positive = st.sampled_from(["= 1", "= true", "= a", "in (1, a, false)", "= '1'", "in ('B', 2.5)"])
_negative = {"=": "!=", "in": "not in"}


@on_services
@given(values=st.lists(_values, min_size=1), comparison=_positive)
def test_a_negation_passes_the_rest(
    store: Store, row: Row, ask: Ask, values: list[object], comparison: str
) -> None:
    """A filter and its negation share no feedback and leave none out."""
    store([row(number, feedback={"x": value}) for number, value in enumerate(values)])
    operator, _, operand = comparison.partition(" ")
    counts = [
        sum(int(each["n"] or 0) for each in ask("count", where=(f"feedback.x {text}",)))
        for text in (comparison, f"{_negative[operator]} {operand}")
    ]
    wanted = _wanted(operand)
    assert counts[0] == sum(
        any(type(v) is type(w) and v == w for w in wanted) for v in _floats(values)
    )
    assert sum(counts) == len(values)


def _wanted(operand: str) -> list[object]:
    words = operand.strip("()").split(", ")
    meanings = {"1": 1.0, "2.5": 2.5, "true": True, "false": False}
    return [meanings.get(word, word.strip("'")) for word in words]


def _floats(values: list[object]) -> list[object]:
    return [float(value) if type(value) is int else value for value in values]
