"""`Client`: what each call puts on the topic, and what it says when it cannot."""

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any, cast
from uuid import UUID

import pytest

from afterword import (
    Client,
    ClosedError,
    ConfigurationError,
    Delivery,
    DeliveryError,
    EventError,
    MemoryTransport,
    QueueFullError,
    RejectCode,
    Stats,
)

FEEDBACK_ID = "019c12e9-8b3d-7000-8000-000000000000"
TIME = "2026-01-31T09:30:00.125Z"
TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def only_event(memory: MemoryTransport) -> dict[str, Any]:
    """Return the one event that was sent."""
    [event] = memory.events
    return event


def test_feedback_says_what_it_was_told(client: Client, memory: MemoryTransport) -> None:
    """Every field of the call stands in the event, and nothing else."""
    client.feedback(
        feedback_id=FEEDBACK_ID,
        trace_id="tr-1",
        session_id="s-1",
        span_id="sp-1",
        value=-3,
        weight=0.4,
        feedback={"rating": True, "ground_truth": "Oslo"},
        metadata={"_user": "u-19"},
        metrics={"judge": {"score": 0.5}},
        source="implicit",
        created_at=TIME,
        updated_at=TIME,
    )
    assert only_event(memory) == {
        "feedback_id": FEEDBACK_ID,
        "project": "acme",
        "op": "set",
        "trace_id": "tr-1",
        "session_id": "s-1",
        "span_id": "sp-1",
        "value": -3,
        "weight": 0.4,
        "feedback": {"rating": True, "ground_truth": "Oslo"},
        "metadata": {"_user": "u-19"},
        "metrics": {"judge": {"score": 0.5}},
        "source": "implicit",
        "created_at": TIME,
        "updated_at": TIME,
    }


def test_a_message_carries_key_and_headers(client: Client, memory: MemoryTransport) -> None:
    """The key is the id in lower case; the headers name the schema and the trace context."""
    given = client.feedback(
        feedback_id=FEEDBACK_ID.upper(), trace_id="tr-1", value=1, traceparent=TRACEPARENT
    )
    [message] = memory.messages
    assert given == FEEDBACK_ID
    assert message.key == FEEDBACK_ID.encode()
    assert message.headers == (
        ("schema", b"feedback/v1"),
        ("traceparent", TRACEPARENT.encode()),
    )
    assert only_event(memory)["feedback_id"] == FEEDBACK_ID


def test_ids_are_minted_in_time_order(client: Client, memory: MemoryTransport) -> None:
    """Without an id of the caller's, each call returns a new UUIDv7."""
    ids = [client.feedback(trace_id="tr-1", value=1) for _ in range(100)]
    assert {UUID(each).version for each in ids} == {7}
    assert sorted(set(ids)) == ids
    assert [event["feedback_id"] for event in memory.events] == ids


def test_the_time_of_the_call_is_the_update_time(client: Client, memory: MemoryTransport) -> None:
    """`updated_at` is now, in milliseconds and UTC."""
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    client.feedback(trace_id="tr-1", value=1)
    after = datetime.now(UTC)
    text = only_event(memory)["updated_at"]
    assert (len(text), text[-1]) == (24, "Z")
    assert before <= datetime.fromisoformat(text) <= after


def test_times_may_be_datetimes(client: Client, memory: MemoryTransport) -> None:
    """An aware datetime is as good as text; a naive one is refused by name."""
    client.feedback(trace_id="tr-1", value=1, created_at=datetime(2026, 1, 31, 9, 30, tzinfo=UTC))
    assert only_event(memory)["created_at"] == "2026-01-31T09:30:00+00:00"
    naive = datetime(2026, 1, 31, 9, 30)  # noqa: DTZ001  # what the test is about
    with pytest.raises(EventError, match=r"created_at has no time zone.*\$\.created_at"):
        client.feedback(trace_id="tr-1", value=1, created_at=naive)


def test_a_time_ahead_of_the_clock_becomes_now(client: Client, memory: MemoryTransport) -> None:
    """In a spool it could wait until it is past, and would then outlive what was said after it."""
    before = datetime.now(UTC).replace(microsecond=0)
    near, far = before + timedelta(seconds=60), before + timedelta(days=1)
    client.feedback(trace_id="t", value=1, created_at=near, updated_at=far.isoformat())
    event = only_event(memory)
    assert datetime.fromisoformat(event["created_at"]) == near
    assert before <= datetime.fromisoformat(event["updated_at"]) <= datetime.now(UTC)


def test_a_field_that_is_none_is_left_out(client: Client, memory: MemoryTransport) -> None:
    """A field that is None is not in the event."""
    client.feedback(trace_id="tr-1", session_id=None, value=1, feedback=None, updated_at=TIME)
    assert sorted(only_event(memory)) == [
        "feedback_id",
        "op",
        "project",
        "trace_id",
        "updated_at",
        "value",
    ]


@pytest.mark.parametrize(
    ("emit", "value", "weight", "feedback"),
    [
        (lambda c: c.copied(trace_id="t"), 1, 0.3, {"copied": True}),
        (
            lambda c: c.copied(trace_id="t", text="Oslo"),
            1,
            0.3,
            {"copied": True, "copy": {"text": "Oslo"}},
        ),
        (lambda c: c.regenerated(trace_id="t"), -1, 0.2, {"regenerated": True}),
        (
            lambda c: c.regenerated(trace_id="t", reason="too long", value=-2, weight=0.5),
            -2,
            0.5,
            {"regenerated": True, "regeneration": {"reason": "too long"}},
        ),
        (lambda c: c.edited(trace_id="t"), 0, 0.3, {"edited": True}),
        (
            lambda c: c.edited(trace_id="t", text="b", original="a", similarity=0.5),
            0,
            0.3,
            {"edited": True, "edits": [{"value": "b", "original": "a", "similarity": 0.5}]},
        ),
        (
            lambda c: c.copied(trace_id="t", feedback={"lines": 3}),
            1,
            0.3,
            {"copied": True, "lines": 3},
        ),
    ],
)
def test_implicit_signals(
    *, emit: Callable[[Client], str], value: int, weight: float, feedback: dict[str, object]
) -> None:
    """What was done counts as documented, unless the call says otherwise."""
    memory = MemoryTransport()
    emit(Client(project="acme", transport=memory))
    event = only_event(memory)
    assert (event["op"], event["source"]) == ("set", "implicit")
    assert (event["value"], event["weight"]) == (value, weight)
    assert event["feedback"] == feedback


def test_enriching_twice_meets_in_one_row(client: Client, memory: MemoryTransport) -> None:
    """All calls for one session are patches of one id, which holds the session as its target."""
    first = client.enrich_session("s-7", feedback={"rating": 4})
    second = client.enrich_session("s-7", metrics={"judge": 0.9})
    assert first == second == "84abf2bd-e7b2-57f7-8160-f385b3b5393b"
    assert [(e["op"], e["session_id"]) for e in memory.events] == [("patch", "s-7")] * 2


def test_enriching_a_span_names_its_surroundings(client: Client, memory: MemoryTransport) -> None:
    """A span's row has the span as its target, and the trace where it is known."""
    span = client.enrich_span("7", trace_id="tr-1", feedback={"ok": True}, updated_at=TIME)
    assert only_event(memory) == {
        "feedback_id": span,
        "project": "acme",
        "op": "patch",
        "span_id": "7",
        "trace_id": "tr-1",
        "feedback": {"ok": True},
        "updated_at": TIME,
    }


def test_targets_do_not_share_a_row(client: Client) -> None:
    """A session, a span of the same name, and another project's session have rows of their own."""
    other = Client(project="other", transport=MemoryTransport())
    ids = {
        client.enrich_session("7", feedback={"a": 1}),
        client.enrich_session("8", feedback={"a": 1}),
        client.enrich_span("7", feedback={"a": 1}),
        other.enrich_session("7", feedback={"a": 1}),
    }
    assert len(ids) == 4


@pytest.mark.parametrize("nothing", ["", None])
def test_enriching_needs_a_target(client: Client, nothing: str) -> None:
    """Enrichments without a session must not all meet in one row."""
    with pytest.raises(EventError, match=r"session_id is required .*\$\.session_id"):
        client.enrich_session(nothing, feedback={"a": 1})
    with pytest.raises(EventError, match=r"span_id is required .*\$\.span_id"):
        client.enrich_span(nothing, feedback={"a": 1})


def test_update_and_clear(client: Client, memory: MemoryTransport) -> None:
    """An update is a patch of what it names, a clear is a tombstone."""
    assert client.update(FEEDBACK_ID, value=4, updated_at=TIME) == FEEDBACK_ID
    assert client.clear(UUID(FEEDBACK_ID)) == FEEDBACK_ID
    patch, clear = memory.events
    assert patch == {
        "feedback_id": FEEDBACK_ID,
        "project": "acme",
        "op": "patch",
        "value": 4,
        "updated_at": TIME,
    }
    assert (clear["op"], clear["feedback_id"]) == ("clear", FEEDBACK_ID)


def test_publish_sends_a_whole_event_as_it_stands(client: Client, memory: MemoryTransport) -> None:
    """Bytes are sent byte for byte, a mapping as its JSON, of whatever project."""
    raw = b'{ "feedback_id": "019C12E9-8B3D-7000-8000-000000000000", "project": "p", "op": "clear"}'
    assert client.publish(raw) == FEEDBACK_ID
    assert client.publish({"feedback_id": FEEDBACK_ID, "project": "p", "op": "clear"})
    first, second = memory.messages
    assert (first.key, first.value) == (FEEDBACK_ID.encode(), raw)
    assert second.value == b'{"feedback_id":"%s","project":"p","op":"clear"}' % first.key


@pytest.mark.parametrize(
    ("fields", "code", "path"),
    [
        ({"value": 11, "trace_id": "t"}, RejectCode.OUT_OF_RANGE, "$.value"),
        ({"value": float("nan"), "trace_id": "t"}, RejectCode.NOT_FINITE, "$.value"),
        ({"value": 2**70, "trace_id": "t"}, RejectCode.OUT_OF_RANGE, "$.value"),
        ({"value": 1, "valeu": 1, "trace_id": "t"}, RejectCode.UNKNOWN_FIELD, "$.valeu"),
        ({"value": 1}, RejectCode.NO_TARGET, "$"),
        ({"trace_id": "t"}, RejectCode.EMPTY_EVENT, "$"),
        ({"value": 1, "trace_id": "t\ud800"}, RejectCode.INVALID_UNICODE, "$.trace_id"),
        ({"value": 1, "trace_id": b"t"}, RejectCode.WRONG_TYPE, "$.trace_id"),
        ({"value": 1, "trace_id": "t", "feedback": "x"}, RejectCode.WRONG_TYPE, "$.feedback"),
        (
            {"value": 1, "trace_id": "t", "feedback_id": "x"},
            RejectCode.INVALID_FORMAT,
            "$.feedback_id",
        ),
        (
            {"value": 1, "trace_id": "t", "metadata": {"_user": 1.5}},
            RejectCode.WRONG_TYPE,
            "$.metadata._user",
        ),
        (
            {"value": 1, "trace_id": "t", "traceparent": "no"},
            RejectCode.INVALID_FORMAT,
            "$.traceparent",
        ),
    ],
)
def test_a_wrong_field_is_named(
    client: Client, memory: MemoryTransport, fields: dict[str, object], code: RejectCode, path: str
) -> None:
    """The error carries code and path; nothing is sent and nothing is counted."""
    with pytest.raises(EventError) as caught:
        client.feedback(**cast("Any", fields))
    assert (caught.value.code, caught.value.path) == (code, path)
    assert memory.messages == ()
    assert client.stats == Stats(sent=0, delivered=0, failed=0, waiting=0)


@pytest.mark.parametrize("name", ["op", "project"])
def test_what_the_client_decides_is_no_argument(client: Client, name: str) -> None:
    """`op` and `project` cannot be overridden by a call."""
    with pytest.raises(TypeError, match=name):
        client.feedback(**cast("Any", {"trace_id": "t", "value": 1, name: "clear"}))


def test_an_event_is_taken_as_it_is_at_the_call(client: Client, memory: MemoryTransport) -> None:
    """What the caller does with its objects afterwards changes nothing, and neither does the SDK."""
    feedback = {"tags": ["a"], "step": {"retry": False}}
    memory.hold()
    client.feedback(trace_id="t", feedback=feedback)
    assert feedback == {"tags": ["a"], "step": {"retry": False}}
    feedback["tags"] = ["changed"]
    memory.release()
    assert only_event(memory)["feedback"] == {"tags": ["a"], "step": {"retry": False}}


def test_counters_follow_every_event(memory: MemoryTransport) -> None:
    """Sent is always delivered, failed and waiting together."""
    client = Client(project="acme", transport=memory)
    client.feedback(trace_id="t", value=1)
    assert client.stats == Stats(sent=1, delivered=1, failed=0, waiting=0)
    memory.hold()
    client.feedback(trace_id="t", value=1)
    assert client.stats == Stats(sent=2, delivered=1, failed=0, waiting=1)
    assert client.flush(0) == 1
    memory.fail()
    memory.release()
    assert client.flush(0) == 0
    assert client.stats == Stats(sent=2, delivered=1, failed=1, waiting=0)
    with pytest.raises(DeliveryError):
        client.close()


def test_a_full_queue_counts_as_failed() -> None:
    """The caller gets the error, the counters show it, and `close` does not report it again."""
    memory = MemoryTransport(capacity=1)
    client = Client(project="acme", transport=memory)
    memory.hold()
    client.feedback(trace_id="t", value=1)
    with pytest.raises(QueueFullError):
        client.feedback(trace_id="t", value=1)
    assert client.stats == Stats(sent=2, delivered=0, failed=1, waiting=1)
    memory.release()
    client.close()
    assert client.stats == Stats(sent=2, delivered=1, failed=1, waiting=0)


def test_an_error_that_no_transport_should_raise_counts_as_failed() -> None:
    """The event of a call that raised was not taken, whatever it raised."""

    class Broken(MemoryTransport):
        def send(self, *_: object, **__: object) -> None:
            raise LookupError("its own")

    client = Client(project="acme", transport=Broken())
    with pytest.raises(LookupError):
        client.feedback(trace_id="tr-1", value=1)
    assert client.stats == Stats(sent=1, delivered=0, failed=1, waiting=0)
    client.close()


def test_closing_says_how_many_were_lost(memory: MemoryTransport) -> None:
    """What was taken and did not arrive is an error at the end, with the reason; once."""
    client = Client(project="acme", transport=memory, on_delivery=lambda _: None)
    memory.fail("the disk is full")
    client.feedback(trace_id="t", value=1)
    memory.fail("the broker is away")
    client.feedback(trace_id="t", value=1)
    with pytest.raises(DeliveryError) as caught:
        client.close()
    assert (caught.value.undelivered, caught.value.reason) == (2, "the broker is away")
    assert "2 events were not delivered" in str(caught.value)
    client.close()


def test_after_closing_calls_raise(client: Client) -> None:
    """Every call that emits says that the client is closed."""
    client.close()
    calls: list[Callable[[], str]] = [
        lambda: client.feedback(trace_id="t", value=1),
        lambda: client.copied(trace_id="t"),
        lambda: client.update(FEEDBACK_ID, value=1),
        lambda: client.clear(FEEDBACK_ID),
        lambda: client.enrich_session("s", feedback={"a": 1}),
    ]
    for call in calls:
        with pytest.raises(ClosedError):
            call()
    assert client.flush(0) == 0
    assert client.stats == Stats(sent=0, delivered=0, failed=0, waiting=0)


def test_a_block_closes_its_client(memory: MemoryTransport) -> None:
    """Leaving the block delivers, and raises what could not be."""
    memory.hold()
    with pytest.raises(DeliveryError), Client(project="acme", transport=memory) as client:
        client.feedback(trace_id="t", value=1)
    with pytest.raises(ClosedError):
        client.feedback(trace_id="t", value=1)


def test_a_block_that_fails_shows_its_own_error(memory: MemoryTransport) -> None:
    """The error that ended the block is raised, with a note on what was lost."""
    memory.hold()

    def fail() -> None:
        with Client(project="acme", transport=memory) as client:
            client.feedback(trace_id="t", value=1)
            raise KeyError("the user's own")

    with pytest.raises(KeyError) as caught:
        fail()
    assert caught.value.__notes__ == [
        "1 event was not delivered; the last because: closed before it was delivered"
    ]


def test_deliveries_are_reported(memory: MemoryTransport) -> None:
    """The callback hears of every event by id, whether it arrived or not."""
    heard: list[Delivery] = []
    client = Client(project="acme", transport=memory, on_delivery=heard.append)
    first = client.feedback(trace_id="t", value=1)
    memory.fail("the broker is away")
    second = client.feedback(trace_id="t", value=1)
    assert [(each.feedback_id, str(each.error)) for each in heard] == [
        (first, "None"),
        (second, "the broker is away"),
    ]
    with pytest.raises(DeliveryError):
        client.close()


def test_a_callback_may_fail(memory: MemoryTransport, caplog: pytest.LogCaptureFixture) -> None:
    """An error in the user's callback is logged, and neither lost nor in the way."""

    def fail(_: Delivery) -> None:
        raise KeyError("the user's own")

    client = Client(project="acme", transport=memory, on_delivery=fail)
    feedback_id = client.feedback(trace_id="t", value=1)
    assert client.stats == Stats(sent=1, delivered=1, failed=0, waiting=0)
    assert caplog.messages == [f"The delivery callback raised for {feedback_id}"]


def test_a_callback_may_emit(memory: MemoryTransport) -> None:
    """A delivery may lead to another event."""
    heard: list[Delivery] = []

    def emit(delivery: Delivery) -> None:
        heard.append(delivery)
        if len(heard) == 1:
            client.feedback(trace_id="t", value=2)

    client = Client(project="acme", transport=memory, on_delivery=emit)
    client.feedback(trace_id="t", value=1)
    assert [event["value"] for event in memory.events] == [1, 2]
    assert client.stats == Stats(sent=2, delivered=2, failed=0, waiting=0)


@pytest.mark.parametrize("name", ["flush", "close"])
def test_a_callback_may_not_wait(memory: MemoryTransport, name: str) -> None:
    """Waiting in a callback would be waiting for itself: refused, not hung."""
    heard: list[ConfigurationError] = []

    def wait(_: Delivery) -> None:
        with pytest.raises(ConfigurationError, match="would wait for itself") as caught:
            getattr(client, name)()
        heard.append(caught.value)

    client = Client(project="acme", transport=memory, on_delivery=wait)
    client.feedback(trace_id="t", value=1)
    assert len(heard) == 1
    client.close()


def test_the_first_failure_is_logged(
    memory: MemoryTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """Without a callback a failure still says so, once and not a hundred thousand times."""
    client = Client(project="acme", transport=memory)
    memory.fail("the broker is away")
    first = client.feedback(trace_id="t", value=1)
    client.feedback(trace_id="t", value=1)
    assert caplog.messages == [
        f"{first} was not delivered: the broker is away. Others are only counted."
    ]
    with pytest.raises(DeliveryError):
        client.close()


def test_threads_share_a_client(client: Client, memory: MemoryTransport) -> None:
    """Of 8 threads' 500 events none is lost, doubled or miscounted."""
    ids: list[str] = []

    def emit() -> None:
        ids.extend(client.feedback(trace_id="t", value=1) for _ in range(500))

    threads = [threading.Thread(target=emit) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.stats == Stats(sent=4000, delivered=4000, failed=0, waiting=0)
    assert {event["feedback_id"] for event in memory.events} == set(ids)
    assert len(set(ids)) == 4000


@pytest.mark.parametrize("project", ["", "a b", "x" * 65, None])
def test_a_project_has_a_form(project: str) -> None:
    """A project that no event could carry is refused when the client is made."""
    with pytest.raises(ConfigurationError, match="project"):
        Client(project=project, transport=MemoryTransport())


def test_a_client_needs_one_way_out() -> None:
    """Neither no transport nor two; and a key goes with a gateway."""
    with pytest.raises(ConfigurationError, match="one of bootstrap_servers, url and transport"):
        Client(project="acme")
    with pytest.raises(ConfigurationError, match="one of bootstrap_servers, url and transport"):
        Client("localhost:9092", project="acme", transport=MemoryTransport())
    with pytest.raises(ConfigurationError, match="one of bootstrap_servers, url and transport"):
        Client("localhost:9092", project="acme", url="http://127.0.0.1:8080")
    with pytest.raises(ConfigurationError, match="pass its url too"):
        Client("localhost:9092", project="acme", api_key="aw_secret_1")


def test_a_client_sends_to_kafka(
    target: tuple[str, str], read_topic: Callable[[str, str], list[Any]]
) -> None:
    """From the call to the topic: one message, the event, acknowledged."""
    address, topic = target
    with Client(address, project="acme", topic=topic) as client:
        feedback_id = client.feedback(trace_id="t", value=1, updated_at=TIME)
        assert client.flush(20) == 0
        assert client.stats == Stats(sent=1, delivered=1, failed=0, waiting=0)
    [message] = read_topic(address, topic)
    assert message.key == feedback_id.encode()
    assert message.headers == (("schema", b"feedback/v1"),)
    assert message.value == (
        b'{"feedback_id":"%s","project":"acme","op":"set","trace_id":"t","value":1,'
        b'"updated_at":"2026-01-31T09:30:00.125Z"}' % message.key
    )
