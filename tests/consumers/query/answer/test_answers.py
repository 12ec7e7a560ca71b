"""Answers: a series for each type, what the columns are, and why there is nothing."""

import math
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import pytest

from afterword_consumers.query import (
    Budget,
    Column,
    Database,
    Freshness,
    Kind,
    Parameter,
    Question,
    SeriesType,
    Table,
    answer_question,
    suggest,
)

Row = Callable[..., dict[str, Any]]
Store = Callable[..., None]

_NOW = datetime(2026, 2, 10, tzinfo=UTC)


def test_a_series_for_each_type(store: Store, row: Row, analytics: Database) -> None:
    """A path that is boolean, number and text in turn answers all three, and refuses nothing."""
    values = [True, 4, 5, "good"]
    store([row(number, feedback={"x": value}) for number, value in enumerate(values)])
    found = answer_question(Question("feedback.x"), analytics, _NOW)
    assert {series.type: series.rows[0][0] for series in found.series} == {
        SeriesType.NUMBER: 2,
        SeriesType.BOOLEAN: 1,
        SeriesType.TEXT: "good",
    }


def test_columns_say_what_they_are(store: Store, row: Row, analytics: Database) -> None:
    """A column has the name of the SQL, a kind, and a label in the user's words."""
    store([row(1, feedback={"liked": True})])
    question = Question("feedback.liked", group_by=("metadata.model",), bucket="day")
    (series,) = answer_question(question, analytics, _NOW).series
    assert series.columns == (
        Column("bucket", Kind.TIME, "day"),
        Column("group_1", Kind.TEXT, "metadata.model"),
        Column("other_groups", Kind.COUNT, "other groups"),
        Column("n", Kind.COUNT, "n"),
        Column("true_percent", Kind.PERCENT, "true %"),
        Column("true_percent_low", Kind.INTERVAL, "low"),
        Column("true_percent_high", Kind.INTERVAL, "high"),
        Column("false_percent", Kind.PERCENT, "false %"),
        Column("is_small", Kind.FLAG, "few"),
    )
    found = analytics.query(series.statement.sql, series.statement.parameters, {})
    computed_here = {"true_percent_low", "true_percent_high", "is_small"}
    assert {column.name for column in series.columns} - {*found.columns} == computed_here


def test_an_answer_names_all_that_ran(store: Store, row: Row, analytics: Database) -> None:
    """Also what found nothing, and in the very statement that looked for it."""
    store([row(1, feedback={"x": 4})])
    some = answer_question(Question("feedback.x"), analytics, _NOW)
    assert [each.series for each in some.statements] == ["number", "boolean", "text"]
    assert [series.statement for series in some.series] == [some.statements[0]]
    budget = Budget(read_rows=7)
    none = answer_question(
        Question("feedback.y", where=("source = implicit",)), analytics, _NOW, budget
    )
    assert (none.series, len(none.statements)) == ((), 3)
    assert none.statements[0].settings == budget.settings()


def test_an_answer_says_how_fresh_it_is(analytics: Database) -> None:
    """What was known of it before the tables were read goes with the answer, with or without rows."""
    fresh = Freshness(_NOW, 0)
    assert answer_question(Question("value"), analytics, _NOW, freshness=fresh).freshness is fresh
    assert answer_question(Question("value"), analytics, _NOW).freshness is None


class _Overflowed:
    """A database in which every number is too large for a float."""

    def query(
        self, sql: str, parameters: Mapping[str, Parameter], settings: Mapping[str, int | float]
    ) -> Table:
        """Answer one row, whatever was asked."""
        names = ("n", "sum", "deviation", "min", "max", "median", "p95", "p98", "p99", "avg")
        return Table(names, ((2, math.inf, math.nan, *[None] * 6, math.inf),))


def test_an_infinite_sum_and_its_average_are_none() -> None:
    """An infinite sum, and the average made of it, are None: JSON has no word for them."""
    (series,) = answer_question(Question("value"), _Overflowed(), _NOW).series
    assert series.rows == ((2, *[None] * 10, True),)


def test_approximate_answers_say_so(store: Store, row: Row, analytics: Database) -> None:
    """A sketch states its error; exact answers have no note."""
    store([row(number, feedback={"x": 1}) for number in range(30)])
    (sketched,) = answer_question(Question("feedback.x", approximate=True), analytics, _NOW).series
    (exact,) = answer_question(Question("feedback.x"), analytics, _NOW).series
    assert sketched.note == "percentiles are approximate, within 0.8 % of the value at their rank"
    assert exact.note == ""


@pytest.mark.parametrize(
    ("question", "notice", "suggestions"),
    [
        (Question("feedback.scor"), "No feedback has the path feedback.scor.", ("feedback.score",)),
        (
            Question("feedback.score", where=("metadata.Model = a",)),
            "No feedback has the path metadata.Model.",
            ("metadata.model",),
        ),
        (
            Question("metrics.score", project="acme"),
            "No feedback has the path metrics.score.",
            ("feedback.score",),
        ),
        (
            Question("feedback.edits.*.vale"),
            "No feedback has the path feedback.edits.*.vale.",
            ("feedback.edits.0.value",),
        ),
        (
            Question("feedback.edits.*.value", since="1d"),
            "No feedback has what is measured and is of the period.",
            (),
        ),
        (Question("value"), "No feedback has what is measured.", ()),
        (
            Question("feedback.score", where=("feedback.score > 99",), until="2027-01-01"),
            "No feedback has what is measured and passes the filters and is of the period.",
            (),
        ),
        (
            Question("feedback.score", where=("feedback.score > high",)),
            "feedback.score holds numbers; 'high' is text. Write a number, without quotes.",
            (),
        ),
        (
            Question("count", where=("feedback.liked = 'true'",)),
            "feedback.liked holds true and false; 'true' is text. Write true or false, without quotes.",
            (),
        ),
        (
            Question("feedback.score", compare="metadata.model = 1, 2"),
            "metadata.model holds texts; '1' is a number. In quotes it would be text.",
            (),
        ),
        (
            Question("feedback.score", where=("metadata.model = 5",)),
            "metadata.model holds texts; '5' is a number. In quotes it would be text.",
            (),
        ),
        (
            Question("feedback.score", project="globex"),
            "No feedback of project globex is stored yet; see `afterword status`.",
            (),
        ),
    ],
)
def test_an_empty_answer_says_why(
    *,
    run: Callable[[str], None],
    analytics: Database,
    question: Question,
    notice: str,
    suggestions: tuple[str, ...],
) -> None:
    """No empty table: the answer names the path that is unknown and what may have been meant."""
    for path, kind in (
        ("feedback.score", "number"),
        ("metadata.model", "string"),
        ("feedback.edits.0.value", "number"),
        ("feedback.liked", "boolean"),
    ):
        run(f"INSERT INTO feedback_paths VALUES ('acme', '{path}', '{kind}', now(), now(), '1')")
    found = answer_question(question, analytics, _NOW)
    assert (found.series, found.notice, found.suggestions) == ((), notice, suggestions)


def test_suggestions_are_few_and_never_the_path_itself() -> None:
    """At most five, those of the same last step first."""
    known = [f"metadata.model{number}" for number in range(9)] + ["feedback.model", "a.b"]
    found = suggest("metadata.model", known)
    assert found[0] == "feedback.model"
    assert len(found) == 5
    assert suggest("zzz.qqq", known) == []
    assert suggest("a.b", ["a.b"]) == []


def test_a_misspelt_group_or_filter_is_told_beside_the_answer(
    run: Callable[[str], None], store: Store, row: Row, analytics: Database
) -> None:
    """All in one group, or all that passes a filter on nothing, must not pass for an answer."""
    store([row(1, feedback={"score": 3}, metadata={"model": "m1"})])
    run(
        "INSERT INTO feedback_paths (project, path, type) "
        "VALUES ('acme', 'feedback.score', 'number'), ('acme', 'metadata.model', 'string')"
    )
    for question in (
        Question("feedback.score", group_by=("metadata.modle",)),
        Question("feedback.score", where=("metadata.modle != m2",)),
    ):
        found = answer_question(question, analytics, _NOW)
        assert found.series[0].rows
        assert found.notice == "No feedback has the path metadata.modle."
        assert found.suggestions == ("metadata.model",)
    assert answer_question(Question("feedback.score"), analytics, _NOW).notice == ""


def test_an_empty_side_is_told(store: Store, row: Row, analytics: Database) -> None:
    """A comparison with a value that nothing has says so, beside its dashes."""
    store([row(1, feedback={"score": 3}, prompt="v1")])
    found = answer_question(Question("feedback.score", compare="prompt = v1, v9"), analytics, _NOW)
    assert found.notice == "There is nothing to compare: n v9 is 0."
