"""What every transport promises: in memory, on librdkafka's mock, on Kafka, over HTTP, from disk."""

import json
import random
import string
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from afterword import (
    ClosedError,
    DeliveryFailure,
    HttpTransport,
    KafkaTransport,
    MemoryTransport,
    Message,
    SpoolTransport,
    Transport,
)
from afterword.gateway import GatewayServer
from afterword_schemas.limits import MAX_EVENT_BYTES

pytestmark = pytest.mark.slow

SCHEMA = ("schema", b"feedback/v1")
TRACEPARENT = ("traceparent", b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01")
KEY = b"019c12e9-8b3d-7000-8000-000000000000"


@dataclass(frozen=True)
class Place:
    """A transport, and a way to read what arrived at its other end."""

    transport: Transport
    read: Callable[[], list[Message]]


@pytest.fixture(
    params=[
        "memory",
        "mock",
        pytest.param("kafka", marks=pytest.mark.services),
        "http to memory",
        pytest.param("http to kafka", marks=pytest.mark.services),
        "spool to memory",
        "spool to mock",
        pytest.param("spool to kafka", marks=pytest.mark.services),
    ]
)
def place(
    request: pytest.FixtureRequest,
    read_topic: Callable[[str, str], list[Message]],
    start_gateway: Callable[[Transport], GatewayServer],
    tmp_path: Path,
) -> Place:
    """Each kind of transport in turn; over HTTP and from disk, on top of another one."""
    if request.param.endswith("memory"):
        memory = MemoryTransport()
        place = Place(memory, lambda: list(memory.messages))
    else:
        if request.param.endswith("mock"):
            address, topic = request.getfixturevalue("mock_broker"), f"test-{random.random()}"
        else:
            address = request.getfixturevalue("kafka").bootstrap_servers
            topic = request.getfixturevalue("topic")
        kafka = KafkaTransport(address, topic=topic)
        place = Place(kafka, lambda: read_topic(address, topic))
    if request.param.startswith("http"):
        return Place(HttpTransport(start_gateway(place.transport).address), place.read)
    if request.param.startswith("spool"):
        spool = SpoolTransport(place.transport, tmp_path / "spool")
        return Place(spool, lambda: [replace(each, timestamp_ms=None) for each in place.read()])
    return place


def make_event(key: bytes, number: int, text: str = "") -> bytes:
    """Return an event that needs nothing filled in, with a number to tell it by."""
    return (
        b'{ "feedback_id":"%b","project":"acme","trace_id":"\xc3\xa9","updated_at":'
        b'"2026-01-31T09:30:00.125Z","feedback":{"number":%d,"text":"%b"}}'
    ) % (key, number, text.encode())


def make_key(number: int) -> bytes:
    """Return the id of an event, in time order."""
    return b"019c12e9-8b3d-7000-8000-%012d" % number


def number_of(message: Message) -> int:
    """Return the number that an event was made with."""
    return int(json.loads(message.value)["feedback"]["number"])


def test_a_message_arrives_as_it_was_given(place: Place) -> None:
    """Key, value and headers come out byte for byte, and the delivery is reported once."""
    reports: list[DeliveryFailure | None] = []
    first, second = make_event(make_key(1), 1), make_event(make_key(2), 2)
    place.transport.send(make_key(1), first, [SCHEMA], reports.append)
    place.transport.flush(20)
    place.transport.send(make_key(2), second, [SCHEMA, TRACEPARENT], reports.append)
    place.transport.flush(20)
    assert reports == [None, None]
    assert sorted(place.read(), key=number_of) == [
        Message(make_key(1), first, (SCHEMA,)),
        Message(make_key(2), second, (SCHEMA, TRACEPARENT)),
    ]
    place.transport.close(10)
    assert reports == [None, None]


def test_messages_of_one_key_stay_in_order(place: Place) -> None:
    """What is sent later under a key is read later."""
    for number in range(500):
        place.transport.send(KEY, make_event(KEY, number), (), lambda _: None)
    place.transport.close(20)
    assert [number_of(message) for message in place.read()] == list(range(500))


def test_closing_delivers_what_waits(place: Place) -> None:
    """Without a flush, nothing that was taken is left behind."""
    reports: list[DeliveryFailure | None] = []
    for number in range(100):
        place.transport.send(make_key(number), make_event(make_key(number), 1), (), reports.append)
    place.transport.close(20)
    assert reports == [None] * 100
    assert len(place.read()) == 100


def test_a_callback_that_raises_harms_no_other(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    """What it raises is logged, and messages sent at its time and later arrive and are reported."""
    reports: list[DeliveryFailure | None] = []

    def fail(_: DeliveryFailure | None) -> None:
        raise LookupError("a fault of the caller's")

    for number in range(3):
        key = make_key(number)
        place.transport.send(key, make_event(key, number), (), [fail, reports.append][number % 2])
    place.transport.flush(20)
    place.transport.send(KEY, make_event(KEY, 7), (), reports.append)
    place.transport.close(20)
    assert reports == [None] * 2
    assert sorted(map(number_of, place.read())) == [0, 1, 2, 7]
    raised = [record.exc_info for record in caplog.records if record.exc_info]
    assert [info[0] for info in raised] == [LookupError] * 2


def test_after_closing_nothing_is_taken(place: Place) -> None:
    """A message after the end is refused loudly, and a second end is none."""
    place.transport.close(10)
    place.transport.close(10)
    place.transport.flush(10)
    with pytest.raises(ClosedError, match="only before close"):
        place.transport.send(KEY, make_event(KEY, 1), (), lambda _: None)


def test_threads_share_a_transport(place: Place) -> None:
    """Each of 8 threads' 200 messages arrives once and is reported once."""
    reports: list[DeliveryFailure | None] = []

    def send(thread: int) -> None:
        key = make_key(thread)
        for number in range(200):
            place.transport.send(key, make_event(key, number), (), reports.append)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    place.transport.close(20)
    assert reports == [None] * 1600
    sent = {(make_key(thread), number) for thread in range(8) for number in range(200)}
    arrived = [(message.key, number_of(message)) for message in place.read()]
    assert len(arrived) == 1600
    assert set(arrived) == sent


def test_threads_share_a_key(place: Place) -> None:
    """However 4 threads' messages under one key mix, each arrives once, and each thread's in its order."""
    reports: list[DeliveryFailure | None] = []

    def send(thread: int) -> None:
        for number in range(25):
            place.transport.send(KEY, make_event(KEY, 25 * thread + number), (), reports.append)

    threads = [threading.Thread(target=send, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    place.transport.close(20)
    assert reports == [None] * 100
    arrived = [number_of(message) for message in place.read()]
    for first in range(0, 100, 25):
        theirs = range(first, first + 25)
        assert [number for number in arrived if number in theirs] == list(theirs)


def test_the_largest_event_gets_through(place: Place) -> None:
    """An event at the limit, of text that hardly shrinks, fits with its key and headers."""
    reports: list[DeliveryFailure | None] = []
    alphabet = "".join(set(string.printable[:94]) - {'"', "\\"})
    room = MAX_EVENT_BYTES - len(make_event(KEY, 1))
    largest = make_event(KEY, 1, "".join(random.choices(alphabet, k=room)))
    assert len(largest) == MAX_EVENT_BYTES
    place.transport.send(KEY, largest, [SCHEMA, TRACEPARENT], reports.append)
    place.transport.close(20)
    assert reports == [None]
    assert [message.value for message in place.read()] == [largest]


def test_a_forked_copy_leaves_what_waits_to_its_parent(place: Place) -> None:
    """After `after_fork`, a transport holds nothing and takes new messages."""
    spool = place.transport if isinstance(place.transport, SpoolTransport) else None
    carrier = place.transport if spool is None else spool._inner
    queue = carrier._queue if isinstance(carrier, KafkaTransport) else None
    if spool is not None and spool._drainer is not None:  # a child would not have its thread
        drainer = spool._drainer
        drainer._mail.put(lambda: setattr(drainer, "_over", True))
        drainer._thread.join(20)
    place.transport.after_fork()
    if queue is not None:  # no process was forked here: the parent's thread still runs
        queue._over = True
    place.transport.flush(0)
    place.transport.send(KEY, make_event(KEY, 7), (), lambda _: None)
    place.transport.close(20)
    assert [number_of(message) for message in place.read()] == [7]
