"""Promoted paths: columns of their own, and the same answers as before."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.consumers.query.conftest import Engine

from afterword_consumers.explore.promotion import demote, promote, read_backfill
from afterword_consumers.query import (
    Question,
    QuestionError,
    answer_question,
    compile_plan,
    parse,
    read_promoted,
    read_storage,
    to_sql,
)

Row = Callable[..., dict[str, Any]]
Store = Callable[..., None]

_NOW = datetime(2026, 2, 10, tzinfo=UTC)
_QUESTIONS = (
    Question("feedback.x", group_by=("metadata.model",)),
    Question("feedback.x", where=("feedback.x exists", "metadata.model != m1")),
    Question("count", group_by=("feedback.x",), where=("metadata.model in (m0, m1)",)),
    Question("metadata.model", bucket="day", compare="feedback.x = true, 2"),
)


@pytest.fixture
def mixed(analytics: Engine, store: Store, row: Row) -> Engine:
    """Feedback whose `feedback.x` is boolean, number, text or missing, by three models or none."""
    values = [True, 2, "two", False, None, 2.5, "", True]
    store(
        [
            row(number, feedback={"x": value}, metadata={"model": f"m{number % 3}"})
            for number, value in enumerate(values)
        ],
        # Seen once more, and one of them taken back: a promoted column follows the latest state.
        [
            row(1, feedback={"x": 7}, version=2),
            row(2, feedback={"x": "two"}, version=2, is_deleted=1),
            row(20, feedback={"x": 9}),
        ],
    )
    for path, kind in (
        ("feedback.x", "boolean"),
        ("feedback.x", "number"),
        ("feedback.x", "string"),
        ("metadata.model", "string"),
    ):
        analytics.command(
            "INSERT INTO feedback_paths (project, path, type, first_seen, last_seen, example) "
            f"VALUES ('acme', '{path}', '{kind}', 0, 0, '')"
        )
    return analytics


def _answers(engine: Engine) -> list[list[tuple[Any, ...]]]:
    return [
        [(series.type, series.rows) for series in answer_question(question, engine, _NOW).series]
        for question in _QUESTIONS
    ]


def test_answers_stay_the_same(mixed: Engine) -> None:
    """Before, with the columns, and without them again, whatever a path is used for."""
    before = _answers(mixed)
    assert all(before)
    names = promote(mixed, "feedback.x") + promote(mixed, "metadata.model")
    assert len(names) == len(set(names)) == 4
    assert _answers(mixed) == before
    assert demote(mixed, "feedback.x") == names[:3]
    assert _answers(mixed) == before
    assert set(read_promoted(mixed, {}).values()) == {names[3]}


def test_the_builder_reads_the_columns(mixed: Engine) -> None:
    """The map is not touched any more, also not in SQL that is pasted."""
    promote(mixed, "feedback.x")
    promote(mixed, "metadata.model")
    plan = parse(Question("feedback.x", group_by=("metadata.model",)), _NOW)
    for statement in compile_plan(plan, storage=read_storage(plan, mixed, {})):
        sql = to_sql(statement)
        assert "promoted_" in sql
        assert not any(f"{kept_in}[" in sql for kept_in in ("numbers", "booleans"))
        assert mixed.select(sql)


def test_what_was_stored_before_is_filled(mixed: Engine) -> None:
    """The backfill ends, and then every part has the column."""
    (name,) = promote(mixed, "metadata.model")
    deadline_s = time.monotonic() + 60
    while (found := read_backfill(mixed)).parts_to_do:
        assert found.failure == ""
        assert time.monotonic() < deadline_s
    ((parts,),) = mixed.select(
        "SELECT countIf(column = '" + name + "') = uniqExact(name) FROM system.parts_columns "
        "WHERE database = currentDatabase() AND table = 'feedback' AND active"
    )
    assert parts


def test_twice_is_once(mixed: Engine) -> None:
    """Promoting again adds nothing; a type that came since gets its column."""
    first = promote(mixed, "metadata.model")
    assert promote(mixed, "metadata.model") == first
    mixed.command(
        "INSERT INTO feedback_paths (project, path, type, first_seen, last_seen, example) "
        "VALUES ('other', 'metadata.model', 'number', 0, 0, '')"
    )
    assert promote(mixed, "metadata.model")[-1:] == first
    assert len(read_promoted(mixed, {})) == 2


@pytest.mark.parametrize(
    "path", ["metadata.it's a \\ `b`", "metadata.a\nb c", "metadata.{p0:String}"]
)
def test_a_path_is_never_sql(analytics: Engine, store: Store, row: Row, path: str) -> None:
    """Quotes, line breaks and placeholders in a key are text in the column's expression, too."""
    key = path.removeprefix("metadata.")
    store([row(1, metadata={key: "a"}), row(2, metadata={key: "b"})])
    escaped = path.replace("\\", "\\\\").replace("'", "\\'").replace("\n", "\\n")
    analytics.command(
        "INSERT INTO feedback_paths (project, path, type, first_seen, last_seen, example) "
        f"VALUES ('acme', '{escaped}', 'string', 0, 0, '')"
    )
    question = Question("count", group_by=(path,))
    before = answer_question(question, analytics, _NOW).series[0].rows
    promote(analytics, path)
    assert answer_question(question, analytics, _NOW).series[0].rows == before
    assert [cells[0] for cells in before] == ["a", "b"]
    demote(analytics, path)


@pytest.mark.parametrize(
    ("path", "says"),
    [
        ("feedback.scor", "Did you mean feedback.score"),
        ("metadata._user", "user_id already"),
        ("value", "already"),
        ("feedback.edits.*.value", "many paths"),
        ("nonsense", "neither a path nor a column"),
    ],
)
def test_a_path_that_cannot_be_promoted_is_refused(analytics: Engine, path: str, says: str) -> None:
    """An error says what is meant or what to write, and nothing is changed."""
    analytics.command(
        "INSERT INTO feedback_paths (project, path, type, first_seen, last_seen, example) "
        "VALUES ('acme', 'feedback.score', 'number', 0, 0, '')"
    )
    with pytest.raises(QuestionError, match=says):
        promote(analytics, path)
    assert read_promoted(analytics, {}) == {}


def test_only_what_is_promoted_can_be_demoted(mixed: Engine) -> None:
    """Another path is an error, with the one that may be meant."""
    promote(mixed, "metadata.model")
    with pytest.raises(QuestionError, match=r"Did you mean metadata\.model"):
        demote(mixed, "metadata.modle")


def test_an_answer_names_the_paths_that_have_no_column(mixed: Engine) -> None:
    """Each once; not those that no feedback has, nor a column, and none that was promoted."""
    question = Question(
        "feedback.x",
        group_by=("metadata.model", "prompt"),
        where=("feedback.x != 7", "feedback.none is missing"),
    )
    assert answer_question(question, mixed, _NOW).unpromoted == ("feedback.x", "metadata.model")
    promote(mixed, "feedback.x")
    assert answer_question(question, mixed, _NOW).unpromoted == ("metadata.model",)
    promote(mixed, "metadata.model")
    assert answer_question(question, mixed, _NOW).unpromoted == ()
