"""`/api/query`: the questions of the command line, in a URL."""

import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from afterword_consumers.query import Question, answer_question, as_csv, as_json

if TYPE_CHECKING:
    from tests.consumers.api.conftest import Serve
    from tests.consumers.api_harness import ApiHarness

pytestmark = pytest.mark.services

Row = Callable[..., dict[str, Any]]


@pytest.fixture(scope="module")
def api(serving: "Serve", row: Row) -> Iterator["ApiHarness"]:
    """Scores 1 to 4 of two models in project acme, and one score of another project."""
    with serving() as served:
        served.store(
            *(
                row(
                    number,
                    trace_id="tr-1",
                    feedback={"score": number, "good": number > 2, "mixed": number},
                    metadata={"model": "m1" if number < 4 else "m2"},
                )
                for number in range(1, 5)
            ),
            row(8, trace_id="tr-1", feedback={"mixed": "text", "note": "=1+1\r\n'\"ü"}),
            row(9, project="other", trace_id="tr-1", feedback={"score": 100}),
        )
        yield served


ASKED: dict[str, Any] = {
    "measure": "feedback.score",
    "group_by": ("metadata.model", "source"),
    "where": ("feedback.score >= 2", "trace_id = tr-1"),
    "since": "2026-01-31",
    "until": "2026-02-01",
    "bucket": "day",
    "timezone": "Asia/Tokyo",
    "top": 1,
    "approximate": True,
}


@pytest.mark.parametrize(
    "asked",
    [
        ASKED,
        {"measure": "feedback.mixed"},
        {"measure": "weighted", "group_by": ("trace_id",)},
        {"measure": "count", "bucket": "hour"},
        {"measure": "feedback.note"},
        {"measure": "feedback.score", "compare": "metadata.model = m1, m2"},
        {"measure": "feedback.scroe"},
    ],
)
def test_answers_are_those_of_the_command_line(api: "ApiHarness", asked: dict[str, Any]) -> None:
    """The same question gives the same JSON and the same CSV, whatever it asks."""
    question = Question(**asked, project="acme")
    found = answer_question(
        question, api.clickhouse, datetime.now(UTC), freshness=api.kafka.freshness
    )
    parameters = asked | {name: "true" for name in ("approximate",) if name in asked}

    as_object = api.get("/api/query", "acme", **parameters)
    headers = {"x-project": "acme", "accept": "text/csv"}
    csv = api.http.get("/api/query", params=parameters, headers=headers)

    assert as_object == json.loads(as_json(found))
    assert csv.text == (as_csv(found) and as_csv(found) + "\n")
    assert csv.headers["content-type"] == "text/csv; charset=utf-8; header=present"


def test_a_link_may_name_the_form(api: "ApiHarness") -> None:
    """Where nobody can set a header, as in a spreadsheet; it wins over what the header says."""
    csv = api.http.get("/api/query?measure=count&format=csv", headers={"x-project": "acme"})
    assert csv.headers["content-type"] == "text/csv; charset=utf-8; header=present"
    headers = {"x-project": "acme", "accept": "text/csv"}
    as_json_ = api.http.get("/api/query?measure=count&format=json", headers=headers)
    assert as_json_.headers["content-type"].startswith("application/json")
    safe = api.http.get("/api/query?measure=count&format=csv&spreadsheet=true", headers=headers)
    assert safe.content == b"\xef\xbb\xbf" + csv.content.replace(
        b"type,n\ncount", b'"type","n"\n"count"'
    )


@pytest.mark.parametrize(
    ("parameters", "hint"),
    [
        ("format=xml", "Write format=json or format=csv."),
        ("spreadsheet=true", "Add format=csv."),
        ("format=json&spreadsheet=true", "Add format=csv."),
        ("format=csv&sql=true", "Accept: application/json."),
    ],
)
def test_a_form_that_does_not_fit_is_refused(api: "ApiHarness", parameters: str, hint: str) -> None:
    """With what to write."""
    refused = api.http.get(f"/api/query?measure=count&{parameters}", headers={"x-project": "acme"})
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["hint"]) == (400, "invalid_parameter", hint)


def test_numbers_are_of_the_own_project(api: "ApiHarness") -> None:
    """Written out once, so that not everything hangs on the command line's own code."""
    (series,) = api.get("/api/query", "acme", measure="feedback.score")["series"]
    cells = dict(
        zip([column["name"] for column in series["columns"]], series["rows"][0], strict=True)
    )
    assert (cells["n"], cells["sum"], cells["median"], cells["max"]) == (4, 10, 2.5, 4)
    (series,) = api.get("/api/query", None, measure="feedback.score")["series"]
    assert series["rows"][0][1:3] == [110, 22]


def test_freshness_is_told(api: "ApiHarness") -> None:
    """In the object, and in headers beside CSV."""
    told = api.get("/api/query", "acme", measure="count")["freshness"]
    assert told == {"complete_until": "2026-01-31T10:00:00.000Z", "waiting": 3, "note": None}
    headers = {"x-project": "acme", "accept": "text/csv"}
    csv = api.http.get("/api/query?measure=count", headers=headers)
    assert csv.headers["afterword-complete-until"] == "2026-01-31T10:00:00.000Z"
    assert csv.headers["afterword-waiting"] == "3"


def test_sql_that_ran_can_be_pasted(api: "ApiHarness") -> None:
    """Every statement, each answering counts and shares of the rows beside it; also where nothing was found."""
    found = api.get("/api/query", "acme", measure="feedback.mixed", sql="true")
    assert [one["type"] for one in found["sql"]] == ["number", "text"]
    for one, series in zip(found["sql"], found["series"], strict=True):
        pasted = api.clickhouse.query(one["sql"], {}, {})
        names = [column["name"] for column in series["columns"]]
        for found, row in zip(pasted.rows, series["rows"], strict=True):
            cells = dict(zip(pasted.columns, json.loads(json.dumps(found)), strict=True))
            told = {name: cell for name, cell in zip(names, row, strict=True) if name in cells}
            assert len(told) >= 4
            assert told == {name: cells[name] for name in told}
    nothing = api.get("/api/query", "acme", measure="feedback.scroe", sql="true")
    assert [one["type"] for one in nothing["sql"]] == ["number", "boolean", "text"]
    assert "sql" not in api.get("/api/query", "acme", measure="count", sql="false")


def test_a_misspelt_path_is_no_error(api: "ApiHarness") -> None:
    """It finds nothing, says so, and offers what may have been meant; in CSV as headers."""
    found = api.get("/api/query", "acme", measure="feedback.scroe")
    assert (found["series"], found["suggestions"][0]) == ([], "feedback.score")
    assert found["notice"] == "No feedback has the path feedback.scroe."
    headers = {"x-project": "acme", "accept": "text/csv"}
    csv = api.http.get("/api/query?measure=feedback.scroe", headers=headers)
    assert (csv.status_code, csv.text) == (200, "")
    assert csv.headers["afterword-notice"] == found["notice"]
    assert csv.headers["afterword-suggestions"].split(", ") == found["suggestions"]


def test_headers_carry_no_line_of_a_users(api: "ApiHarness") -> None:
    """What was asked is quoted in a notice, and could begin a header of its own."""
    headers = {"x-project": "acme", "accept": "text/csv"}
    asked = {"measure": "feedback.ü\r\nset-cookie: a=b"}
    csv = api.http.get("/api/query", params=asked, headers=headers)
    assert "set-cookie" not in csv.headers
    assert csv.headers["afterword-notice"].startswith(
        r"No feedback has the path feedback.\u00fc\r\nset"
    )


@pytest.mark.parametrize(
    ("parameters", "code", "told"),
    [
        ({}, "missing_parameter", "Write measure=feedback.score"),
        ({"measure": "score"}, "invalid_question", "Write feedback.score"),
        ({"measure": "count", "where": "score > 3"}, "invalid_question", "feedback.score"),
        (
            {"measure": "count", "where": "feedback.score >> 3"},
            "invalid_question",
            "Write for example",
        ),
        ({"measure": "count", "bucket": "dya"}, "invalid_question", "minute, hour, day"),
        ({"measure": "count", "since": "yesterday"}, "invalid_question", "Write a duration"),
        ({"measure": "count", "since": "1d", "until": "2d"}, "invalid_question", "Exchange them"),
        ({"measure": "count", "timezone": "Berlin"}, "invalid_question", "Europe/Berlin"),
        ({"measure": "count", "top": "0"}, "invalid_parameter", "from 1 to 10000"),
        ({"measure": "count", "group_by": ["a", "b", "c"]}, "invalid_question", "filters"),
        ({"measure": "count", "compare": "source"}, "invalid_question", ""),
        ({"measure": "count", "approximate": "yes"}, "invalid_parameter", "approximate=true"),
        ({"measure": "count", "groupby": "source"}, "unknown_parameter", "Did you mean group_by?"),
        ({"measure": "count", "colour": "red"}, "unknown_parameter", "It takes"),
        ({"measure": ["count", "value"]}, "repeated_parameter", "Leave the others out"),
        ({"measure": "count", "project": "a b"}, "invalid_parameter", "Leave project out"),
        ({"measure": "weighted", "where": "feedback_id = x"}, "invalid_question", "UUID"),
    ],
)
def test_a_question_that_cannot_be_asked_says_what_to_write(
    api: "ApiHarness", parameters: dict[str, Any], code: str, told: str
) -> None:
    """400 with a code for programs, what is wrong, and what to write instead."""
    error = api.refusal("/api/query", 400, **parameters)
    assert error["code"] == code
    assert told in error["hint"]
    assert error["detail"]


def test_a_plus_that_became_a_space_is_explained(api: "ApiHarness") -> None:
    """Nobody sees in a URL that an offset has lost its sign."""
    answer = api.http.get("/api/query?measure=count&since=2026-01-31T00:00:00+01:00")
    assert answer.status_code == 400
    assert "In a URL, write a + as %2B." in answer.json()["error"]["hint"]


@pytest.mark.parametrize("accept", ["text/cvs", "application/xml", "application/json;q=0"])
def test_a_form_that_there_is_none_of_is_refused(api: "ApiHarness", accept: str) -> None:
    """Instead of being answered in another one unasked."""
    answer = api.http.get("/api/query?measure=count", headers={"accept": accept})
    assert answer.status_code == 406
    assert answer.json()["error"]["hint"] == "Accept: application/json, or text/csv."


def test_csv_has_no_place_for_sql(api: "ApiHarness") -> None:
    """It is refused, not dropped."""
    answer = api.http.get("/api/query?measure=count&sql=true", headers={"accept": "text/csv"})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, "invalid_parameter")


def test_answers_are_not_kept(api: "ApiHarness") -> None:
    """Neither by a cache on the way nor as another one's type."""
    for path in ("/api/query?measure=count", "/api/query", "/api/nothing", "/api"):
        headers = api.http.get(path).headers
        assert headers["cache-control"] == "no-store"
        assert headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "parameter",
    [
        "measure",
        "group_by",
        "where",
        "since",
        "until",
        "timezone",
        "bucket",
        "project",
        "compare",
        "top",
    ],
)
@pytest.mark.parametrize(
    "text",
    [
        "'; DROP TABLE feedback; --",
        "feedback.x'] OR 1=1 --",
        "feedback.x\\'",
        "{p0:String}",
        "feedback.{p0:String}",
        "feedback.\x00",
        "feedback.score = 'a\\' OR 1=1 --'",
        "feedback.score\n= 1",
        "metadata.model = '; SELECT 1', 'b'",
    ],
)
def test_no_text_becomes_sql(api: "ApiHarness", parameter: str, text: str) -> None:
    """Whatever stands in a parameter, it is data: looked for, or refused."""
    answer = api.http.get("/api/query", params={"measure": "count"} | {parameter: text})
    assert answer.status_code in {200, 400}, answer.text
    assert api.clickhouse.query("SELECT count() FROM feedback").rows == ((6,),)
