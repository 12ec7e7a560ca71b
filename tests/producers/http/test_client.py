"""`Client(url=…)`: from the call to the request, and back to the callback."""

from typing import Any

import pytest

from afterword import (
    Client,
    Delivery,
    DeliveryError,
    RefusedError,
)

SECRET = "aw_secret_7f3a_not-for-anybody"
TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_client_sends_to_the_gateway(server: Any) -> None:
    """From the call to the request: the event, with its trace context."""
    with Client(url=server.url, api_key=SECRET, project="acme") as client:
        feedback_id = client.feedback(trace_id="t", value=1, traceparent=TRACEPARENT.decode())
        assert client.flush(20) == 0
        assert (client.stats.sent, client.stats.delivered) == (1, 1)
    [item] = server.received[0].items
    assert item.pop("updated_at")
    assert item == {
        "feedback_id": feedback_id,
        "project": "acme",
        "op": "set",
        "trace_id": "t",
        "value": 1,
        "traceparent": TRACEPARENT.decode(),
    }


def test_a_refusal_reaches_the_callback(server: Any, reply: Any) -> None:
    """`on_delivery` can tell an event that never will be taken from one that may be sent again."""
    heard: list[Delivery] = []
    server.script.append(reply.refuse(0, code="not_allowed", status=422))
    client = Client(url=server.url, project="acme", on_delivery=heard.append)
    feedback_id = client.feedback(trace_id="t", value=1)
    with pytest.raises(DeliveryError, match="not_allowed"):
        client.close()
    [delivery] = heard
    assert delivery.feedback_id == feedback_id
    assert isinstance(delivery.error, RefusedError)
