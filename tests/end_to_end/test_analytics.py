"""What was published is what is counted: the store against Python and numpy."""

import random
import uuid
from collections import Counter
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Pipeline

pytestmark = pytest.mark.services

Event = dict[str, Any]


def id_of(number: int) -> str:
    """Return a version 7 id of 2026-01-01, or a version 4 id for every fifth number."""
    stamp = f"{1_767_225_600_000 + number:012x}"
    version = "4" if number % 5 == 4 else "7"
    return f"{stamp[:8]}-{stamp[8:]}-{version}000-8000-{number:012x}"


def given(number: int, chance: random.Random) -> Event:
    """Return an event with everything that analysts ask for."""
    return {
        "feedback_id": id_of(number),
        "project": chance.choice(["acme", "other"]),
        "trace_id": f"t{number // 3}",
        "value": chance.randint(-10, 10),
        "weight": chance.choice([0.0, 0.25, 0.5, 1.0]),
        "feedback": {
            "score": chance.random() * 100,
            "rating": chance.random() < 0.7,
            "step1": {"retry": chance.random() < 0.2},
            "edits": [{"value": chance.choice(["Oslo", "Bergen"])}, {"value": "2026-01-31"}],
        },
        "metadata": {"model": chance.choice(["m1", "m2", "m3"]), "_user": number % 7},
        "updated_at": "2026-01-02T00:00:00Z",
    }


def test_counts_types_and_percentiles_equal_pythons(pipeline: "Pipeline") -> None:
    """Percentiles are numpy's to the last bit, and every count and mean is Python's."""
    chance = random.Random(20)
    events = [given(number, chance) for number in range(5000)]
    pipeline.publish(events)
    pipeline.work_off(5000)
    scores = [event["feedback"]["score"] for event in events]
    found = pipeline.select(
        "SELECT count(), uniqExact(feedback_id), avg(booleans['feedback.rating']),"
        " countIf(booleans['feedback.step1.retry']), sum(value * weight) / sum(weight),"
        " quantilesExactInclusive(0.05, 0.5, 0.95, 0.98, 0.99)(numbers['feedback.score'])"
        " FROM feedback_current"
    )[0]
    weighted = sum(e["value"] * e["weight"] for e in events) / sum(e["weight"] for e in events)
    assert found[:2] == (5000, 5000)
    assert found[2] == np.mean([event["feedback"]["rating"] for event in events])
    assert found[3] == sum(event["feedback"]["step1"]["retry"] for event in events)
    assert found[4] == pytest.approx(weighted, rel=1e-12)
    assert list(found[5]) == np.percentile(scores, [5, 50, 95, 98, 99]).tolist()
    cities = pipeline.select(
        "SELECT strings['feedback.edits.0.value'], count() FROM feedback_current GROUP BY 1"
    )
    assert dict(cities) == Counter(event["feedback"]["edits"][0]["value"] for event in events)
    dates = "SELECT DISTINCT strings['feedback.edits.1.value'] FROM feedback_current"
    assert pipeline.select(dates) == [("2026-01-31",)]
    models = pipeline.select(
        "SELECT project, strings['metadata.model'], user_id, count() FROM feedback_current"
        " GROUP BY ALL"
    )
    assert {row[:3]: row[3] for row in models} == Counter(
        (event["project"], event["metadata"]["model"], str(event["metadata"]["_user"]))
        for event in events
    )
    paths = pipeline.select("SELECT path, type FROM feedback_paths FINAL WHERE project = 'acme'")
    assert sorted(paths) == [
        ("feedback.edits.0.value", "string"),
        ("feedback.edits.1.value", "string"),
        ("feedback.rating", "boolean"),
        ("feedback.score", "number"),
        ("feedback.step1.retry", "boolean"),
        ("metadata._user", "number"),
        ("metadata.model", "string"),
        ("value", "number"),
    ]


def test_the_same_feedback_on_different_days_counts_once(pipeline: "Pipeline") -> None:
    """An id sent again a day and a month later is one event, in the state that was newest."""
    for day, value in (("2026-01-05", 1), ("2026-02-05", 3), ("2026-01-06", 2)):
        pipeline.publish(
            {
                "feedback_id": id_of(number),
                "project": "acme",
                "session_id": "s",
                "value": value,
                "created_at": f"{day}T00:00:00Z",
                "updated_at": f"{day}T00:00:00Z",
            }
            for number in range(100)
        )
    pipeline.work_off(300)
    assert pipeline.select("SELECT count(), min(value), max(value) FROM feedback_current") == [
        (100, 3, 3)
    ]


def test_two_workers_share_the_partitions(pipeline: "Pipeline") -> None:
    """Both store a part, together everything once, and each partition to its end."""
    workers = [pipeline.worker(rows=500), pipeline.worker(rows=500)]
    chance = random.Random(21)
    published = 0

    def publish_until_both_have_worked() -> bool:
        nonlocal published
        if not all(worker.stats.stored for worker in workers):
            pipeline.publish(given(n, chance) for n in range(published, published + 500))
            published += 500
        return sum(worker.stats.stored for worker in workers) >= published

    pipeline.work(*workers, until=publish_until_both_have_worked)
    assert pipeline.select("SELECT count(), uniqExact(feedback_id) FROM feedback_current") == [
        (published, published)
    ]


def test_patches_and_clears_end_in_the_state_that_python_computes(pipeline: "Pipeline") -> None:
    """Two thousand random changes to 300 events leave what a dictionary of them holds."""
    chance = random.Random(22)
    expected: dict[str, dict[str, Any]] = {}
    changes: list[Event] = []
    for step in range(2000):
        id_ = str(uuid.UUID(int=chance.randrange(300), version=4))
        kind = "set" if id_ not in expected else chance.choice(["set", "patch", "patch", "clear"])
        change: Event = {"feedback_id": id_, "project": "acme", "op": kind}
        change["updated_at"] = f"2026-01-01T00:{step // 60:02}:{step % 60:02}Z"
        if kind == "clear":
            expected.pop(id_)
        else:
            said = {chance.choice("abc"): chance.choice([True, 1.5, "text"])}
            change |= {"trace_id": "t", "value": chance.randint(0, 10), "feedback": said}
            kept = expected[id_]["feedback"] if kind == "patch" else {}
            expected[id_] = {"value": change["value"], "feedback": kept | said}
        changes.append(change)
    pipeline.publish(changes)
    pipeline.work_off(2000)
    rows = pipeline.select(
        "SELECT toString(feedback_id), value, numbers, booleans, strings FROM feedback_current"
    )
    found = {
        id_: {
            "value": value,
            "feedback": {
                path.removeprefix("feedback."): leaf
                for leaves in maps
                for path, leaf in leaves.items()
            },
        }
        for id_, value, *maps in rows
    }
    assert len(rows) == len(expected)
    assert found == expected
