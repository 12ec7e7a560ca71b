"""cookbook.md: every recipe runs as it stands, and finds row for row what plain Python finds."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import pytest
from tests.consumers.query.cookbook_answers import ANSWERS
from tests.consumers.query.cookbook_feedback import Rejection, make_events, make_rejections
from tests.consumers.query.cookbook_habits import (
    HABITS,
    OPERATION,
    refusals_by_hour,
    several_types,
    wrong_fields,
)
from tests.consumers.query.cookbook_records import Rows, of
from tests.consumers.query.cookbook_traces import TRACES
from tests.consumers.query.reference_records import Event, current

from afterword_consumers.query import Database
from afterword_schemas.flatten import flatten

_PAGE: Final = (Path(__file__).parents[3] / "consumers" / "docs" / "cookbook.md").read_text(
    encoding="utf-8"
)
_RECIPES: Final = re.findall(r"^### (.+?)$(.*?)(?=^##|\Z)", _PAGE, re.DOTALL | re.MULTILINE)
_TITLES: Final = [title for title, _ in _RECIPES]


@pytest.fixture(scope="module")
def answers() -> Mapping[str, Rows]:
    """By title, the rows that a recipe must find."""
    events, rejections = make_events(), make_rejections()
    records = current(events)
    ours = of("acme", records)
    return {
        **{
            title: find(ours)
            for title, find in [*ANSWERS.items(), *TRACES.items(), *HABITS.items()]
        },
        **{title: find(records) for title, find in OPERATION.items()},
        "Which paths hold more than one type?": several_types(events),
        "Why were events refused, hour by hour?": refusals_by_hour(rejections),
        "Which fields are wrong most often?": wrong_fields(rejections),
    }


@pytest.fixture(scope="module")
def cookbook_database(engine: Any) -> Database:
    """A database with all of the feedback, in three inserts, the paths and the refused messages."""
    engine.start_over()
    events = make_events()
    engine.replace([[event.row() for event in events[part::3]] for part in range(3)])
    _insert(engine, "feedback_paths", _paths_seen(events))
    rejections = make_rejections()
    for states in (rejections[:90], rejections[90:]):
        _insert(engine, "feedback_rejected", map(_rejection, states))
    database: Database = engine
    return database


def test_every_recipe_is_checked(answers: Mapping[str, Rows]) -> None:
    """There are the 31 that README and query-language.md speak of; each has one statement, a title of its own, and rows to be held against."""
    assert len(_TITLES) == 31
    assert sorted(_TITLES) == sorted(answers)
    assert all(text.count("```sql\n") == 1 for _, text in _RECIPES)
    assert _PAGE.count("```") == 2 * len(_RECIPES)
    assert all(answers.values())


@pytest.mark.parametrize(("title", "text"), _RECIPES, ids=_TITLES)
def test_recipe_finds_what_python_finds(
    cookbook_database: Database, answers: Mapping[str, Rows], title: str, text: str
) -> None:
    """All rows, in order, all cells; numbers within rounding."""
    (sql,) = re.findall(r"```sql\n(.*?)\n```", text, re.DOTALL)
    found = cookbook_database.query(sql, {}, {}).rows
    assert [list(row) for row in found] == [
        [_about(cell) for cell in row] for row in answers[title]
    ]


@pytest.mark.parametrize(
    "title",
    [
        "How does the thumbs-up rate of each prompt version go, day by day?",
        "Which prompts are worst, among those with enough votes?",
        "Do the thumbs-up rates of two versions differ, or is it chance?",
        "Are slow answers liked less?",
        "About which traces do people disagree?",
        "Where do users and experts see the same answer differently?",
        "How far do users and experts agree beyond chance?",
        "How many sessions end badly?",
        "Which users turned negative?",
        "How does this week compare with the week before?",
        "What is the rolling average of seven days, in my time zone?",
    ],
)
def test_clicks_would_change_the_answer(answers: Mapping[str, Rows], title: str) -> None:
    """There are enough copies and regenerations in the feedback that a recipe that counts them is wrong."""
    find = {**ANSWERS, **TRACES, **HABITS}[title]
    as_if_said = [replace(each, source="explicit") for each in make_events()]
    assert find(of("acme", current(as_if_said))) != answers[title]


def _about(cell: Any) -> Any:
    """Leave room for rounding, and for the expansion of t in the views."""
    if isinstance(cell, list):
        return [_about(each) for each in cell]
    return pytest.approx(float(cell), rel=1e-6, abs=1e-9) if isinstance(cell, float) else cell


def _insert(engine: Any, table: str, rows: Iterable[Mapping[str, object]]) -> None:
    lines = "\n".join(json.dumps(row) for row in rows)
    engine.command(f"INSERT INTO {table} FORMAT JSONEachRow {lines}")


def _paths_seen(events: Iterable[Event]) -> list[dict[str, object]]:
    """Return a row for each time that a path was seen; the table keeps the first and the last."""
    found: list[dict[str, object]] = []
    for event in events:
        leaves, seen = flatten(event.roots()), event.ingested_at.timestamp()
        for kind in ("number", "boolean", "string"):
            found += [
                {"project": event.project, "path": path, "type": kind, "first_seen": seen, "last_seen": seen, "example": str(value)}
                for path, value in getattr(leaves, f"{kind}s").items()
            ]  # fmt: skip
    return found


def _rejection(each: Rejection) -> dict[str, object]:
    return {
        "kafka_topic": "feedback.events",
        "topic_id": "one",
        "kafka_partition": each.number % 2,
        "kafka_offset": each.number,
        "published_at": each.rejected_at.timestamp(),
        "rejected_at": each.rejected_at.timestamp(),
        "code": each.code,
        "path": each.path,
        "payload": each.payload,
        **({"replayed_at": each.rejected_at.timestamp() + 60} if each.replayed else {}),
    }
