"""`/api/paths`, `/api/status`, `/api/rejected`, the index, and addresses that are none."""

import base64
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from afterword_consumers.api.openapi import openapi
from afterword_consumers.query import Freshness

if TYPE_CHECKING:
    from tests.consumers.api_harness import ApiHarness

pytestmark = pytest.mark.services

Row = Callable[..., dict[str, Any]]

COMPLETE_UNTIL = datetime(2026, 1, 31, 10, 0, tzinfo=UTC)


def test_paths_are_listed(api: "ApiHarness", row: Row) -> None:
    """By prefix, in order, and measured where asked."""
    api.store(
        row(1, trace_id="t", feedback={"score": 1, "note": "a"}, metadata={"model": "m"}),
        row(2, trace_id="t", feedback={"score": 2}),
    )

    found = api.get("/api/paths", "acme", prefix="feedback.")

    assert found["more"] is False
    assert [one["path"] for one in found["paths"]] == ["feedback.note", "feedback.score"]
    assert set(found["paths"][0]) == {
        "project",
        "path",
        "type",
        "first_seen",
        "last_seen",
        "example",
    }
    assert found["suggestions"] == []
    measured = api.get("/api/paths", "acme", measured="true", limit="1")
    assert measured["more"] is True
    (note,) = measured["paths"]
    assert (note["path"], note["events"], note["share_percent"], note["distinct"]) == (
        "feedback.note",
        1,
        50,
        1,
    )


def test_a_misspelt_prefix_is_offered_others(api: "ApiHarness", row: Row) -> None:
    """Of the project alone; a prefix that fits nothing at all is offered none."""
    api.store(row(1, feedback={"score": 1}), row(2, project="other", feedback={"scores": 1}))
    found = api.get("/api/paths", "acme", prefix="feedback.scroe")
    assert found == {"paths": [], "more": False, "suggestions": ["feedback.score", "feedback"]}
    assert api.get("/api/paths", "acme", prefix="zzz")["suggestions"] == []
    assert api.get("/api/paths", "nothing")["suggestions"] == []


def test_status_tells_how_far_everything_is(api: "ApiHarness", row: Row) -> None:
    """Freshness, the lag of each partition, what is stored, and what was refused within a day."""
    api.store(row(1, trace_id="t", value=1), row(2, trace_id="t", value=1))
    api.store(row(2, trace_id="t", value=1, is_deleted=1, version=2))
    own, now = b'{"project": "acme"}', time.time()
    for offset, age_s in enumerate((0, 3_600, 86_300, 86_500)):
        api.reject(offset, own, rejected_at=now - age_s)
    api.reject(9, own, rejected_at=now, code="wrong_type")
    api.kafka.freshness = Freshness(COMPLETE_UNTIL, 5, lags={0: 2, 1: 3})

    assert api.get("/api/status", "acme") == {
        "project": "acme",
        "freshness": {"complete_until": "2026-01-31T10:00:00.000Z", "waiting": 5, "note": None},
        "lag": [{"partition": 0, "lag": 2}, {"partition": 1, "lag": 3}],
        "stored": 1,
        "rejected_24h": [{"code": "unknown_field", "count": 3}, {"code": "wrong_type", "count": 1}],
    }


def test_status_lives_without_kafka(api: "ApiHarness") -> None:
    """What the tables tell is told, and what Kafka would have told is null with a note."""
    api.kafka.freshness = Freshness(None, None, "Kafka does not answer.")

    status = api.get("/api/status", "acme")

    assert (status["lag"], status["stored"]) == (None, 0)
    assert status["freshness"] == {
        "complete_until": None,
        "waiting": None,
        "note": "Kafka does not answer.",
    }


def test_refused_messages_are_listed(api: "ApiHarness") -> None:
    """The newest first, with when, why, where, and whose it would have been."""
    event_id = "5f0e2f0a-0000-4000-8000-000000000001"
    api.reject(1, b'{"project": "acme"}')
    api.reject(
        2, f'{{"project": "acme", "feedback_id": "{event_id}"}}'.encode(), replayed_at=1769852000
    )

    newest, oldest = api.get("/api/rejected", "acme")["rejected"]

    assert newest == {
        "rejected_at": "2026-01-31T09:30:02.000Z",
        "published_at": "2026-01-31T09:30:00.000Z",
        "replayed_at": "2026-01-31T09:33:20.000Z",
        "code": "unknown_field",
        "path": "$.tarce_id",
        "detail": "there is no such field",
        "topic": "feedback.events",
        "partition": 3,
        "offset": 2,
        "project": "acme",
        "feedback_id": event_id,
    }
    assert (oldest["offset"], oldest["replayed_at"], oldest["feedback_id"]) == (1, None, None)


def test_a_replayed_message_is_listed_once(api: "ApiHarness") -> None:
    """As it is now, also before ClickHouse has merged its two rows."""
    api.reject(1, b'{"project": "acme"}')
    api.reject(1, b'{"project": "acme"}', replayed_at=1769852000)
    (one,) = api.get("/api/rejected", "acme", payload="true")["rejected"]
    assert (one["replayed_at"], one["payload"]) == (
        "2026-01-31T09:33:20.000Z",
        '{"project": "acme"}',
    )


@pytest.mark.parametrize(
    ("raw", "payload", "encoding"),
    [
        ('{"project": "acme", "ü": "\n"}'.encode(), '{"project": "acme", "ü": "\n"}', "utf-8"),
        (b"\xff\x00", base64.b64encode(b"\xff\x00").decode(), "base64"),
        (b"", "", "utf-8"),
    ],
)
def test_payloads_come_as_they_are(
    api: "ApiHarness", raw: bytes, payload: str, encoding: str
) -> None:
    """Where asked for; bytes that are no text as base64, which is said."""
    api.reject(1, raw)
    (one,) = api.get("/api/rejected", None, payload="true")["rejected"]
    assert (one["payload"], one["payload_encoding"]) == (payload, encoding)
    assert "payload" not in api.get("/api/rejected", None)["rejected"][0]


def test_refused_messages_come_in_pages(api: "ApiHarness") -> None:
    """Each once, also where several were refused at the same time; of one code where asked."""
    for offset in range(5):
        code = "wrong_type" if offset == 2 else "unknown_field"
        api.reject(offset, b'{"project": "acme"}', rejected_at=1769851800, code=code)

    seen: list[int] = []
    cursor: dict[str, str] | None = {}
    while cursor is not None:
        page = api.get("/api/rejected", "acme", limit="2", code="unknown_field", **cursor)
        seen += [one["offset"] for one in page["rejected"]]
        cursor = {"cursor": page["next"]} if page["next"] else None
    assert seen == [4, 3, 1, 0]


@pytest.mark.parametrize(
    ("path", "parameters", "told"),
    [
        ("/api/rejected", {"code": "unkown_field"}, "Did you mean unknown_field?"),
        ("/api/rejected", {"code": "'; --"}, "Codes: empty_message"),
        ("/api/rejected", {"payload": "true", "limit": "21"}, "from 1 to 20"),
        ("/api/rejected", {"limit": "201"}, "from 1 to 200"),
        ("/api/paths", {"limit": "10001"}, "from 1 to 10000"),
        ("/api/paths", {"prefx": "feedback."}, "Did you mean prefix?"),
        ("/api/traces", {"where": "nonsense"}, "feedback.nonsense"),
        ("/api/traces", {"since": "soon"}, "Write a duration"),
        ("/api/traces", {"since": "1d", "until": "2d"}, "Exchange them"),
        ("/api/traces", {"timezone": "Berlin"}, "Europe/Berlin"),
        ("/api/traces/t", {"where": "value = 1"}, "It takes limit, cursor, project"),
        ("/api/status", {"limit": "1"}, "It takes project"),
    ],
)
def test_a_wrong_parameter_says_what_to_write(
    api: "ApiHarness", path: str, parameters: dict[str, Any], told: str
) -> None:
    """On every route."""
    assert told in api.refusal(path, 400, **parameters)["hint"]


@pytest.mark.parametrize("path", [path for path in openapi()["paths"] if path.startswith("/api/")])
def test_a_route_takes_the_parameters_that_are_described(api: "ApiHarness", path: str) -> None:
    """Those of the OpenAPI document, and none besides."""
    described = openapi()["paths"][path]["get"]["parameters"]
    hint = api.refusal(path.format(trace_id="t"), 400, zzz="1")["hint"]
    taken = hint.removeprefix("It takes ").removesuffix(".").split(", ")
    assert sorted(taken) == sorted(one["name"] for one in described)


def test_the_index_names_the_routes(api: "ApiHarness") -> None:
    """To anybody, for it is in the documentation too."""
    routes = {getattr(route, "path", "").replace(":path", "") for route in api.app.routes}
    listed = api.http.get("/api").json()["routes"]
    assert routes - set(listed) == set()
    assert listed["/api/paths"] == "List every path that feedback has."


@pytest.mark.parametrize(
    "path", ["/api/", "/api/quer", "/api/traces/", "/v1/feedback", "/api/query/"]
)
def test_an_address_that_is_none_is_404(api: "ApiHarness", row: Row, path: str) -> None:
    """In the shape of every error; feedback without a trace is not that of the trace without an id."""
    api.store(row(1, session_id="s-1", value=1))
    assert api.refusal(path, 404)["code"] == "not_found"


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS"])
def test_the_api_only_reads(api: "ApiHarness", method: str) -> None:
    """No other method is taken."""
    answer = api.http.request(method, "/api/query")
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET, HEAD")
    assert answer.json()["error"]["code"] == "method_not_allowed"


def test_tables_that_are_missing_are_named(api: "ApiHarness") -> None:
    """With the command that makes them, and not as a fault of whoever asks."""
    for table in ("feedback_current", "feedback", "feedback_rejected", "feedback_paths"):
        api.clickhouse.command(f"DROP {'VIEW' if 'current' in table else 'TABLE'} {table} SYNC")
    for path in ("query?measure=count", "paths", "traces", "traces/t", "status", "rejected"):
        answer = api.http.get(f"/api/{path}")
        assert answer.status_code == 503, path
        assert answer.json()["error"]["code"] == "tables_missing"
        assert "`afterword migrate`" in answer.json()["error"]["hint"]
        assert answer.headers["retry-after"] == "2"


def test_a_fault_of_our_own_is_500(api: "ApiHarness") -> None:
    """It is answered without its insides, and the next request is served."""
    api.app.state.api.freshness, kept = None, api.app.state.api.freshness
    answer = api.http.get("/api/status")
    api.app.state.api.freshness = kept
    assert (answer.status_code, answer.json()["error"]["code"]) == (500, "internal_error")
    assert "NoneType" not in answer.text
    assert api.http.get("/api/status").status_code == 200
