"""Errors of Kafka's that waiting never mends, on a real broker and on every way to it."""

import json
import os
import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, suppress
from functools import partial
from pathlib import Path
from typing import Any

import httpx2
import pytest
from confluent_kafka import KafkaError
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from tests.waiting import wait_until

from afterword import (
    Client,
    Delivery,
    DeliveryError,
    DeliveryFailure,
    HttpTransport,
    KafkaTransport,
    Message,
    RefusedError,
    RetryableError,
    SpoolTransport,
    Transport,
)
from afterword._kafka.errors import blames_a_message, to_delivery_failure
from afterword.gateway import GatewayServer
from afterword_stack.local.kafka import KafkaNode

ReadTopic = Callable[[str, str], list[Message]]
MakeTopic = Callable[..., str]

services = pytest.mark.services

LIMIT_BYTES = 20_000
SLOW = {"linger.ms": 200}
"""All that is sent at once goes into one batch."""


@pytest.fixture
def make_topic(kafka: KafkaNode) -> MakeTopic:
    """A function that makes a topic of one partition with these settings."""

    def make(**config: str) -> str:
        name = f"test-{uuid.uuid4().hex}"
        settings = {option.replace("_", "."): text for option, text in config.items()}
        kafka.create_topic(name, partitions=1, config=settings)
        return name

    return make


@pytest.fixture
def narrow_topic(make_topic: MakeTopic) -> str:
    """A topic that takes no message above 20,000 bytes."""
    return make_topic(max_message_bytes=str(LIMIT_BYTES))


@pytest.fixture
def direct(kafka: KafkaNode, narrow_topic: str) -> Iterator[KafkaTransport]:
    """A transport to `narrow_topic` that makes one batch of what is sent at once."""
    transport = KafkaTransport(kafka.bootstrap_servers, topic=narrow_topic, kafka=SLOW)
    yield transport
    transport.close(0)


def text(size: int) -> str:
    """Return so much text that no compression makes shorter than half of it."""
    return os.urandom(size // 2).hex()


def refusals(errors: Sequence[DeliveryFailure | None]) -> list[tuple[int, str, str]]:
    """Return place, code and path of each that was refused; none may have failed otherwise."""
    failed = [(at, error) for at, error in enumerate(errors) if error is not None]
    assert all(isinstance(error, RefusedError) for _, error in failed), failed
    return [(at, error.code, error.path) for at, error in failed if isinstance(error, RefusedError)]


@services
def test_a_message_that_is_too_large_is_refused_alone(
    direct: KafkaTransport, kafka: KafkaNode, narrow_topic: str, read_topic: ReadTopic
) -> None:
    """Kafka refuses the whole batch; its other messages arrive all the same, and in order."""
    errors: list[DeliveryFailure | None] = [RetryableError("not reported")] * 9
    for number in range(9):
        value = text(60_000) if number == 4 else str(number)
        key = b"%d" % (number % 3)
        direct.send(key, value.encode(), (), partial(errors.__setitem__, number))
    direct.flush(30)
    assert refusals(errors) == [(4, "too_large", "$")]
    assert "raise its max.message.bytes" in str(errors[4])
    arrived = read_topic(kafka.bootstrap_servers, narrow_topic)
    by_key = {key: [m.value for m in arrived if m.key == key] for key in (b"0", b"1", b"2")}
    assert by_key == {b"0": [b"0", b"3", b"6"], b"1": [b"1", b"7"], b"2": [b"2", b"5", b"8"]}


@services
def test_a_batch_that_is_too_large_only_as_a_whole_arrives(
    direct: KafkaTransport, kafka: KafkaNode, narrow_topic: str, read_topic: ReadTopic
) -> None:
    """Each of the messages is small enough, and so none is refused."""
    errors: list[DeliveryFailure | None] = []
    for number in range(10):
        direct.send(b"%d" % number, text(10_000).encode(), (), errors.append)
    direct.flush(30)
    assert errors == [None] * 10
    assert len(read_topic(kafka.bootstrap_servers, narrow_topic)) == 10


@services
def test_a_time_that_the_topic_does_not_take_is_refused_alone(
    kafka: KafkaNode, topic: str, read_topic: ReadTopic
) -> None:
    """Kafka 4 takes no message whose time is more than an hour ahead."""
    transport = KafkaTransport(kafka.bootstrap_servers, topic=topic, kafka=SLOW)
    ahead_ms = int(time.time() * 1000) + 7_200_000
    errors: list[DeliveryFailure | None] = [RetryableError("not reported")] * 3
    for number, timestamp_ms in enumerate((None, ahead_ms, None)):
        transport.send(
            b"k",
            b"%d" % number,
            (),
            partial(errors.__setitem__, number),
            timestamp_ms=timestamp_ms,
        )
    transport.close(30)
    assert refusals(errors) == [(1, "out_of_range", "$")]
    assert [m.value for m in read_topic(kafka.bootstrap_servers, topic)] == [b"0", b"2"]


@services
def test_a_record_that_the_broker_does_not_take_is_refused_alone(
    kafka: KafkaNode, make_topic: MakeTopic, read_topic: ReadTopic
) -> None:
    """A compacted topic takes no message without a key."""
    topic = make_topic(cleanup_policy="compact")
    transport = KafkaTransport(kafka.bootstrap_servers, topic=topic, kafka=SLOW)
    errors: list[DeliveryFailure | None] = [RetryableError("not reported")] * 3
    for number, key in enumerate((b"a", None, b"b")):
        report = partial(errors.__setitem__, number)
        transport.send(key, b"v", (), report)  # type: ignore[arg-type]  # what no event lacks
    transport.close(30)
    assert refusals(errors) == [(1, "store_refused", "$")]
    assert [m.key for m in read_topic(kafka.bootstrap_servers, topic)] == [b"a", b"b"]


@services
def test_a_client_counts_and_reports_the_one_that_is_too_large(
    kafka: KafkaNode, narrow_topic: str
) -> None:
    """Of five events four are delivered, and `on_delivery` hears why the fifth is not."""
    heard: list[Delivery] = []
    client = Client(
        kafka.bootstrap_servers,
        project="acme",
        topic=narrow_topic,
        kafka=SLOW,
        on_delivery=heard.append,
    )
    comments = ["good", "bad", text(60_000), "fine", "fair"]
    ids = [client.feedback(trace_id="t", feedback={"comment": each}) for each in comments]
    assert client.flush(30) == 0
    assert (client.stats.delivered, client.stats.failed) == (4, 1)
    with suppress(DeliveryError):
        client.close()
    [failed] = [delivery for delivery in heard if delivery.error is not None]
    assert failed.feedback_id == ids[2]
    assert isinstance(failed.error, RefusedError)


@pytest.fixture
def serve(start_gateway: Callable[..., GatewayServer], direct: KafkaTransport) -> Callable[[], str]:
    """A function that starts a gateway on `narrow_topic` and returns its address."""
    return lambda: start_gateway(direct).address


def event(comment: str) -> dict[str, Any]:
    """Return an event."""
    return {"trace_id": "t", "feedback": {"comment": comment}}


@services
def test_the_gateway_refuses_one_event_and_takes_the_others(serve: Callable[[], str]) -> None:
    """207 with `too_large` at its index; alone it is a 422, and never a 503 to send again."""
    url = f"{serve()}/v1/feedback"
    batch = [event("good"), event(text(60_000)), event("bad")]
    answer = httpx2.post(url, json=batch, timeout=30)
    assert answer.status_code == 207
    [error] = answer.json()["errors"]
    assert (error["index"], error["code"], error["path"]) == (1, "too_large", "$")
    assert httpx2.post(url, json=batch[1], timeout=30).status_code == 422


@services
def test_an_otlp_exporter_is_not_asked_to_send_again(serve: Callable[[], str]) -> None:
    """200 with one rejected span: the exporter goes on, and its other spans are stored."""

    def span(comment: str) -> dict[str, object]:
        attribute = {"key": "honeyhive_feedback.comment", "value": {"stringValue": comment}}
        return {
            "traceId": "0af7651916cd43dd8448eb211c80319c",
            "spanId": os.urandom(8).hex(),
            "attributes": [attribute],
        }

    spans = [span("good"), span(text(60_000)), span("bad")]
    body = {"resourceSpans": [{"scopeSpans": [{"spans": spans}]}]}
    answer = httpx2.post(f"{serve()}/v1/traces", json=body, timeout=30)
    assert answer.status_code == 200
    partial = answer.json()["partialSuccess"]
    assert partial["rejectedSpans"] == "1"
    assert "[too_large at $]" in partial["errorMessage"]


@services
@pytest.mark.parametrize("way", ["http", "kafka"])
def test_a_spool_keeps_what_is_refused_and_delivers_the_rest(
    way: str, serve: Callable[[], str], direct: KafkaTransport, tmp_path: Path
) -> None:
    """The event is in `refused.db` with its reason, and nothing is tried for ever."""
    inner: Transport = HttpTransport(serve()) if way == "http" else direct
    client = Client(project="acme", transport=SpoolTransport(inner, tmp_path / "spool"))
    for comment in ("good", text(60_000), "bad"):
        client.feedback(trace_id="t", feedback={"comment": comment})
    wait_until(lambda: client.stats.waiting == 0)
    assert (client.stats.delivered, client.stats.failed) == (2, 1)
    with suppress(DeliveryError):
        client.close()
    with closing(sqlite3.connect(tmp_path / "spool" / "refused.db")) as db:
        [(code, path, value)] = db.execute("SELECT code, path, value FROM refused").fetchall()
    assert (code, path) == ("too_large", "$")
    assert len(json.loads(value)["feedback"]["comment"]) == 60_000


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """A broker that knows access rules, and allows what no rule is about."""
    properties = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
    }
    with KafkaNode(tmp_path_factory.mktemp("guarded"), extra_properties=properties) as node:
        yield node


@services
def test_a_spool_waits_for_the_right_to_write(
    guarded: KafkaNode, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """A missing right is no fault of the event: it waits on disk, and arrives once a person acts."""
    topic = f"test-{uuid.uuid4().hex}"
    guarded.create_topic(topic)
    admin = AdminClient({"bootstrap.servers": guarded.bootstrap_servers})
    place = (ResourceType.TOPIC, topic, ResourcePatternType.LITERAL)
    write = (AclOperation.WRITE, AclPermissionType.DENY)
    rule = AclBinding(*place, "User:ANONYMOUS", "*", *write)
    [made] = admin.create_acls([rule]).values()
    made.result()

    heard: list[DeliveryFailure | None] = []
    transport = KafkaTransport(guarded.bootstrap_servers, topic=topic)
    transport.send(b"k", b"v", (), heard.append)
    transport.close(30)
    [error] = heard
    assert not isinstance(error, RefusedError)
    assert "allow this client to write to the topic" in str(error)

    carrier = KafkaTransport(guarded.bootstrap_servers, topic=topic)
    with Client(project="acme", transport=SpoolTransport(carrier, tmp_path / "spool")) as client:
        client.feedback(trace_id="t", value=1)
        wait_until(lambda: "Events wait in" in caplog.text)
        assert client.stats.waiting == 1
        [gone] = admin.delete_acls(
            [AclBindingFilter(*place, "User:ANONYMOUS", "*", *write)]
        ).values()
        gone.result()
        wait_until(lambda: client.stats.delivered == 1)
    assert not (tmp_path / "spool" / "refused.db").exists()


@pytest.mark.parametrize(
    ("name", "blames", "code", "words"),
    [
        ("MSG_SIZE_TOO_LARGE", True, "too_large", "raise its max.message.bytes"),
        ("RECORD_LIST_TOO_LARGE", True, "too_large", "raise its max.message.bytes"),
        ("INVALID_TIMESTAMP", True, "out_of_range", "this machine's clock"),
        ("INVALID_RECORD", True, "store_refused", "the broker's log"),
        ("_INVALID_DIFFERENT_RECORD", True, None, ""),
        ("TOPIC_AUTHORIZATION_FAILED", False, None, "ACL Write"),
        ("CLUSTER_AUTHORIZATION_FAILED", False, None, "ACL IdempotentWrite"),
        ("SASL_AUTHENTICATION_FAILED", False, None, "sasl.password"),
        ("_UNKNOWN_TOPIC", False, None, "create the topic"),
        ("NOT_ENOUGH_REPLICAS", False, None, ""),
        ("_MSG_TIMED_OUT", False, None, ""),
    ],
)
def test_each_error_is_of_one_kind(
    name: str, *, blames: bool, code: str | None, words: str
) -> None:
    """Refused for good with a code, or kept; where a person must act, the sentence says what."""
    error = KafkaError(getattr(KafkaError, name))
    verdict = to_delivery_failure(error)
    assert blames_a_message(error) is blames
    assert (verdict.code if isinstance(verdict, RefusedError) else None) == code
    assert words in str(verdict)
    assert f"[{name}]" in str(verdict)
