"""The views for plain SQL give the numbers that questions give."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.examples import on_services

from afterword_consumers.query import Database, Question, SeriesType, answer_question
from afterword_schemas.migrate import SqlConnection, migrations

Row = Callable[..., dict[str, Any]]
Store = Callable[..., None]

_NOW = datetime(2026, 2, 10, tzinfo=UTC)
_VIEWS = {
    SeriesType.NUMBER: "number_stats",
    SeriesType.BOOLEAN: "boolean_stats",
    SeriesType.TEXT: "string_counts",
    SeriesType.WEIGHTED: "weighted_feedback",
}
_values = st.one_of(st.booleans(), st.floats(-100, 100), st.sampled_from(["a", "b", ""]))
_events = st.tuples(
    _values,
    st.sampled_from(["p1", "p2", ""]),
    st.integers(-10, 10) | st.none(),
    st.sampled_from([0.0, 0.3, 1.0]),
    st.integers(0, 40),
)


@on_services
@given(
    events=st.lists(_events, min_size=1, max_size=40),
    path=st.sampled_from(["feedback.x", "value", "weight", "prompt", "metadata._prompt"]),
    group_by=st.sampled_from(
        ["", "prompt", "metadata._prompt", "feedback.x", "value", "trace_id", "thumbs"]
    ),
    project=st.sampled_from(["acme", ""]),
)
def test_views_answer_as_questions_do(
    *,
    store: Store,
    row: Row,
    analytics: Database,
    events: list[tuple[object, str, int | None, float, int]],
    path: str,
    group_by: str,
    project: str,
) -> None:
    """Each view has the groups and numbers of the question that asks the same."""
    start = datetime(2026, 1, 1, tzinfo=UTC)
    store(
        [
            row(
                number,
                project="acme" if number % 3 else "globex",
                feedback={"x": x},
                prompt=prompt,
                value=value,
                weight=weight,
                created_at=start + timedelta(days=day),
            )
            for number, (x, prompt, value, weight, day) in enumerate(events)
        ]
    )
    fields: dict[str, Any] = {
        "project": project or None,
        "group_by": (group_by,) if group_by else (),
        "since": "2026-01-03",
        "until": "2026-02-08",
        "top": 1000,
    }
    parameters = {"path": path, "group_by": group_by, "project": project}
    asked = [
        each
        for measure in (path, "weighted")
        for each in answer_question(Question(measure, **fields), analytics, _NOW).series
        if each.type in _VIEWS
    ]
    for series in asked:
        names = [column.name for column in series.columns]
        shared = [name for name in names if not name.startswith(("other_", "is_small"))]
        expected = [
            [cell for name, cell in zip(names, cells, strict=True) if name in shared]
            for cells in series.rows
        ]
        found = _view(analytics, series.type, shared, **parameters)
        # Questions rank the values of a text over all groups, the view in each.
        expected.sort(key=lambda cells: str(cells[:2]) if "value" in shared else "")
        found.sort(key=lambda cells: str(cells[:2]) if "value" in shared else "")
        assert [_about(shared, cells) for cells in expected] == found
    types = {series.type for series in asked}
    for kind in set(_VIEWS) - types:
        assert not _view(analytics, kind, ["n"], **parameters)


def _about(names: list[str], cells: list[Any]) -> list[Any]:
    """Leave the ends of a mean's interval the room that statistics.md tells of the views: 0.02 % of its half."""
    row = dict(zip(names, cells, strict=True))
    half = max(
        (
            abs(row[name] - row[name.removesuffix("_low")])
            for name in ("avg_low", "weighted_avg_low")
            if row.get(name) is not None
        ),
        default=0.0,
    )
    return [
        pytest.approx(cell, abs=1e-6 + 2e-4 * half) if isinstance(cell, int | float) else cell
        for cell in cells
    ]


def _view(
    analytics: Database,
    kind: SeriesType,
    names: list[str],
    *,
    path: str,
    group_by: str,
    project: str,
) -> list[list[Any]]:
    columns = ", ".join("group" if name == "group_1" else name for name in names)
    only = "" if kind == SeriesType.WEIGHTED else "path = {path:String}, "
    sql = (
        f"SELECT {columns} FROM {_VIEWS[kind]}(project = {{project:String}}, {only}"
        "group_by = {group_by:String}, since = '2026-01-03', until = '2026-02-08')"
    )
    parameters = {"project": project, "path": path, "group_by": group_by}
    return [list(cells) for cells in analytics.query(sql, parameters, {}).rows]


def test_the_period_of_a_view_ends_before_until(
    store: Store, row: Row, analytics: SqlConnection
) -> None:
    """`since` is included and `until` is not, as in questions; both take a time with an offset."""
    store([row(day, value=day, created_at=datetime(2026, 1, day, tzinfo=UTC)) for day in (1, 2, 3)])
    found = analytics.select(
        "SELECT n, sum FROM number_stats(project = 'acme', path = 'value', group_by = '', "
        "since = '2026-01-01T01:00:00+01:00', until = '2026-01-03')"
    )
    assert [list(cells) for cells in found] == [[2, 3]]


@pytest.mark.parametrize(
    "votes", [[(10, 0.1)] * 50, [(-1, 1e-170), (1, 1e-170)]], ids=["alike", "nearly no weight"]
)
def test_rounding_is_no_spread(
    store: Store, row: Row, analytics: Database, votes: list[tuple[int, float]]
) -> None:
    """The interval of a weighted average is that of the question, also where hardly anything is left of it."""
    store([row(n, value=value, weight=weight) for n, (value, weight) in enumerate(votes)])
    (asked, _) = answer_question(Question("weighted"), analytics, _NOW).series
    names = [column.name for column in asked.columns][:5]
    found = analytics.query(
        f"SELECT {', '.join(names)} FROM weighted_feedback(project = 'acme', group_by = '', "
        "since = '2026-01-01', until = '2027-01-01')",
        {},
        {},
    )
    expected = [each and pytest.approx(each, rel=1e-12) for each in asked.rows[0][:5]]
    assert list(found.rows[0]) == expected


def test_views_can_be_made_twice(analytics: SqlConnection) -> None:
    """A migration that was cut off is run again."""
    for statement in next(each for each in migrations() if each.name == "0003_analyst_views").sql:
        analytics.command(statement)
        analytics.command(statement)


def test_a_forgotten_parameter_is_an_error(analytics: SqlConnection) -> None:
    """ClickHouse has no default for a parameter, which the file says at its top."""
    with pytest.raises(RuntimeError, match="since"):
        analytics.select(
            "SELECT * FROM number_stats(project='', path='value', group_by='', until='2027-01-01')"
        )
