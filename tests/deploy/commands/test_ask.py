"""query and paths: what analysts type, and what they get, on the real engine."""

import csv
import io
import json
import re
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from itertools import count
from typing import TYPE_CHECKING

import pytest
from tests.consumers.kafka.one_fetch import ingest

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.query import Question, answer_question
from afterword_stack.commands.ask import slow_line
from afterword_stack.settings import Settings

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword

pytestmark = pytest.mark.services

IDS = count(100)


def event(project: str, day: int, model: str, said: dict[str, object]) -> bytes:
    """Return an event of January 2026 as a message."""
    return json.dumps(
        {
            "feedback_id": f"5f0e2f0a-0000-4000-8000-{next(IDS):012}",
            "project": project,
            "trace_id": "t",
            "feedback": said,
            "metadata": {"model": model, "_environment": "prod" if day % 2 else "test"},
            "created_at": f"2026-01-{day:02}T12:00:00Z",
        }
    ).encode()


@pytest.fixture
def filled(settings: Settings) -> Iterator[ClickHouse]:
    """A database with eight feedbacks on two models."""
    ratings = [
        ("aurora", True, 0.5),
        ("aurora", True, 0.75),
        ("aurora", False, 0.25),
        ("aurora", True, 1),
        ("borealis", False, 0.5),
        ("borealis", True, 0.25),
    ]
    events = [
        event("shop", day, model, {"rating": rating, "score": score})
        for day, (model, rating, score) in enumerate(ratings, start=1)
    ]
    events.append(event("shop", 7, "aurora", {"comment": "\x1b[31mred\nor 良い"}))
    events.append(event("bank", 8, "aurora", {"rating": False}))
    clickhouse = ClickHouse(settings.clickhouse)
    ingest(clickhouse, events)
    yield clickhouse
    clickhouse.close()


@pytest.fixture
def ask(afterword: "Afterword", filled: ClickHouse) -> "Afterword":
    """Run a command where there is something to ask about."""
    assert filled.address.database
    return afterword


def test_a_boolean_is_shares_with_an_interval(ask: "Afterword") -> None:
    """In an aligned table on stdout; how fresh it is goes to stderr."""
    ran = ask("query", "feedback.rating", "-p", "shop", "--group-by", "metadata.model")
    assert ran.status == 0
    assert ran.out.splitlines() == [
        "feedback.rating, boolean (few: fewer than 30, too small to compare)",
        "metadata.model  n  true %           95 %  false %  few",
        "aurora          4  75.0 %  30.1 … 95.4 %   25.0 %  few",
        "borealis        2  50.0 %   9.5 … 90.5 %   50.0 %  few",
    ]
    assert re.fullmatch(r"complete until 20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z\n", ran.err)


def test_thumbs_are_votes_up_and_down(ask: "Afterword") -> None:
    """The title says the measure once; a filter on the votes themselves goes with any measure."""
    ran = ask("query", "thumbs", "-p", "shop", "--group-by", "metadata.model")
    assert ran.status == 0
    assert ran.out.splitlines() == [
        "thumbs (few: fewer than 30, too small to compare)",
        "metadata.model  n    up %           95 %  down %  few",
        "aurora          4  75.0 %  30.1 … 95.4 %  25.0 %  few",
        "borealis        2  50.0 %   9.5 … 90.5 %  50.0 %  few",
    ]
    ran = ask("query", "count", "-w", "thumbs = down", "--group-by", "project", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert {row["project"]: row["n"] for row in rows} == {"shop": "2", "bank": "1"}


def test_tables_of_an_older_version_are_to_be_migrated(
    ask: "Afterword", filled: ClickHouse
) -> None:
    """A view that lacks what is asked for says which command mends it."""
    filled.command(
        "CREATE OR REPLACE VIEW feedback_current AS"
        " SELECT * EXCEPT (is_deleted, version) FROM feedback FINAL"
    )
    ran = ask("query", "thumbs")
    assert ran.status == 2
    assert "has tables of an older Afterword. Run `afterword migrate`." in ran.err


def test_two_groups_a_filter_and_a_period(ask: "Afterword") -> None:
    """Each narrows or splits what the one before left."""
    ran = ask(
        *("query", "feedback.score", "-g", "metadata.model", "-g", "metadata._environment"),
        *("-w", "feedback.score >= 0.5", "-w", "metadata.model = aurora", "--since", "2026-01-02"),
        *("--until", "2026-01-05", "--format", "csv"),
    )
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert ran.status == 0
    assert [(r["metadata.model"], r["metadata._environment"], r["n"], r["max"]) for r in rows] == [
        ("aurora", "test", "2", "1.0")
    ]


def test_buckets_are_rows_of_their_own(ask: "Afterword") -> None:
    """Days and weeks, in order of time, where days begin in the zone that was asked for."""
    ran = ask("query", "count", "-p", "shop", "--bucket", "week", "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(ran.out)))
    assert [(row["week"], row["n"]) for row in rows] == [
        ("2025-12-29", "4"),
        ("2026-01-05", "3"),
    ]
    ran = ask(
        *("query", "count", "-p", "bank", "--bucket", "day", "--timezone", "Pacific/Kiritimati"),
        *("--format", "csv"),
    )
    assert "2026-01-09" in ran.out


def test_json_has_names_and_nulls(ask: "Afterword") -> None:
    """One object; a program needs no more than stdout."""
    ran = ask("query", "feedback.rating", "-p", "bank", "--format", "json")
    found = json.loads(ran.out)
    assert ran.status == 0
    assert (found["measure"], found["notice"], found["suggestions"]) == (
        "feedback.rating",
        None,
        [],
    )
    (series,) = found["series"]
    assert series["columns"][1] == {"name": "true_percent", "kind": "percent", "label": "true %"}
    names = [column["name"] for column in series["columns"]]
    row = dict(zip(names, series["rows"][0], strict=True))
    assert series["type"] == "boolean"
    assert (row["n"], row["true_percent"], row["false_percent"]) == (1, 0.0, 100.0)


def test_a_text_of_others_is_printed_safely(ask: "Afterword") -> None:
    """In the table as escapes; in JSON and CSV as it is."""
    shown = ask("query", "feedback.comment").out
    assert "\\x1b[31mred or 良い" in shown
    assert "\x1b" not in shown
    assert "\x1b" not in ask("paths", "feedback.comment").out
    found = json.loads(ask("query", "feedback.comment", "-f", "json").out)
    assert found["series"][0]["rows"][0][0] == "\x1b[31mred\nor 良い"


def test_the_sql_it_prints_gives_the_same_answer(ask: "Afterword", filled: ClickHouse) -> None:
    """All but intervals, pasted as it is; it goes to stderr, so that stdout stays the answer."""
    plain = ask("query", "feedback.score", "-g", "metadata.model", "-f", "json")
    ran = ask("query", "feedback.score", "-g", "metadata.model", "-f", "json", "--sql")
    answers = [json.loads(text) | {"freshness": None} for text in (ran.out, plain.out)]
    assert answers[0] == answers[1]
    assert "\n-- number\nWITH parts" in ran.err
    pasted = filled.query(ran.err, {}, {})
    (series,) = json.loads(ran.out)["series"]
    names = [column["name"] for column in series["columns"]]
    assert {*names} - {*pasted.columns} == {"avg_low", "avg_high", "is_small"}
    for found, row in zip(pasted.rows, series["rows"], strict=True):
        cells = dict(zip(pasted.columns, found, strict=True))
        told = {name: cell for name, cell in zip(names, row, strict=True) if name in cells}
        assert told == {name: cells[name] for name in told}


def test_the_sql_of_a_plain_question_fits_a_screen(ask: "Afterword", filled: ClickHouse) -> None:
    """A person reads 25 lines at once; nothing is integrated in it."""
    ran = ask("query", "feedback.score", "--since", "2020-01-01", "--sql")
    _, _, sql = ran.err.partition("-- number\n")
    assert len(sql.rstrip().splitlines()) <= 25
    assert filled.query(sql, {}, {}).columns[:3] == ("n", "sum", "deviation")


def test_a_long_wait_says_what_would_be_sooner(filled: ClickHouse) -> None:
    """Which paths to promote, as commands to paste; nothing after a short wait, or where none would help."""
    asked = Question("feedback.score", group_by=("metadata.model",))
    found = answer_question(asked, filled, datetime(2026, 2, 1, tzinfo=UTC))
    assert slow_line(found, 4.99) == ""
    assert slow_line(found, 12.34) == (
        "This took 12.3 s. If you ask it often: `afterword promote feedback.score`, "
        "`afterword promote metadata.model`"
    )
    assert slow_line(replace(found, unpromoted=("feedback.odd key",)), 5.0) == (
        "This took 5.0 s. If you ask it often: `afterword promote 'feedback.odd key'`"
    )
    columns = answer_question(Question("weighted", group_by=("prompt",)), filled, datetime.now(UTC))
    assert slow_line(columns, 12.34) == ""


def test_a_misspelt_path_suggests_the_right_one(ask: "Afterword") -> None:
    """With status 1; as JSON the answer is there all the same."""
    ran = ask("query", "feedback.ratign")
    assert (ran.status, ran.out) == (1, "")
    assert "No feedback has the path feedback.ratign. Did you mean feedback.rating" in ran.err
    ran = ask("query", "feedback.ratign", "--format", "json")
    assert ran.status == 1
    assert "feedback.rating" in json.loads(ran.out)["suggestions"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["rating"], "Write feedback.rating"),
        (["feedback.rating", "-w", "metadata.model ~ x"], "metadata.model ~ x"),
        (["feedback.rating", "-g", "a", "-g", "b", "-g", "c"], "3 groups"),
        (["feedback.rating", "--since", "soon"], "'soon' is not a moment in time."),
        (["feedback.rating", "--timezone", "Mars/Base"], "Mars/Base"),
        (["feedback.rating", "--bucket", "decade"], "'decade' is not one of"),
        (["feedback.rating", "--top", "0"], "top is 0."),
    ],
)
def test_a_question_that_cannot_be_asked_is_refused(
    ask: "Afterword", arguments: list[str], said: str
) -> None:
    """With status 2 and what may be written."""
    ran = ask("query", *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert said in ran.err


def test_paths_lists_what_was_seen(ask: "Afterword") -> None:
    """With type and example; by prefix and project."""
    lines = ask("paths", "-p", "shop").out.splitlines()
    assert lines[0].split("  ")[0] == "project"
    assert [row.split()[1:3] for row in lines[1:]] == [
        ["feedback.comment", "string"],
        ["feedback.rating", "boolean"],
        ["feedback.score", "number"],
        ["metadata._environment", "string"],
        ["metadata.model", "string"],
    ]
    assert len(ask("paths", "feedback.rating").out.splitlines()) == 3
    ran = ask("paths", "nope")
    assert (ran.status, ran.out, ran.err) == (0, "", "no such path was seen\n")


def test_nothing_was_stored_yet(afterword: "Afterword", settings: Settings) -> None:
    """That is said, and no table is printed."""
    assert settings.kafka_topic
    ran = afterword("paths")
    assert (ran.status, ran.out, ran.err) == (0, "", "no feedback was stored yet\n")
    ran = afterword("query", "feedback.rating")
    assert (ran.status, ran.out) == (1, "")
    assert "No feedback is stored yet" in ran.err
