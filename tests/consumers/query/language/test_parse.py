"""A question is read once: all that comes after works with the plan."""

from collections.abc import Callable
from dataclasses import FrozenInstanceError, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from afterword_consumers.explore.traces import find_traces
from afterword_consumers.query import (
    Bucket,
    Database,
    Plan,
    Question,
    QuestionError,
    parse,
    run_plan,
)
from afterword_consumers.query.language.fields import Field, Type
from afterword_consumers.query.language.filters import Filter, Literal, Operator
from afterword_consumers.query.language.periods import Moment

_NOW = datetime(2026, 2, 10, tzinfo=UTC)
_WHERE = ("metadata.model in (m1, m2)", "created_at >= 2026-01-01", "thumbs missing")
_QUESTION = Question(
    "feedback.score",
    project="acme",
    group_by=("metadata.model",),
    where=_WHERE,
    since="2026-01-01",
    until="1d",
    bucket="day",
    timezone="Europe/Berlin",
    compare="prompt = v1, v2",
)
_NONSENSE = Question("?", "?", ("?",), ("?",), "?", "?", "?", "?", top=0, compare="?")


def test_a_plan_holds_everything_that_was_written() -> None:
    """Fields, filters, groups to compare, period and zone, each in its own type."""
    plan = parse(_QUESTION, _NOW)
    model, created_at = Field("metadata.model", None), Field("created_at", "created_at")
    new_year = Moment(datetime(2025, 12, 31, 23, tzinfo=UTC), "2026-01-01", "Europe/Berlin")
    assert plan.measure == Field("feedback.score", None)
    assert plan.groups == (model,)
    assert plan.filters == (
        Filter(
            model,
            Operator.IN,
            (Literal("m1", Type.TEXT, "m1"), Literal("m2", Type.TEXT, "m2")),
        ),
        Filter(created_at, Operator.GE, (Literal("2026-01-01", Type.TIME, new_year),)),
        Filter(Field("thumbs", "thumbs_up"), Operator.MISSING, ()),
    )
    assert plan.since == new_year
    assert plan.until == Moment(datetime(2026, 2, 9, tzinfo=UTC), None, "Europe/Berlin")
    assert (plan.bucket, str(plan.zone), plan.project) == (Bucket.DAY, "Europe/Berlin", "acme")
    assert plan.comparison is not None
    assert plan.comparison.names == ("v1", "v2")


def test_a_plan_cannot_be_changed() -> None:
    """It is made once, by `parse`."""
    plan = parse(_QUESTION, _NOW)
    with pytest.raises(FrozenInstanceError):
        plan.filters = ()  # type: ignore[misc]  # that is what is tested


@pytest.fixture
def feedback(store: Callable[..., None], row: Callable[..., dict[str, Any]]) -> None:
    """Scores of two models under two prompts."""
    store(
        [
            row(
                number,
                trace_id=f"t{number % 3}",
                feedback={"score": number},
                metadata={"model": f"m{number % 2 + 1}"},
                prompt=f"v{number % 4 // 2 + 1}",
            )
            for number in range(16)
        ]
    )


@pytest.mark.usefixtures("feedback")
def test_an_answer_comes_from_the_plan_alone(analytics: Database) -> None:
    """With nonsense for the text of the question it is the same: nothing reads that again."""
    plan = parse(_QUESTION, _NOW)
    answer = run_plan(plan, analytics)
    again = run_plan(_without_text(plan), analytics)
    assert answer.series[0].rows
    assert (again.series, again.statements) == (answer.series, answer.statements)
    assert (again.notice, again.unpromoted) == (answer.notice, answer.unpromoted)


@pytest.mark.usefixtures("feedback")
def test_traces_come_from_the_plan_alone(analytics: Database) -> None:
    """The list of traces, too."""
    plan = parse(Question("count", where=_WHERE, since="2026-01-01"), _NOW)
    traces = find_traces(analytics, plan, limit=5)
    assert len(traces) == 3
    assert find_traces(analytics, _without_text(plan), limit=5) == traces


def test_a_question_without_an_answer_is_explained_from_the_plan(analytics: Database) -> None:
    """Why there is nothing does not come from the text either."""
    plan = parse(_QUESTION, _NOW)
    answer, again = run_plan(plan, analytics), run_plan(_without_text(plan), analytics)
    assert answer.notice == again.notice != ""


def test_nonsense_is_a_question_until_it_is_parsed() -> None:
    """So that one place says what is wrong."""
    with pytest.raises(QuestionError):
        parse(_NONSENSE, _NOW)


def _without_text(plan: Plan) -> Plan:
    return replace(plan, question=_NONSENSE)
