"""What the SDK says of events that are stored and do not say what they seem to, and of misplaced words."""

import logging
from typing import Any

import pytest

from afterword import Client, EventError, MemoryTransport, _hints


@pytest.fixture(autouse=True)
def nothing_said_yet(monkeypatch: pytest.MonkeyPatch) -> None:
    """As in a new process."""
    monkeypatch.setattr(_hints, "_given", set())


def test_a_rating_of_text_is_hinted_at_once(
    client: Client, memory: MemoryTransport, caplog: pytest.LogCaptureFixture
) -> None:
    """It is sent as it is; the log says what a vote is, and says it once a process."""
    with caplog.at_level(logging.WARNING, logger="afterword"):
        for rating in ("up", "down", "up"):
            client.feedback(trace_id="t", feedback={"rating": rating})
    assert len(memory.events) == 3
    (record,) = caplog.records
    assert (record.name, record.levelname) == ("afterword", "WARNING")
    assert "feedback.rating is text" in record.getMessage()
    assert "client.rate(up=True)" in record.getMessage()


def test_whatever_way_it_is_sent(client: Client, caplog: pytest.LogCaptureFixture) -> None:
    """Whole events and enrichments are looked at as well."""
    event = {
        "feedback_id": "019c12e9-8b3d-7000-8000-000000000000",
        "project": "acme",
        "trace_id": "t",
        "feedback": {"rating": "good"},
    }
    client.publish(event)
    assert len(caplog.records) == 1
    _hints._given.clear()
    client.enrich_session("s", feedback={"rating": "good"})
    assert len(caplog.records) == 2


@pytest.mark.parametrize(
    "call",
    [
        {"feedback": {"rating": True}},
        {"feedback": {"rating": 5}},
        {"feedback": {"rating": "up"}, "value": 1},
        {"feedback": {"rating": "up"}, "source": "implicit"},
        {"feedback": {"comment": "up"}},
        {"metrics": {"rating": "good"}},
    ],
)
def test_a_clear_rating_gets_no_hint(
    client: Client, caplog: pytest.LogCaptureFixture, call: dict[str, Any]
) -> None:
    """Votes, stars, text beside a value, and what people only did."""
    client.feedback(trace_id="t", **call)
    assert caplog.records == []


@pytest.mark.parametrize(
    ("call", "belongs"),
    [
        ({"score": 0.9}, '{"feedback": {"score": …}}'),
        ({"comment": "no"}, '{"feedback": {"comment": …}}'),
        ({"rating": True}, '{"feedback": {"rating": …}}'),
        ({"user": "u-19"}, '{"metadata": {"_user": …}}'),
    ],
)
def test_a_misplaced_argument_is_told_its_place(
    client: Client, memory: MemoryTransport, call: dict[str, Any], belongs: str
) -> None:
    """An argument that events do not have names the field that it belongs into; nothing is sent."""
    with pytest.raises(EventError) as failure:
        client.feedback(trace_id="t", **call)
    assert belongs in str(failure.value)
    assert memory.events == []
