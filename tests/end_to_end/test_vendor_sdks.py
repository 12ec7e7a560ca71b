"""The vendors' own SDKs, unmodified, each in a process of its own: what they say is in ClickHouse.

Only the server's address and the key are changed. From the gateway on all is real: Kafka, the
worker, ClickHouse.
"""

import json
import os
import re
import subprocess
import sys
import threading
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from tests.waiting import wait_until

from afterword import KafkaTransport, enrichment_id
from afterword.gateway import GatewayServer, KeyFile, Scope, ServerOptions, create_app
from afterword_consumers.clickhouse.client import ClickHouse, ClickHouseAddress
from afterword_consumers.clickhouse.sink import ClickHouseSink
from afterword_consumers.ingest.worker import Worker, WorkerOptions
from afterword_consumers.kafka.consumer import KafkaSource
from afterword_consumers.kafka.lag import read_lag
from afterword_schemas.receipt import Receipt, ReceiptStatus
from afterword_stack.local.clickhouse import ClickHouseNode
from afterword_stack.local.kafka import KafkaNode
from afterword_stack.run.database import prepare_database

pytestmark = pytest.mark.services


@dataclass(frozen=True, slots=True)
class Row:
    """An event as it stands in ClickHouse."""

    leaves: dict[str, Any]
    feedback_id: str
    project: str
    trace_id: str
    session_id: str
    span_id: str
    user_id: str
    value: int | None
    weight: float


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A gateway with a key for project `acme`, and a worker and a table behind it."""

    servers: str
    topic: str
    address: str
    key: str
    clickhouse: ClickHouse

    def run(self, script: str, *arguments: str, **environment: str) -> str:
        """Run a program that uses an SDK, and return what it printed."""
        ran = subprocess.run(
            [sys.executable, "-c", script, *arguments],
            env=os.environ | {"URL": self.address, "KEY": self.key} | environment,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert (ran.returncode, ran.stderr) == (0, "")  # neither a warning of the SDK's nor a retry
        return ran.stdout

    def rows(self, condition: str) -> list[Row]:
        """Wait until the worker has stored all that was published, and return what is asked for."""
        wait_until(
            lambda: not any(p.lag for p in read_lag(self.servers, self.topic, self.topic, {}))
        )
        selected = self.clickhouse.select(
            "SELECT numbers, booleans, strings, toString(feedback_id), project, trace_id, "
            "session_id, span_id, user_id, value, weight FROM feedback FINAL "
            f"WHERE {condition} ORDER BY toUInt128(feedback.feedback_id)"
        )
        return [_to_row(*row) for row in selected]

    def row(self, feedback_id: str) -> Row:
        """Return the one row of an event, as `rows` does."""
        (found,) = self.rows(f"feedback_id = '{feedback_id}'")
        return found


def _to_row(numbers: Any, booleans: Any, strings: Any, *columns: Any) -> Row:
    return Row(numbers | booleans | strings, *columns)


class NoReceipts:
    """Knows nothing."""

    def find(self, _: str, feedback_id: str) -> Receipt:
        """See `Receipts.find`."""
        return Receipt(feedback_id, ReceiptStatus.UNKNOWN)


@pytest.fixture(scope="module")
def pipeline(
    kafka: KafkaNode, clickhouse: ClickHouseNode, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Pipeline]:
    """The way from the gateway to the table, running."""
    servers, topic = kafka.bootstrap_servers, f"vendors-{uuid.uuid4().hex}"
    kafka.create_topic(topic, partitions=4)
    database = f"vendors_{uuid.uuid4().hex}"
    place = ClickHouseAddress(host=clickhouse.host, port=clickhouse.port, database=database)
    prepare_database(place)
    connection = ClickHouse(place)

    keys = KeyFile(tmp_path_factory.mktemp("vendors") / "keys.json")
    secret, _ = keys.create("acme", [Scope.WRITE])
    transport = KafkaTransport(servers, topic=topic)
    app = create_app(transport, keys=keys, receipts=NoReceipts(), ready=lambda: None)
    server = GatewayServer(app, ServerOptions(host="127.0.0.1", port=0))
    source = KafkaSource(servers, topic=topic, group=topic)
    worker = Worker(source, ClickHouseSink(connection), WorkerOptions(batch_max_age_s=0.05))
    threads = [threading.Thread(target=part.run) for part in (server, worker)]
    for thread in threads:
        thread.start()
    yield Pipeline(servers, topic, server.address, secret, ClickHouse(place))
    server.should_exit = True
    worker.stop()
    for thread in threads:
        thread.join()
    connection.command(f"DROP DATABASE {database} SYNC")
    connection.close()


PORTKEY = """
import json, os
import httpx
from portkey_ai import Portkey
from portkey_ai.api_resources.exceptions import UnprocessableEntityError

traces = []
url = os.environ["URL"] + "/v1"
client = httpx.Client(base_url=url, event_hooks={"response": [
    lambda response: traces.append(response.headers["x-portkey-trace-id"])
]})
portkey = Portkey(api_key=os.environ["KEY"], base_url=url, http_client=client)
created = portkey.feedback.create(
    trace_id="portkey-1", value=5, weight=0.5,
    metadata={"_user": "u-19", "_prompt": "summarise-v2", "text": "missed the date"},
)
bulk = portkey.feedback.bulk_create(feedbacks=[
    {"traceID": "portkey-2", "value": 1, "metadata": '{"_user": "u-2"}'},
    {"trace_id": "portkey-3", "value": -10},
])
updated = portkey.feedback.update(
    feedback_id=created.feedback_ids[0], value=-3, weight=1.0, metadata={"text": "after all"}
)
try:
    portkey.feedback.create(trace_id="portkey-4", value=11)
except UnprocessableEntityError as error:
    refused = json.loads(str(error))
partial = portkey.feedback.bulk_create(feedbacks=[
    {"trace_id": "portkey-6", "value": 1}, {"trace_id": "portkey-7", "value": 0.5},
])
portkey.with_options(trace_id="mine").feedback.create(trace_id="portkey-5", value=0)
answers = [answer.model_dump() for answer in (created, bulk, updated, partial)]
print(json.dumps({"answers": answers, "refused": refused, "traces": traces}))
"""


def test_portkey_creates_bulk_creates_and_updates(pipeline: Pipeline) -> None:
    """Portkey's Python SDK writes feedback, finds the ids in the answer, and updates under one."""
    told = json.loads(pipeline.run(PORTKEY))

    created, bulk, updated, partial = told["answers"]
    assert (created["status"], len(created["feedback_ids"])) == ("success", 1)
    assert (bulk["status"], len(bulk["feedback_ids"])) == ("success", 2)
    assert updated["feedback_ids"] == created["feedback_ids"]
    assert (partial["status"], partial["feedback_ids"][1]) == ("partial", "")
    assert partial["errors"][0]["path"] == "$.value"
    assert told["refused"]["errors"][0]["path"] == "$.value"
    *new, mine = told["traces"]
    assert mine == "mine"
    assert len(set(new)) == 5

    first, second, third, fourth, fifth = pipeline.rows("startsWith(trace_id, 'portkey-')")
    assert [row.feedback_id for row in (first, second, third, fourth)] == [
        *created["feedback_ids"],
        *bulk["feedback_ids"],
        partial["feedback_ids"][0],
    ]
    assert (first.trace_id, first.value, first.weight) == ("portkey-1", -3, 1.0)
    assert (first.user_id, first.leaves) == ("u-19", {"metadata.text": "after all"})
    assert (second.trace_id, second.value, second.user_id) == ("portkey-2", 1, "u-2")
    assert (third.trace_id, third.value, third.weight) == ("portkey-3", -10, 1.0)
    assert (fourth.trace_id, fourth.value) == ("portkey-6", 1)
    assert (fifth.trace_id, fifth.value) == ("portkey-5", 0)
    assert {row.project for row in (first, second, third, fourth, fifth)} == {"acme"}


HONEYHIVE = """
import json, os
from honeyhive import HoneyHiveTracer, trace
from opentelemetry.trace import get_current_span

tracer = HoneyHiveTracer.init(api_key=os.environ["KEY"], server_url=os.environ["URL"])

@trace(tracer=tracer)
def answer(question):
    tracer.enrich_span(
        feedback={
            "rating": True, "score": 0.5, "comment": "The model hallucinated the capital",
            "step1": {"retry": False}, "edits": [{"value": "Albany"}],
            "ground_truth": "The capital of New York is Albany",
        },
        metrics={"expert": 3},
    )
    return format(get_current_span().get_span_context().span_id, "016x")

span = answer("What is the capital of New York?")
tracer.enrich_session(feedback={
    "rating": 5, "comment": "Great experience",
    "step1": {"retry": True}, "edits": [{"value": "New York"}],
})
tracer.enrich_session(
    feedback={"liked": False, "step1": {"steps": 2}, "ground_truth": "Albany"},
    metrics={"accuracy": 0.9}, user_properties={"user_id": "u-19"},
)
tracer.enrich_session(metadata={"no": "feedback"})
event = tracer.create_event("retrieval", inputs={"query": "x"}, feedback={"relevant": True})
tracer.force_flush()
tracer.shutdown()
print(json.dumps({"session": tracer.session_id, "span": span, "event": event}))
"""

HONEYHIVE_LATER = """
import os, sys
from honeyhive import HoneyHiveTracer, trace

session, span, event, turn = sys.argv[1:]
tracer = HoneyHiveTracer.init(
    api_key=os.environ["KEY"], server_url=os.environ["URL"], session_id=session
)
tracer.enrich_session(feedback={"rating": 1, "later": True})
tracer.enrich_span(event_id=span, feedback={"rating": False, "later": True})
tracer.enrich_span(event_id=event, feedback={"later": True})

@trace(tracer=tracer)
def answer():
    tracer.enrich_span(update_event_id=turn, feedback={"tags": ["short", "wrong"]})

answer()
tracer.force_flush()
tracer.enrich_span(event_id=turn, feedback={"later": True})
tracer.shutdown()
print(tracer.session_id)
"""


@dataclass(frozen=True)
class FirstProcess:
    """What a first process said: the ids of its session, span and event, and what was stored of it then."""

    session: str
    span: str
    event: str
    of_session: list[Row]
    of_span: list[Row]


@pytest.fixture(scope="module")
def honeyhive(pipeline: Pipeline) -> FirstProcess:
    """A first process of HoneyHive's; whatever another one adds comes later."""
    ids: dict[str, str] = json.loads(pipeline.run(HONEYHIVE))
    return FirstProcess(
        **ids,
        of_session=pipeline.rows(f"session_id = '{ids['session']}' AND span_id = ''"),
        of_span=pipeline.rows(f"span_id = '{ids['span']}'"),
    )


def test_honeyhives_tour_of_a_session(honeyhive: FirstProcess) -> None:
    """Booleans, numbers and texts stand under the paths of HoneyHive's documentation, two calls merged."""
    session = honeyhive.session
    (row,) = honeyhive.of_session
    assert row == Row(
        feedback_id=enrichment_id("acme", "session", session),
        project="acme",
        trace_id="",
        session_id=session,
        span_id="",
        user_id="u-19",
        value=None,
        weight=1.0,
        leaves={
            "feedback.rating": 5,
            "feedback.comment": "Great experience",
            "feedback.step1.retry": True,
            "feedback.step1.steps": 2,
            "feedback.edits.0.value": "New York",
            "feedback.liked": False,
            "feedback.ground_truth": "Albany",
            "metrics.accuracy": 0.9,
            "metadata.user_properties.user_id": "u-19",
        },
    )


def test_honeyhives_tour_of_a_span(honeyhive: FirstProcess) -> None:
    """What came as flat attributes over OTLP stands under the same paths, with trace and session."""
    (row,) = honeyhive.of_span
    assert row.feedback_id == enrichment_id("acme", "span", honeyhive.span)
    assert row.session_id == honeyhive.session
    assert len(row.trace_id) == 32
    assert row.leaves == {
        "feedback.rating": True,
        "feedback.score": 0.5,
        "feedback.comment": "The model hallucinated the capital",
        "feedback.step1.retry": False,
        "feedback.edits.0.value": "Albany",
        "feedback.ground_truth": "The capital of New York is Albany",
        "metrics.expert": 3,
    }


def test_honeyhive_from_a_second_process(pipeline: Pipeline, honeyhive: FirstProcess) -> None:
    """By session id, span id or event id, a later process adds to what the first one said."""
    session, span, event = honeyhive.session, honeyhive.span, honeyhive.event
    turn = str(uuid.uuid4())

    joined = pipeline.run(
        HONEYHIVE_LATER,
        *(session, span, event, turn),
        HH_OTLP_PROTOCOL="http/protobuf",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
    )

    assert joined.strip() == session
    of_session = pipeline.row(enrichment_id("acme", "session", session))
    of_span = pipeline.row(enrichment_id("acme", "span", span))
    of_event = pipeline.row(enrichment_id("acme", "span", event))
    of_turn = pipeline.row(enrichment_id("acme", "session", turn))
    said = of_session.leaves
    assert (said["feedback.rating"], said["feedback.later"]) == (1, True)
    assert said["feedback.edits.0.value"] == "New York"
    said = of_span.leaves
    assert (said["feedback.rating"], said["feedback.later"]) == (False, True)
    assert said["feedback.edits.0.value"] == "Albany"
    assert of_span.session_id == of_event.session_id == session
    assert of_event.leaves == {"feedback.relevant": True, "feedback.later": True}
    assert len(of_turn.span_id) == 16
    assert of_turn.leaves == {
        "feedback.tags.0": "short",
        "feedback.tags.1": "wrong",
        "feedback.later": True,
    }


HONEYHIVE_CUT = r"""
import os, sys
sys.stderr = sys.stdout  # where the SDK says what it was answered
from honeyhive import HoneyHiveTracer, trace

tracer = HoneyHiveTracer.init(api_key=os.environ["KEY"], server_url=os.environ["URL"])

@trace(tracer=tracer)
def answer(question, comment):
    tracer.enrich_span(feedback={"rating": True, "comment": comment}, metadata={"test": sys.argv[1]})

answer("the first \ud83d", "good")
answer("the second", "cut off \ud83d")
answer("the third", "good")
tracer.force_flush()
tracer.enrich_session(feedback={"count": 2**64})
tracer.shutdown()
"""


def test_honeyhive_loses_no_rating_to_a_cut_emoji(pipeline: Pipeline) -> None:
    """Half an emoji in an input does not matter, in a rating it refuses that one; the log says why."""
    test = uuid.uuid4().hex
    logged = pipeline.run(HONEYHIVE_CUT, test)

    rows = pipeline.rows(f"strings['metadata.test'] = '{test}'")
    assert [row.leaves["feedback.comment"] for row in rows] == ["good", "good"]
    assert "[out_of_range at $.feedback.count]" in logged


OPENTELEMETRY_SPANS = """
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

provider = TracerProvider()
provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter()))
with provider.get_tracer("app").start_as_current_span("chat") as span:
    span.set_attribute("session.id", "otel-session")
    for name, score in (("Relevance", 0.9), ("Tone", 2)):
        span.add_event("gen_ai.evaluation.result", {
            "gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": score,
        })
provider.shutdown()
print(format(span.get_span_context().trace_id, "032x"))
"""


def test_opentelemetrys_span_exporter_sends_evaluations(pipeline: Pipeline) -> None:
    """As events of the span that was judged; the endpoint may end in a slash."""
    trace = pipeline.run(
        OPENTELEMETRY_SPANS,
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{pipeline.address}//v1/traces/",
        OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer%20{pipeline.key}",
    ).strip()

    rows = pipeline.rows(f"trace_id = '{trace}'")
    assert {row.session_id for row in rows} == {"otel-session"}
    assert sorted((row.leaves for row in rows), key=sorted) == [
        {"metrics.Relevance.score": 0.9},
        {"metrics.Tone.score": 2},
    ]


OPENTELEMETRY = """
import json
from opentelemetry._logs import LogRecord
from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.trace import TracerProvider

provider = LoggerProvider()
provider.add_log_record_processor(BatchLogRecordProcessor(OTLPLogExporter()))
logger = provider.get_logger("judge")
with TracerProvider().get_tracer("app").start_as_current_span("chat") as span:
    for name, score, label in (("Relevance", 0.9, "relevant"), ("Builtin.Tone", 2, "rude")):
        logger.emit(LogRecord(
            event_name="gen_ai.evaluation.result",
            attributes={
                "gen_ai.evaluation.name": name,
                "gen_ai.evaluation.score.value": score,
                "gen_ai.evaluation.score.label": label,
                "gen_ai.evaluation.explanation": "It names the city.",
                "gen_ai.response.id": "chatcmpl-1",
            },
        ))
    logger.emit(LogRecord(event_name="gen_ai.client.inference.operation.details"))
provider.shutdown()
context = span.get_span_context()
print(json.dumps([format(context.trace_id, "032x"), format(context.span_id, "016x")]))
"""


def test_opentelemetrys_log_exporter_sends_evaluations(pipeline: Pipeline) -> None:
    """A stock exporter, protobuf and gzip: each score under its evaluation's name, on its span."""
    told = pipeline.run(
        OPENTELEMETRY,
        OTEL_EXPORTER_OTLP_ENDPOINT=pipeline.address,
        OTEL_EXPORTER_OTLP_HEADERS=f"authorization=Bearer%20{pipeline.key}",
        OTEL_EXPORTER_OTLP_COMPRESSION="gzip",
    )

    trace, span = json.loads(told)

    rows = pipeline.rows(f"trace_id = '{trace}'")
    assert [(row.project, row.span_id) for row in rows] == [("acme", span)] * 2
    by_name = sorted((row.leaves for row in rows), key=sorted)
    assert by_name == [
        {
            "metadata.response_id": "chatcmpl-1",
            "metrics.Builtin%2ETone.explanation": "It names the city.",
            "metrics.Builtin%2ETone.label": "rude",
            "metrics.Builtin%2ETone.score": 2,
        },
        {
            "metadata.response_id": "chatcmpl-1",
            "metrics.Relevance.explanation": "It names the city.",
            "metrics.Relevance.label": "relevant",
            "metrics.Relevance.score": 0.9,
        },
    ]


def test_programs_of_the_page_do_what_it_says(pipeline: Pipeline) -> None:
    """Each program of the vendors' pages runs as it stands, but for address and key."""
    pages = Path(__file__).parents[2] / "producers" / "docs"
    programs = [
        program
        for name in ("portkey", "honeyhive", "opentelemetry")
        for program in re.findall(
            r"^```python\n(.*?)^```", (pages / f"{name}.md").read_text(), re.DOTALL | re.MULTILINE
        )
    ]
    assert len(programs) == 3

    for program in programs:
        placed = program.replace("http://127.0.0.1:8080", pipeline.address)
        pipeline.run(placed.replace("aw_secret_...", pipeline.key))

    (first,) = pipeline.rows("trace_id = 'tr-7f3'")
    (second,) = pipeline.rows("trace_id = 'tr-7f4'")
    (session,) = pipeline.rows("strings['feedback.ground_truth'] = 'Albany' AND user_id = ''")
    (span,) = pipeline.rows(f"session_id = '{session.session_id}' AND span_id != ''")
    (evaluation,) = pipeline.rows("trace_id = 'chatcmpl-1'")
    assert (first.value, first.weight, second.value) == (-3, 0.5, -1)
    assert session.leaves["feedback.step1.retry"] is True
    assert span.leaves == {
        "feedback.rating": True,
        "feedback.edits.0.value": "Albany",
        "metrics.expert": 3,
    }
    assert evaluation.leaves["metrics.relevance.score"] == 0.9
