"""OTLP's routes: what an exporter is told, in the encoding that it speaks."""

import gzip
import math
import sys
from typing import Any

import orjson
import pytest
from google.protobuf.message import DecodeError
from google.rpc.status_pb2 import Status  # type: ignore[import-untyped]  # published so
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import (
    ExportLogsServiceRequest,
    ExportLogsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord, ResourceLogs, ScopeLogs
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Span

from afterword import enrichment_id
from afterword.gateway import GatewayOptions
from afterword.gateway.intake import MAX_ITEMS

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

PROTOBUF = {"content-type": "application/x-protobuf"}
JSON = {"content-type": "application/json; charset=utf-8"}
SPAN = "00f067aa0ba902b7"


def spans(*ratings: float) -> bytes:
    """Return a request in protobuf, a span for each rating."""
    made = [
        Span(
            span_id=(number + 1).to_bytes(8, "big"),
            end_time_unix_nano=1_769_851_800_125_000_000,
            attributes=[
                KeyValue(key="honeyhive_feedback.rating", value=AnyValue(double_value=rating))
            ],
        )
        for number, rating in enumerate(ratings)
    ]
    resource = ResourceSpans(scope_spans=[ScopeSpans(spans=made)])
    return bytes(ExportTraceServiceRequest(resource_spans=[resource]).SerializeToString())


def records(*names: str) -> bytes:
    """Return a request in protobuf, an evaluation for each name."""
    made = [
        LogRecord(
            span_id=bytes.fromhex(SPAN),
            time_unix_nano=1_769_851_800_125_000_000,
            event_name="gen_ai.evaluation.result",
            attributes=[
                KeyValue(key="gen_ai.evaluation.name", value=AnyValue(string_value=name)),
                KeyValue(key="gen_ai.evaluation.score.value", value=AnyValue(double_value=0.9)),
            ],
        )
        for name in names
    ]
    resource = ResourceLogs(scope_logs=[ScopeLogs(log_records=made)])
    return bytes(ExportLogsServiceRequest(resource_logs=[resource]).SerializeToString())


@pytest.mark.parametrize("path", ["/v1/traces", "/opentelemetry/v1/traces"])
def test_spans_in_protobuf_are_answered_in_protobuf(gateway: Any, path: str) -> None:
    """An export that was accepted whole is answered with an empty message."""
    answer = gateway.http.post(path, content=spans(1.0), headers=PROTOBUF)

    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    (event,) = gateway.transport.events
    identity = enrichment_id("default", "span", "0000000000000001")
    assert event["feedback_id"] == identity
    assert event["updated_at"] == "2026-01-31T09:30:00.125Z"
    assert gateway.transport.messages[0].key == identity.encode()


@pytest.mark.parametrize("path", ["/v1/logs", "/opentelemetry/v1/logs"])
def test_records_in_json_are_answered_in_json(gateway: Any, path: str) -> None:
    """The same holds for log records, and for JSON."""
    record = {
        "eventName": "gen_ai.evaluation.result",
        "timeUnixNano": "1769851800125000000",
        "spanId": SPAN,
        "attributes": [
            {"key": "gen_ai.evaluation.name", "value": {"stringValue": "relevance"}},
            {"key": "gen_ai.evaluation.score.value", "value": {"intValue": "1"}},
        ],
    }
    body = {"resourceLogs": [{"scopeLogs": [{"logRecords": [record]}]}]}

    answer = gateway.http.post(path, content=orjson.dumps(body), headers=JSON)

    assert (answer.status_code, answer.json()) == (200, {})
    assert answer.headers["content-type"] == "application/json"
    assert gateway.transport.events[0]["metrics"] == {"relevance": {"score": 1}}


@pytest.mark.parametrize(
    ("encoding", "compress"), [("gzip", gzip.compress), ("zstd", zstd.compress)]
)
def test_exports_may_be_compressed(gateway: Any, encoding: str, compress: Any) -> None:
    """Exporters compress with gzip, collectors with zstd too."""
    headers = PROTOBUF | {"content-encoding": encoding}
    answer = gateway.http.post("/v1/traces", content=compress(spans(1.0)), headers=headers)
    assert answer.status_code == 200
    assert len(gateway.transport.events) == 1


def test_refused_spans_are_counted_and_explained(gateway: Any) -> None:
    """What is wrong with one leaves the others as they are, and its exporter is told."""
    answer = gateway.http.post(
        "/v1/traces", content=spans(1.0, math.nan, 0.5, math.inf), headers=PROTOBUF
    )

    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert answer.status_code == 200
    assert partial.rejected_spans == 2
    assert partial.error_message.count("[not_finite at $.feedback.rating]") == 2
    said = [event["feedback"] for event in gateway.transport.events]
    assert said == [{"rating": 1.0}, {"rating": 0.5}]


def test_refused_records_are_counted_and_explained(gateway: Any) -> None:
    """Likewise for log records; of many reasons the first are told."""
    body = records("relevance", *[""] * 7)

    answer = gateway.http.post("/v1/logs", content=body, headers=PROTOBUF)

    partial = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_log_records == 7
    assert partial.error_message.count("[missing_field at") == 5
    assert partial.error_message.endswith("; and 2 more")
    assert len(gateway.transport.events) == 1


ODD = {
    "a byte that is not UTF-8": (b'"caf\xe9"', "invalid_utf8"),
    "half an emoji": (b'"\\ud83d"', "invalid_unicode"),
    "the other half": (b'"\\udc80"', "invalid_unicode"),
}


def spans_in_json(attributes: list[bytes]) -> bytes:
    """Return a request in JSON, a span for each text of attributes."""
    made = [
        b'{"spanId": "%016x", "attributes": [%s]}' % (number + 1, text)
        for number, text in enumerate(attributes)
    ]
    return b'{"resourceSpans": [{"scopeSpans": [{"spans": [%s]}]}]}' % b", ".join(made)


def attribute(key: str, value: bytes) -> bytes:
    """Write an attribute in JSON."""
    return b'{"key": "%s", "value": {"stringValue": %s}}' % (key.encode(), value)


@pytest.mark.parametrize("odd", ODD)
def test_a_bad_text_in_json_refuses_its_own_span(gateway: Any, odd: str) -> None:
    """It is counted and explained, and the spans beside it are accepted."""
    text, code = ODD[odd]
    comments = [attribute("honeyhive_feedback.comment", each) for each in (b'"a"', text, b'"b"')]
    answer = gateway.http.post("/v1/traces", content=spans_in_json(comments), headers=JSON)

    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "1"
    assert f"[{code} at $.feedback.comment]" in partial["errorMessage"]
    assert [event["feedback"] for event in gateway.transport.events] == [
        {"comment": "a"},
        {"comment": "b"},
    ]


DROPPED = [
    *(attribute("honeyhive_inputs.question", text) for text, _ in ODD.values()),
    b'{"key": "score", "value": {"doubleValue": NaN}}',
    b'{"key": "score", "value": {"intValue": %s}}' % (b"9" * 400),
    b'{"key": "honeyhive_inputs", "value": {"stringValue": 7}}',
]


@pytest.mark.parametrize("dropped", range(len(DROPPED)))
def test_a_part_that_is_dropped_does_not_matter_in_json(gateway: Any, dropped: int) -> None:
    """A cut emoji in a span's input is no reason to lose a rating, its own or another's."""
    rating = attribute("honeyhive_feedback.rating", b'"good"')
    spans = [rating, DROPPED[dropped] + b", " + rating]
    answer = gateway.http.post("/v1/traces", content=spans_in_json(spans), headers=JSON)
    assert (answer.status_code, answer.json()) == (200, {})
    assert len(gateway.transport.events) == 2


def test_what_is_not_finite_in_json_refuses_its_own_span(gateway: Any) -> None:
    """A bare NaN is not JSON, but Python writes it."""
    values = [
        b'{"key": "honeyhive_feedback.score", "value": {"doubleValue": %s}}' % number
        for number in (b"1.0", b"NaN", b"-Infinity", b"0.5")
    ]
    answer = gateway.http.post("/v1/traces", content=spans_in_json(values), headers=JSON)
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "2"
    assert partial["errorMessage"].count("[not_finite at $.feedback.score]") == 2
    assert len(gateway.transport.events) == 2


def test_endless_nesting_in_json_refuses_its_own_span(gateway: Any) -> None:
    """Its neighbours are read."""
    deep = b'{"key": "honeyhive_feedback.a", "value": %s}' % (b"[" * 5_000 + b"]" * 5_000)
    spans = [attribute("honeyhive_feedback.rating", b'"good"'), deep]
    answer = gateway.http.post("/v1/traces", content=spans_in_json(spans), headers=JSON)
    assert "[too_deep at $]" in answer.json()["partialSuccess"]["errorMessage"]
    assert len(gateway.transport.events) == 1


def commented(*texts: str, key: str = "honeyhive_feedback.comment") -> bytes:
    """Return a request in protobuf, a rated span for each text; `?` is a byte that is not UTF-8."""
    made = [
        Span(
            span_id=(number + 1).to_bytes(8, "big"),
            attributes=[
                KeyValue(key=key, value=AnyValue(string_value=text)),
                KeyValue(key="honeyhive_feedback.rating", value=AnyValue(bool_value=True)),
            ],
        )
        for number, text in enumerate(texts)
    ]
    resource = ResourceSpans(scope_spans=[ScopeSpans(spans=made)])
    body = ExportTraceServiceRequest(resource_spans=[resource]).SerializeToString()
    return bytes(body).replace(b"?", b"\xe9")


def test_a_bad_text_in_protobuf_refuses_its_own_span(gateway: Any) -> None:
    """Protobuf's own parser refuses the whole request for it."""
    body = commented("a", "caf?", "b")
    with pytest.raises(DecodeError):
        ExportTraceServiceRequest.FromString(body)

    answer = gateway.http.post("/v1/traces", content=body, headers=PROTOBUF)

    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_spans == 1
    assert partial.error_message == (
        "the text is not valid UTF-8 [invalid_utf8 at $.feedback.comment]"
    )
    assert [event["feedback"]["comment"] for event in gateway.transport.events] == ["a", "b"]


@pytest.mark.parametrize("key", ["honeyhive_inputs.question", "?"])
def test_a_part_that_is_dropped_does_not_matter_in_protobuf(gateway: Any, key: str) -> None:
    """Neither as a value nor as a key."""
    answer = gateway.http.post("/v1/traces", content=commented("caf?", key=key), headers=PROTOBUF)
    assert ExportTraceServiceResponse.FromString(answer.content) == ExportTraceServiceResponse()
    assert gateway.transport.events[0]["feedback"] == {"rating": True}


def test_a_bad_key_in_protobuf_refuses_its_own_span(gateway: Any) -> None:
    """A key of the feedback is a part of it."""
    body = commented("a", key="honeyhive_feedback.caf?")
    answer = gateway.http.post("/v1/traces", content=body, headers=PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert "[invalid_utf8 at $.feedback]" in partial.error_message


def part(number: int, raw: bytes) -> bytes:
    """Write a field of protobuf that is text, bytes or a message."""
    size, length = len(raw), b""
    while size > 0x7F:
        length += bytes([size & 0x7F | 0x80])
        size >>= 7
    return bytes([number << 3 | 2]) + length + bytes([size]) + raw


def request_of(*items: bytes) -> bytes:
    """Write a request of items in one scope."""
    return part(1, part(2, b"".join(part(2, item) for item in items)))


def deep_spans(key: str) -> bytes:
    """Return a request of two rated spans, the second with a value within a thousand arrays."""
    rating = KeyValue(key="honeyhive_feedback.rating", value=AnyValue(bool_value=True))
    value = b""
    for _ in range(1_000):
        value = part(5, part(1, value))
    first, second = (
        bytes(Span(span_id=bytes([number]) * 8, attributes=[rating]).SerializeToString())
        for number in (1, 2)
    )
    return request_of(first, second + part(9, part(1, key.encode()) + part(2, value)))


def test_endless_nesting_in_protobuf_refuses_its_own_span(gateway: Any) -> None:
    """And does not matter in a part that is dropped."""
    with pytest.raises(DecodeError):
        ExportTraceServiceRequest.FromString(deep_spans("honeyhive_inputs"))

    dropped, kept = (
        gateway.http.post("/v1/traces", content=deep_spans(key), headers=PROTOBUF)
        for key in ("honeyhive_inputs", "honeyhive_feedback.a")
    )

    assert ExportTraceServiceResponse.FromString(dropped.content) == ExportTraceServiceResponse()
    partial = ExportTraceServiceResponse.FromString(kept.content).partial_success
    assert partial.rejected_spans == 1
    assert "[too_deep at $.feedback.a" in partial.error_message
    assert len(gateway.transport.events) == 3


def test_a_damaged_span_is_refused_alone(gateway: Any) -> None:
    """Bytes that are no span say so, where they could hold feedback; else nothing is lost."""
    good = Span(
        span_id=b"\1" * 8,
        attributes=[KeyValue(key="honeyhive_feedback.a", value=AnyValue(int_value=1))],
    ).SerializeToString()
    body = request_of(good, b"\xff honeyhive_feedback", b"\xff", good)

    answer = gateway.http.post("/v1/traces", content=body, headers=PROTOBUF)

    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_spans == 1
    assert "[invalid_format at $]" in partial.error_message
    assert len(gateway.transport.events) == 2


def test_a_damaged_event_name_refuses_its_own_record(gateway: Any) -> None:
    """The name is looked at before the record is known to be an evaluation."""
    damaged = KeyValue(key="event.name", value=AnyValue(string_value="?"))
    with_name = LogRecord(attributes=[damaged], severity_text="gen_ai.evaluation.result")
    good = ExportLogsServiceRequest.FromString(records("a"))
    good.resource_logs[0].scope_logs[0].log_records.append(with_name)
    body = good.SerializeToString().replace(b"\x0a\x01?", b"\xff\xff\xff")

    answer = gateway.http.post("/v1/logs", content=body, headers=PROTOBUF)

    partial = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_log_records == 1
    assert "[invalid_format at $]" in partial.error_message
    assert [list(event["metrics"]) for event in gateway.transport.events] == [["a"]]


def test_a_bad_text_refuses_its_own_record(gateway: Any) -> None:
    """Log records are read as spans are; a response id that is not used for a path has its place too."""
    body = records("a", "b?", "c").replace(b"?", b"\xe9")
    answer = gateway.http.post("/v1/logs", content=body, headers=PROTOBUF)
    partial = ExportLogsServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_log_records == 1
    assert "[invalid_utf8 at $.metrics]" in partial.error_message
    assert [list(event["metrics"]) for event in gateway.transport.events] == [["a"], ["c"]]


def test_a_refusal_in_json_is_protobufs_json(gateway: Any) -> None:
    """Names are in lowerCamelCase, and an int64 is text."""
    span = {"attributes": [{"key": "honeyhive_feedback", "value": {"stringValue": "good"}}]}
    body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    answer = gateway.http.post("/v1/traces", content=orjson.dumps(body), headers=JSON)
    assert answer.json() == {
        "partialSuccess": {
            "rejectedSpans": "1",
            "errorMessage": "a span without an id, so nothing could be merged with it "
            "[missing_field at $.spanId]",
        }
    }


def test_a_repeated_export_publishes_what_it_published(gateway: Any) -> None:
    """Ids and times are the same, so the worker changes nothing the second time."""
    for path, body in (("/v1/traces", spans(1.0)), ("/v1/logs", records("relevance"))):
        for _ in range(2):
            assert gateway.http.post(path, content=body, headers=PROTOBUF).status_code == 200
    first, second, third, fourth = gateway.transport.events
    assert first == second
    assert third == fourth


@pytest.mark.parametrize("path", ["/v1/traces", "/v1/logs"])
def test_errors_are_a_status_in_protobuf(gateway: Any, path: str) -> None:
    """What went wrong is said in the message that the specification wants."""
    answer = gateway.http.post(path, content=b"\xff\xff", headers=PROTOBUF)
    assert answer.status_code == 400
    assert answer.headers["content-type"] == "application/x-protobuf"
    assert Status.FromString(answer.content).message.startswith("The body is not an Export")


def test_errors_are_a_status_in_json(gateway: Any) -> None:
    """The same in JSON."""
    answer = gateway.http.post("/v1/traces", content=b"[", headers=JSON)
    assert (answer.status_code, answer.json()) == (400, {"message": "The body is not JSON."})


@pytest.mark.parametrize("kind", ["", "text/plain", "application/grpc", "application/xml"])
def test_another_content_type_is_415(gateway: Any, kind: str) -> None:
    """What is neither protobuf nor JSON is not guessed at."""
    answer = gateway.http.post("/v1/traces", content=b"{}", headers={"content-type": kind})
    assert answer.status_code == 415
    assert answer.headers["accept-post"] == "application/x-protobuf, application/json"


def test_another_compression_is_415(gateway: Any) -> None:
    """An exporter that compresses otherwise is told what is understood."""
    headers = PROTOBUF | {"content-encoding": "deflate"}
    answer = gateway.http.post("/v1/traces", content=b"x", headers=headers)
    assert answer.status_code == 415
    assert Status.FromString(answer.content).message == (
        "Content-Encoding takes gzip, zstd or identity."
    )


def test_away_kafka_makes_exporters_try_again(gateway: Any) -> None:
    """503 with Retry-After is what they retry upon."""
    gateway.transport.fail()
    answer = gateway.http.post("/v1/traces", content=spans(1.0), headers=PROTOBUF)
    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "2"
    assert Status.FromString(answer.content).message == (
        "Kafka has not acknowledged all of it: send the batch again, nothing counts twice."
    )


def test_too_much_feedback_at_once_is_413(gateway: Any) -> None:
    """A batch that no queue could take is refused for good, and nothing of it is published."""
    body = spans(*[1.0] * (MAX_ITEMS + 1))
    answer = gateway.http.post("/v1/traces", content=body, headers=PROTOBUF)
    assert answer.status_code == 413
    assert gateway.transport.events == []


def test_spans_without_number_are_413(gateway: Any) -> None:
    """A hundred thousand are more than fit into a body, if there is anything in them."""
    body = request_of(*[b""] * 100_001)
    answer = gateway.http.post("/v1/traces", content=body, headers=PROTOBUF)
    assert answer.status_code == 413
    for odd in (b"0", b"NaN", b"[" * 2_000 + b"]" * 2_000):
        body = b'{"odd": %s, "resourceSpans": [{"scopeSpans": [{"spans": [%s]}]}]}'
        body %= odd, b"{}," * 100_000 + b"{}"
        answer = gateway.http.post("/v1/traces", content=body, headers=JSON)
        assert answer.status_code == 413


def test_attributes_without_number_refuse_their_own_span(gateway: Any) -> None:
    """No event has room for what is in them."""
    rating = KeyValue(key="honeyhive_feedback.rating", value=AnyValue(bool_value=True))
    made = [
        Span(span_id=b"\1" * 8, attributes=[rating]),
        Span(
            span_id=b"\2" * 8,
            attributes=[KeyValue(key=f"honeyhive_feedback.a{number}") for number in range(5_001)],
        ),
    ]
    items = [bytes(span.SerializeToString()) for span in made]
    answer = gateway.http.post("/v1/traces", content=request_of(*items), headers=PROTOBUF)
    partial = ExportTraceServiceResponse.FromString(answer.content).partial_success
    assert partial.rejected_spans == 1
    assert "[too_many_leaves at $.attributes]" in partial.error_message
    assert len(gateway.transport.events) == 1


def test_without_keys_the_project_is_the_gateways(serve: Any) -> None:
    """A span's own name for its project says nothing; the query may name one."""
    gateway = serve(GatewayOptions(project="support-bot"))
    gateway.http.post("/v1/traces", content=spans(1.0), headers=PROTOBUF)
    gateway.http.post("/v1/traces?project=asked", content=spans(1.0), headers=PROTOBUF)
    assert [event["project"] for event in gateway.transport.events] == ["support-bot", "asked"]
