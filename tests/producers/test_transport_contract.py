"""What every transport promises: in memory, on librdkafka's mock broker, and on Kafka."""

import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass

import pytest

from afterword import (
    ClosedError,
    KafkaTransport,
    MemoryTransport,
    Message,
    StoreError,
    Transport,
)
from afterword_schemas.limits import MAX_EVENT_BYTES


@dataclass(frozen=True)
class Place:
    """A transport, and a way to read what arrived at its other end."""

    transport: Transport
    read: Callable[[], list[Message]]


@pytest.fixture(params=["memory", "mock", pytest.param("kafka", marks=pytest.mark.services)])
def place(request: pytest.FixtureRequest, read_topic: Callable[[str, str], list[Message]]) -> Place:
    """Each kind of transport in turn."""
    if request.param == "memory":
        memory = MemoryTransport()
        return Place(memory, lambda: list(memory.messages))
    if request.param == "mock":
        address, topic = request.getfixturevalue("mock_broker"), f"test-{uuid.uuid4().hex}"
    else:
        address = request.getfixturevalue("kafka").bootstrap_servers
        topic = request.getfixturevalue("topic")
    return Place(KafkaTransport(address, topic=topic), lambda: read_topic(address, topic))


def test_a_message_arrives_as_it_was_given(place: Place) -> None:
    """Key, value and headers come out byte for byte, and the delivery is reported once."""
    reports: list[StoreError | None] = []
    headers = [("schema", b"feedback/v1"), ("traceparent", b"00-ab-cd-01")]
    place.transport.send(b"k", b'{"text":"\xc3\xa9\x00"}', headers, reports.append)
    place.transport.flush(20)
    assert reports == [None]
    assert place.read() == [Message(b"k", b'{"text":"\xc3\xa9\x00"}', tuple(headers))]
    place.transport.close(10)
    assert reports == [None]


def test_messages_of_one_key_stay_in_order(place: Place) -> None:
    """What is sent later under a key is read later."""
    for number in range(500):
        place.transport.send(b"k", b"%d" % number, (), lambda _: None)
    place.transport.close(20)
    assert [message.value for message in place.read()] == [b"%d" % n for n in range(500)]


def test_closing_delivers_what_waits(place: Place) -> None:
    """Without a flush, nothing that was taken is left behind."""
    reports: list[StoreError | None] = []
    for _ in range(100):
        place.transport.send(b"k", b"v", (), reports.append)
    place.transport.close(20)
    assert reports == [None] * 100
    assert len(place.read()) == 100


def test_after_closing_nothing_is_taken(place: Place) -> None:
    """A message after the end is refused loudly, and a second end is none."""
    place.transport.close(10)
    place.transport.close(10)
    place.transport.flush(10)
    with pytest.raises(ClosedError, match="only before close"):
        place.transport.send(b"k", b"v", (), lambda _: None)


def test_threads_share_a_transport(place: Place) -> None:
    """Each of 8 threads' 200 messages arrives once and is reported once."""
    reports: list[StoreError | None] = []

    def send(thread: int) -> None:
        for number in range(200):
            place.transport.send(b"%d" % thread, b"%d" % number, (), reports.append)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    place.transport.close(20)
    assert reports == [None] * 1600
    sent = {(b"%d" % thread, b"%d" % number) for thread in range(8) for number in range(200)}
    arrived = [(message.key, message.value) for message in place.read()]
    assert len(arrived) == 1600
    assert set(arrived) == sent


def test_the_largest_event_gets_through(place: Place) -> None:
    """An event at the limit fits into a message, with its key and headers."""
    reports: list[StoreError | None] = []
    largest = uuid.uuid4().bytes * (MAX_EVENT_BYTES // 16)
    headers = [("schema", b"feedback/v1"), ("traceparent", b"0" * 55)]
    place.transport.send(b"k" * 36, largest, headers, reports.append)
    place.transport.close(20)
    assert reports == [None]
    assert [message.value for message in place.read()] == [largest]


def test_a_forked_copy_leaves_what_waits_to_its_parent(place: Place) -> None:
    """After `after_fork`, a transport holds nothing and takes new messages."""
    line = place.transport._line if isinstance(place.transport, KafkaTransport) else None
    place.transport.after_fork()
    if line is not None:  # no process was forked here: the parent's thread still runs
        line._over.set()
    place.transport.flush(0)
    place.transport.send(b"k", b"of the child", (), lambda _: None)
    place.transport.close(20)
    assert [message.value for message in place.read()] == [b"of the child"]
