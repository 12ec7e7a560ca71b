"""Asking for the ends of logs beside the work: what an answer tells, and what a missing one costs."""

import socket
import threading
from collections.abc import Mapping

import pytest
from confluent_kafka import Producer
from tests.mock_kafka import MockKafka

from afterword_consumers.ingest.source import EndOffsets
from afterword_consumers.kafka import end_offsets as ends
from afterword_consumers.kafka.end_offsets import EndOffsetPoller
from afterword_stack.local.kafka import KafkaNode

NOBODY = "127.0.0.1:1"


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """The next question follows at once."""
    monkeypatch.setattr(ends, "_EVERY_S", 0.0)


def ask(watch: EndOffsetPoller, positions: Mapping[int, int]) -> EndOffsets:
    """Call until there is news."""
    tick = threading.Event()
    for _ in range(2000):
        if (news := watch.news(positions)) is not None:
            return news
        tick.wait(0.01)
    pytest.fail("no news came")


@pytest.mark.services
def test_a_log_that_ends_before_what_was_read_tells_nothing(kafka: KafkaNode, topic: str) -> None:
    """It was cut, or made anew; the other partitions are told of."""
    producer = Producer(
        {"bootstrap.servers": kafka.bootstrap_servers, "enable.idempotence": True, "linger.ms": 0}
    )
    for partition in (0, 1, 1):
        producer.produce(topic, b"x", partition=partition)
    assert producer.flush(20) == 0
    watch = EndOffsetPoller({"bootstrap.servers": kafka.bootstrap_servers}, topic, 10.0)
    # -2: from the start, where nothing is committed.
    assert ask(watch, {0: 2, 1: 2, 2: -2}).offsets == {1: 2, 2: 0}


@pytest.mark.services
def test_a_partition_that_is_not_there_takes_nothing_from_the_others() -> None:
    """An error of one is an answer of one."""
    with MockKafka() as mock:
        mock.create_topic("t")
        watch = EndOffsetPoller({"bootstrap.servers": mock.bootstrap_servers}, "t", 10.0)
        assert ask(watch, {0: 0, 99: 0}).offsets == {0: 0}


def test_a_question_that_is_not_answered_holds_nobody_up() -> None:
    """A thousand calls come back while the first one's question is still open."""
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        address = f"127.0.0.1:{hanging.getsockname()[1]}"
        watch = EndOffsetPoller({"bootstrap.servers": address}, "t", 60.0)
        assert [watch.news({0: 0}) for _ in range(1000)] == [None] * 1000
        assert watch._question is not None
        assert not any(answer.done() for answer in watch._question.answers.values())


def test_questions_that_end_without_an_answer_tell_nothing() -> None:
    """Each is followed by another."""
    watch = EndOffsetPoller({"bootstrap.servers": NOBODY}, "t", 0.05)
    ended, tick = 0, threading.Event()
    while ended < 3:
        assert watch.news({0: 0}) is None
        ended += watch._question is None
        tick.wait(0.005)


def test_a_poller_without_partitions_asks_nothing() -> None:
    """Before the first assignment."""
    watch = EndOffsetPoller({"bootstrap.servers": NOBODY}, "t", 0.05)
    assert watch.news({}) is None
    assert watch._question is None
