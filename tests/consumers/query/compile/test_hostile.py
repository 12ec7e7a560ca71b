"""No text of a user's becomes SQL, and what is pasted answers what was bound."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import on_services

from afterword_consumers.query import (
    Budget,
    Database,
    Question,
    QuestionError,
    compile_plan,
    parse,
    to_sql,
)

Row = Callable[..., dict[str, Any]]
Store = Callable[..., None]

_NOW = datetime(2026, 2, 10, tzinfo=UTC)
_pieces = st.sampled_from(
    ["'", '"', "`", "\\", "\\'", "--", "/*", "*/", ";", "{p0:String}", "{", "}", "%", "$$", "\n"]
) | st.sampled_from(
    ["\t", "\0", "\\N", "\\x27", "') OR 1=1 --", "DROP TABLE feedback", "ü", "💥", "‘", "*", ".*"]
)
_hostile = st.lists(_pieces | st.text(max_size=3), min_size=1, max_size=6).map("".join)
_path = _hostile.map(lambda text: "feedback.k" + text.replace(".", "%2E"))
_FIELDS: dict[str, Callable[[str], dict[str, Any]]] = {
    "measure": lambda text: {"measure": text},
    "group": lambda text: {"group_by": (text,)},
    "where": lambda text: {"where": (text,)},
    "compare": lambda text: {"compare": text},
    "side": lambda text: {"compare": f"prompt = {_quoted(text)}, v2"},
    "since": lambda text: {"since": text},
    "zone": lambda text: {"timezone": text, "bucket": "hour"},
    "bucket": lambda text: {"bucket": text},
    "project": lambda text: {"project": text},
}


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


@on_services
@given(path=_path, group=_path, value=_hostile)
def test_hostile_names_and_values_are_found(
    *, store: Store, row: Row, analytics: Database, path: str, group: str, value: str
) -> None:
    """Whatever a path, a group or a value holds, the question finds the feedback that has it."""
    for text in (path, group, value):
        try:
            text.encode()
        except UnicodeEncodeError:
            return
    leaves = {"strings": {path: value, group: value}, "booleans": {}, "numbers": {}}
    store([row(1, **leaves), row(2, feedback={"other": 1})])
    question = Question(
        path,
        group_by=(group,),
        where=(f"{_quoted(path)} = {_quoted(value)}", f"{_quoted(group)} in ({_quoted(value)}, 1)"),
        timezone="Asia/Tokyo",
        bucket="day",
    )
    *_, statement = compile_plan(parse(question, _NOW))
    bound = analytics.query(statement.sql, statement.parameters, statement.settings)
    assert [row[1:6] for row in bound.rows] == [(value, 0, value, 0, 1)]
    assert analytics.query(to_sql(statement), {}, {}) == bound
    assert {*statement.parameters.values()} >= {path, group, value}


@given(value=_hostile.filter(lambda text: text.strip()))
def test_no_text_reaches_the_sql(value: str) -> None:
    """Two questions that differ in users' text only have the same SQL."""
    question = Question(
        f"feedback.{value}",
        group_by=(f"metadata.{value}",),
        where=(f"metrics.x = {_quoted(value)}",),
    )
    try:
        plan = parse(question, _NOW)
    except QuestionError:
        return
    plain = Question("feedback.x", group_by=("metadata.y",), where=("metrics.x = 'z'",))
    if "*" not in value.split("."):
        assert [each.sql for each in compile_plan(plan)] == [
            each.sql for each in compile_plan(parse(plain, _NOW))
        ]


@on_services
@given(
    field=st.sampled_from(sorted(_FIELDS)),
    text=_hostile | st.text(),
)
def test_any_text_anywhere_is_answered_or_refused(
    analytics: Database, field: str, text: str
) -> None:
    """No input makes ClickHouse fail: it is a question, or it is refused with what to write."""
    fields = {"measure": "value", **_FIELDS[field](text)}
    try:
        statements = compile_plan(parse(Question(**fields), _NOW))
    except QuestionError as error:
        refusal = error.next_step
    else:
        refusal = "none"
        for statement in statements:
            analytics.query(statement.sql, statement.parameters, statement.settings)
    assert refusal


def test_a_budget_breaks_off(store: Store, row: Row, analytics: Database) -> None:
    """A statement that would read more rows than its budget is an error, not a wrong answer."""
    store([row(number, value=1) for number in range(100)])
    (statement,) = compile_plan(parse(Question("value"), _NOW), Budget(read_rows=50))
    with pytest.raises(RuntimeError, match="TOO_MANY_ROWS"):
        analytics.query(statement.sql, statement.parameters, statement.settings)


def test_a_statement_cannot_write(analytics: Database) -> None:
    """The settings of every statement forbid writing."""
    (statement,) = compile_plan(parse(Question("value"), _NOW))
    with pytest.raises(RuntimeError, match="READONLY"):
        analytics.query("INSERT INTO schema_migrations (name) SELECT 'x'", {}, statement.settings)
