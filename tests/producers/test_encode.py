"""What JSON has no word for is refused with its place, never turned into something else."""

import threading
from collections import OrderedDict
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum
from types import MappingProxyType
from typing import Any, cast
from uuid import UUID

import numpy as np
import pytest

from afterword import Client, EventError, MemoryTransport, RejectCode


class Mood(Enum):
    """A plain enumeration, which has no JSON form of its own."""

    GOOD = "good"


class Thumb(IntEnum):
    """An enumeration of integers."""

    UP = 1


class Tag(StrEnum):
    """An enumeration of texts."""

    SLOW = "slow"


@dataclass
class Point:
    """A dataclass, which orjson would write as an object."""

    x: int = 1


def circle() -> list[Any]:
    """Return a list that holds itself."""
    ring: list[Any] = []
    ring.append(ring)
    return ring


@pytest.mark.parametrize(
    ("leaf", "code", "path"),
    [
        (float("nan"), RejectCode.NOT_FINITE, "$.feedback.a"),
        (float("-inf"), RejectCode.NOT_FINITE, "$.feedback.a"),
        (2**64, RejectCode.OUT_OF_RANGE, "$.feedback.a"),
        (-(2**63) - 1, RejectCode.OUT_OF_RANGE, "$.feedback.a"),
        ("half \ud83d", RejectCode.INVALID_UNICODE, "$.feedback.a"),
        ([1, "\udc00"], RejectCode.INVALID_UNICODE, "$.feedback.a[1]"),
        ({"\ud800": 1}, RejectCode.INVALID_UNICODE, "$.feedback.a"),
        (datetime(2026, 1, 31, tzinfo=UTC), RejectCode.WRONG_TYPE, "$.feedback.a"),
        (date(2026, 1, 31), RejectCode.WRONG_TYPE, "$.feedback.a"),
        (UUID(int=1), RejectCode.WRONG_TYPE, "$.feedback.a"),
        (Decimal("1.5"), RejectCode.WRONG_TYPE, "$.feedback.a"),
        ({1, 2}, RejectCode.WRONG_TYPE, "$.feedback.a"),
        ((1, 2), RejectCode.WRONG_TYPE, "$.feedback.a"),
        (b"bytes", RejectCode.WRONG_TYPE, "$.feedback.a"),
        (1j, RejectCode.WRONG_TYPE, "$.feedback.a"),
        (object(), RejectCode.WRONG_TYPE, "$.feedback.a"),
        (Mood.GOOD, RejectCode.WRONG_TYPE, "$.feedback.a"),
        (Point(), RejectCode.WRONG_TYPE, "$.feedback.a"),
        (MappingProxyType({}), RejectCode.WRONG_TYPE, "$.feedback.a"),
        (np.float64(0.5), RejectCode.WRONG_TYPE, "$.feedback.a"),
        (np.float32(0.5), RejectCode.WRONG_TYPE, "$.feedback.a"),
        (np.int64(1), RejectCode.WRONG_TYPE, "$.feedback.a"),
        (np.True_, RejectCode.WRONG_TYPE, "$.feedback.a"),
        (np.arange(3), RejectCode.WRONG_TYPE, "$.feedback.a"),
        ([{"b": [np.float64(0.5)]}], RejectCode.WRONG_TYPE, "$.feedback.a[0].b[0]"),
        ({1: "one"}, RejectCode.WRONG_TYPE, "$.feedback.a"),
        ({None: 1}, RejectCode.WRONG_TYPE, "$.feedback.a"),
        ({True: 1}, RejectCode.WRONG_TYPE, "$.feedback.a"),
        ({Tag.SLOW: 1}, RejectCode.WRONG_TYPE, "$.feedback.a"),
        (circle(), RejectCode.TOO_DEEP, "$.feedback.a[0][0]"),
    ],
)
def test_a_value_without_a_json_form_is_refused(leaf: object, code: RejectCode, path: str) -> None:
    """Code and path say what it is and where; beside a good leaf, and as the only one."""
    memory = MemoryTransport()
    client = Client(project="acme", transport=memory)
    for feedback in ({"good": 1, "a": leaf}, {"a": leaf}):
        with pytest.raises(EventError) as caught:
            client.feedback(trace_id="t", feedback=feedback)
        assert (caught.value.code, caught.value.path) == (code, path)
    assert memory.messages == ()


@pytest.mark.parametrize("root", ["feedback", "metadata", "metrics"])
def test_every_root_is_looked_at(client: Client, root: str) -> None:
    """A NaN is refused wherever it stands."""
    with pytest.raises(EventError) as caught:
        client.feedback(**cast("Any", {"trace_id": "t", "value": 1, root: {"a": float("nan")}}))
    assert (caught.value.code, caught.value.path) == (RejectCode.NOT_FINITE, f"$.{root}.a")


@pytest.mark.parametrize(
    ("leaf", "sent"),
    [
        (Tag.SLOW, "slow"),
        (Thumb.UP, 1),
        (OrderedDict(b=1), {"b": 1}),
        (2**64 - 1, 2**64 - 1),
        (-0.0, -0.0),
        ("é\u0000\U0001f44d", "é\u0000\U0001f44d"),
        (None, None),
    ],
)
def test_what_is_json_by_another_name_is_sent(leaf: object, sent: object) -> None:
    """Subclasses of text, integer and dict go as what they are."""
    memory = MemoryTransport()
    Client(project="acme", transport=memory).feedback(
        trace_id="t", feedback=OrderedDict(good=1, a=leaf)
    )
    assert memory.events[0]["feedback"] == {"good": 1, "a": sent}


def test_a_uuid_is_an_id(client: Client, memory: MemoryTransport) -> None:
    """Ids may be given as UUID objects."""
    client.feedback(feedback_id=UUID(int=7), trace_id=UUID(int=1), value=1)
    assert memory.events[0]["trace_id"] == "00000000-0000-0000-0000-000000000001"
    assert memory.events[0]["feedback_id"] == "00000000-0000-0000-0000-000000000007"


@pytest.mark.parametrize(
    ("event", "code", "path"),
    [
        ({1: 2}, RejectCode.WRONG_TYPE, "$"),
        ({"\ud800": 2}, RejectCode.WRONG_TYPE, "$"),
        ({"x": circle()}, RejectCode.TOO_DEEP, "$.x" + "[0]" * 16),
        ({"x": {1}}, RejectCode.WRONG_TYPE, "$.x"),
    ],
)
def test_a_whole_event_may_be_wrong_anywhere(
    client: Client, event: dict[Any, object], code: RejectCode, path: str
) -> None:
    """`publish` takes any mapping, and so must say of any what is wrong with it."""
    with pytest.raises(EventError) as caught:
        client.publish(event)
    assert (caught.value.code, caught.value.path) == (code, path)


def test_an_object_that_changes_meanwhile_raises_nothing_foreign() -> None:
    """A dict that another thread grows and shrinks is sent as it stood, or refused as an event."""
    memory = MemoryTransport()
    client = Client(project="acme", transport=memory)
    shared: dict[str, object] = {str(number): number for number in range(200)}
    over = threading.Event()

    def churn() -> None:
        while not over.is_set():
            shared["extra"] = 1
            del shared["extra"]

    thread = threading.Thread(target=churn)
    thread.start()
    refused = 0
    for _ in range(500):
        try:
            client.feedback(trace_id="t", feedback=shared)
        except EventError:
            refused += 1
    over.set()
    thread.join()
    assert len(memory.events) + refused == 500
