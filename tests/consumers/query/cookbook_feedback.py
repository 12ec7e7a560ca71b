"""Five weeks of made-up feedback for the cookbook, the same in every run, with all that is awkward.

States that were replaced, feedback that was taken back, two projects that share ids, traces and users,
missing columns, a path of two types, late arrivals, and the change to summer time in Berlin.
"""

import random
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

from tests.consumers.query.reference_records import Event

_START: Final = datetime(2026, 3, 9, tzinfo=UTC)
_DAYS: Final = 35
_QUIET_DAYS: Final = range(7, 14)
"""Nobody said anything in the second week."""

_TEXTS: Final = ["Oslo", "Bergen", "It's Oslo", ""]


@dataclass(frozen=True, slots=True)
class Rejection:
    """One message that was refused, in one of its states.

    Attributes:
        number: Its place in the topic.
        replayed: Whether it was put back, which a second state says.
    """

    number: int
    code: str
    path: str
    rejected_at: datetime
    payload: str
    replayed: bool = False


def make_events() -> list[Event]:
    """Return 1,300 states of 1,200 feedback events, in the order of their insertion."""
    draw = random.Random(4)
    events = [_event(draw, number) for number in range(1200)]
    changed = [
        replace(_event(draw, number), feedback_id=events[number].feedback_id, version=2)
        for number in range(0, 1200, 15)
    ]
    cleared = [replace(events[number], version=3, cleared=True) for number in range(7, 1200, 60)]
    return events + changed + cleared


def make_rejections() -> list[Rejection]:
    """Return 90 refused messages; every third was replayed, and is there twice."""
    draw = random.Random(5)
    places = [("wrong_type", "$.value"), ("wrong_type", "$.weight"), ("invalid_json", "$"),
              ("unknown_field", "$.valeu"), ("too_deep", "$.feedback.a")]  # fmt: skip
    payloads = ['{"project": "acme"}', '{"project": "globex"}', "{nonsense"]
    found = []
    for number in range(90):
        code, path = draw.choice(places)
        payload = payloads[2] if code == "invalid_json" else draw.choice(payloads[:2])
        at = _START + timedelta(minutes=draw.randrange(360), milliseconds=number)
        found.append(Rejection(number, code, path, at, payload))
    return found + [replace(each, replayed=True) for each in found[::3]]


def _event(draw: random.Random, number: int) -> Event:
    kind = draw.choices(["vote", "signal", "expert", "edit"], [10, 5, 3, 2])[0]
    project = draw.choice(["acme", "acme", "acme", "globex"])
    # Each feedback at a time of its own: what came last in a session or trace is never in doubt.
    second = draw.randrange(_DAYS * 86_400)
    if second // 86_400 in _QUIET_DAYS:
        second += 7 * 86_400
    created_at = _START + timedelta(seconds=second, milliseconds=number % 1000)
    prompt = draw.choice(["v1", "v2", "v3", "v3", ""])
    user = draw.randrange(10 + (created_at - _START).days)  # each day someone new
    trace = draw.choice([0, *[draw.randrange(1, 150)] * 9])
    metadata: dict[str, Any] = {
        "_prompt": prompt,
        "_environment": draw.choice(["prod", "prod", "test", ""]),
    }
    if draw.random() < 0.9:
        metadata |= {"_user": user if user % 2 else f"u{user}"}
        metadata |= {
            "_organisation": draw.choice(["o1"] * 5 + ["o2"] * 3 + ["o3", "o3", "o4", "o5"])
        }
    if draw.random() < 0.8:
        metadata["model"] = draw.choice(["aurora", "borealis"])
    if draw.random() < 0.7:
        metadata["answered_at"] = _written(created_at - timedelta(seconds=draw.expovariate(1 / 90)))
    metadata["latency_ms"] = draw.choice([None, draw.randrange(8000)])
    metadata["service"] = service = draw.choice(["chat", "mail", "search"])
    mood = (
        0.5
        + 0.35 * (trace % 3 > 0)
        - 0.25 * (prompt == "v2")
        - (0.5 if user < 8 and created_at.month == 4 else 0)
    )
    happy = draw.random() < mood
    fields = _FIELDS[kind](draw, happy, prompt)
    if "score" in fields.get("feedback", {}) and service == "mail" and draw.random() < 0.5:
        fields["feedback"]["score"] = f"{fields['feedback']['score']:.1f}"
    return Event(
        feedback_id=UUID(int=(number * 0x9E3779B97F4A7C15 % 2**64 << 64) & ~(0xF << 76) | (0x4 << 76) | (0x2 << 62) | number),
        project=project,
        trace_id=f"tr-{trace}" if trace else "",
        session_id=draw.choice(["", *[f"s-{draw.randrange(120)}"] * 4]),
        source="implicit" if kind in {"signal", "edit"} else "explicit",
        created_at=created_at,
        ingested_at=created_at + timedelta(milliseconds=int(draw.paretovariate(0.5) * 500) % 10**8),
        metadata=metadata,
        **fields,
    )  # fmt: skip


def _vote(draw: random.Random, happy: bool, prompt: str) -> dict[str, Any]:  # noqa: FBT001  # called through _FIELDS
    said: dict[str, Any] = {}
    if draw.random() < 0.9:
        said["rating"] = happy
    if draw.random() < 0.7:
        said["score"] = draw.gauss(3.5 + happy - 0.4 * (prompt == "v2"), 1)
    if draw.random() < 0.5:
        said["step1"] = {"score": draw.randrange(100) / 10}
    if not happy and draw.random() < 0.8:
        said["reason"] = draw.choice(["wrong", "wrong", "slow", "rude"])
        said["comment"] = draw.choice(["No.", "Too slow", "", "wrong city"])
    if draw.random() < 0.3:
        said["ground_truth"] = draw.choice(["Oslo", {"city": "Oslo", "sure": True}])
    value = draw.choice([None, draw.randint(0, 5) * (1 if happy else -1)])
    return {
        "value": value,
        "weight": draw.choice([1.0, 1.0, 0.4]),
        "feedback": said or {"seen": True},
    }


def _signal(draw: random.Random, happy: bool, prompt: str) -> dict[str, Any]:  # noqa: FBT001  # called through _FIELDS
    if happy:
        return {"value": 1, "weight": 0.3, "feedback": {"copied": True}}
    return {"value": -1, "weight": 0.2, "feedback": {"regenerated": True}}


def _expert(draw: random.Random, happy: bool, prompt: str) -> dict[str, Any]:  # noqa: FBT001  # called through _FIELDS
    correct = happy if draw.random() < 0.8 else not happy
    return {"metrics": {"correct": correct, "accuracy": draw.randrange(1001) / 1000}}


def _edit(draw: random.Random, happy: bool, prompt: str) -> dict[str, Any]:  # noqa: FBT001  # called through _FIELDS
    edits = [
        {"value": draw.choice(_TEXTS), "similarity": draw.random()}
        for _ in range(draw.randint(1, 12))
    ]
    return {
        "value": draw.choice([0, -1]),
        "weight": 0.3,
        "feedback": {"edits": edits, "edits_total": {"value": "no edit"}},
    }


_FIELDS: Final[Mapping[str, Any]] = {
    "vote": _vote,
    "signal": _signal,
    "expert": _expert,
    "edit": _edit,
}


def _written(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
