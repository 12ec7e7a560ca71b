"""paths: what can be asked about, as a table and for programs, on the real engine."""

import csv
import io
import json
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword

pytestmark = pytest.mark.services


def event(number: int, **fields: Any) -> bytes:
    """Return an event as a message."""
    return json.dumps(
        {
            "feedback_id": f"5f0e2f0a-0000-4000-8000-{number:012}",
            "project": "shop",
            "trace_id": "t",
            **fields,
        }
    ).encode()


@pytest.fixture
def list_paths(afterword: "Afterword", store_events: Callable[..., None]) -> "Afterword":
    """Run `afterword paths` on four feedbacks of two projects."""
    store_events(
        event(1, value=3, feedback={"rating": True, "score": 0.5}),
        event(2, feedback={"rating": "good"}, metadata={"_user": 7}),
        event(3, feedback={"rating": False, "comment": "\x1b[31mred"}),
        event(4, feedback={"rating": True}, project="bank"),
    )
    return lambda *arguments: afterword("paths", *arguments)


def test_a_table_has_a_row_for_each_type(list_paths: "Afterword") -> None:
    """Columns that are askable among them; texts of others cannot command the terminal."""
    ran = list_paths("-p", "shop")
    lines = ran.out.splitlines()
    assert (ran.status, ran.err) == (0, "")
    assert lines[0].split("  ")[0] == "project"
    assert [line.split()[1:3] for line in lines[1:]] == [
        ["feedback.comment", "string"],
        ["feedback.rating", "boolean"],
        ["feedback.rating", "string"],
        ["feedback.score", "number"],
        ["metadata._user", "string"],
        ["value", "number"],
    ]
    assert lines[1].endswith("\\x1b[31mred")
    assert len(list_paths("feedback.rating").out.splitlines()) == 4


def test_measured_adds_how_common_a_path_is(list_paths: "Afterword") -> None:
    """Events, their share with a percent sign, and distinct values, before the example."""
    header, *lines = list_paths("-p", "shop", "feedback.rating", "--measured").out.splitlines()
    assert header.split()[-4:] == ["events", "distinct", "share", "example"]
    assert [line.split()[-5:-1] for line in lines] == [
        ["2", "2", "66.7", "%"],
        ["1", "1", "33.3", "%"],
    ]


def test_json_has_numbers_and_texts_as_they_are(list_paths: "Afterword") -> None:
    """One object; what was not measured is not there."""
    ran = list_paths("feedback.comment", "--format", "json")
    (found,) = json.loads(ran.out)["paths"]
    assert {name: found[name] for name in ("project", "path", "type", "example")} == {
        "project": "shop",
        "path": "feedback.comment",
        "type": "string",
        "example": "\x1b[31mred",
    }
    assert found["first_seen"] == found["last_seen"]
    assert found["first_seen"].endswith("Z")
    assert "events" not in found
    (found,) = json.loads(list_paths("value", "--measured", "-f", "json").out)["paths"]
    assert (found["events"], found["share_percent"], found["distinct"]) == (
        1,
        pytest.approx(100 / 3),
        1,
    )


def test_csv_has_a_header(list_paths: "Afterword") -> None:
    """And a line for each row."""
    rows = list(csv.DictReader(io.StringIO(list_paths("feedback.s", "-f", "csv").out)))
    assert [(row["project"], row["path"], row["example"]) for row in rows] == [
        ("shop", "feedback.score", "0.5")
    ]


def test_an_example_with_a_carriage_return_is_one_field(
    list_paths: "Afterword", store_events: Callable[..., None]
) -> None:
    """Unquoted it would end a line for spreadsheets."""
    store_events(event(5, feedback={"note": "one\rtwo"}))
    ran = list_paths("feedback.note", "-f", "csv")
    assert ran.out.endswith(',"one\rtwo"\n')


def test_a_cut_list_says_so(list_paths: "Afterword") -> None:
    """On stderr, with what to do."""
    ran = list_paths("--limit", "2")
    assert len(ran.out.splitlines()) == 3
    assert ran.err == "only the first 2 are shown; see --limit, or give a prefix\n"


def test_a_mistyped_path_is_told_near_ones(list_paths: "Afterword") -> None:
    """On stderr, and in JSON as suggestions; status 0, for an empty list is an answer."""
    ran = list_paths("feedback.ratign")
    assert (ran.status, ran.out) == (0, "")
    assert ran.err == "no such path was seen; did you mean feedback.rating?\n"
    found = json.loads(list_paths("Feedback.Rating", "--format", "json").out)
    assert (found["paths"], found["suggestions"][0]) == ([], "feedback.rating")
    assert list_paths("nope", "-f", "csv").out == ""
