"""`/api/query`: the questions of the command line, in a URL."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from afterword_consumers.query import Question, answer, as_csv, as_json

if TYPE_CHECKING:
    from tests.consumers.api.conftest import Served

pytestmark = pytest.mark.services

Row = Callable[..., dict[str, Any]]


@pytest.fixture(autouse=True)
def _stored(api: "Served", row: Row) -> None:
    """Scores 1 to 4 of two models in project acme, and one score of another project."""
    api.store(
        *(
            row(
                number,
                trace_id="tr-1",
                feedback={"score": number, "good": number > 2},
                metadata={"model": "m1" if number < 4 else "m2"},
            )
            for number in range(1, 5)
        ),
        row(9, project="other", trace_id="tr-1", feedback={"score": 100, "secret": "s"}),
    )


def test_an_answer_is_what_the_command_prints(api: "Served") -> None:
    """The same question gives the same object."""
    found = api.get("/api/query", "acme", measure="feedback.score", group_by="metadata.model")
    (series,) = found["series"]
    names = [column["name"] for column in series["columns"]]
    averages = {row[0]: row[names.index("avg")] for row in series["rows"]}
    assert averages == {"m1": 2.0, "m2": 4.0}


def test_all_parameters_are_those_of_a_question(api: "Served") -> None:
    """Groups, filters, period, bucket, zone, top and approximate, each as `Question` takes it."""
    question = Question(
        "feedback.score",
        project="acme",
        group_by=("metadata.model", "source"),
        where=("feedback.score >= 2", "trace_id = tr-1"),
        since="2026-01-31",
        until="2026-02-01",
        bucket="day",
        timezone="Asia/Tokyo",
        top=1,
        approximate=True,
    )
    asked = {
        "measure": question.measure,
        "group_by": list(question.group_by),
        "where": list(question.where),
        "since": "2026-01-31",
        "until": "2026-02-01",
        "bucket": "day",
        "timezone": "Asia/Tokyo",
        "top": "1",
        "approximate": "true",
    }
    found = answer(question, api.clickhouse, datetime.now(UTC))
    assert found.series

    http = api.http.get("/api/query", params=asked, headers={"x-project": "acme"})
    csv = api.http.get(
        "/api/query", params=asked, headers={"x-project": "acme", "accept": "text/csv"}
    )

    assert http.json()["series"] == json.loads(as_json(found))["series"]
    assert csv.text == as_csv(found) + "\n"
    assert csv.headers["content-type"] == "text/csv; charset=utf-8; header=present"
