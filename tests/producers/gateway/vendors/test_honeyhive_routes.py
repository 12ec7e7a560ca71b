"""HoneyHive's routes: which answer its SDK gets, and what stands on the topic then."""

import gzip
import json
from typing import Any
from uuid import UUID

import orjson
import pytest

from afterword import enrichment_id

SESSION = "7f22137a-6f7c-4c25-b0a7-3a2f6e1d9c10"
SAID: dict[str, Any] = {"event_id": SESSION, "feedback": {"rating": True, "edits": [{"v": "Oslo"}]}}


def test_feedback_on_a_session_is_published(gateway: Any) -> None:
    """The answer is JSON with status 200, without which the SDK reports an error."""
    answer = gateway.http.put("/events", json=SAID)

    identity = enrichment_id("default", "session", SESSION)
    (event,) = gateway.transport.events
    assert answer.status_code == 200
    assert answer.json() == {
        "success": True,
        "status": "success",
        "message": "Feedback accepted.",
        "feedback_ids": [identity],
    }
    assert event == {
        "updated_at": event["updated_at"],
        "feedback_id": identity,
        "project": "default",
        "op": "patch",
        "session_id": SESSION,
        "feedback": {"rating": True, "edits": [{"v": "Oslo"}]},
    }
    assert gateway.transport.messages[0].key == identity.encode()


def test_the_newer_route_names_the_event_in_its_address(gateway: Any) -> None:
    """What the body says of an event id is not what is updated."""
    gateway.http.put(f"/v1/events/{SESSION}", json={"event_id": "other", "metrics": {"a": 1}})
    (event,) = gateway.transport.events
    assert event["session_id"] == SESSION


def test_what_is_no_feedback_is_accepted_and_dropped(gateway: Any) -> None:
    """Metadata, outputs and events alone are not Afterword's, and no reason to fail."""
    context = {"event_id": SESSION, "metadata": {"a": 1}, "outputs": {"text": "x"}}
    for answer in (
        gateway.http.put("/events", json=context),
        gateway.http.post("/events", json={"event": {"event_type": "tool", "inputs": {}}}),
        gateway.http.post("/events/batch", json={"events": [{"event_type": "tool"}]}),
        gateway.http.post("/session/start", json={"session": {"source": "dev"}}),
    ):
        assert answer.status_code == 200
        assert answer.json()["message"] == "Accepted; there was no feedback in it."
    assert gateway.transport.events == []


def test_a_session_may_begin_with_feedback(gateway: Any) -> None:
    """What a session says when it starts is published under the id that it gets."""
    answer = gateway.http.post("/session/start", json={"session": {"metrics": {"a": 1}}})
    (event,) = gateway.transport.events
    assert answer.json()["project_id"] == "default"
    assert event["session_id"] == answer.json()["session_id"] == answer.json()["event_id"]


def test_a_posted_event_gets_an_id(gateway: Any) -> None:
    """The id in the answer is the one that its feedback is stored under."""
    said = {"event_type": "model", "session_id": SESSION, "feedback": {"rating": 4}}
    for path, body in (("/events", {"event": said}), ("/v1/events", said)):
        answer = gateway.http.post(path, json=body)
        event = gateway.transport.events[-1]
        assert answer.status_code == 200
        assert answer.json()["success"] is True
        assert event["span_id"] == answer.json()["event_id"]
        assert event["session_id"] == SESSION


def test_events_of_a_batch_are_judged_one_by_one(gateway: Any) -> None:
    """The answer names what was refused by its position, and the ids of all."""
    batch = [SAID, {"inputs": {}}, SAID | {"feedback": {"a": 2**64}}, "no event"]

    answer = gateway.http.post("/events/batch", json={"events": batch})

    assert answer.status_code == 207
    told = answer.json()
    assert told["success"] is False
    assert told["event_ids"][0] == told["event_ids"][2] == SESSION
    assert UUID(told["event_ids"][1]).version == 8
    assert told["event_ids"][3] is None
    assert [(error["index"], error["code"], error["path"]) for error in told["errors"]] == [
        (2, "out_of_range", "$.feedback.a"),
        (3, "invalid_json", "$.event"),
    ]
    assert len(gateway.transport.events) == 1


@pytest.mark.parametrize(
    ("body", "code", "path"),
    [
        ({"feedback": {"rating": True}}, "missing_field", "$.event_id"),
        (SAID | {"event_id": 7}, "wrong_type", "$.event_id"),
        (SAID | {"event_id": "x" * 257}, "out_of_range", "$.session_id"),
        (SAID | {"event_id": "\ud800"}, "invalid_unicode", "$.event_id"),
        (SAID | {"feedback": True}, "wrong_type", "$.feedback"),
        (SAID | {"feedback": {"a\ud800": 1}}, "invalid_unicode", "$.feedback"),
        (SAID | {"feedback": {"a": ["\udc80"]}}, "invalid_unicode", "$.feedback.a[0]"),
        (SAID | {"feedback": {"a": float("nan")}}, "not_finite", "$.feedback.a"),
        (SAID | {"metadata": {"_user": [1]}}, "wrong_type", "$.metadata._user"),
    ],
)
def test_an_update_that_is_wrong_is_422(
    gateway: Any, body: dict[str, Any], code: str, path: str
) -> None:
    """The answer says why and where, as for our own events."""
    headers = {"content-type": "application/json"}
    answer = gateway.http.put("/events", content=json.dumps(body), headers=headers)
    assert answer.status_code == 422
    assert answer.json()["success"] is False
    assert [(error["code"], error["path"]) for error in answer.json()["errors"]] == [(code, path)]
    assert gateway.transport.events == []


@pytest.mark.parametrize("part", ["event_id", "feedback"])
def test_a_byte_that_is_not_utf8_is_refused_where_it_is(gateway: Any, part: str) -> None:
    """It is told from half of a surrogate pair."""
    body = {"event_id": SESSION, "feedback": {"rating": 1}} | {part: "caf?"}
    content = json.dumps(body).encode().replace(b"?", b"\xe9")
    answer = gateway.http.put(
        "/events", content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert (error["code"], error["path"]) == ("invalid_utf8", f"$.{part}")


HARMLESS = [b"NaN", b'"\\ud83d"', b'"caf\xe9"', b"-Infinity"]


@pytest.mark.parametrize("odd", HARMLESS)
def test_a_part_that_is_dropped_does_not_matter(gateway: Any, odd: bytes) -> None:
    """A cut emoji in an input is no reason to lose the rating."""
    said = orjson.dumps(SAID)[:-1] + b', "inputs": {"question": %s}}' % odd
    headers = {"content-type": "application/json"}
    for method, path, body in (
        ("PUT", "/events", said),
        ("POST", "/events", b'{"event": %s}' % said),
        ("POST", "/events/batch", b'{"events": [%s]}' % said),
        ("POST", "/session/start", b'{"session": %s}' % said),
    ):
        answer = gateway.http.request(method, path, content=body, headers=headers)
        assert answer.status_code == 200
    assert len(gateway.transport.events) == 4


@pytest.mark.parametrize(
    ("feedback", "code"),
    [
        (b'{"a": NaN}', "not_finite"),
        (b'{"a": "\\ud83d"}', "invalid_unicode"),
        (b'{"a": "caf\xe9"}', "invalid_utf8"),
        (b'{"a": 1, "a": 2}', "duplicate_key"),
        (b'{"a": ' + b"9" * 5_000 + b"}", "out_of_range"),
        (b'{"a": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", "too_deep"),
    ],
)
@pytest.mark.parametrize("array", [b"[%s, %s, %s]", b'{"0": %s, "1": %s, "2": %s}'])
def test_the_worst_event_of_a_batch_takes_no_other_with_it(
    gateway: Any, feedback: bytes, code: str, array: bytes
) -> None:
    """It alone is refused, and named by its place."""
    good = orjson.dumps(SAID)
    bad = b'{"event_id": "e", "feedback": %s}' % feedback
    content = b'{"events": %s, "is_single_session": NaN}' % (array % (good, bad, good))
    answer = gateway.http.post(
        "/events/batch", content=content, headers={"content-type": "application/json"}
    )
    assert answer.status_code == 207
    assert [(error["index"], error["code"]) for error in answer.json()["errors"]] == [(1, code)]
    assert len(gateway.transport.events) == 2


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b'{"events": [{}], "events": [{}]}', "duplicate_key"),
        (b'{"events": [{"a": 1, "a": 2}}', "invalid_json"),
        (b"[{}]", "not_an_object"),
    ],
)
def test_a_batch_that_is_none_is_400(gateway: Any, body: bytes, code: str) -> None:
    """What cannot be taken apart is refused as a whole."""
    headers = {"content-type": "application/json"}
    answer = gateway.http.post("/events/batch", content=body, headers=headers)
    assert (answer.status_code, answer.json()["errors"][0]["code"]) == (400, code)


@pytest.mark.parametrize("levels", [8, 300, 900, 100_000])
def test_any_depth_is_refused_and_survived(gateway: Any, levels: int) -> None:
    """However deep a body is nested, the answer is 4xx."""
    headers = {"content-type": "application/json"}
    for begin, end in (("[", "]"), ('{"a":', "}")):
        body = f'{{"event_id": "s", "feedback": {begin * levels}1{end * levels}}}'
        answer = gateway.http.put("/events", content=body, headers=headers)
        assert answer.status_code in {400, 422}
    assert gateway.http.put("/events", json=SAID).status_code == 200


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "invalid_json"),
        (b"[]", "not_an_object"),
        (b'{"event_id": "s", "event_id": "t"}', "duplicate_key"),
        (b'{"feedback": ' + b"9" * 5_000 + b"}", "out_of_range"),
    ],
)
def test_a_body_that_is_none_is_400(gateway: Any, body: bytes, code: str) -> None:
    """What holds no object as a whole is refused as a whole."""
    answer = gateway.http.put("/events", content=body, headers={"content-type": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == code
    assert f"[{code} at $" in answer.json()["message"]  # all that HoneyHive's log shows


def test_another_content_type_is_415(gateway: Any) -> None:
    """What a web page may send without asking is not read."""
    answer = gateway.http.put(
        "/events", content=orjson.dumps(SAID), headers={"content-type": "text/plain"}
    )
    assert answer.status_code == 415


def test_text_counts_by_its_bytes(gateway: Any) -> None:
    """Feedback of 900,000 bytes of Chinese fits, for it is not written with escapes."""
    said = SAID | {"feedback": {"text": "好" * 300_000}}
    body = gzip.compress(orjson.dumps(said))
    headers = {"content-type": "application/json", "content-encoding": "gzip"}
    assert gateway.http.put("/events", content=body, headers=headers).status_code == 200
    assert gateway.transport.events[0]["feedback"] == said["feedback"]


def test_away_kafka_is_503(gateway: Any) -> None:
    """The SDK hears that its feedback was not taken, and may send it again."""
    gateway.transport.fail()
    answer = gateway.http.put("/events", json=SAID)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert answer.json()["success"] is False


def test_a_batch_is_counted_before_it_is_read(gateway: Any) -> None:
    """More events than a request may hold are refused for their number alone."""
    answer = gateway.http.post("/events/batch", json={"events": [{}] * 5_001})
    assert answer.status_code == 413
