"""`/v1/feedback`: which answer a request gets, and what stands on the topic then."""

import gzip
import json
import sys
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from afterword.gateway import BodyLimits, GatewayOptions
from afterword_schemas import InvalidEventError, RejectCode, read_event
from afterword_schemas.testing import events

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

if TYPE_CHECKING:
    from tests.producers.gateway.conftest import GatewayHarness, Serve

FEEDBACK_ID = "019c12e9-8b3d-7000-8000-000000000000"
THUMB: dict[str, Any] = {"trace_id": "tr-1", "value": 1}
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_one_event_is_accepted(gateway: "GatewayHarness") -> None:
    """The answer has Portkey's shape, and the event what its sender left out."""
    answer = gateway.http.post("/v1/feedback", json=THUMB)

    (event,) = gateway.transport.events
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "success",
        "message": "Feedback accepted.",
        "feedback_ids": [event["feedback_id"]],
    }
    assert UUID(event["feedback_id"]).version == 7
    assert event == THUMB | {
        "feedback_id": event["feedback_id"],
        "project": "default",
        "updated_at": event["updated_at"],
    }
    assert abs(datetime.now(UTC) - datetime.fromisoformat(event["updated_at"])).seconds < 60
    (message,) = gateway.transport.messages
    assert message.key == event["feedback_id"].encode()
    assert message.headers == (("schema", b"feedback/v1"),)


def test_items_are_judged_one_by_one(gateway: "GatewayHarness") -> None:
    """A refused item takes no other with it, and the answer says which, where and why."""
    batch = [THUMB, THUMB | {"value": 11, "feedback_id": FEEDBACK_ID}, 3, THUMB | {"value": -1}]

    answer = gateway.http.post("/v1/feedback", json=batch)

    first, second = (event["feedback_id"] for event in gateway.transport.events)
    assert answer.status_code == 207
    assert answer.json() == {
        "status": "partial",
        "message": "2 of 4 accepted. Refused at index 1: value must be at most 10 "
        "[out_of_range at $.value]. For 1 more see errors.",
        "feedback_ids": [first, None, None, second],
        "errors": [
            {
                "index": 1,
                "feedback_id": FEEDBACK_ID,
                "code": "out_of_range",
                "path": "$.value",
                "detail": "value must be at most 10",
            },
            {
                "index": 2,
                "feedback_id": None,
                "code": "not_an_object",
                "path": "$",
                "detail": "an event is a JSON object",
            },
        ],
    }
    assert [event["value"] for event in gateway.transport.events] == [1, -1]


@pytest.mark.parametrize("body", [{"value": 1}, [{"value": 1}, {"trace_id": "tr-1"}]])
def test_nothing_accepted_is_422(gateway: "GatewayHarness", body: object) -> None:
    """Where all is refused nothing is published."""
    answer = gateway.http.post("/v1/feedback", json=body)

    assert answer.status_code == 422
    assert answer.json()["status"] == "failure"
    assert gateway.transport.events == []


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (
            THUMB | {"value": 11},
            "Refused: value must be at most 10 [out_of_range at $.value].",
        ),
        (
            [THUMB, THUMB | {"value": 11}],
            "1 of 2 accepted. Refused at index 1: value must be at most 10 [out_of_range at $.value].",
        ),
    ],
)
def test_the_message_says_what_is_wrong(
    gateway: "GatewayHarness", body: dict[str, Any] | list[Any], message: str
) -> None:
    """Code, path and sentence stand in it: some clients show their users nothing else."""
    assert gateway.http.post("/v1/feedback", json=body).json()["message"] == message


def test_the_message_tells_a_refusal_from_an_outage(gateway: "GatewayHarness") -> None:
    """An event that Kafka did not take is not the one that was refused."""
    gateway.transport.fail()
    answer = gateway.http.post("/v1/feedback", json=[THUMB, THUMB | {"value": 11}])
    assert answer.status_code == 503
    assert answer.json()["message"] == (
        "0 of 2 accepted. Refused at index 1: value must be at most 10 [out_of_range at $.value]. "
        "Kafka has not acknowledged all events: send those that errors calls unavailable again "
        "under their ids, and none counts twice."
    )


def test_empty_array_is_answered(gateway: "GatewayHarness") -> None:
    """An array without events is a success of nothing: a client may flush an empty buffer."""
    answer = gateway.http.post("/v1/feedback", json=[])

    assert answer.status_code == 200
    assert answer.json()["feedback_ids"] == []


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", "empty_message"),
        (b"{", "invalid_json"),
        (b"[{},]", "invalid_json"),
        (b"[{}", "invalid_json"),
        (b"[{} {}]", "invalid_json"),
        (b"{} {}", "invalid_json"),
        (b"\xef\xbb\xbf{}", "invalid_json"),
        (b'"text"', "not_an_object"),
        (b"null", "not_an_object"),
        (b'{"trace_id": "\xff"', "invalid_utf8"),
        ('{"trace_id": "tr-1"}'.encode("utf-16"), "invalid_utf8"),
        (b"[" * 100_000, "too_deep"),
        (b'{"feedback": ' * 100_000, "too_deep"),
        (b"[" * 5_000 + b'"' * 5_001, "too_deep"),
    ],
)
def test_a_body_that_is_not_valid_json_is_400(
    gateway: "GatewayHarness", body: bytes, code: str
) -> None:
    """A body that cannot be read is refused as a whole."""
    headers = {"content-type": "application/json"}
    answer = gateway.http.post("/v1/feedback", content=body, headers=headers)

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["code"] == code
    assert gateway.transport.events == []


@pytest.mark.parametrize(
    ("item", "code"),
    [
        ('{"trace_id": "t", "value": NaN}', "not_finite"),
        ('{"trace_id": "t", "weight": -Infinity}', "not_finite"),
        ('{"trace_id": "t", "feedback": {"a": ' + "[" * 5_000 + "]" * 5_000 + "}}", "too_deep"),
        ("[" * 5_000 + '"]"' + "]" * 5_000, "too_deep"),
        ('{"trace_id": "t", "value": 1, "feedback_id": "\\ud800"}', "invalid_unicode"),
        ('{"trace_id": "t", "value": 1, "feedback": {"\\ud800": 1}}', "invalid_unicode"),
        ('{"traceID": "t", "value": 1, "feedback": {"a": "\\udc80"}}', "invalid_unicode"),
        ('{"trace_id": "t", "value": 1, "feedback": {"a": "caf\udce9"}}', "invalid_utf8"),
        ('{"traceID": "t", "value": 1, "feedback": {"a": "caf\udce9"}}', "invalid_utf8"),
        ('{"trace_id": "t", "value": 1, "metadata": "{\\"a\\": NaN}"}', "not_finite"),
        ('{"trace_id": "t", "trace_id": "u", "value": 1}', "duplicate_key"),
    ],
)
def test_the_worst_item_takes_no_other_with_it(
    gateway: "GatewayHarness", item: str, code: str
) -> None:
    """What Python writes for NaN, what is nested beyond reading, and what no UTF-8 can hold."""
    body = f"[{json.dumps(THUMB)}, {item}, {json.dumps(THUMB)}]"
    headers = {"content-type": "application/json"}

    answer = gateway.http.post(
        "/v1/feedback", content=body.encode(errors="surrogateescape"), headers=headers
    )

    assert answer.status_code == 207
    assert [(error["index"], error["code"]) for error in answer.json()["errors"]] == [(1, code)]
    assert len(gateway.transport.events) == 2


def test_a_byte_that_is_not_utf8_is_told_by_its_place(gateway: "GatewayHarness") -> None:
    """The place is in the sender's own event."""
    body = '{"trace_id": "é"}, {"trace_id": "é", "feedback": {"a": "'.encode() + b'\xe9"}}'
    answer = gateway.http.post(
        "/v1/feedback", content=b"[" + body + b"]", headers={"content-type": "application/json"}
    )
    assert answer.json()["errors"][1]["detail"] == "byte 38 is not valid UTF-8"


@pytest.mark.parametrize("order", [range(12), sorted(range(12), key=str)])
def test_an_object_of_positions_is_an_array(gateway: "GatewayHarness", order: list[int]) -> None:
    """Portkey's Node SDK spreads its bulk so; other languages sort the keys as text."""
    bulk = {str(position): THUMB | {"value": position} for position in order}

    answer = gateway.http.post("/v1/feedback", json=bulk)

    assert answer.status_code == 207
    assert [event["value"] for event in gateway.transport.events] == list(range(11))
    assert [error["index"] for error in answer.json()["errors"]] == [11]


@pytest.mark.parametrize(
    "body",
    [
        {"0": THUMB, "2": THUMB},
        {"0": THUMB, "value": 1},
        {"1": THUMB},
        {"00": THUMB},
        THUMB | {"0": THUMB},
    ],
)
def test_an_event_with_a_number_for_a_field_is_one_event(
    gateway: "GatewayHarness", body: dict[str, Any]
) -> None:
    """What does not count from 0 is not taken for an array."""
    answer = gateway.http.post("/v1/feedback", json=body)
    assert answer.status_code == 422
    assert [error["code"] for error in answer.json()["errors"]] == ["unknown_field"]


def test_an_object_of_positions_is_read_item_by_item(gateway: "GatewayHarness") -> None:
    """What cannot be read in it takes no other with it, and its number is limited as an array's is."""
    headers = {"content-type": "application/json"}
    deep = "[" * 5_000 + "]" * 5_000
    body = f'{{"0": {json.dumps(THUMB)}, "1": {deep}, "2": NaN}}'
    answer = gateway.http.post("/v1/feedback", content=body, headers=headers)
    assert [(error["index"], error["code"]) for error in answer.json()["errors"]] == [
        (1, "too_deep"),
        (2, "not_an_object"),
    ]
    many = {str(position): 0 for position in range(5_001)}
    assert gateway.http.post("/v1/feedback", json=many).status_code == 413


def test_an_id_that_is_none_is_not_repeated(gateway: "GatewayHarness") -> None:
    """An answer holds nothing of a sender's but ids."""
    answer = gateway.http.post("/v1/feedback", json=THUMB | {"feedback_id": "secret"})
    assert answer.json()["errors"][0]["feedback_id"] is None


def test_a_fault_is_told_at_its_place_in_the_senders_text(gateway: "GatewayHarness") -> None:
    """What the gateway fills in moves no column."""
    body = b'{"trace_id": "t", "feedback": {"a": "\\ud800"}}'
    headers = {"content-type": "application/json"}
    answer = gateway.http.post("/v1/feedback", content=body, headers=headers)
    assert "line 1 column 44" in answer.json()["errors"][0]["detail"]


def test_broken_end_of_an_array_publishes_nothing(gateway: "GatewayHarness") -> None:
    """The good items before the place where a body breaks off are not accepted."""
    body = json.dumps([THUMB, THUMB]).encode()[:-5]
    headers = {"content-type": "application/json"}
    answer = gateway.http.post("/v1/feedback", content=body, headers=headers)

    assert answer.status_code == 400
    assert gateway.transport.events == []


def verdict(raw: bytes) -> tuple[RejectCode, str] | None:
    """Judge an event as the worker does."""
    try:
        read_event(raw)
    except InvalidEventError as error:
        return error.code, error.path
    return None


odd_texts = st.sampled_from(
    [
        '{"a": 1, "a": 2}',
        '{"a": 1, "\\u0061": 2}',
        '{"a": 123456789012345678901234567890}',
        '{"a": 0.1000000000000000055511151231257827}',
        '{"a": "\\ud800"}',
        '{"a": [[[1]]]}',
        '{"a": 1e400}',
        '{"a": -0}',
        "{}",
        "[]",
        " {  } ",
    ]
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(events() | odd_texts, max_size=6))
def test_verdict_is_the_workers(serve: "Serve", batch: list[Any]) -> None:
    """Each item of a batch gets the verdict that it gets alone from the worker, on the same text."""
    gateway = serve()
    whole = [
        item
        if isinstance(item, str)
        else json.dumps(item | {"project": "default", "updated_at": "2026-01-31T09:30:00Z"})
        for item in batch
    ]
    texts = [
        text
        if text.startswith('{"feedback_id"')
        else f'{{"feedback_id": "{FEEDBACK_ID}", "project": "default", '
        f'"updated_at": "2026-01-31T09:30:00Z", "trace_id": "t", "feedback": {text}}}'
        for text in whole
    ]
    verdicts = [verdict(text.encode()) for text in texts]

    answer = gateway.http.post(
        "/v1/feedback",
        content=f" [ {' , '.join(texts)} ] ".encode(),
        headers={"content-type": "application/json"},
    ).json()

    refused = {error["index"]: (error["code"], error["path"]) for error in answer.get("errors", [])}
    assert [refused.get(index) for index in range(len(texts))] == verdicts
    accepted = [text.encode() for text, fault in zip(texts, verdicts, strict=True) if fault is None]
    assert [message.value for message in gateway.transport.messages] == accepted


def test_the_same_id_again_is_the_same_event(gateway: "GatewayHarness") -> None:
    """A request that is repeated publishes under the same key, which counts once."""
    for _ in range(2):
        answer = gateway.http.post(
            "/v1/feedback", json=THUMB | {"feedback_id": FEEDBACK_ID.upper()}
        )
        assert answer.json()["feedback_ids"] == [FEEDBACK_ID]

    assert {message.key for message in gateway.transport.messages} == {FEEDBACK_ID.encode()}


def test_portkeys_spelling_is_read(gateway: "GatewayHarness") -> None:
    """`traceID`, and metadata as the text of an object, become what the worker knows."""
    said = {"traceID": "tr-1", "value": 5, "metadata": '{"_user": "u-19"}'}
    assert gateway.http.post("/v1/feedback", json=said).status_code == 200

    (event,) = gateway.transport.events
    assert (event["trace_id"], event["metadata"]) == ("tr-1", {"_user": "u-19"})


def test_duplicate_keys_do_not_hide_behind_portkeys_spelling(gateway: "GatewayHarness") -> None:
    """An item that is translated is looked at for lost values first."""
    body = b'{"traceID": "tr-1", "value": 5, "feedback": {"a": 1, "a": 2}}'
    answer = gateway.http.post(
        "/v1/feedback", content=body, headers={"content-type": "application/json"}
    )
    error = answer.json()["errors"][0]
    assert (error["code"], error["path"]) == ("duplicate_key", "$.feedback.a")


@pytest.mark.parametrize("digits", [30, 5_000])
def test_translated_items_keep_the_limit_of_integers(
    gateway: "GatewayHarness", digits: int
) -> None:
    """An integer too wide is refused in an item that is written anew, as in any other."""
    body = f'{{"traceID": "tr-1", "feedback": {{"a": {"9" * digits}}}}}'.encode()
    answer = gateway.http.post(
        "/v1/feedback", content=body, headers={"content-type": "application/json"}
    )
    assert answer.json()["errors"][0]["code"] == "out_of_range"


@pytest.mark.parametrize(("count", "status"), [(300_000, 200), (350_000, 422)])
def test_translated_items_keep_the_limit_of_bytes(
    gateway: "GatewayHarness", count: int, status: int
) -> None:
    """Three bytes of UTF-8 stay three, and more than a million bytes are too many."""
    said = {"traceID": "tr-1", "value": 1, "feedback": {"comment": "好" * count}}
    body = json.dumps(said, ensure_ascii=False).encode()
    headers = {"content-type": "application/json"}
    assert gateway.http.post("/v1/feedback", content=body, headers=headers).status_code == status


def test_trace_context_travels_as_a_header(gateway: "GatewayHarness") -> None:
    """The item's own traceparent goes before the request's."""
    other = TRACEPARENT.replace("-01", "-00")
    answer = gateway.http.post(
        "/v1/feedback",
        json=[THUMB, THUMB | {"traceparent": other}],
        headers={"traceparent": TRACEPARENT},
    )

    assert answer.status_code == 200
    found = [dict(message.headers).get("traceparent") for message in gateway.transport.messages]
    assert found == [TRACEPARENT.encode(), other.encode()]
    assert "traceparent" not in gateway.transport.events[1]


@pytest.mark.parametrize(
    "bad",
    [
        "x",
        "ff" + TRACEPARENT[2:],
        TRACEPARENT.replace("b7ad6b7169203331", "0" * 16),
        TRACEPARENT.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
    ],
)
def test_a_bad_traceparent_is_refused_where_it_is_the_items(
    gateway: "GatewayHarness", bad: str
) -> None:
    """An item says what it means, as the SDK's call does; a proxy's broken header is nobody's feedback."""
    answer = gateway.http.post(
        "/v1/feedback",
        json=[{"traceparent": bad} | THUMB, THUMB | {"traceparent": bad}, THUMB],
        headers={"traceparent": bad},
    )
    assert answer.status_code == 207
    assert [error["path"] for error in answer.json()["errors"]] == ["$.traceparent"] * 2
    [message] = gateway.transport.messages
    assert "traceparent" not in dict(message.headers)


def test_trace_context_in_front_leaves_the_event_as_it_is(gateway: "GatewayHarness") -> None:
    """As our SDK writes it, the rest is the event byte for byte; a second one is an unknown field."""
    event = (
        b' "feedback_id":"%s","trace_id":"\xc3\xa9","value" :1.0,"project":"p","updated_at":"%s"}'
    )
    event %= b"019c12e9-8b3d-7000-8000-000000000000", b"2026-01-31T09:30:00Z"
    lead = b'{"traceparent":"%s",' % TRACEPARENT.encode()
    answer = gateway.http.post(
        "/v1/feedback",
        content=b"[" + lead + event + b"," + lead + lead[1:] + event + b"]",
        headers={"content-type": "application/json"},
    )

    assert [error["path"] for error in answer.json()["errors"]] == ["$.traceparent"]
    [message] = gateway.transport.messages
    assert message.value == b"{" + event
    assert dict(message.headers)["traceparent"] == TRACEPARENT.encode()


def test_update_is_a_patch(gateway: "GatewayHarness") -> None:
    """Portkey's update merges, by PUT and by POST."""
    for method in ("PUT", "POST"):
        answer = gateway.http.request(
            method, f"/v1/feedback/{FEEDBACK_ID.upper()}", json={"value": 4, "weight": 0.5}
        )
        assert answer.json()["feedback_ids"] == [FEEDBACK_ID]

    for event in gateway.transport.events:
        assert (event["op"], event["feedback_id"]) == ("patch", FEEDBACK_ID)
        assert (event["value"], event["weight"]) == (4, 0.5)


def test_clear_is_a_clear(gateway: "GatewayHarness") -> None:
    """DELETE takes the event back."""
    assert gateway.http.delete(f"/v1/feedback/{FEEDBACK_ID}").status_code == 200

    (event,) = gateway.transport.events
    assert (event["op"], event["feedback_id"]) == ("clear", FEEDBACK_ID)


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"value": 1, "op": "set"}, "$.op"),
        ({"value": 1, "feedback_id": "019c12e9-8b3d-7000-8000-000000000001"}, "$.feedback_id"),
        ({}, "$"),
    ],
)
def test_an_update_says_only_what_the_address_does(
    gateway: "GatewayHarness", body: object, path: str
) -> None:
    """Another id or op in the body is refused, and so is nothing at all."""
    answer = gateway.http.put(f"/v1/feedback/{FEEDBACK_ID}", json=body)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == path


def test_an_update_takes_one_object(gateway: "GatewayHarness") -> None:
    """One address is one event."""
    address = f"/v1/feedback/{FEEDBACK_ID}"
    assert gateway.http.put(address, json=[{"value": 1}]).status_code == 400
    assert gateway.http.put(address, json={"0": {"value": 1}}).status_code == 422
    assert gateway.transport.events == []


@pytest.mark.parametrize("method", ["GET", "PUT", "POST", "DELETE"])
@pytest.mark.parametrize("feedback_id", ["1", "tr-1", f"{FEEDBACK_ID}0", "%00", "..%2f"])
def test_what_is_no_uuid_is_not_found(
    gateway: "GatewayHarness", method: str, feedback_id: str
) -> None:
    """An address that no feedback can have is none."""
    answer = gateway.http.request(method, f"/v1/feedback/{feedback_id}")

    assert answer.status_code == 404
    assert answer.json()["errors"][0]["code"] == "not_found"


@pytest.mark.parametrize(
    ("encoding", "compress"),
    [("gzip", gzip.compress), ("zstd", zstd.compress), ("GZIP", gzip.compress)],
)
def test_compressed_bodies_are_expanded(
    gateway: "GatewayHarness", encoding: str, compress: Any
) -> None:
    """Both gzip and zstd are read, in several members or frames too."""
    text = json.dumps([THUMB] * 50).encode()
    body = compress(text[:100]) + compress(text[100:])
    answer = gateway.http.post(
        "/v1/feedback",
        content=body,
        headers={"content-type": "application/json", "content-encoding": encoding},
    )
    assert answer.status_code == 200
    assert len(gateway.transport.events) == 50


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "", "json"])
def test_other_types_are_refused(gateway: "GatewayHarness", kind: str) -> None:
    """What a web page may send without asking is no JSON here."""
    answer = gateway.http.post("/v1/feedback", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 415


@pytest.mark.parametrize("kind", ["application/json; charset=utf-8", "application/vnd.api+json"])
def test_types_of_json_are_read(gateway: "GatewayHarness", kind: str) -> None:
    """Parameters and structured suffixes are JSON too."""
    body = json.dumps(THUMB).encode()
    answer = gateway.http.post("/v1/feedback", content=body, headers={"content-type": kind})
    assert answer.status_code == 200


def test_a_body_without_a_type_is_read_as_json(gateway: "GatewayHarness") -> None:
    """A client that names no type means the only one there is."""
    request = gateway.http.build_request("POST", "/v1/feedback", content=json.dumps(THUMB))
    request.headers.pop("content-type", None)
    assert gateway.http.send(request).status_code == 200


def test_too_many_items_are_413(gateway: "GatewayHarness") -> None:
    """A million zeros would be answered with a million errors."""
    answer = gateway.http.post("/v1/feedback", json=[0] * 5_001)

    assert answer.status_code == 413
    assert gateway.transport.events == []


@pytest.mark.parametrize("path", ["/v1/feedback", "/events/batch", "/v1/traces"])
@pytest.mark.parametrize("containers", [b"[]", b"{}", b"[[]]"])
def test_arrays_and_objects_without_number_are_413(
    gateway: "GatewayHarness", path: str, containers: bytes
) -> None:
    """They would take a hundred times the memory of their text before anything is known of them."""
    body = b"[" + (containers + b",") * 500_000 + b"0]"
    headers = {"content-type": "application/json"}
    assert gateway.http.post(path, content=body, headers=headers).status_code == 413


def test_kafka_away_is_503_with_the_ids(gateway: "GatewayHarness") -> None:
    """What Kafka did not take is named with its id, under which it can be sent again."""
    gateway.transport.fail("the broker is away")
    answer = gateway.http.post("/v1/feedback", json=[THUMB, {"value": 1}])

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    body = answer.json()
    assert body["status"] == "failure"
    assert [(error["index"], error["code"]) for error in body["errors"]] == [
        (0, "unavailable"),
        (1, "no_target"),
    ]
    assert body["errors"][0]["feedback_id"] == body["feedback_ids"][0]
    assert UUID(body["feedback_ids"][0]).version == 7


def test_an_answer_waits_for_kafka(serve: "Serve") -> None:
    """Without Kafka's word in time there is no 200, and a late word harms nobody."""
    gateway = serve(GatewayOptions(delivery_timeout_s=0.05))
    gateway.transport.hold()

    answer = gateway.http.post("/v1/feedback", json=THUMB)
    assert answer.status_code == 503
    assert answer.json()["errors"][0]["detail"] == "Kafka did not acknowledge it in time"

    gateway.transport.release()
    assert gateway.http.post("/v1/feedback", json=THUMB).status_code == 200


def test_a_full_queue_is_503(serve: "Serve") -> None:
    """What the queue has no room for is unavailable; what it took is accepted."""
    gateway = serve(GatewayOptions(delivery_timeout_s=0.05))
    gateway.transport._capacity = 1
    gateway.transport.hold()

    answer = gateway.http.post("/v1/feedback", json=[THUMB, THUMB])

    assert answer.status_code == 503
    assert [error["detail"] for error in answer.json()["errors"]] == [
        "Kafka did not acknowledge it in time",
        "the queue is full, this event was not taken",
    ]


def test_a_closed_transport_is_503(gateway: "GatewayHarness") -> None:
    """A request that comes while the process ends is sent elsewhere."""
    gateway.transport.close(0)
    assert gateway.http.post("/v1/feedback", json=THUMB).status_code == 503


def test_large_bodies_are_413(serve: "Serve") -> None:
    """Declared or not, compressed or not, a body that is too large is refused."""
    gateway = serve(GatewayOptions(body=BodyLimits(max_bytes=1_000)))
    large = json.dumps(THUMB | {"feedback": {"comment": "x" * 1_000}}).encode()
    headers = {"content-type": "application/json"}

    declared = gateway.http.post("/v1/feedback", content=large, headers=headers)
    streamed = gateway.http.post("/v1/feedback", content=iter([large]), headers=headers)
    packed = gateway.http.post(
        "/v1/feedback",
        content=gzip.compress(large),
        headers=headers | {"content-encoding": "gzip"},
    )

    assert {answer.status_code for answer in (declared, streamed, packed)} == {413}
    assert gateway.http.post("/v1/feedback", json=THUMB).status_code == 200


def test_a_single_event_has_the_events_limit(gateway: "GatewayHarness") -> None:
    """One event of more than a million bytes is refused by the event's own rule."""
    said = THUMB | {"feedback": {"comment": "x" * 1_000_000}}
    answer = gateway.http.post("/v1/feedback", json=said)

    assert answer.status_code == 422
    assert answer.json()["errors"][0]["code"] == "too_large"


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"x-portkey-trace-id": "tr-9"}, "tr-9"),
        ({"x-trace-id": "tr-8"}, "tr-8"),
        ({"x-portkey-trace-id": "tr-9", "x-trace-id": "tr-8"}, "tr-9"),
    ],
)
def test_answers_name_the_callers_trace(
    gateway: "GatewayHarness", given: dict[str, str], expected: str
) -> None:
    """The trace id of the request comes back, under both names."""
    answer = gateway.http.post("/v1/feedback", json=THUMB, headers=given)

    assert answer.headers["x-portkey-trace-id"] == answer.headers["x-trace-id"] == expected


@pytest.mark.parametrize("given", ["", "a b", "x" * 257, "\x7f"])
def test_a_trace_id_that_is_none_is_not_echoed(gateway: "GatewayHarness", given: str) -> None:
    """A new one takes its place."""
    answer = gateway.http.get("/healthz", headers={"x-trace-id": given})

    assert len(answer.headers["x-trace-id"]) == 32
