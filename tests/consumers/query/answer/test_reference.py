"""Every answer against plain Python, over random feedback, questions, groups and time zones."""

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.consumers.query.conftest import Engine
from tests.consumers.query.reference import Event, Expected, expected
from tests.consumers.query.reference_strategies import NOW, ZONES, filters, histories, questions
from tests.examples import on_services

from afterword_consumers.explore.promotion import demote, promote
from afterword_consumers.query import Cell, Database, Question, Series, answer_question

Store = Callable[..., None]


@on_services
@given(
    events=histories,
    asked=st.lists(questions(), min_size=3, max_size=6),
    inserts=st.integers(1, 3),
)
def test_answers_are_pythons(
    *,
    store: Store,
    analytics: Database,
    events: list[Event],
    asked: list[Question],
    inserts: int,
) -> None:
    """Whatever is asked of whatever came, the answer has the series, rows and cells of plain Python."""
    rows = [event.row() for event in events]
    store(*(part for number in range(inserts) if (part := rows[number::inserts])))
    for question in asked:
        found = answer_question(question, analytics, NOW)
        check(found.series, expected(question, events, NOW))


@on_services
@given(
    events=histories,
    asked=st.lists(questions(), min_size=3, max_size=6),
    data=st.data(),
)
def test_answers_of_promoted_paths_are_pythons(
    store: Store, analytics: Engine, events: list[Event], asked: list[Question], data: st.DataObject
) -> None:
    """What the catalogue leaves out of the SQL, and columns in place of maps, change no answer."""
    store([event.row() for event in events])
    known = _write_catalogue(analytics, events)
    for question in asked:
        check(answer_question(question, analytics, NOW).series, expected(question, events, NOW))
    chosen = data.draw(st.lists(st.sampled_from(known), max_size=4, unique=True)) if known else []
    for path in chosen:
        promote(analytics, path)
    try:
        for question in asked:
            check(answer_question(question, analytics, NOW).series, expected(question, events, NOW))
    finally:
        for path in chosen:
            demote(analytics, path)


@on_services
@given(
    events=histories,
    texts=st.lists(filters(), min_size=4, max_size=8),
    zone=st.sampled_from(ZONES),
)
def test_filters_are_pythons(
    *, store: Store, analytics: Database, events: list[Event], texts: list[str], zone: str
) -> None:
    """A filter of any form passes the very feedback that it passes in plain Python."""
    store([event.row() for event in events])
    for text in texts:
        question = Question(
            "count", group_by=("project", "feedback_id"), where=(text,), timezone=zone, top=100
        )
        found = answer_question(question, analytics, NOW)
        check(found.series, expected(question, events, NOW))


@pytest.mark.parametrize("zone", ZONES)
def test_clocks_that_were_never_set(*, store: Store, analytics: Database, zone: str) -> None:
    """Feedback given at the start of 1970 stands first, in New York on the last day of 1969."""
    times = [datetime(1970, 1, 1, tzinfo=UTC), datetime(2026, 3, 29, 0, 30, tzinfo=UTC)]
    events = [
        Event(feedback_id=UUID(int=(0x4 << 76) | (0x2 << 62) | number), created_at=time)
        for number, time in enumerate(times)
    ]
    store([event.row() for event in events])
    for bucket in ("day", "week", "month"):
        question = Question("count", bucket=bucket, timezone=zone)
        check(answer_question(question, analytics, NOW).series, expected(question, events, NOW))


def _write_catalogue(analytics: Engine, events: list[Event]) -> list[str]:
    """Write the catalogue as workers do, from every event that ever came, and return its paths."""
    kinds = {"numbers": "number", "booleans": "boolean", "strings": "string"}
    found = {
        (row["project"], path, kind)
        for row in (event.row() for event in events)
        for kept_in, kind in kinds.items()
        for path in row[kept_in]
    }
    analytics.command("TRUNCATE TABLE feedback_paths")
    lines = "\n".join(
        json.dumps({"project": project, "path": path, "type": kind})
        for project, path, kind in found
    )
    if lines:
        analytics.command(f"INSERT INTO feedback_paths FORMAT JSONEachRow {lines}")
    return sorted({path for _, path, _ in found if path.split(".")[1:] != ["*"]})


def check(found: Sequence[Series], wanted: Sequence[Expected]) -> None:
    """Compare an answer with what it must be, cell by cell."""
    assert [series.type for series in found] == [series.type for series in wanted]
    for one, other in zip(found, wanted, strict=True):
        names = tuple(column.name for column in one.columns)
        assert names == other.columns
        cells = [dict(zip(names, row, strict=True)) for row in one.rows]
        right = [dict(zip(names, row, strict=True)) for row in other.rows]
        assert cells == [
            {name: _about(name, cell, row) for name, cell in row.items()} for row in right
        ]


def _about(name: str, cell: Cell, row: Mapping[str, Cell]) -> object:
    """Leave room for rounding.

    The spread of weighted feedback is a difference of sums, which counts as none within 1e-12 of
    the larger: for two values of 10 that is 12.7, Student's quantile, times the root of 2e-10.
    """
    if not isinstance(cell, float):
        return cell
    room = 1e-9 * max([1.0, *(abs(each) for each in row.values() if isinstance(each, int | float))])
    mean = name.removesuffix("_low").removesuffix("_high")
    if mean == "weighted_avg" and mean != name:
        room += 2e-4
    return pytest.approx(cell, rel=1e-12, abs=room)
