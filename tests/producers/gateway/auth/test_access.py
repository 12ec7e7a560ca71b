"""Who may do what: scopes, projects, and a gateway without keys."""

from typing import TYPE_CHECKING, Any, cast

import pytest

from afterword.gateway import Scope
from afterword_schemas.receipt import Receipt, ReceiptStatus

if TYPE_CHECKING:
    from tests.producers.gateway.conftest import GatewayHarness

FEEDBACK_ID = "019c12e9-8b3d-7000-8000-000000000000"
THUMB: dict[str, Any] = {"trace_id": "tr-1", "value": 1}
BEACON = {"events": [THUMB]}
ORIGIN = "https://app.example.com"

SAID: dict[str, Any] = {"event_id": "s-1", "feedback": {"rating": True}}
SPAN = {
    "spanId": "00f067aa0ba902b7",
    "attributes": [
        {"key": "honeyhive_feedback.rating", "value": {"boolValue": True}},
        {"key": "honeyhive.project", "value": {"stringValue": "other"}},
    ],
}
SPANS = {"resourceSpans": [{"scopeSpans": [{"spans": [SPAN]}]}]}
RECORD = {
    "eventName": "gen_ai.evaluation.result",
    "timeUnixNano": "1769851800125999999",
    "spanId": "00f067aa0ba902b7",
    "attributes": [
        {"key": "gen_ai.evaluation.name", "value": {"stringValue": "relevance"}},
        {"key": "gen_ai.evaluation.score.value", "value": {"doubleValue": 0.9}},
    ],
}
RECORDS = {"resourceLogs": [{"scopeLogs": [{"logRecords": [RECORD]}]}]}

VENDOR_ROUTES: list[tuple[str, str, Any, Scope]] = [
    ("POST", "/session/start", {"session": SAID | {"project": "other"}}, Scope.WRITE),
    ("PUT", "/events", SAID, Scope.WRITE),
    ("PUT", "/v1/events/{event_id}", SAID, Scope.WRITE),
    ("POST", "/events", {"event": SAID | {"project": "other"}}, Scope.WRITE),
    ("POST", "/v1/events", SAID, Scope.WRITE),
    ("POST", "/events/batch", {"events": [SAID | {"project": "other"}]}, Scope.WRITE),
    ("POST", "/v1/traces", SPANS, Scope.WRITE),
    ("POST", "/opentelemetry/v1/traces", SPANS, Scope.WRITE),
    ("POST", "/v1/logs", RECORDS, Scope.WRITE),
    ("POST", "/opentelemetry/v1/logs", RECORDS, Scope.WRITE),
]
"""Routes of vendors, whose clients name projects of their own, which say nothing here."""

ROUTES: list[tuple[str, str, Any, Scope]] = [
    *VENDOR_ROUTES,
    ("POST", "/v1/feedback", THUMB, Scope.WRITE),
    ("PUT", f"/v1/feedback/{FEEDBACK_ID}", {"value": 2}, Scope.WRITE),
    ("POST", f"/v1/feedback/{FEEDBACK_ID}", {"value": 2}, Scope.WRITE),
    ("DELETE", f"/v1/feedback/{FEEDBACK_ID}", None, Scope.WRITE),
    ("GET", f"/v1/feedback/{FEEDBACK_ID}", None, Scope.READ),
    ("POST", "/v1/beacon", BEACON, Scope.PUBLISH),
]
"""Every route that a key opens, with a body that it takes and the scope that it wants."""

OPEN = {"/healthz", "/readyz", "/metrics", "/openapi.json", "/afterword.js"}
"""The routes that need no key."""

each_route = pytest.mark.parametrize(("method", "path", "body", "scope"), ROUTES)


def ask(
    gateway: "GatewayHarness", method: str, path: str, body: Any, headers: dict[str, str]
) -> Any:
    """Send a request as a client of that route would."""
    return gateway.http.request(method, path, json=body, headers=headers | {"origin": ORIGIN})


def key(gateway: "GatewayHarness", project: str, scope: Scope) -> dict[str, str]:
    """Make a key of one scope."""
    origin = ORIGIN if scope is Scope.PUBLISH else None
    headers: dict[str, str] = gateway.key(project, scope, origin=origin)
    return headers


def test_every_route_is_looked_at_here(gateway: "GatewayHarness") -> None:
    """A route is open on purpose, or in the table above."""
    documented = gateway.http.get("/openapi.json").json()["paths"]
    paths = {path.replace("{feedback_id}", FEEDBACK_ID) for path in documented}
    assert paths - OPEN == {path for _, path, _, _ in ROUTES}


@each_route
def test_the_right_key_opens(
    gateway: "GatewayHarness", method: str, path: str, body: Any, scope: Scope
) -> None:
    """A key of the route's scope is let in."""
    assert ask(gateway, method, path, body, key(gateway, "acme", scope)).status_code == 200


@each_route
def test_no_key_is_401(
    gateway: "GatewayHarness", method: str, path: str, body: Any, scope: Scope
) -> None:
    """Neither no key, nor one that is none, nor one that was revoked, is let in."""
    right = key(gateway, "acme", scope)
    wrong = {"authorization": right["authorization"][:-1] + "!"}
    gateway.keys.revoke(gateway.keys.list()[0].key_id)

    for headers in (
        {},
        right,
        wrong,
        {"authorization": "Basic dXNlcg=="},
        {"x-portkey-api-key": "x"},
    ):
        answer = ask(gateway, method, path, body, headers)
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"] == "Bearer"
    assert gateway.transport.events == []


@each_route
def test_another_scope_is_403(
    gateway: "GatewayHarness", method: str, path: str, body: Any, scope: Scope
) -> None:
    """A key that may do other things may not do this one."""
    for other in set(Scope) - {scope}:
        answer = ask(gateway, method, path, body, key(gateway, "acme", other))
        assert answer.status_code == 403
    assert gateway.transport.events == []


@each_route
def test_no_route_writes_to_another_project(
    gateway: "GatewayHarness", method: str, path: str, body: Any, scope: Scope
) -> None:
    """Whatever a request says of its project, what is published is of the key's."""
    headers = key(gateway, "acme", scope)
    named = body
    if path == "/v1/beacon":
        named = {"events": [THUMB | {"project": "other"}]}
    elif body is not None:
        named = body | {"project": "other"}

    in_body = ask(gateway, method, path, named, headers)
    in_query = ask(gateway, method, f"{path}?project=other", body, headers)

    passed_over = body is None or any(path == vendor for _, vendor, _, _ in VENDOR_ROUTES)
    assert in_body.status_code == (200 if passed_over else 422)
    assert in_query.status_code == 403
    assert {event["project"] for event in gateway.transport.events} <= {"acme"}


@pytest.mark.parametrize("name", ["Acme", "ACME", "acme "])
def test_a_project_is_its_exact_name(gateway: "GatewayHarness", name: str) -> None:
    """Names that differ in case are different projects."""
    said = THUMB | {"project": name}
    answer = gateway.http.post("/v1/feedback", json=said, headers=key(gateway, "acme", Scope.WRITE))
    assert answer.json()["errors"][0]["path"] == "$.project"


@pytest.mark.parametrize("names", [("acme", "other"), ("other", "acme")])
def test_a_project_that_is_named_twice_is_refused(
    gateway: "GatewayHarness", names: tuple[str, str]
) -> None:
    """Neither the first nor the last of two names slips in."""
    first, second = names
    body = f'{{"trace_id": "t", "value": 1, "project": "{first}", "project": "{second}"}}'
    headers = key(gateway, "acme", Scope.WRITE) | {"content-type": "application/json"}
    for text in (body, body.replace("trace_id", "traceID")):
        assert gateway.http.post("/v1/feedback", content=text, headers=headers).status_code == 422


def test_the_keys_own_project_may_be_named(gateway: "GatewayHarness") -> None:
    """Events of the SDK name their project."""
    said = THUMB | {"project": "acme"}
    answer = gateway.http.post("/v1/feedback", json=said, headers=key(gateway, "acme", Scope.WRITE))
    assert answer.status_code == 200


def test_receipts_are_of_the_keys_project(gateway: "GatewayHarness") -> None:
    """What another project knows of an id is not told."""
    stored = Receipt(FEEDBACK_ID, ReceiptStatus.STORED)
    gateway.receipts.known["other", FEEDBACK_ID] = stored
    path = f"/v1/feedback/{FEEDBACK_ID}"

    mine = gateway.http.get(path, headers=key(gateway, "acme", Scope.READ))
    theirs = gateway.http.get(path, headers=key(gateway, "other", Scope.READ))

    assert mine.json()["status"] == "unknown"
    assert theirs.json()["status"] == "stored"


@pytest.mark.parametrize("header", ["Bearer", "bearer", "BEARER"])
def test_both_headers_present_a_key(gateway: "GatewayHarness", header: str) -> None:
    """Portkey's header is as good as the standard one."""
    secret = key(gateway, "acme", Scope.WRITE)["authorization"].removeprefix("Bearer ")

    for headers in ({"authorization": f"{header}  {secret}"}, {"x-portkey-api-key": secret}):
        assert gateway.http.post("/v1/feedback", json=THUMB, headers=headers).status_code == 200


def test_without_keys_the_event_names_its_project(gateway: "GatewayHarness") -> None:
    """This machine may write to any project, and the query may name it too."""
    gateway.http.post("/v1/feedback", json=THUMB | {"project": "mine"})
    gateway.http.post("/v1/feedback?project=asked", json=THUMB)
    gateway.http.post("/v1/feedback", json=THUMB)

    assert [event["project"] for event in gateway.transport.events] == ["mine", "asked", "default"]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"host": "127.0.0.1:8080"}, 200),
        ({"host": "localhost"}, 200),
        ({"host": "[::1]:8080"}, 200),
        ({"origin": "http://localhost:3000"}, 200),
        ({"host": "evil.example.com"}, 403),
        ({"host": "127.0.0.1.evil.example.com"}, 403),
        ({"origin": "https://evil.example.com"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://localhost.evil.example.com"}, 403),
        ({"host": "localhost" + "." * 1_000}, 403),
        ({"x-forwarded-for": "127.0.0.1"}, 403),
        ({"x-real-ip": "8.8.8.8"}, 403),
        ({"forwarded": "for=8.8.8.8"}, 403),
        ({"via": "1.1 proxy"}, 403),
    ],
)
def test_without_keys_web_pages_stay_out(
    gateway: "GatewayHarness", headers: dict[str, str], status: int
) -> None:
    """A page of another site, or a name that points here, is not this machine."""
    answer = gateway.http.post("/v1/feedback", json=THUMB, headers=headers)
    assert answer.status_code == status


def test_without_keys_other_machines_stay_out(gateway: "GatewayHarness") -> None:
    """The address that a connection comes from is looked at, also behind a proxy that is trusted."""
    cast("Any", gateway.http._transport).client = ("10.0.0.7", 50_000)
    assert gateway.http.post("/v1/feedback", json=THUMB).status_code == 403


def test_a_first_key_ends_the_time_without(gateway: "GatewayHarness") -> None:
    """From then on nobody is served without one."""
    assert gateway.http.post("/v1/feedback", json=THUMB).status_code == 200
    gateway.key("acme", Scope.WRITE)
    assert gateway.http.post("/v1/feedback", json=THUMB).status_code == 401
