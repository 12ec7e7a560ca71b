"""The measure `thumbs`: votes that people gave, in either spelling, and never what they only did."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from tests.consumers.query.conftest import Engine

from afterword_consumers.explore.promotion import promote
from afterword_consumers.explore.traces import find_traces
from afterword_consumers.export.selection import count, parse_selection
from afterword_consumers.query import (
    Cell,
    Database,
    Question,
    QuestionError,
    SeriesType,
    answer_question,
    as_csv,
    parse,
    to_sql,
)

Ask = Callable[..., list[dict[str, Cell]]]
Row = Callable[..., dict[str, Any]]
Store = Callable[..., None]

_NOW = datetime(2026, 2, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("said", "thumb"),
    [
        ({"value": 1}, "up"),
        ({"value": 10, "weight": 0.0}, "up"),
        ({"value": -1}, "down"),
        ({"value": 0}, None),
        ({"feedback": {"rating": True}}, "up"),
        ({"feedback": {"rating": False}}, "down"),
        ({"value": -3, "feedback": {"rating": True}}, "down"),
        ({"value": 0, "feedback": {"rating": True}}, None),
        ({"feedback": {"rating": 5}}, None),
        ({"feedback": {"rating": "up"}}, None),
        ({"feedback": {"liked": True}}, None),
        ({"metrics": {"rating": True}}, None),
        ({"source": "implicit", "value": 1}, None),
        ({"source": "implicit", "feedback": {"rating": True}}, None),
    ],
)
def test_a_vote_is_decided_by_the_value_and_then_by_the_rating(
    *, store: Store, row: Row, ask: Ask, said: dict[str, Any], thumb: str | None
) -> None:
    """The value decides; without one `feedback.rating` does, if it is true or false."""
    store([row(1, **said)])
    found = [each["up_percent"] for each in ask("thumbs")]
    assert found == {"up": [100], "down": [0], None: []}[thumb]
    ((group, n),) = [(each["group_1"], each["n"]) for each in ask("count", group_by=("thumbs",))]
    assert (group, n) == (thumb, 1)


def test_clicks_are_no_votes(store: Store, row: Row, ask: Ask) -> None:
    """Of 8 thumbs up and 2 down 80 % are up, whatever was copied and regenerated beside them."""
    votes = [row(n, value=1 if n < 8 else -1) for n in range(10)]
    clicks = [row(n, source="implicit", value=1 if n % 2 else -1) for n in range(10, 40)]
    store(votes + clicks)
    assert ask("thumbs") == [
        {
            "n": 10,
            "up_percent": 80,
            "up_percent_low": pytest.approx(49.0162, abs=1e-3),
            "up_percent_high": pytest.approx(94.3318, abs=1e-3),
            "down_percent": 20,
            "is_small": True,
        }
    ]


@pytest.fixture
def spellings(store: Store, row: Row) -> None:
    """Votes in both spellings under two prompts, with clicks and stars between them."""
    ups = {"v1": 2, "v2": 5}
    rows = []
    for start, (prompt, up) in enumerate(ups.items()):
        for number in range(6):
            is_up = number < up
            said = {"value": 2 * is_up - 1} if number % 2 else {"feedback": {"rating": is_up}}
            rows.append(row(10 * start + number, prompt=prompt, **said))
        rows.append(row(10 * start + 8, prompt=prompt, source="implicit", value=-1))
        rows.append(row(10 * start + 9, prompt=prompt, feedback={"rating": 5}))
    store(rows)


@pytest.mark.usefixtures("spellings")
def test_votes_in_groups_buckets_and_filters(ask: Ask) -> None:
    """Groups, buckets, filters on other paths and on the votes themselves."""
    grouped = ask("thumbs", group_by=("prompt",), bucket="day")
    assert [(each["group_1"], each["n"]) for each in grouped] == [("v1", 6), ("v2", 6)]
    assert [each["up_percent"] for each in grouped] == pytest.approx([100 / 3, 500 / 6])
    assert [each["n"] for each in ask("thumbs", where=("prompt = v1", "thumbs = up"))] == [2]
    for where, n in [
        ("thumbs = down", 5),
        ("thumbs != down", 11),
        ("thumbs in (up, down)", 12),
        ("thumbs missing", 4),
        ("thumbs exists", 12),
    ]:
        assert [each["n"] for each in ask("count", where=(where,))] == [n], where


def test_traces_and_exports_are_chosen_by_votes(
    store: Store, row: Row, analytics: Database
) -> None:
    """Whatever takes filters takes this one."""
    votes = [row(1, trace_id="a", value=-1), row(2, trace_id="b", feedback={"rating": True})]
    store([*votes, row(3, trace_id="c", source="implicit", value=-1)])
    plan = parse(Question("count", where=("thumbs = down",)), _NOW)
    assert [each.trace_id for each in find_traces(analytics, plan, limit=9)] == ["a"]
    assert count(parse_selection(_NOW, where=("thumbs exists",)), analytics) == 2


@pytest.mark.usefixtures("spellings")
def test_votes_are_compared(analytics: Database, ask: Ask) -> None:
    """Two prompts by their votes, and the votes themselves by another measure."""
    (found,) = ask("thumbs", compare="prompt = v1, v2")
    assert (found["n_first"], found["n_second"]) == (6, 6)
    assert found["up_percent_first"] == pytest.approx(100 / 3)
    assert found["difference"] == pytest.approx(50)
    (found,) = ask("value", compare="thumbs = down, up")
    assert (found["avg_first"], found["avg_second"]) == (-1, 1)
    (series,) = answer_question(
        Question("thumbs", compare="prompt = v1, v2"), analytics, _NOW
    ).series
    assert series.columns[2].label == "up % v1"


@pytest.mark.usefixtures("spellings")
def test_the_sql_and_the_csv_say_what_they_are_about(analytics: Database) -> None:
    """The statement can be pasted, and reads one column; the CSV names its type."""
    found = answer_question(Question("thumbs"), analytics, _NOW)
    (series,) = found.series
    assert series.type is SeriesType.THUMBS
    assert "assumeNotNull(thumbs_up) AS measure" in series.statement.sql
    pasted = analytics.query(to_sql(series.statement), {}, {})
    assert [name in pasted.columns for name in ("n", "up_percent")] == [True, True]
    assert pasted.rows[0][pasted.columns.index("up_percent")] == series.rows[0][1]
    assert as_csv(found).splitlines()[0].startswith("type,n,up_percent,up_percent_low,")
    assert as_csv(found).splitlines()[1].startswith("thumbs,12,")


@pytest.mark.usefixtures("spellings")
def test_a_promoted_rating_is_read_from_its_column(analytics: Engine, ask: Ask) -> None:
    """The answer is the same, and no map is read for it."""
    analytics.command(
        "INSERT INTO feedback_paths (project, path, type) VALUES"
        " ('acme', 'feedback.rating', 'boolean'), ('acme', 'feedback.rating', 'number')"
    )
    before = ask("thumbs", group_by=("thumbs",))
    assert answer_question(Question("thumbs"), analytics, _NOW).unpromoted == ("feedback.rating",)
    promote(analytics, "feedback.rating")
    found = answer_question(Question("thumbs"), analytics, _NOW)
    (series,) = found.series
    assert "booleans[" not in series.statement.sql
    assert "promoted_booleans_feedback_rating" in series.statement.sql
    assert found.unpromoted == ()
    assert ask("thumbs", group_by=("thumbs",)) == before


@pytest.mark.usefixtures("spellings")
def test_another_promoted_path_leaves_the_votes_alone(analytics: Engine, ask: Ask) -> None:
    """What is read in place of the view has the votes, too."""
    analytics.command(
        "INSERT INTO feedback_paths (project, path, type) VALUES"
        " ('acme', 'feedback.rating', 'number'), ('acme', 'metadata.model', 'string')"
    )
    before = ask("thumbs", group_by=("metadata.model",))
    promote(analytics, "metadata.model")
    assert ask("thumbs", group_by=("metadata.model",)) == before != []


@pytest.mark.parametrize(
    ("question", "says"),
    [
        ({"where": ("thumbs = true",)}, "thumbs is up or down"),
        ({"where": ("thumbs = 1",)}, "thumbs is up or down"),
        ({"where": ("thumbs > down",)}, "thumbs has no order"),
        ({"where": ("thumbs contains u",)}, "thumbs is not text"),
        ({"group_by": ("thumb",)}, "Did you mean thumbs?"),
    ],
)
def test_a_question_that_votes_cannot_answer_is_refused(
    analytics: Database, question: dict[str, Any], says: str
) -> None:
    """Each mistake says what to write."""
    with pytest.raises(QuestionError, match=says):
        answer_question(Question("count", **question), analytics, _NOW)
    with pytest.raises(QuestionError, match="Both groups are 'up'"):
        parse(Question("value", compare="thumbs = up, 'up'"), _NOW)


def test_without_votes_the_answer_says_what_a_vote_is(
    store: Store, row: Row, analytics: Engine
) -> None:
    """Stars and clicks alone give no thumbs; no path is called missing that nobody asked for."""
    store([row(1, feedback={"rating": 5}), row(2, source="implicit", value=1)])
    analytics.command(
        "INSERT INTO feedback_paths (project, path, type) VALUES"
        " ('acme', 'feedback.rating', 'number')"
    )
    found = answer_question(Question("thumbs"), analytics, _NOW)
    assert found.series == ()
    assert found.notice == (
        "No feedback is a vote. A vote is explicit, with a value other than 0 or, without a value,"
        " a feedback.rating of true or false."
    )


def test_votes_need_no_rating_at_all(store: Store, row: Row, analytics: Engine) -> None:
    """A project whose votes are all values is told nothing about `feedback.rating`."""
    store([row(1, value=1, feedback={"score": 3})])
    analytics.command(
        "INSERT INTO feedback_paths (project, path, type) VALUES ('acme', 'feedback.score', 'number')"
    )
    found = answer_question(Question("thumbs"), analytics, _NOW)
    assert [series.rows[0][0] for series in found.series] == [1]
    assert found.notice == ""


@pytest.mark.usefixtures("spellings")
def test_plain_sql_has_the_votes(analytics: Database, ask: Ask) -> None:
    """`feedback_current` has them as a column, and the views take them as path and as group."""
    (found,) = ask("thumbs")
    sql = "SELECT count(thumbs_up), 100 * avg(thumbs_up) FROM feedback_current"
    assert analytics.query(sql, {}, {}).rows == ((found["n"], found["up_percent"]),)
    view = (
        "SELECT {} FROM boolean_stats(project = 'acme', path = 'thumbs', group_by = '{}',"
        " since = '2026-01-01', until = '2027-01-01')"
    )
    columns = ("n", "true_percent", "true_percent_low", "true_percent_high")
    (shown,) = analytics.query(view.format(", ".join(columns), ""), {}, {}).rows
    asked = [found[name.replace("true", "up")] for name in columns]
    assert list(shown) == pytest.approx(asked)
    groups = analytics.query(view.format("group, n, true_percent", "thumbs"), {}, {}).rows
    assert groups == (("up", 7, 100), ("down", 5, 0))
