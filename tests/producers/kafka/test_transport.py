"""`KafkaTransport` where Kafka is away, slow or misconfigured."""

import logging
import re
import subprocess
import sys
import threading
import time
from functools import partial

import pytest
from tests.waiting import wait_until

from afterword import (
    ConfigurationError,
    DeliveryFailure,
    KafkaTransport,
    QueueFullError,
    RefusedError,
)

pytestmark = pytest.mark.slow

NOBODY = "127.0.0.1:1"
"""An address at which nothing listens."""


def test_sending_never_waits_for_a_broker() -> None:
    """With the broker away a thousand messages are taken in far less than one network timeout."""
    transport = KafkaTransport(NOBODY, topic="t")
    began = time.monotonic()
    for _ in range(1000):
        transport.send(b"k", b"v", (), lambda _: None)
    assert time.monotonic() - began < 10
    transport.close(0)


def test_closing_reports_what_could_not_be_delivered() -> None:
    """Each message that is given up at the end is reported once, with the reason."""
    reports: list[DeliveryFailure | None] = []
    transport = KafkaTransport(NOBODY, topic="t")
    for _ in range(3):
        transport.send(b"k", b"v", (), reports.append)
    began = time.monotonic()
    transport.close(0.05)
    assert time.monotonic() - began < 5
    assert [str(report) for report in reports] == ["closed before Kafka took it"] * 3


def test_closing_reports_all_that_waits_behind_one_key() -> None:
    """However many changes of one event wait for each other, each is reported, in their order."""
    reports: list[int] = []

    def note(number: int, _: DeliveryFailure | None) -> None:
        reports.append(number)

    transport = KafkaTransport(NOBODY, topic="t", kafka={"log_level": 0})
    for number in range(20_000):
        transport.send(b"k", b"v", (), partial(note, number))
    transport.close(0)
    assert reports == list(range(20_000))


def test_a_message_that_expires_is_reported() -> None:
    """Past `message.timeout.ms` the reason names what ran out."""
    reports: list[DeliveryFailure | None] = []
    transport = KafkaTransport(NOBODY, topic="t", kafka={"message.timeout.ms": 10})
    transport.send(b"k", b"v", (), reports.append)
    transport.flush(20)
    assert [str(report) for report in reports] == ["Local: Message timed out [_MSG_TIMED_OUT]"]
    transport.close(0)


def test_a_full_queue_refuses_at_once() -> None:
    """Memory is bounded: one message too many raises, and those before it stay."""
    reports: list[DeliveryFailure | None] = []
    transport = KafkaTransport(NOBODY, topic="t", kafka={"queue.buffering.max.messages": 3})
    for _ in range(3):
        transport.send(b"k", b"v", (), reports.append)
    with pytest.raises(QueueFullError, match="the queue is full"):
        transport.send(b"k", b"v", (), reports.append)
    transport.close(0)
    assert len(reports) == 3


def test_a_message_that_librdkafka_refuses_raises_a_refused_error() -> None:
    """A message beyond `message.max.bytes` crosses the seam as an error of ours."""
    transport = KafkaTransport(NOBODY, topic="t")
    with pytest.raises(RefusedError, match=r"Message size too large \[MSG_SIZE_TOO_LARGE\]"):
        transport.send(b"k", b"v" * 2_000_000, (), lambda _: None)
    transport.close(0)


@pytest.mark.parametrize(
    ("kafka", "words"),
    [
        ({"compresion.type": "lz4"}, 'No such configuration property: "compresion.type"'),
        ({"batch.size": "big"}, 'Invalid value for configuration property "batch.size"'),
        ({"acks": 1}, "`acks` must be set to `all` when `enable.idempotence` is true"),
        ({"on_delivery": print}, "The Kafka setting on_delivery is not open"),
        ({"transactional.id": "t"}, "The Kafka setting transactional.id is not open"),
    ],
)
def test_a_wrong_setting_is_named(kafka: dict[str, object], words: str) -> None:
    """A setting that cannot work is refused when the transport is made."""
    with pytest.raises(ConfigurationError, match=re.escape(words)):
        KafkaTransport(NOBODY, topic="t", kafka=kafka)


@pytest.mark.parametrize("servers", ["", " ", []])
def test_a_server_must_be_named(servers: str | list[str]) -> None:
    """Without a server librdkafka would wait for ever without a word."""
    with pytest.raises(ConfigurationError, match="No Kafka server is named"):
        KafkaTransport(servers, topic="t")


def test_several_servers_may_be_named(mock_broker: str) -> None:
    """A list is as good as commas, and one server that answers is enough."""
    transport = KafkaTransport([NOBODY, mock_broker], topic="servers", kafka={"log_level": 0})
    reports: list[DeliveryFailure | None] = []
    transport.send(b"k", b"v", (), reports.append)
    transport.close(20)
    assert reports == [None]


_THREADS = """
import sys
import time

import psutil

from afterword import KafkaTransport

process = psutil.Process()
before = process.num_threads()
transport = KafkaTransport(sys.argv[1], topic="threads")
transport.send(b"k", b"v", (), lambda _: None)
assert process.num_threads() > before + 1
transport.close(20)
while process.num_threads() > before:
    time.sleep(0.01)  # the system counts a thread for a moment after it was joined
"""


def test_closing_ends_every_thread(mock_broker: str) -> None:
    """A closed transport leaves no thread behind, neither Python's nor librdkafka's.

    In a process of its own: the threads of other tests come and go in this one.
    """
    subprocess.run([sys.executable, "-c", _THREADS, mock_broker], check=True, timeout=60)


def test_a_producer_is_never_freed_after_a_fork() -> None:
    """Freeing a producer whose threads did not survive the fork would hang: one reference stays."""
    transport = KafkaTransport(NOBODY, topic="t")
    assert transport._queue is not None
    producer = transport._queue._producer._life.producer
    before = sys.getrefcount(producer)
    transport._queue.abandon()
    assert sys.getrefcount(producer) == before + 1
    transport.close(0)


def test_closing_amid_a_flush_harms_nobody(mock_broker: str) -> None:
    """One thread flushes while another closes: both come back, and the message arrives."""
    reports: list[DeliveryFailure | None] = []
    for _ in range(3):
        transport = KafkaTransport(mock_broker, topic="amid")
        transport.send(b"k", b"v", (), reports.append)
        flushing = threading.Thread(target=transport.flush, args=(20,))
        flushing.start()
        transport.close(20)
        flushing.join()
    assert reports == [None] * 3


def test_librdkafka_logs_through_logging() -> None:
    """What the Kafka client has to say goes to the logger `afterword.kafka`, not to stderr."""
    heard = threading.Event()

    class LogListener(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "127.0.0.1:1" in record.getMessage():
                heard.set()

    logger, ear = logging.getLogger("afterword.kafka"), LogListener()
    logger.addHandler(ear)
    transport = KafkaTransport(NOBODY, topic="t")
    assert heard.wait(20)
    transport.close(0)
    logger.removeHandler(ear)


def test_an_outage_is_one_line_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    """Librdkafka complains again with each try, and for each broker that it was told of."""
    caplog.set_level(logging.DEBUG, "afterword.kafka")
    transport = KafkaTransport(
        ["127.0.0.1:1", "localhost:1"], topic="t", kafka={"reconnect.backoff.max.ms": 100}
    )
    transport.send(b"k", b"v", (), lambda _: None)
    wait_until(lambda: caplog.text.count("Connection refused") >= 10)
    transport.close(0)
    loud = [record for record in caplog.records if record.levelno > logging.DEBUG]
    assert len(loud) == 1
    assert "Connection refused" in loud[0].getMessage()


def test_the_end_of_an_outage_is_one_line_in_the_log(
    mock_broker: str, caplog: pytest.LogCaptureFixture
) -> None:
    """After a complaint the next delivery says that Kafka takes events again, once."""
    while True:
        transport = KafkaTransport([NOBODY, mock_broker], topic="again")
        transport.send(b"k", b"v", (), lambda _: None)
        transport.flush(20)
        if "Connection refused" in caplog.text:
            break
        transport.close(0)  # librdkafka chose the server that answers first: once more
    for _ in range(3):
        transport.send(b"k", b"v", (), lambda _: None)
        transport.flush(20)
    transport.close(0)
    assert caplog.text.count("Kafka takes events again.") == 1


def test_without_a_collector_reports_come_when_asked_for(target: tuple[str, str]) -> None:
    """For an event loop, which then needs no thread beside it; `flush` and `close` report, too."""
    address, topic = target
    transport = KafkaTransport(address, topic=topic, collector=False)
    threads: list[str] = []
    for _ in range(3):
        transport.send(b"k", b"v", [], lambda _: threads.append(threading.current_thread().name))
    assert threads == []
    while len(threads) < 3:
        transport.collect()
    assert set(threads) == {threading.current_thread().name}

    transport.send(b"k", b"v", [], lambda _: threads.append("flushed"))
    transport.flush(30)
    transport.send(b"k", b"v", [], lambda _: threads.append("closed"))
    transport.close(30)
    transport.collect()
    assert threads[3:] == ["flushed", "closed"]
