"""A topic that is deleted and created again under its name, while workers read it."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from tests.topics import recreate_topic

from afterword_consumers.kafka.lag import read_lag
from afterword_consumers.progress.freshness import FreshnessReader

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Pipeline

pytestmark = pytest.mark.services


def events(first: int, count: int) -> list[dict[str, Any]]:
    """Return numbered events."""
    return [
        {
            "feedback_id": f"5f0e2f0a-0000-4000-8000-{number:012}",
            "project": "acme",
            "trace_id": "t",
            "value": 1,
        }
        for number in range(first, first + count)
    ]


def stored(pipeline: "Pipeline") -> int:
    """Return how many different events readers see."""
    ((count,),) = pipeline.select("SELECT uniqExact(feedback_id) FROM feedback_current")
    return int(count)


def waiting(pipeline: "Pipeline") -> int:
    """Return how many messages the group has not committed."""
    servers = pipeline.kafka.bootstrap_servers
    return sum(at.lag for at in read_lag(servers, pipeline.topic, pipeline.group, {}))


@pytest.fixture
def reader(pipeline: "Pipeline") -> Iterator[FreshnessReader]:
    """A reader of the freshness."""
    servers = pipeline.kafka.bootstrap_servers
    one = FreshnessReader(servers, topic=pipeline.topic, group=pipeline.group)
    yield one
    one.close()


def test_all_of_a_topic_that_is_recreated_under_a_worker_is_stored(
    pipeline: "Pipeline", reader: FreshnessReader
) -> None:
    """More messages than the worker's old offsets skip, refused ones among them; none is missing.

    The answer never says that all is there before it is, and in the end it does.
    """
    pipeline.publish(events(0, 500))
    pipeline.publish_raw(b"refused", b"key")
    pipeline.flush()
    worker = pipeline.worker()
    recreated = False

    def recreate_then_publish() -> bool:
        nonlocal recreated
        if not recreated and worker.stats.stored >= 500 and not waiting(pipeline):
            recreate_topic(pipeline.kafka.bootstrap_servers, pipeline.topic, 4)
            pipeline.publish(events(1000, 900))
            pipeline.publish_raw(b"refused too", b"key")
            pipeline.flush()
            recreated = True
        fresh = reader.read()
        if recreated and fresh.complete_until is not None and not fresh.waiting:
            assert stored(pipeline) == 1400
        return recreated and stored(pipeline) == 1400 and not waiting(pipeline)

    pipeline.work(worker, until=recreate_then_publish)
    # Not how many: what is read before the worker has noticed is read again, under the other id.
    refused = pipeline.select(
        "SELECT uniqExact(topic_id), uniqExact(payload) FROM feedback_rejected"
    )
    assert refused == [(2, 2)]


def test_a_topic_that_was_recreated_between_two_workers_is_read_from_its_start(
    pipeline: "Pipeline",
) -> None:
    """Also where the offsets of the old one stand in the group, as the race of a commit leaves them."""
    pipeline.publish(events(0, 500))
    pipeline.work_off(500)
    source = pipeline.source()
    source._identity.ask = lambda: False  # type: ignore[method-assign]  # the race, without its luck
    recreate_topic(pipeline.kafka.bootstrap_servers, pipeline.topic, 4)
    source.commit(dict.fromkeys(range(4), 100), {})
    source.close()
    pipeline.publish(events(1000, 900))
    assert waiting(pipeline) == 900
    pipeline.work_off(900)
    assert stored(pipeline) == 1400
    assert waiting(pipeline) == 0
