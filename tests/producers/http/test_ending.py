"""The end: of a transport, of an event's time, of the room in the queue."""

import threading
import time
from typing import Any

import pytest
from tests.waiting import wait_until

from afterword import (
    ClosedError,
    HttpTransport,
    QueueFullError,
    RetryableError,
)
from afterword._http.retry_schedule import RetrySchedule

NOBODY = "http://127.0.0.1:1"
"""An address at which nothing listens."""

V7 = "019c12e9-8b3d-7000-8000-000000000000"


def test_sending_never_waits(collect: Any) -> None:
    """With the gateway away a thousand events are taken in far less than one network timeout."""
    transport = HttpTransport(NOBODY)
    reports = collect(transport)
    began = time.monotonic()
    for _ in range(1000):
        reports.send()
    assert time.monotonic() - began < 10
    transport.close(0)
    assert len(reports) == 1000


def test_closing_reports_what_could_not_be_delivered(collect: Any) -> None:
    """Each event that is given up at the end is reported once, with the reason; it may be sent again."""
    transport = HttpTransport(NOBODY)
    reports = collect(transport)
    for _ in range(3):
        reports.send()
    began = time.monotonic()
    transport.close(0.3)
    assert time.monotonic() - began < 5
    assert len(reports) == 3
    for error in reports:
        assert str(error).startswith(
            "closed before the gateway took it; the gateway is not reached"
        )
        assert type(error) is RetryableError


def test_closing_does_not_wait_for_a_hanging_request(
    server: Any, held_reply: Any, collect: Any
) -> None:
    """What is under way is reported failed at the timeout, and no second time when the answer comes."""
    server.script.append(held_reply)
    transport = HttpTransport(server.url)
    reports = collect(transport)
    reports.send()
    assert held_reply.reached.wait(20)
    reports.send()
    thread = transport._queue._thread._thread if transport._queue else None
    began = time.monotonic()
    transport.close(0.1)
    assert time.monotonic() - began < 5
    assert [str(each) for each in reports] == ["closed before the gateway took it"] * 2
    held_reply.opened.set()
    assert thread is not None
    thread.join(20)
    assert not thread.is_alive()
    assert len(reports) == 2
    assert len(server.received) == 1


def test_closing_ends_the_thread(server: Any, collect: Any) -> None:
    """A transport that delivered everything leaves no thread behind."""
    transport = HttpTransport(server.url)
    collect(transport).send()
    thread = transport._queue._thread._thread if transport._queue else None
    assert thread is not None
    transport.close(20)
    assert not thread.is_alive()


def test_a_flush_ends_with_the_transport(server: Any, held_reply: Any, collect: Any) -> None:
    """Who waits in another thread is let go when what it waits for is given up."""
    server.script.append(held_reply)
    transport = HttpTransport(server.url)
    reports = collect(transport)
    reports.send()
    assert held_reply.reached.wait(20)
    queue = transport._queue
    assert queue is not None
    flushing = threading.Thread(target=transport.flush, args=(60,))
    flushing.start()
    wait_until(lambda: not queue._arrivals.empty())
    began = time.monotonic()
    transport.close(0.1)
    flushing.join()
    assert time.monotonic() - began < 10
    assert len(reports) == 1


def test_a_flush_that_gave_up_leaves_nothing_behind(collect: Any) -> None:
    """Who flushes again and again during an outage does not fill the memory."""
    transport = HttpTransport(NOBODY)
    collect(transport).send()
    queue = transport._queue
    assert queue is not None
    for _ in range(50):
        transport.flush(0)
    transport.flush(0.01)
    wait_until(lambda: queue._arrivals.empty() and not queue._flushing)
    transport.close(0)


def test_closing_tries_at_once_whatever_was_agreed(server: Any, reports: Any, reply: Any) -> None:
    """A gateway that asked for a minute is asked once more at the end."""
    answered = threading.Event()

    def later(exchange: Any) -> None:
        reply.refuse(0, code="unavailable", status=503, retry_after="60")(exchange)
        answered.set()

    server.script.append(later)
    reports.send()
    assert answered.wait(20)
    reports._transport.close(20)
    assert reports == [None]


def test_an_event_that_expires_is_reported(server: Any, reply: Any, collect: Any) -> None:
    """Past `message_timeout_s` the reason names what kept it."""
    server.script.extend([reply.say(502)] * 100)
    transport = HttpTransport(server.url, message_timeout_s=0.2)
    reports = collect(transport)
    reports.send()
    transport.flush(20)
    said = "something before the gateway does not let requests through now"
    expected = f"not taken within 0.2 s; the answer was 502: {said}"
    assert [str(each) for each in reports] == [expected]
    assert type(reports[0]) is RetryableError
    transport.close(0)


def test_an_outage_of_days_ends() -> None:
    """However often it failed, the wait stays bounded and the next try comes."""
    schedule = RetrySchedule()
    for _ in range(5000):
        schedule.fail(0)
    assert 4.9 <= schedule.due_s - time.monotonic() <= 10


@pytest.mark.parametrize("limits", [{"max_events": 3}, {"max_bytes": 700}])
def test_a_full_queue_refuses_at_once(
    server: Any, held_reply: Any, limits: dict[str, Any], collect: Any
) -> None:
    """Memory is bounded: one event too many raises, those before it stay, and room comes back."""
    server.script.append(held_reply)
    transport = HttpTransport(server.url, **limits)
    reports = collect(transport)
    for _ in range(3):
        reports.send()
    with pytest.raises(QueueFullError, match="the queue is full"):
        reports.send()
    held_reply.opened.set()
    transport.flush(20)
    for _ in range(3):
        reports.send()
    transport.close(20)
    assert reports == [None] * 6


def test_after_closing_nothing_is_taken(transport: HttpTransport, reports: Any) -> None:
    """An event after the end is refused loudly."""
    transport.close(20)
    with pytest.raises(ClosedError):
        reports.send()
