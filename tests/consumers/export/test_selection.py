"""What is exported is what a query with the same filters counts."""

import json
from collections.abc import Callable
from datetime import datetime
from typing import Any

import pytest

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.export import count, explain_empty, export_events, parse_selection
from afterword_consumers.query import Question, QuestionError, answer_question

pytestmark = pytest.mark.services

Say = Callable[..., None]


@pytest.fixture
def filled(say: Say, stored: ClickHouse) -> ClickHouse:
    """Ten feedbacks of two projects, a day apart."""
    say(
        *(
            {
                "project": "acme" if n < 7 else "bank",
                "feedback": {"score": n, "rating": n % 2 == 0, "comment": f"it's {n}"},
                "metadata": {"_prompt": f"v{n % 3}"},
                "created_at": f"2026-02-{n + 1:02}T12:00:00Z",
            }
            for n in range(10)
        )
    )
    return stored


@pytest.mark.parametrize(
    ("selected", "scores"),
    [
        ({}, range(10)),
        ({"project": "bank"}, [7, 8, 9]),
        ({"project": "nobody"}, []),
        ({"where": ("feedback.score >= 3", "feedback.rating = true")}, [4, 6, 8]),
        ({"where": ("prompt in (v1, v2)",), "project": "acme"}, [1, 2, 4, 5]),
        ({"where": ('feedback.comment = "it\'s 4"',)}, [4]),
        ({"where": ('feedback.comment = "\' OR 1=1 --"',)}, []),
        ({"where": ("feedback_id = 5f0e2f0a-0000-4000-8000-000000000003",)}, [2]),
        ({"since": "3d"}, [6, 7, 8, 9]),
        ({"since": "2026-02-03", "until": "2026-02-05"}, [2, 3]),
        ({"since": "2026-02-03T12:30", "until": "2026-02-04"}, []),
        ({"since": "2026-02-03T12:30", "until": "2026-02-04", "timezone": "Asia/Tokyo"}, [2]),
    ],
)
def test_a_selection_is_what_a_query_counts(
    filled: ClickHouse, now: datetime, selected: dict[str, Any], scores: list[int]
) -> None:
    """By project, filters and period; written as in a query, and as literally."""
    selection = parse_selection(now, **selected)
    pieces = export_events(selection, filled)
    lines = b"".join(piece.data for piece in pieces).splitlines()
    assert sorted(json.loads(line)["feedback"]["score"] for line in lines) == list(scores)
    assert count(selection, filled) == len(lines)
    series = answer_question(Question("count", **selected), filled, now).series
    assert sum(int(row[0] or 0) for each in series for row in each.rows) == len(lines)


@pytest.mark.parametrize(
    "wrong",
    [
        {"project": "a' OR '1'='1"},
        {"where": ("score = 1",)},
        {"where": ("feedback.score ~ 1",)},
        {"since": "soon"},
        {"timezone": "Mars/Base"},
    ],
)
def test_what_no_query_takes_no_export_takes(now: datetime, wrong: dict[str, Any]) -> None:
    """It is refused when it is made, before anything is read."""
    with pytest.raises(QuestionError):
        parse_selection(now, **wrong)


def test_a_period_that_ends_before_it_begins_is_refused(now: datetime) -> None:
    """As in a query, before anything is read."""
    with pytest.raises(QuestionError, match="is not before until"):
        parse_selection(now, since="1d", until="2d")


def test_an_empty_selection_says_why(filled: ClickHouse, now: datetime) -> None:
    """With the path that was meant, where a filter names none that is known."""
    sentence, paths = explain_empty(parse_selection(now, where=("feedback.scor > 3",)), filled)
    assert sentence == "No feedback has the path feedback.scor."
    assert paths[0] == "feedback.score"
    sentence, _ = explain_empty(parse_selection(now, where=("feedback.score > 99",)), filled)
    assert sentence == "No feedback passes the filters."
