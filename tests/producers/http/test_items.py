"""Events as the gateway takes them: their own bytes, and what a message has beside its value."""

import json
import time
from datetime import datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword._http.wire import to_item

TRACEPARENT = b"00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
V7 = "019c12e9-8b3d-7000-8000-000000000000"
V4 = "7d1f3a52-3a1e-4a6c-9d58-0b1f2f6a5c11"
TIME = "2026-01-31T09:30:00.125Z"


@pytest.mark.parametrize(
    ("key", "event", "headers", "added"),
    [
        (V7, '{"feedback_id":"%s","updated_at":"x"}', [("schema", b"feedback/v1")], ""),
        (V7, '{"feedback_id":"%s"}', [], f'"updated_at":"{TIME}",'),
        (V7, '{"feedback_id":"%s","feedback":{"updated_at":1}}', [], f'"updated_at":"{TIME}",'),
        (
            V7,
            '{"feedback_id":"%s","updated_at":"x"}',
            [("schema", b"feedback/v1"), ("traceparent", TRACEPARENT)],
            f'"traceparent":"{TRACEPARENT.decode()}",',
        ),
        (V4, '{"feedback_id":"%s","updated_at":"x"}', [], f'"created_at":"{TIME}",'),
        (V4, '{"feedback_id":"%s","updated_at":"x","created_at":"y"}', [], ""),
        (V4, '{"feedback_id":"%s","updated_at":"x","op":"patch"}', [], ""),
    ],
)
def test_what_a_message_has_beside_its_value_is_put_in_front(
    key: str, event: str, headers: list[tuple[str, bytes]], added: str
) -> None:
    """Trace context and time of publishing become fields, where the event has none of its own."""
    value = event % key
    item = to_item(key.encode(), value.encode(), headers, 1769851800125)
    assert item.decode() == "{" + added + value[1:]


def test_the_time_of_publishing_is_now() -> None:
    """An event without a time of its own gets that of the call, not of a later delivery."""
    before = time.time()
    item = json.loads(to_item(V7.encode(), b'{"feedback_id":"%s"}' % V7.encode(), (), None))
    moment = datetime.fromisoformat(item["updated_at"])
    assert before - 0.001 <= moment.timestamp() <= time.time()


@given(
    st.dictionaries(st.text(), st.sampled_from([None, 1.5, "{", [{}], {"updated_at": 1}])),
    st.text(" \t\n\r", max_size=3),
    st.sampled_from([[], [("traceparent", TRACEPARENT)]]),
)
def test_an_item_is_the_event_and_what_was_put_in_front(
    fields: dict[str, object], white: str, headers: list[tuple[str, bytes]]
) -> None:
    """Whatever an event holds and however it is spaced, its item has all of it."""
    event = {**fields, "feedback_id": V7.upper()}
    text = white + json.dumps(event) + white
    item = json.loads(to_item(V7.encode(), text.encode(), headers, 1769851800125))
    added = {name: text.decode() for name, text in headers}
    assert item == {"updated_at": TIME} | added | event
