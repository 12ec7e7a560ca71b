"""`Client(url=…)` and the gateway itself: keys, restarts, and a Kafka behind it that is away."""

import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from afterword import (
    Client,
    ConfigurationError,
    Delivery,
    DeliveryError,
    MemoryTransport,
    RefusedError,
    RetryableError,
    trace,
)
from afterword.gateway import GatewayServer, KeyFile, Scope

StartGateway = Callable[..., GatewayServer]
FEEDBACK_ID = "7d1f3a52-3a1e-4a6c-9d58-0b1f2f6a5c11"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.fixture
def keys(tmp_path: Path) -> KeyFile:
    """A file with no keys yet."""
    return KeyFile(tmp_path / "keys.json")


def test_an_event_is_the_same_on_both_ways(
    memory: MemoryTransport, start_gateway: StartGateway
) -> None:
    """Message for message, what comes through the gateway is what is sent to Kafka directly."""
    direct = MemoryTransport()
    url = start_gateway(memory).address
    for way in ({"transport": direct}, {"url": url}):
        with Client(project="acme", **way) as client, trace("tr-1"):
            created = "2026-01-31T09:30:00.125Z"
            same = {"updated_at": created, "created_at": created, "traceparent": TRACEPARENT}
            client.feedback(feedback_id=FEEDBACK_ID, value=1, feedback={"é": ["☃", 1.0]}, **same)  # type: ignore[arg-type]
            client.update(FEEDBACK_ID, value=-1, updated_at=created)
            client.enrich_session("s-1", metadata={"_user": 7}, updated_at=created)
            client.publish(
                b'{"feedback_id":"%s","project":"b","op":"clear","updated_at":"%s"}'
                % (FEEDBACK_ID.encode(), created.encode())
            )
    assert len(direct.messages) == 4
    assert sorted(memory.messages, key=repr) == sorted(direct.messages, key=repr)


def test_a_key_writes_to_its_project_only(
    memory: MemoryTransport, start_gateway: StartGateway, keys: KeyFile, tmp_path: Path
) -> None:
    """An event of another project is refused for good, and the error names the field."""
    secret, _ = keys.create("acme", [Scope.WRITE])
    url = start_gateway(memory, keys=tmp_path / "keys.json").address
    heard: list[Delivery] = []
    with Client(url=url, api_key=secret, project="acme") as client:
        client.feedback(trace_id="t", value=1)
    with (
        pytest.raises(DeliveryError, match="not_allowed"),
        Client(url=url, api_key=secret, project="other", on_delivery=heard.append) as client,
    ):
        client.feedback(trace_id="t", value=1)
    [delivery] = heard
    assert isinstance(delivery.error, RefusedError)
    assert (delivery.error.code, delivery.error.path) == ("not_allowed", "$.project")
    assert [event["project"] for event in memory.events] == ["acme"]


@pytest.mark.parametrize("scope", [None, Scope.READ])
def test_a_key_that_may_not_write_is_said(
    memory: MemoryTransport,
    start_gateway: StartGateway,
    keys: KeyFile,
    tmp_path: Path,
    scope: Scope | None,
) -> None:
    """At the end, with the gateway's own words, and not as if the events were wrong."""
    secret, _ = keys.create("acme", [scope or Scope.WRITE])
    url = start_gateway(memory, keys=tmp_path / "keys.json").address
    heard: list[Delivery] = []
    client = Client(
        url=url,
        api_key=secret if scope else secret + "x",
        project="acme",
        on_delivery=heard.append,
    )
    client.feedback(trace_id="t", value=1)
    words = "this takes one that may write" if scope else "The key is not known, or was revoked"
    with pytest.raises(DeliveryError, match=words):
        client.close()
    assert [type(each.error) for each in heard] == [RetryableError]


def test_a_key_that_is_made_later_lets_waiting_events_in(
    memory: MemoryTransport, start_gateway: StartGateway, keys: KeyFile, tmp_path: Path
) -> None:
    """Events wait while their key is refused; nothing is restarted for them to arrive."""
    secret, _ = keys.create("acme", [Scope.WRITE])
    path = tmp_path / "keys.json"
    whole = path.read_bytes()
    path.write_text('{"keys": []}')
    url = start_gateway(memory, keys=path).address
    with Client(url=url, api_key=secret, project="acme") as client:
        client.feedback(trace_id="t", value=1)
        assert client.flush(0.3) == 1
        path.write_bytes(whole)
        assert client.flush(20) == 0
    assert len(memory.events) == 1


def test_kafka_behind_the_gateway_may_be_away(
    memory: MemoryTransport, start_gateway: StartGateway
) -> None:
    """What the gateway calls unavailable is kept and arrives once, in order, when Kafka is back."""
    memory.fail()
    with Client(url=start_gateway(memory).address, project="acme") as client:
        ids = [client.feedback(trace_id="t", value=1) for _ in range(100)]
        client.update(ids[0], value=2)
        assert client.flush(0.5) == 101
        memory.recover()
        assert client.flush(20) == 0
    assert [event["feedback_id"] for event in memory.events] == [*ids, ids[0]]
    assert [event["op"] for event in memory.events] == ["set"] * 100 + ["patch"]


def test_a_gateway_may_be_restarted(start_gateway: StartGateway) -> None:
    """Three gateways, one after the other on one port, under steady emission: nothing is lost."""
    memories = [MemoryTransport() for _ in range(3)]
    server = start_gateway(memories[0])
    port = int(server.address.rpartition(":")[2])
    sent: list[str] = []
    enough = threading.Event()
    client = Client(url=server.address, project="acme")

    def emit() -> None:
        while not enough.wait(0.001):
            sent.append(client.feedback(trace_id="t", value=1))

    thread = threading.Thread(target=emit)
    thread.start()
    for number, memory in enumerate(memories):
        if number:
            server.should_exit = True
            server = _start_at(start_gateway, memory, port)
        while len(memory.messages) < 100:
            enough.wait(0.01)
    enough.set()
    thread.join()
    client.close()
    assert client.stats.delivered == len(sent)
    assert {event["feedback_id"] for memory in memories for event in memory.events} == set(sent)


def _start_at(start: StartGateway, memory: MemoryTransport, port: int) -> GatewayServer:
    """Start a gateway where another one is just ending."""
    while True:
        try:
            return start(memory, port=port)
        except ConfigurationError:
            time.sleep(0.01)  # the condition to wait for is that the port is free
