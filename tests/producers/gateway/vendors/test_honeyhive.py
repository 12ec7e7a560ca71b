"""HoneyHive's sessions and events meet in the rows of our own SDK."""

from typing import Any
from uuid import UUID

import orjson
import pytest
from hypothesis import given

from afterword import Client, MemoryTransport, enrichment_id
from afterword.gateway.vendors.honeyhive import (
    create_batch,
    create_event,
    create_posted,
    start_session,
    update_event,
)
from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.event import read_event
from afterword_schemas.flatten import flatten
from afterword_schemas.testing import documents

SESSION = "7f22137a-6f7c-4c25-b0a7-3a2f6e1d9c10"


def test_a_session_has_every_field_that_the_sdk_insists_on() -> None:
    """The answer has a new session id, and the project's name for HoneyHive's project."""
    answer, events = start_session({"session": {"session_name": "app", "source": "dev"}}, "acme")
    assert events == [None]
    assert UUID(answer["session_id"]).version == 7
    assert answer == {
        "session_id": answer["session_id"],
        "event_id": answer["session_id"],
        "event_type": "session",
        "org_id": "afterword",
        "workspace_id": "afterword",
        "project_id": "acme",
    }


@pytest.mark.parametrize("body", [{"session": {"session_id": SESSION}}, {"session_id": SESSION}])
def test_a_session_keeps_the_callers_id(body: dict[str, Any]) -> None:
    """A second process that joins a session stays in it, wrapped or bare."""
    answer, _ = start_session(body, "acme")
    assert answer["session_id"] == SESSION


@pytest.mark.parametrize(
    ("body", "path"), [({"session": 1}, "$.session"), ({"session_id": 7}, "$.session_id")]
)
def test_a_session_of_another_type_is_refused(body: dict[str, Any], path: str) -> None:
    """What is no session is refused with its place."""
    with pytest.raises(InvalidEventError) as refused:
        start_session(body, "acme")
    assert refused.value.path == path


def test_an_update_of_a_session_is_the_sdks_enrich_session(memory: MemoryTransport) -> None:
    """HoneyHive's `enrich_session` and ours write the same event."""
    said: dict[str, Any] = {"rating": 4, "step1": {"retry": False}, "edits": [{"value": "Oslo"}]}
    client = Client(project="acme", transport=memory)
    client.enrich_session(SESSION, feedback=said, updated_at="2026-01-31T09:30:00.125Z")
    ours = memory.events[0]
    del ours["updated_at"]
    assert update_event(SESSION, {"event_id": SESSION, "feedback": said}, "acme") == ours


@pytest.mark.parametrize(
    ("event_id", "kind", "target"),
    [
        (SESSION, "session", SESSION),
        (SESSION.upper(), "session", SESSION.upper()),
        ("conversation-7", "session", "conversation-7"),
        ("00f067aa0ba902b7", "span", "00f067aa0ba902b7"),
        ("00F067AA0BA902B7", "span", "00f067aa0ba902b7"),
        ("00f067aa0ba902b", "session", "00f067aa0ba902b"),
        (
            "019c12e9-8b3d-8000-8000-000000000000",
            "span",
            "019c12e9-8b3d-8000-8000-000000000000",
        ),
    ],
)
def test_an_event_id_says_what_it_is_of(event_id: str, kind: Any, target: str) -> None:
    """16 hexadecimal digits and a UUID of version 8 are a span, every other id is a session."""
    assert update_event(event_id, {"metrics": {"accuracy": 0.9}}, "acme") == {
        "feedback_id": enrichment_id("acme", kind, target),
        "project": "acme",
        "op": "patch",
        f"{kind}_id": target,
        "metrics": {"accuracy": 0.9},
    }


@given(documents(), documents())
def test_feedback_and_metrics_pass_as_they_are(
    feedback: dict[str, Any], metrics: dict[str, Any]
) -> None:
    """Feedback and metrics are the caller's own, and what `read_event` accepts."""
    event = update_event(SESSION, {"feedback": feedback, "metrics": metrics}, "acme")
    assert (event is not None) == (len(flatten({"feedback": feedback, "metrics": metrics})) > 0)
    if event is not None:
        assert event.get("feedback", feedback) == feedback
        assert event.get("metrics", metrics) == metrics
        read_event(orjson.dumps(event))


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"feedback": None},
        {"feedback": {}, "metrics": {"a": [{"b": None}]}},
        {"metadata": {"a": 1}, "user_properties": {"user_id": "u-19"}, "outputs": {"text": "x"}},
    ],
)
def test_an_update_that_says_nothing_is_no_event(body: dict[str, Any]) -> None:
    """Context alone is no feedback."""
    assert update_event(SESSION, body, "acme") is None


@pytest.mark.parametrize("said", [True, "good", ["good"], {"a": float("nan")}])
def test_feedback_of_another_type_is_left_to_be_refused(said: object) -> None:
    """What is wrong is not dropped as if it were empty."""
    event = update_event(SESSION, {"feedback": said}, "acme")
    assert event is not None
    assert event["feedback"] == said


def test_user_properties_are_metadata() -> None:
    """They come along with feedback, and the user's id is where erasing and grouping look for it."""
    body = {
        "feedback": {"rating": True},
        "metadata": {"channel": "web"},
        "user_properties": {"user_id": "u-19", "plan": "premium"},
    }
    event = update_event(SESSION, body, "acme")
    assert event is not None
    assert event["metadata"] == {
        "channel": "web",
        "_user": "u-19",
        "user_properties": {"user_id": "u-19", "plan": "premium"},
    }


@pytest.mark.parametrize(
    ("body", "metadata"),
    [
        ({"metadata": {"_user": "u-1"}, "user_properties": {"user_id": "u-2"}}, "u-1"),
        ({"user_properties": {"user_id": True}}, None),
        ({"user_properties": {"plan": "free"}}, None),
    ],
)
def test_metadata_of_the_callers_own_win(body: dict[str, Any], metadata: str | None) -> None:
    """A user named by the metadata stands; what can be no user's id is none."""
    event = update_event(SESSION, {"feedback": {"rating": 1}, **body}, "acme")
    assert event is not None
    assert event["metadata"].get("_user") == metadata


@pytest.mark.parametrize(
    ("event_id", "code"),
    [
        (None, RejectCode.MISSING_FIELD),
        ("", RejectCode.MISSING_FIELD),
        (7, RejectCode.WRONG_TYPE),
        ([SESSION], RejectCode.WRONG_TYPE),
    ],
)
def test_an_update_needs_an_id(event_id: object, code: RejectCode) -> None:
    """Without an id there is nothing to merge with."""
    with pytest.raises(InvalidEventError) as refused:
        update_event(event_id, {"feedback": {"rating": 1}}, "acme")
    assert (refused.value.code, refused.value.path) == (code, "$.event_id")


def test_a_posted_event_and_its_update_meet_in_one_row() -> None:
    """The id that the gateway mints is a UUID, and an update under it names the same event."""
    posted = {"event_type": "model", "session_id": SESSION, "feedback": {"rating": 4}}
    event_id, event = create_event(posted, "acme")
    update = update_event(event_id, {"feedback": {"comment": "good"}}, "acme")
    assert UUID(event_id).version == 8
    assert event is not None
    assert update is not None
    assert event == {
        "feedback_id": update["feedback_id"],
        "project": "acme",
        "op": "patch",
        "span_id": event_id,
        "session_id": SESSION,
        "feedback": {"rating": 4},
    }


def test_an_event_may_be_posted_bare_wrapped_or_as_text() -> None:
    """HoneyHive's newer route takes the event, its older one wraps it, its OpenAPI has it as text."""
    posted = {"event_id": SESSION, "session_id": "s-1", "feedback": {"rating": 4}}
    created = create_event(posted, "acme")
    assert created == (SESSION, created[1])
    for wrapped in (posted, {"event": posted}, {"event": orjson.dumps(posted).decode()}):
        assert create_posted(wrapped, "acme") == ({"event_id": SESSION}, [created[1]])


@pytest.mark.parametrize("extra", [{"event_id": SESSION}, {"session_id": SESSION}])
def test_a_posted_session_is_the_session(extra: dict[str, str]) -> None:
    """Feedback on an event of type session is the session's."""
    event_id, event = create_event(
        {"event_type": "session", "feedback": {"rating": 4}, **extra}, "acme"
    )
    assert event_id == SESSION
    assert event == update_event(SESSION, {"feedback": {"rating": 4}}, "acme")


def test_a_posted_event_that_says_nothing_is_none() -> None:
    """An event with inputs and outputs alone gets its id, and is dropped."""
    event_id, event = create_event({"event_type": "tool", "inputs": {"a": 1}}, "acme")
    assert UUID(event_id).version == 8
    assert event is None


def test_each_event_of_a_batch_stands_for_itself() -> None:
    """What is wrong with one leaves the others as they are, each in its place."""
    said = {"event_id": SESSION, "event_type": "session", "feedback": {"rating": 4}}
    answer, events = create_batch({"events": [said, 7, {"event_id": 7}, {"inputs": {}}]}, "acme")
    patch, no_event, no_id, nothing = events
    assert patch == update_event(SESSION, {"feedback": {"rating": 4}}, "acme")
    assert isinstance(no_event, InvalidEventError)
    assert (no_event.code, no_event.path) == (RejectCode.NOT_AN_OBJECT, "$.event")
    assert isinstance(no_id, InvalidEventError)
    assert (no_id.code, no_id.path) == (RejectCode.WRONG_TYPE, "$.event_id")
    assert nothing is None
    assert answer["event_ids"][:3] == [SESSION, None, None]
    assert UUID(answer["event_ids"][3]).version == 8


@pytest.mark.parametrize("events", [None, {}, "[]"])
def test_a_batch_without_events_is_refused(events: object) -> None:
    """A batch is an array under the name that HoneyHive gives it."""
    with pytest.raises(InvalidEventError) as refused:
        create_batch({"events": events}, "acme")
    assert (refused.value.code, refused.value.path) == (RejectCode.WRONG_TYPE, "$.events")
