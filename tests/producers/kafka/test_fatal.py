"""Fatal errors, which end a producer of librdkafka's for good, and not ours."""

import ctypes
import logging
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import confluent_kafka
import httpx2
import pytest
from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._acl import (
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
)
from confluent_kafka.admin._resource import ResourcePatternType, ResourceType
from tests.waiting import wait_until

from afterword import DeliveryFailure, KafkaTransport, Message
from afterword.gateway import GatewayServer
from afterword_stack.local.kafka import KafkaNode

pytestmark = pytest.mark.slow

SLOW = {"linger.ms": 60_000}
"""What is sent stays under way until somebody flushes."""

OUT_OF_ORDER = 45
"""The code of OUT_OF_ORDER_SEQUENCE_NUMBER."""

ReadTopic = Callable[[str, str], list[Message]]


def end_producer(transport: KafkaTransport) -> None:
    """Let a fatal error end the producer, by librdkafka's own function for tests."""
    assert transport._queue is not None
    producer: Producer = transport._queue._producer._life.producer
    [path] = (Path(confluent_kafka.__file__).parents[1] / "confluent_kafka.libs").glob(
        "librdkafka-*"
    )
    handle = ctypes.c_void_p.from_address(id(producer) + object.__basicsize__)
    ctypes.CDLL(str(path)).rd_kafka_test_fatal_error(handle, OUT_OF_ORDER, b"a test")


@pytest.mark.parametrize("collector", [True, False])
def test_events_in_flight_arrive_by_another_producer(
    mock_broker: str, read_topic: ReadTopic, *, collector: bool
) -> None:
    """Each event arrives, those that wait behind one of their key in their order; new ones, too."""
    topic = f"fatal-{collector}"
    transport = KafkaTransport(mock_broker, topic=topic, kafka=SLOW, collector=collector)
    reports: list[DeliveryFailure | None] = []
    for number in range(6):
        transport.send(b"%d" % (number % 2), b"%d" % number, (), reports.append)
    end_producer(transport)
    transport.send(b"2", b"6", (), reports.append)
    transport.flush(60)
    assert reports == [None] * 7
    transport.close(60)
    arrived = read_topic(mock_broker, topic)
    values = {
        key: [each.value for each in arrived if each.key == key] for key in (b"0", b"1", b"2")
    }
    assert values == {b"0": [b"0", b"2", b"4"], b"1": [b"1", b"3", b"5"], b"2": [b"6"]}


def test_a_fatal_error_is_told_in_the_log(
    mock_broker: str, caplog: pytest.LogCaptureFixture
) -> None:
    """What happened, what follows, and that events arrive again."""
    transport = KafkaTransport(mock_broker, topic="told")
    end_producer(transport)
    wait_until(lambda: "Kafka's client ended, and another takes its place" in caplog.text)
    transport.send(b"k", b"v", (), lambda _: None)
    transport.close(60)
    assert "a test [OUT_OF_ORDER_SEQUENCE_NUMBER]" in caplog.text
    assert caplog.messages[-1] == "Kafka takes events again."


def test_closing_reports_what_a_dead_producer_held() -> None:
    """With the broker away nothing takes its place: each event is reported, once."""
    transport = KafkaTransport("127.0.0.1:1", topic="t", kafka={"log_level": 0})
    reports: list[DeliveryFailure | None] = []
    for number in range(4):
        transport.send(b"%d" % (number % 2), b"v", (), reports.append)
    end_producer(transport)
    transport.close(0.1)
    assert [str(report) for report in reports] == ["closed before Kafka took it"] * 4


@pytest.fixture
def rights(tmp_path: Path) -> KafkaNode:
    """A broker that knows access rules."""
    name = "org.apache.kafka.metadata.authorizer.StandardAuthorizer"
    properties = {"authorizer.class.name": name, "allow.everyone.if.no.acl.found": "true"}
    return KafkaNode(tmp_path / "kafka", extra_properties=properties)


@pytest.mark.services
def test_a_gateway_takes_events_again_once_it_may_write(
    rights: KafkaNode,
    start_gateway: Callable[..., GatewayServer],
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A missing right to write is fatal for a producer. Once a person gives it, no restart is needed."""
    caplog.set_level(logging.WARNING)
    with rights:
        rights.create_topic("events")
        forbid, allow = access(rights.bootstrap_servers)
        forbid()
        transport = KafkaTransport(rights.bootstrap_servers, topic="events")
        url = f"{start_gateway(transport).address}/v1/feedback"

        def post() -> httpx2.Response:
            return httpx2.post(url, json={"trace_id": "t", "value": 1}, timeout=30)

        wait_until(lambda: "ACL IdempotentWrite" in post().text)
        assert post().status_code == 503
        allow()
        wait_until(lambda: post().status_code == 200)
        transport.close(30)


def access(address: str) -> tuple[Callable[[], None], Callable[[], None]]:
    """Return what takes the right to write from everybody, and what gives it back."""
    admin = AdminClient({"bootstrap.servers": address})
    topics = (ResourceType.TOPIC, "*", ResourcePatternType.LITERAL, "User:ANONYMOUS", "*")
    cluster = (ResourceType.BROKER, "kafka-cluster", *topics[2:])
    every = (AclOperation.ALL, AclPermissionType.ALLOW)
    denied = [
        (*topics, AclOperation.WRITE, AclPermissionType.DENY),
        (*cluster, AclOperation.IDEMPOTENT_WRITE, AclPermissionType.DENY),
    ]

    def settle(answers: Mapping[Any, Future[Any]]) -> None:
        for answer in answers.values():
            answer.result()

    def forbid() -> None:
        settle(admin.create_acls([AclBinding(*place, *every) for place in (topics, cluster)]))
        settle(admin.create_acls([AclBinding(*rule) for rule in denied]))

    return forbid, lambda: settle(admin.delete_acls([AclBindingFilter(*rule) for rule in denied]))
