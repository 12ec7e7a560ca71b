"""Batches: what goes over the wire together, and how large it gets."""

import uuid
from typing import Any

import pytest

from afterword import (
    HttpTransport,
    RefusedError,
)

SECRET = "aw_secret_7f3a_not-for-anybody"
V7 = "019c12e9-8b3d-7000-8000-000000000000"


def test_events_travel_together_as_their_own_bytes(
    server: Any, transport: HttpTransport, held_reply: Any, make_event: Any
) -> None:
    """What comes while a request is under way goes in the next one, joined and not written anew."""
    server.script.append(held_reply)
    first, *rest = [str(uuid.uuid4()) for _ in range(4)]
    transport.send(first.encode(), make_event(first), (), lambda _: None)
    assert held_reply.reached.wait(20)
    events = [make_event(each, weight=1.0).replace(b": ", b" :\n") for each in rest]
    for key, event in zip(rest, events, strict=True):
        transport.send(key.encode(), event, (), lambda _: None)
    held_reply.opened.set()
    transport.flush(20)
    one, other = server.received
    assert (one.ids, one.path, other.path) == ([first], "/v1/feedback", "/v1/feedback")
    assert other.body == b"[" + b",".join(events) + b"]"
    assert other.headers["content-type"] == "application/json"
    assert other.headers["authorization"] == f"Bearer {SECRET}"


def test_large_requests_are_compressed(server: Any, reports: Any) -> None:
    """Gzip where it saves a packet, and not below."""
    reports.send()
    reports._transport.flush(20)
    reports.send(feedback={"comment": "too long " * 1000})
    reports._transport.flush(20)
    small, large = server.received
    assert "content-encoding" not in small.headers
    assert large.headers["content-encoding"] == "gzip"
    assert int(large.headers["content-length"]) < 500 < len(large.body)


def test_a_batch_is_bounded(server: Any, reports: Any, held_reply: Any) -> None:
    """At most 500 events, and 1,000,000 bytes unless one alone has more."""
    server.script.append(held_reply)
    reports.send()
    assert held_reply.reached.wait(20)
    for _ in range(1100):
        reports.send()
    for _ in range(3):
        reports.send(feedback={"text": "x" * 400_000})
    reports.send(feedback={"text": "x" * 999_000})
    held_reply.opened.set()
    reports._transport.flush(20)
    assert [len(each.items) for each in server.received] == [1, 500, 500, 102, 1, 1]
    assert [len(each.body) // 100_000 for each in server.received[3:]] == [8, 4, 9]
    assert reports == [None] * 1105


def test_an_address_may_have_a_path(server: Any, collect: Any) -> None:
    """A gateway behind a path prefix is reached, with or without a slash at the end."""
    for prefix in ("/afterword", "/afterword/"):
        transport = HttpTransport(server.url + prefix)
        collect(transport).send()
        transport.close(20)
    assert [each.path for each in server.received] == ["/afterword/v1/feedback"] * 2
    assert "authorization" not in server.received[0].headers


@pytest.mark.parametrize(
    "value", [b"", b"no JSON", b"[]", b"{}", b"1", b'{"feedback_id":"another"}', b'{"a":"\xff"}']
)
def test_a_message_that_is_no_event_is_not_taken(
    transport: HttpTransport, value: bytes, reply: Any
) -> None:
    """One item that the gateway could not read would take the reply.whole request with it."""
    with pytest.raises(RefusedError, match="only an event can be sent, under its own id"):
        transport.send(V7.encode(), value, (), lambda _: None)
