"""Spans and log records become the same events from protobuf and from JSON, whatever is in them."""

import base64
import contextlib
import math
from collections.abc import Iterable, Iterator
from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceRequest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.common.v1.common_pb2 import (
    AnyValue,
    ArrayValue,
    KeyValue,
    KeyValueList,
)
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from afterword import enrichment_id
from afterword.gateway.vendors import otlp_wire as wire
from afterword.gateway.vendors.honeyhive import update_event
from afterword.gateway.vendors.otlp import Encoding, logs_to_events, spans_to_events
from afterword.gateway.vendors.otlp_messages import MalformedError
from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.event import read_event, uuid7_ms
from afterword_schemas.limits import MAX_TIME_MS, MIN_TIME_MS

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
SPAN = "00f067aa0ba902b7"
SESSION = "7f22137a-6f7c-4c25-b0a7-3a2f6e1d9c10"
TIME_NS = 1_769_851_800_125_999_999
TIME = "2026-01-31T09:30:00.125Z"

Attributes = dict[str, Any]


def test_a_span_of_honeyhives_sdk_becomes_a_patch_of_the_span() -> None:
    """Feedback and metrics take the place they had before the SDK flattened them."""
    attributes = {
        "honeyhive_feedback.rating": True,
        "honeyhive_feedback.score": 0.5,
        "honeyhive_feedback.step1.retry": False,
        "honeyhive_feedback.edits.0.value": "Oslo",
        "honeyhive_feedback.ground_truth": "Oslo",
        "honeyhive_metrics.exp": 3,
        "honeyhive_metadata.channel": "web",
        "honeyhive_user_properties.user_id": "u-19",
        "honeyhive_inputs.question": "Capital of Norway?",
        "honeyhive.session_id": SESSION,
        "honeyhive.project": "of the caller's naming",
    }
    assert spans_in_json(span_json(attributes)) == [
        {
            "feedback_id": enrichment_id("acme", "span", SPAN),
            "project": "acme",
            "op": "patch",
            "trace_id": TRACE,
            "span_id": SPAN,
            "session_id": SESSION,
            "feedback": {
                "rating": True,
                "score": 0.5,
                "step1": {"retry": False},
                "edits": [{"value": "Oslo"}],
                "ground_truth": "Oslo",
            },
            "metrics": {"exp": 3},
            "metadata": {
                "channel": "web",
                "_user": "u-19",
                "user_properties": {"user_id": "u-19"},
            },
            "created_at": TIME,
            "updated_at": TIME,
        }
    ]


def test_a_span_without_feedback_is_passed_over() -> None:
    """Inputs, outputs and a session make no event, and neither does an empty export."""
    quiet = span_json({"honeyhive_inputs.text": "x", "honeyhive.session_id": SESSION})
    context = span_json({"honeyhive_metadata.honeyhive_feedback": True})
    assert spans_in_json(quiet, context) == []
    assert list(spans_to_events(b"", "protobuf", "acme")) == []
    assert list(spans_to_events(b"{}", "json", "acme")) == []


@pytest.mark.parametrize("override", [SESSION, "019c12e9-8b3d-8000-8000-000000000000", "turn-7"])
def test_a_span_with_an_event_id_of_its_own_meets_updates_under_it(override: str) -> None:
    """What `update_event_id` names a span is what another process may call it."""
    attributes = {"honeyhive_feedback.rating": True, "honeyhive_event_id": override}
    (event,) = spans_in_json(span_json(attributes))
    later = update_event(override, {"feedback": {"comment": "good"}}, "acme")
    assert isinstance(event, dict)
    assert later is not None
    assert event["feedback_id"] == later["feedback_id"]
    assert (event["span_id"], event["trace_id"]) == (SPAN, TRACE)
    assert "session_id" not in event


def test_a_span_meets_updates_under_its_span_id() -> None:
    """Without an id of its own the span id is what another process calls it."""
    (event,) = spans_in_json(span_json({"honeyhive_feedback.rating": True}))
    later = update_event(SPAN, {"feedback": {"comment": "good"}}, "acme")
    assert isinstance(event, dict)
    assert later is not None
    assert event["feedback_id"] == later["feedback_id"]


@pytest.mark.parametrize(
    ("attributes", "code", "path"),
    [
        ({"honeyhive_feedback": "good"}, RejectCode.WRONG_TYPE, "$.feedback"),
        (
            {"honeyhive_feedback.a.b.c.d.e.f.g.h.i": 1},
            RejectCode.TOO_DEEP,
            "$.feedback.a.b.c.d.e.f.g.h",
        ),
        (
            {"honeyhive_feedback.rating": True, "honeyhive_event_id": 7},
            RejectCode.WRONG_TYPE,
            "$.event_id",
        ),
    ],
)
def test_a_span_that_is_wrong_does_not_take_the_others_with_it(
    attributes: Attributes, code: RejectCode, path: str
) -> None:
    """The refusal stands in the place of the event, and the next span is read."""
    good = span_json({"honeyhive_feedback.rating": True})
    refused, event = spans_in_json(span_json(attributes), good)
    assert isinstance(refused, InvalidEventError)
    assert (refused.code, refused.path) == (code, path)
    assert isinstance(event, dict)


def test_a_span_without_an_id_is_refused() -> None:
    """Zeros are no id: all such spans would meet in one row."""
    span = span_json({"honeyhive_feedback.rating": True}) | {"spanId": "0" * 16}
    (refused,) = spans_in_json(span)
    assert isinstance(refused, InvalidEventError)
    assert (refused.code, refused.path) == (RejectCode.MISSING_FIELD, "$.spanId")


@pytest.mark.parametrize("digits", [TRACE, TRACE.upper()])
def test_ids_that_came_as_digits_or_base64_are_read(digits: str) -> None:
    """Some exporters put the digits where the bytes belong, others base64 where the digits belong."""
    said = {"honeyhive_feedback.rating": True}
    in_bytes = span_protobuf(said, trace_id=digits.encode(), span_id=SPAN.encode())
    doubled = span_json(said, trace_id=digits.encode(), span_id=SPAN.encode())
    in_base64 = span_json(said) | {
        "traceId": base64.b64encode(bytes.fromhex(TRACE)).decode(),
        "spanId": base64.b64encode(bytes.fromhex(SPAN)).decode(),
    }
    found = [*spans_in_protobuf(in_bytes), *spans_in_json(doubled, in_base64)]
    assert found == spans_in_json(span_json(said)) * 3


@pytest.mark.parametrize("given", [b"\x0a\xbc", bytes(range(15)), bytes(range(17)), b"x" * 32])
def test_ids_of_a_wrong_length_are_refused(given: bytes) -> None:
    """Feedback under such an id would meet no trace; the span beside it is read."""
    said = {"honeyhive_feedback.rating": True}
    named = {"gen_ai.evaluation.name": "relevance"}
    good = bytes.fromhex(TRACE), bytes.fromhex(SPAN)
    found = [
        spans_in_protobuf(span_protobuf(said, trace_id=given), span_protobuf(said)),
        spans_in_json(span_json(said, trace_id=given), span_json(said)),
        logs_in_protobuf(
            record_protobuf(named, TIME_NS, given, good[1]),
            record_protobuf(named, TIME_NS, *good),
        ),
        logs_in_json(record_json(trace_id=given), record_json()),
    ]
    for refused, event in found:
        assert isinstance(refused, InvalidEventError)
        assert (refused.code, refused.path) == (RejectCode.INVALID_FORMAT, "$.traceId")
        assert refused.detail == "traceId takes 16 bytes, which are 32 hexadecimal digits"
        assert isinstance(event, dict)
        assert event["trace_id"] == TRACE


@pytest.mark.parametrize("given", ["abc", "0" * 31 + "1x", TRACE + "=", "é" * 16, "\n" + TRACE])
def test_a_text_that_is_no_id_is_refused(given: str) -> None:
    """Three digits are half a byte too few for anything."""
    (refused,) = spans_in_json(span_json({"honeyhive_feedback.rating": True}) | {"spanId": given})
    assert isinstance(refused, InvalidEventError)
    assert (refused.code, refused.path) == (RejectCode.INVALID_FORMAT, "$.spanId")


@pytest.mark.parametrize("zeros", ["", "0", "0" * 32, "AAAAAAAAAAAAAAAAAAAAAA=="])
def test_zeros_are_no_trace(zeros: str) -> None:
    """The specification's way to say that there is none."""
    (event,) = spans_in_json(span_json({"honeyhive_feedback.rating": True}) | {"traceId": zeros})
    assert isinstance(event, dict)
    assert "trace_id" not in event


@pytest.mark.parametrize("time", [None, 0, "0", ""])
def test_a_span_without_an_end_leaves_the_time_to_the_gateway(time: object) -> None:
    """No time is better than the year 1970."""
    span = span_json({"honeyhive_feedback.rating": True}) | {"endTimeUnixNano": time}
    (event,) = spans_in_json(span)
    assert isinstance(event, dict)
    assert event.keys().isdisjoint({"created_at", "updated_at"})


@pytest.mark.parametrize(
    ("time", "unit"),
    [(10**9, "seconds"), (10**6, "milliseconds"), (10**3, "microseconds")],
)
def test_a_time_of_another_unit_is_refused(time: int, unit: str) -> None:
    """In place of a row in 1970, which no period finds, the exporter is told what it sent."""
    said, named = {"honeyhive_feedback.rating": True}, {"gen_ai.evaluation.name": "relevance"}
    ids = bytes.fromhex(TRACE), bytes.fromhex(SPAN)
    found = [
        *spans_in_json(span_json(said, TIME_NS // time), span_json(said)),
        *spans_in_protobuf(span_protobuf(said, TIME_NS // time), span_protobuf(said)),
        *logs_in_json(record_json(time_ns=TIME_NS // time), record_json()),
        *logs_in_protobuf(
            record_protobuf(named, TIME_NS // time, *ids), record_protobuf(named, TIME_NS, *ids)
        ),
    ]
    fields = ["endTimeUnixNano"] * 2 + ["timeUnixNano"] * 2
    for field, refused, event in zip(fields, found[::2], found[1::2], strict=True):
        assert isinstance(refused, InvalidEventError)
        assert (refused.code, refused.path) == (RejectCode.OUT_OF_RANGE, f"$.{field}")
        assert refused.detail.endswith(f"this looks like {unit}")
        assert isinstance(event, dict)


def test_an_evaluation_becomes_a_score_under_its_name() -> None:
    """Score, label and explanation are metrics; trace, span and response say of what."""
    (event,) = logs_in_json(record_json())
    assert isinstance(event, dict)
    feedback_id = event.pop("feedback_id")
    assert (UUID(feedback_id).version, UUID(feedback_id).variant) == (7, "specified in RFC 4122")
    assert uuid7_ms(feedback_id) == TIME_NS // 1_000_000
    assert event == {
        "project": "acme",
        "trace_id": TRACE,
        "span_id": SPAN,
        "updated_at": TIME,
        "metrics": {
            "relevance": {"score": 0.9, "label": "relevant", "explanation": "It names the city."}
        },
        "metadata": {"response_id": "chatcmpl-1"},
    }


def test_an_evaluation_that_failed_says_why() -> None:
    """An error is a result too, and can be counted under the evaluation's name."""
    attributes = {"gen_ai.evaluation.name": "relevance", "error.type": "timeout"}
    (event,) = logs_in_json(record_json(attributes))
    assert isinstance(event, dict)
    assert event["metrics"] == {"relevance": {"error": "timeout"}}


def test_the_event_name_may_be_an_attribute() -> None:
    """Exporters older than OTLP 1.5 name the event so."""
    record = record_json()
    del record["eventName"]
    named = {"key": "event.name", "value": {"stringValue": "gen_ai.evaluation.result"}}
    record["attributes"] = [*record["attributes"], named]
    other = record | {"eventName": "gen_ai.client.inference.operation.details"}
    (event,) = logs_in_json(record, other)
    assert isinstance(event, dict)
    assert event["trace_id"] == TRACE


def test_an_evaluation_that_knows_its_response_alone_has_a_target() -> None:
    """The convention has `gen_ai.response.id` where there is no span; it stands as the trace."""
    record = record_json() | {"traceId": "", "spanId": ""}
    (event,) = logs_in_json(record)
    assert isinstance(event, dict)
    assert event["trace_id"] == "chatcmpl-1"
    read_event(orjson.dumps(event))


@pytest.mark.parametrize(
    "change",
    [
        {"timeUnixNano": str(TIME_NS + 1)},
        {"spanId": "00f067aa0ba902b8"},
        {"traceId": "4bf92f3577b34da6a3ce929d0e0e4737"},
        {"attributes": [{"key": "gen_ai.evaluation.name", "value": {"stringValue": "b"}}]},
    ],
)
def test_a_record_that_is_sent_again_has_the_id_it_had(change: dict[str, Any]) -> None:
    """An exporter that timed out sends the same record; another record has another id."""
    same, again, other = logs_in_json(record_json(), record_json(), record_json() | change)
    (elsewhere,) = logs_to_events(logs_body(record_json()), "json", "other")
    assert isinstance(same, dict)
    assert isinstance(again, dict)
    assert isinstance(other, dict)
    assert isinstance(elsewhere, dict)
    assert same == again
    assert len({same["feedback_id"], other["feedback_id"], elsewhere["feedback_id"]}) == 3


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"attributes": []}, '$.attributes["gen_ai.evaluation.name"]'),
        (
            {"attributes": [{"key": "gen_ai.evaluation.name", "value": {"intValue": 7}}]},
            '$.attributes["gen_ai.evaluation.name"]',
        ),
        ({"timeUnixNano": None, "observedTimeUnixNano": 0}, "$.timeUnixNano"),
    ],
)
def test_an_evaluation_needs_a_name_and_a_time(change: dict[str, Any], path: str) -> None:
    """Neither is guessed."""
    (refused,) = logs_in_json(record_json() | change)
    assert isinstance(refused, InvalidEventError)
    assert (refused.code, refused.path) == (RejectCode.MISSING_FIELD, path)


def test_the_time_of_observation_stands_in() -> None:
    """A record that does not say when it happened says when it was seen."""
    record = record_json() | {"timeUnixNano": "0", "observedTimeUnixNano": str(TIME_NS)}
    (event,) = logs_in_json(record)
    assert isinstance(event, dict)
    assert event["updated_at"] == TIME


@pytest.mark.parametrize("encoding", ["protobuf", "json"])
@pytest.mark.parametrize("translate", [spans_to_events, logs_to_events])
@pytest.mark.parametrize(
    "body",
    [
        b"\xff\xff\xff",
        b"[]",
        b"{",
        b'{"resourceSpans": 1, "resourceLogs": {}}',
        b'{"resourceSpans": [1], "resourceLogs": [null]}',
        b'{"resourceSpans": [{"scopeSpans": "x"}], "resourceLogs": [{"scopeLogs": "x"}]}',
        b'{"resourceSpans": [{"scopeSpans": [{"spans": [1]}]}], "resourceLogs": "x"}',
        b'{"resourceSpans": {}, "resourceLogs": [{"scopeLogs": [{"logRecords": [1]}]}]}',
        b"[" * 100_000,
    ],
)
def test_a_request_that_is_none_is_malformed(
    translate: Any, encoding: Encoding, body: bytes
) -> None:
    """What is not of the shape of a request is refused as a whole."""
    with pytest.raises(MalformedError):
        list(translate(body, encoding, "acme"))


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"traceId": "no hex"}, "$.traceId"),
        ({"spanId": 7}, "$.spanId"),
        ({"endTimeUnixNano": "1e18"}, "$.endTimeUnixNano"),
        ({"endTimeUnixNano": -1}, "$.endTimeUnixNano"),
        ({"endTimeUnixNano": "18446744073709551616"}, "$.endTimeUnixNano"),
        ({"endTimeUnixNano": True}, "$.endTimeUnixNano"),
    ],
)
def test_a_field_of_another_type_is_refused_with_its_place(
    change: dict[str, Any], path: str
) -> None:
    """JSON may hold anything; protobuf could not."""
    (refused,) = spans_in_json(span_json({"honeyhive_feedback.rating": True}) | change)
    assert isinstance(refused, InvalidEventError)
    assert (refused.code, refused.path) == (RejectCode.INVALID_FORMAT, path)


@pytest.mark.parametrize(
    "value",
    [
        7,
        [1],
        {"stringValue": 7},
        {"boolValue": "true"},
        {"intValue": "1.5"},
        {"intValue": "9223372036854775808"},
        {"intValue": True},
        {"doubleValue": "nan"},
        {"doubleValue": "1_0"},
        {"doubleValue": True},
        {"bytesValue": "*"},
        {"bytesValue": "AAAAA"},
        {"arrayValue": []},
        {"arrayValue": {"values": {}}},
        {"arrayValue": {"values": [7]}},
        {"kvlistValue": {"values": [{"key": 7}]}},
        {"kvlistValue": {"values": ["a"]}},
    ],
)
def test_a_value_of_another_type_is_refused(value: object) -> None:
    """A value that is not what its name says is not guessed at."""
    span = span_json({}) | {"attributes": [{"key": "honeyhive_feedback.a", "value": value}]}
    (refused,) = spans_in_json(span)
    assert isinstance(refused, InvalidEventError)
    assert (refused.code, refused.path) == (RejectCode.INVALID_FORMAT, "$.attributes")


@pytest.mark.parametrize(
    ("value", "leaf"),
    [
        ({"intValue": "-9223372036854775808"}, -(2**63)),
        ({"intValue": 7}, 7),
        ({"doubleValue": 7}, 7.0),
        ({"doubleValue": "1.5e3"}, 1500.0),
        ({"doubleValue": "-Infinity"}, -math.inf),
        ({"bytesValue": "_-8"}, "/+8="),
        ({"stringValue": None, "boolValue": False}, False),
        ({"stringValue": ""}, ""),
        ({"newValue": 1}, None),
        ({}, None),
        (None, None),
    ],
)
def test_values_are_read_as_protobufs_json_mapping_has_them(value: object, leaf: object) -> None:
    """Integers may be text, null is absence, and what is unknown is passed over."""
    entries = [
        {"key": "honeyhive_feedback.a", "value": value},
        {"key": "honeyhive_feedback.b", "value": {"boolValue": True}},
    ]
    (event,) = spans_in_json(span_json({}) | {"attributes": entries})
    assert isinstance(event, dict)
    assert event["feedback"] == {"a": leaf, "b": True}


@pytest.mark.parametrize("digits", [400, 4_000, 5_000])
def test_a_double_of_too_many_digits_is_refused_alone(digits: int) -> None:
    """An integer of JSON may be larger than any double."""
    good = span_json({"honeyhive_feedback.a": 1})
    huge = span_json({"honeyhive_feedback.b": 1.5})
    body = orjson.dumps({"resourceSpans": [{"scopeSpans": [{"spans": [huge, good]}]}]})
    refused, event = spans_to_events(body.replace(b"1.5", b"9" * digits), "json", "acme")
    assert isinstance(refused, InvalidEventError)
    assert isinstance(event, dict)


def test_a_value_nested_too_deep_is_refused_from_either_encoding() -> None:
    """What is cut off while reading is never accepted without it."""
    value: Any = 1
    for _ in range(20):
        value = [value]
    for events in (
        spans_in_json(span_json({"honeyhive_feedback.a": value})),
        spans_in_protobuf(span_protobuf({"honeyhive_feedback.a": value})),
    ):
        (event,) = events
        with pytest.raises(InvalidEventError) as refused:
            read_event(orjson.dumps(event))
        assert refused.value.code is RejectCode.TOO_DEEP


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (wire.Request, ExportTraceServiceRequest),
        (wire.Request, ExportLogsServiceRequest),
        (wire.Span, Span),
        (wire.LogRecord, LogRecord),
        (wire.AnyValue, AnyValue),
        (wire.ArrayValue, ArrayValue),
        (wire.KeyValueList, KeyValueList),
    ],
)
def test_the_wire_format_is_opentelemetrys(ours: Any, theirs: Any) -> None:
    """Each field has the number and the type of the published one, or is its bytes."""
    compare(ours.DESCRIPTOR, theirs.DESCRIPTOR)


def compare(ours: Any, theirs: Any) -> None:
    """Compare the fields of two descriptions of a message, and of the messages in it."""
    assert ours.fields
    for field in ours.fields:
        other = theirs.fields_by_number[field.number]
        assert field.name in {other.name, "resources", "scopes", "items"}
        assert field.is_repeated == other.is_repeated
        if field.type == field.TYPE_BYTES:
            assert other.type in {other.TYPE_BYTES, other.TYPE_STRING, other.TYPE_MESSAGE}
        else:
            assert field.type == other.type
        if field.message_type:
            compare(field.message_type, other.message_type)


def test_an_evaluation_in_a_span_is_that_of_a_log_record() -> None:
    """Libraries send it as an event of the span that was judged; sent both ways it counts once."""
    (in_log,) = logs_in_json(record_json())
    for events in (
        spans_in_json(span_json({}) | {"events": [event_json()]}),
        spans_in_protobuf(span_protobuf({}, events=[event_protobuf()])),
    ):
        assert events == [in_log]


def test_an_evaluation_in_a_span_has_the_spans_session() -> None:
    """Its own attributes name it first."""
    session = {"honeyhive.session_id": SESSION}
    own = event_json(EVALUATED | {"session.id": "own"})
    honeyhive = event_json(EVALUATED | {"honeyhive.session_id": "own"})
    found = spans_in_json(span_json(session) | {"events": [event_json(), own, honeyhive]})
    sessions = [event["session_id"] for event in found if isinstance(event, dict)]
    assert sessions == [SESSION, "own", "own"]


def test_a_span_may_hold_feedback_and_evaluations() -> None:
    """What is wrong with one of them leaves the others as they are."""
    nameless = event_json({"gen_ai.evaluation.score.value": 1})
    other = event_json() | {"name": "gen_ai.content.prompt"}
    rated = span_json({"honeyhive_feedback.rating": True})
    feedback, refused, evaluation = spans_in_json(
        rated | {"events": [nameless, other, event_json(), 7]}
    )
    assert isinstance(feedback, dict)
    assert isinstance(refused, InvalidEventError)
    assert refused.code is RejectCode.MISSING_FIELD
    assert isinstance(evaluation, dict)
    assert feedback["feedback"] == {"rating": True}
    assert evaluation["metrics"]["relevance"]["score"] == 0.9


# ------------------------------------------------------- protobuf and JSON say the same


def values() -> st.SearchStrategy[Any]:
    """Make attribute values of every type, nested a little deeper than an event may be."""
    return st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**63), 2**63 - 1)
        | st.floats(allow_nan=False)
        | st.text()
        | st.binary(max_size=8),
        lambda inner: (
            st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=3), inner, max_size=2)
        ),
        max_leaves=8,
    )


def span_attributes() -> st.SearchStrategy[Attributes]:
    """Make attributes of spans: HoneyHive's, with any path, and others."""
    paths = st.text(".01ab", max_size=20) | st.text(max_size=4)
    roots = st.sampled_from(["feedback", "metrics", "metadata", "user_properties", "inputs"])
    keys = st.builds("honeyhive_{}.{}".format, roots, paths) | st.sampled_from(
        ["honeyhive_feedback", "honeyhive.session_id", "honeyhive_event_id", "session.id"]
    )
    return st.dictionaries(keys, values(), max_size=6)


def record_attributes() -> st.SearchStrategy[Attributes]:
    """Make attributes of evaluations, most of them with a name."""
    names = ["score.value", "score.label", "explanation", "other"]
    keys = st.sampled_from([f"gen_ai.evaluation.{name}" for name in names])
    others = st.sampled_from(["gen_ai.response.id", "error.type", "session.id"])
    name = st.fixed_dictionaries({}, optional={"gen_ai.evaluation.name": st.text()})
    given = st.dictionaries(keys | others | st.text(max_size=3), values(), max_size=6)
    return st.builds(lambda *parts: parts[0] | parts[1], given, name)


times = (
    st.just(TIME_NS)
    | st.integers(MIN_TIME_MS * 10**6, MAX_TIME_MS * 10**6 - 1)
    | st.integers(0, 2**64 - 1)
)
identifiers = st.sampled_from([b"", bytes(8), bytes.fromhex(SPAN)]) | st.binary(max_size=16)


@given(st.lists(st.tuples(span_attributes(), times, identifiers, identifiers), max_size=3))
def test_spans_are_the_same_in_both_encodings(spans: list[Any]) -> None:
    """Protobuf and JSON make the same events, and the same refusals."""
    in_json = [span_json(*span) for span in spans]
    in_protobuf = [span_protobuf(*span) for span in spans]
    assert told(spans_in_json(*in_json)) == told(spans_in_protobuf(*in_protobuf))


@given(span_attributes(), st.lists(st.tuples(record_attributes(), times), max_size=3))
def test_evaluations_in_spans_are_the_same_in_both_encodings(
    attributes: Attributes, events: list[Any]
) -> None:
    """Protobuf and JSON make the same events under the same ids, and the same refusals."""
    in_json = span_json(attributes) | {"events": [event_json(*event) for event in events]}
    in_protobuf = span_protobuf(attributes, events=[event_protobuf(*event) for event in events])
    assert told(spans_in_json(in_json)) == told(spans_in_protobuf(in_protobuf))


@given(st.lists(st.tuples(record_attributes(), times, identifiers, identifiers), max_size=3))
def test_log_records_are_the_same_in_both_encodings(records: list[Any]) -> None:
    """Protobuf and JSON make the same events under the same ids, and the same refusals."""
    in_json = [record_json(*record) for record in records]
    in_protobuf = [record_protobuf(*record) for record in records]
    assert told(logs_in_json(*in_json)) == told(logs_in_protobuf(*in_protobuf))


@given(st.binary(max_size=200), st.sampled_from(["protobuf", "json"]))
def test_any_bytes_are_malformed_or_read(body: bytes, encoding: Encoding) -> None:
    """Bytes from anywhere end in a refusal or in nothing, never in a crash."""
    for translate in (spans_to_events, logs_to_events):
        with contextlib.suppress(MalformedError):
            assert list(translate(body, encoding, "acme")) == []


# ------------------------------------------------------- what the tests are written with

Events = list[dict[str, Any] | InvalidEventError]


def told(events: Events) -> list[Any]:
    """Return events and refusals as what can be compared."""
    return [
        (event.code, event.path, event.detail) if isinstance(event, InvalidEventError) else event
        for event in events
    ]


def spans_in_json(*spans: dict[str, Any]) -> Events:
    """Translate spans that came in JSON."""
    body = {"resourceSpans": [{"resource": {}, "scopeSpans": [{"spans": spans}]}], "later": 1}
    return list(spans_to_events(orjson.dumps(body), "json", "acme"))


def spans_in_protobuf(*spans: Span) -> Events:
    """Translate spans that came in protobuf."""
    scope = ScopeSpans(spans=spans)
    body = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[scope])])
    return list(spans_to_events(body.SerializeToString(), "protobuf", "acme"))


def logs_in_json(*records: dict[str, Any]) -> Events:
    """Translate log records that came in JSON."""
    return list(logs_to_events(logs_body(*records), "json", "acme"))


def logs_body(*records: dict[str, Any]) -> bytes:
    """Return a request of log records in JSON."""
    return orjson.dumps({"resourceLogs": [{"scopeLogs": [{"logRecords": records}]}]})


def logs_in_protobuf(*records: LogRecord) -> Events:
    """Translate log records that came in protobuf."""
    scope = ScopeLogs(log_records=records)
    body = ExportLogsServiceRequest(resource_logs=[ResourceLogs(scope_logs=[scope])])
    return list(logs_to_events(body.SerializeToString(), "protobuf", "acme"))


def span_json(
    attributes: Attributes,
    time_ns: int = TIME_NS,
    trace_id: bytes = bytes.fromhex(TRACE),
    span_id: bytes = bytes.fromhex(SPAN),
) -> dict[str, Any]:
    """Return a span as HoneyHive's SDK writes it."""
    return {
        "traceId": trace_id.hex().upper(),
        "spanId": span_id.hex(),
        "parentSpanId": None,
        "name": "answer",
        "kind": "SPAN_KIND_INTERNAL",
        "endTimeUnixNano": str(time_ns),
        "attributes": list(attributes_json(attributes)),
    }


def span_protobuf(
    attributes: Attributes,
    time_ns: int = TIME_NS,
    trace_id: bytes = bytes.fromhex(TRACE),
    span_id: bytes = bytes.fromhex(SPAN),
    events: Iterable[Span.Event] = (),
) -> Span:
    """Return the same span in protobuf."""
    return Span(
        trace_id=trace_id,
        span_id=span_id,
        name="answer",
        end_time_unix_nano=time_ns,
        attributes=attributes_protobuf(attributes),
        events=events,
    )


EVALUATED: Attributes = {
    "gen_ai.evaluation.name": "relevance",
    "gen_ai.evaluation.score.value": 0.9,
    "gen_ai.evaluation.score.label": "relevant",
    "gen_ai.evaluation.explanation": "It names the city.",
    "gen_ai.response.id": "chatcmpl-1",
}


def record_json(
    attributes: Attributes = EVALUATED,
    time_ns: int = TIME_NS,
    trace_id: bytes = bytes.fromhex(TRACE),
    span_id: bytes = bytes.fromhex(SPAN),
) -> dict[str, Any]:
    """Return an evaluation in JSON."""
    return {
        "timeUnixNano": time_ns,
        "traceId": trace_id.hex(),
        "spanId": span_id.hex(),
        "eventName": "gen_ai.evaluation.result",
        "attributes": list(attributes_json(attributes)),
    }


def record_protobuf(
    attributes: Attributes, time_ns: int, trace_id: bytes, span_id: bytes
) -> LogRecord:
    """Return the same evaluation in protobuf."""
    return LogRecord(
        time_unix_nano=time_ns,
        trace_id=trace_id,
        span_id=span_id,
        event_name="gen_ai.evaluation.result",
        attributes=attributes_protobuf(attributes),
    )


def event_json(attributes: Attributes = EVALUATED, time_ns: int = TIME_NS) -> dict[str, Any]:
    """Return an evaluation as an event of a span, in JSON."""
    return {
        "timeUnixNano": str(time_ns),
        "name": "gen_ai.evaluation.result",
        "attributes": list(attributes_json(attributes)),
    }


def event_protobuf(attributes: Attributes = EVALUATED, time_ns: int = TIME_NS) -> Span.Event:
    """Return the same in protobuf."""
    return Span.Event(
        time_unix_nano=time_ns,
        name="gen_ai.evaluation.result",
        attributes=attributes_protobuf(attributes),
    )


def attributes_json(attributes: Attributes) -> Iterator[dict[str, Any]]:
    """Write attributes as OTLP/JSON does."""
    for key, value in attributes.items():
        yield {"key": key, "value": value_json(value)}


def value_json(value: Any) -> dict[str, Any]:  # noqa: PLR0911  # a branch a type
    """Write a value as OTLP/JSON does."""
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            text = "Infinity" if value > 0 else "-Infinity"
            return {"doubleValue": value if math.isfinite(value) else text}
        case str():
            return {"stringValue": value}
        case bytes():
            return {"bytesValue": base64.b64encode(value).decode()}
        case list():
            return {"arrayValue": {"values": [value_json(item) for item in value]}}
        case dict():
            return {"kvlistValue": {"values": list(attributes_json(value))}}
        case _:
            return {}


def attributes_protobuf(attributes: Attributes) -> list[KeyValue]:
    """Write attributes in protobuf."""
    return [KeyValue(key=key, value=value_protobuf(value)) for key, value in attributes.items()]


def value_protobuf(value: Any) -> AnyValue:  # noqa: PLR0911  # a branch a type
    """Write a value in protobuf."""
    match value:
        case bool():
            return AnyValue(bool_value=value)
        case int():
            return AnyValue(int_value=value)
        case float():
            return AnyValue(double_value=value)
        case str():
            return AnyValue(string_value=value)
        case bytes():
            return AnyValue(bytes_value=value)
        case list():
            array = ArrayValue(values=[value_protobuf(item) for item in value])
            return AnyValue(array_value=array)
        case dict():
            return AnyValue(kvlist_value=KeyValueList(values=attributes_protobuf(value)))
        case _:
            return AnyValue()
