"""`/v1/beacon` and `/afterword.js` without a browser: what a key that everybody can read may do."""

import gzip
import json
from typing import TYPE_CHECKING, Any

import pytest

from afterword.gateway import Scope
from afterword.gateway.browser.ids import browser_id

if TYPE_CHECKING:
    from tests.producers.gateway.conftest import GatewayHarness

ORIGIN = "https://app.example.com"
THUMB: dict[str, Any] = {"trace_id": "tr-1", "value": 1}
VERSION_7 = "019c12e9-8b3d-7000-8000-000000000000"


@pytest.fixture
def secret(gateway: "GatewayHarness") -> str:
    """A publishable key that is bound to `ORIGIN`."""
    header = gateway.key("acme", Scope.PUBLISH, origin=ORIGIN)["authorization"]
    return header.removeprefix("Bearer ")


def post(gateway: "GatewayHarness", secret: str, *events: object, origin: str = ORIGIN) -> Any:
    """Send events as a page of an origin does."""
    body = json.dumps({"key": secret, "events": events})
    headers = {"origin": origin, "content-type": "text/plain;charset=UTF-8"}
    return gateway.http.post("/v1/beacon", content=body, headers=headers)


def test_events_are_of_the_keys_project(gateway: "GatewayHarness", secret: str) -> None:
    """The answer may be read by the page that asked."""
    answer = post(gateway, secret, THUMB, THUMB | {"op": "clear"})

    assert answer.status_code == 207
    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["vary"] == "origin"
    (event,) = gateway.transport.events
    assert (event["project"], event["value"]) == ("acme", 1)


@pytest.mark.parametrize(
    ("said", "path"),
    [
        ({"op": "patch", "value": 1}, "$.op"),
        ({"updated_at": "2099-01-01T00:00:00Z"}, "$.updated_at"),
        ({"feedback_id": "84abf2bd-e7b2-57f7-8160-f385b3b5393b"}, "$.feedback_id"),
        ({"feedback_id": "00000000-0000-0000-0000-000000000001"}, "$.feedback_id"),
        ({"feedback_id": "12345678-1234-5678-1234-567812345678"}, "$.feedback_id"),
        ({"feedback_id": "ffffffff-ffff-ffff-ffff-ffffffffffff"}, "$.feedback_id"),
        ({"feedback_id": "019c12e9-8b3d-7000-1000-000000000000"}, "$.feedback_id"),
        ({"feedback_id": f"{{{VERSION_7}}}"}, "$.feedback_id"),
        ({"project": "other"}, "$.project"),
    ],
)
def test_a_publish_key_chooses_no_operation_time_id_or_project(
    gateway: "GatewayHarness", secret: str, said: dict[str, Any], path: str
) -> None:
    """Merge into others' events, choose a time, write under an id that can be guessed."""
    answer = post(gateway, secret, THUMB | said)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == path
    assert gateway.transport.events == []


@pytest.mark.parametrize("version", ["4", "7"])
def test_random_ids_are_taken(gateway: "GatewayHarness", secret: str, version: str) -> None:
    """In any case of their letters."""
    feedback_id = VERSION_7[:14] + version + VERSION_7[15:]
    answer = post(gateway, secret, THUMB | {"feedback_id": feedback_id.upper()})
    assert answer.json()["feedback_ids"] == [browser_id("acme", feedback_id)]


@pytest.mark.parametrize(
    "origin",
    ["https://evil.example.com", "null", "", ORIGIN + ".evil.example.com", "http" + ORIGIN[5:]],
)
def test_other_origins_are_403(gateway: "GatewayHarness", secret: str, origin: str) -> None:
    """A key works on the pages that it is bound to."""
    assert post(gateway, secret, THUMB, origin=origin).status_code == 403
    assert gateway.transport.events == []


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 400),
        (b"[]", 400),
        (b'{"events": 3}', 400),
        (b'{"events": [], "more": 1}', 400),
        (b'{"events": [], "events": []}', 400),
        (b'{"key": 3, "events": []}', 400),
        (b'{"events": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", 422),
        (b'{"events": ' + b"[" * 5_000 + b"}", 400),
        (b'{"events": [] "key": ""}', 400),
        (b"{3: []}", 400),
        (b'{"events" []}', 400),
        (b'{"events": [' + b"0," * 200 + b"0]}", 413),
        (b" " * 300_000, 413),
        (b"\xff", 400),
    ],
)
def test_bodies_that_are_none(gateway: "GatewayHarness", body: bytes, status: int) -> None:
    """Each is told what is wrong, and may read it."""
    answer = gateway.http.post("/v1/beacon", content=body, headers={"origin": "http://localhost"})
    assert answer.status_code == status
    assert answer.headers["access-control-allow-origin"] == "http://localhost"


def test_a_missing_key_is_told(gateway: "GatewayHarness", secret: str) -> None:
    """A page without `data-key` on a gateway with keys reads what to do."""
    assert secret
    answer = post(gateway, "", THUMB)

    assert answer.status_code == 401
    assert 'data-key="aw_publish_…"' in answer.text.replace('\\"', '"')
    assert answer.headers["access-control-allow-origin"] == ORIGIN


@pytest.mark.parametrize(
    ("item", "code"),
    [
        (b'{"trace_id": "t", "value": NaN}', "not_finite"),
        (b'{"trace_id": "t", "value": 1, "value": 2}', "duplicate_key"),
        (b'{"trace_id": "t", "value": 1, "feedback": {"a": "\\ud83d"}}', "invalid_unicode"),
        (b'{"trace_id": "t", "value": 1, "feedback": {"a": "caf\xe9"}}', "invalid_utf8"),
        (b'{"trace_id": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", "too_deep"),
        (b"3", "not_an_object"),
    ],
)
def test_the_worst_event_takes_no_other_with_it(
    gateway: "GatewayHarness", secret: str, item: bytes, code: str
) -> None:
    """Each event of a page is judged on its own text."""
    thumb = json.dumps(THUMB).encode()
    body = b'{"key": "%s", "events": [%s, %s, %s]}' % (secret.encode(), thumb, item, thumb)
    answer = gateway.http.post("/v1/beacon", content=body, headers={"origin": ORIGIN})
    assert answer.status_code == 207
    assert [(error["index"], error["code"]) for error in answer.json()["errors"]] == [(1, code)]
    assert len(gateway.transport.events) == 2


def test_an_object_of_positions_is_an_array(gateway: "GatewayHarness", secret: str) -> None:
    """As it is at the other routes."""
    body = json.dumps({"key": secret, "events": {"0": THUMB, "1": THUMB}})
    answer = gateway.http.post("/v1/beacon", content=body, headers={"origin": ORIGIN})
    assert answer.status_code == 200
    assert len(gateway.transport.events) == 2


def test_nothing_is_expanded_for_who_has_shown_no_key(gateway: "GatewayHarness") -> None:
    """A few bytes cannot be made to cost many."""
    answer = gateway.http.post(
        "/v1/beacon", content=gzip.compress(b" " * 200_000), headers={"content-encoding": "gzip"}
    )
    assert answer.status_code == 415


@pytest.mark.parametrize(
    ("origin", "status"),
    [
        ("http://localhost:3000", 204),
        ("http://127.0.0.1", 204),
        ("http://[::1]:3000", 204),
        ("https://evil.example.com", 403),
        ("null", 403),
    ],
)
def test_without_keys_preflights_are_for_this_machine(
    gateway: "GatewayHarness", origin: str, status: int
) -> None:
    """As the request itself is."""
    answer = gateway.http.options("/v1/beacon", headers={"origin": origin})
    assert answer.status_code == status


@pytest.mark.parametrize("origins", [ORIGIN, "*"])
@pytest.mark.parametrize("method", ["OPTIONS", "POST"])
def test_a_page_may_send_with_credentials(
    gateway: "GatewayHarness", origins: str, method: str
) -> None:
    """As `sendBeacon` always does: the origin is named, for a wildcard does not count then."""
    gateway.key("acme", Scope.PUBLISH, origin=origins)
    answer = gateway.http.request(method, "/v1/beacon", headers={"origin": ORIGIN})

    assert answer.headers["access-control-allow-origin"] == ORIGIN
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert answer.headers["vary"] == "origin"


@pytest.mark.parametrize("headers", [{}, {"origin": "https://evil.example.com"}])
def test_other_origins_may_not_send_with_credentials(
    gateway: "GatewayHarness", secret: str, headers: dict[str, str]
) -> None:
    """Neither pages of other origins, nor requests that are from no page."""
    body = json.dumps({"key": secret, "events": [THUMB]})
    answer = gateway.http.post("/v1/beacon", content=body, headers=headers)

    assert answer.status_code == 403
    assert answer.headers.get("access-control-allow-origin") == headers.get("origin")
    assert "access-control-allow-credentials" not in answer.headers
    assert answer.headers["vary"] == "origin"


@pytest.mark.parametrize(("origin", "status"), [(ORIGIN, 204), ("https://evil.example.com", 403)])
def test_preflights_know_the_origins_of_keys(
    gateway: "GatewayHarness", secret: str, origin: str, status: int
) -> None:
    """A preflight brings no key, so any key's origin will do."""
    assert secret
    answer = gateway.http.options("/v1/beacon", headers={"origin": origin})
    assert answer.status_code == status


@pytest.mark.parametrize(
    ("accepted", "packed"),
    [
        ("gzip", True),
        ("br, GZIP;q=0.5, *;q=0.1", True),
        ("*", True),
        ("gzip;q=0", False),
        ("gzip; q=0.000", False),
        ("identity", False),
        ("xgzip", False),
        ("", False),
    ],
)
def test_the_script_comes_as_it_is_asked_for(
    gateway: "GatewayHarness", accepted: str, *, packed: bool
) -> None:
    """Each form has a tag of its own, and is not sent to who has it."""
    headers = {"accept-encoding": accepted}
    answer = gateway.http.get("/afterword.js", headers=headers)

    assert answer.headers.get("content-encoding") == ("gzip" if packed else None)
    assert answer.headers["content-type"] == "text/javascript; charset=utf-8"
    tag = answer.headers["etag"]
    assert tag.endswith('-gzip"') is packed
    for known in (tag, f'"x", W/{tag}', "*"):
        again = gateway.http.get("/afterword.js", headers=headers | {"if-none-match": known})
        assert again.status_code == 304
    other = gateway.http.get("/afterword.js", headers=headers | {"if-none-match": tag[:-1]})
    assert other.status_code == 200
