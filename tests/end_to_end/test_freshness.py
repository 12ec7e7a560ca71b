"""Until when an answer is complete, while workers in processes of their own work, stop and are killed."""

import subprocess
import sys
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.waiting import wait_until

from afterword_consumers.progress.freshness import FreshnessReader

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Pipeline

pytestmark = pytest.mark.services

SCRIPT = Path(__file__).with_name("worker_process.py")
CHUNK = 20


class Workers:
    """Processes that work on a pipeline, one at a time.

    Args:
        pipeline: What they work on.
        told: A file for what they tell.
    """

    def __init__(self, pipeline: "Pipeline", told: Path) -> None:
        address = pipeline.clickhouse.address
        target = [pipeline.kafka.bootstrap_servers, pipeline.topic, pipeline.group]
        self._command = [*target, str(address.port), address.database, "tell"]
        self._told = told
        self._process: subprocess.Popen[str] | None = None

    def start(self) -> None:
        """Start one."""
        command = [sys.executable, str(SCRIPT), *self._command]
        with self._told.open("a") as told:
            self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=told, text=True)
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.close()

    def has_asked_since(self, time: datetime) -> bool:
        """Whether one has asked Kafka for the topic's ends after a time, and been answered."""
        times = self._told.read_text().splitlines()
        return any(datetime.fromisoformat(asked_at) > time for asked_at in times)

    def kill(self) -> None:
        """End it by SIGKILL."""
        assert self._process is not None
        self._process.kill()
        self._process.wait()
        self._process = None

    def stop(self) -> None:
        """End it by SIGTERM, if there is one."""
        if self._process is not None:
            self._process.terminate()
            assert self._process.wait(30) == 0
            self._process = None


class TimedWorkload:
    """Events of which it is known by when Kafka had them, and a reader who compares."""

    def __init__(self, pipeline: "Pipeline") -> None:
        self.pipeline = pipeline
        self.reader = FreshnessReader(
            pipeline.kafka.bootstrap_servers, topic=pipeline.topic, group=pipeline.group
        )
        self.published: list[tuple[datetime, list[str]]] = []

    def publish(self, count: int = CHUNK) -> datetime:
        """Publish events and return a time before the first of them was."""
        first, before = sum(len(ids) for _, ids in self.published), datetime.now(UTC)
        ids = [f"5f0e2f0a-0000-4000-8000-{first + n:012}" for n in range(count)]
        self.pipeline.publish(
            {"feedback_id": id_, "project": "acme", "value": 1, "trace_id": "t"} for id_ in ids
        )
        self.published.append((datetime.now(UTC), ids))
        return before

    def until(self) -> datetime | None:
        """Return the time up to which all is said to be there, after looking whether it is."""
        until = self.reader.read().complete_until
        stored = {
            row[0] for row in self.pipeline.select("SELECT toString(feedback_id) FROM feedback")
        }
        due = [ids for by, ids in self.published if until is not None and by < until]
        missing = {id_ for ids in due for id_ in ids} - stored
        assert not missing, f"complete until {until}, but {len(missing)} are missing"
        return until

    def is_complete(self) -> bool:
        """Whether all that was published by now is said to be there."""
        now, until = datetime.now(UTC), self.until()
        return until is not None and until >= now


@pytest.fixture
def flow(pipeline: "Pipeline") -> Iterator[TimedWorkload]:
    """A fresh one."""
    one = TimedWorkload(pipeline)
    yield one
    one.reader.close()


@pytest.fixture
def workers(pipeline: "Pipeline", tmp_path: Path) -> Iterator[Workers]:
    """None yet; what runs at the end is stopped."""
    some = Workers(pipeline, tmp_path / "told.txt")
    yield some
    some.stop()


def test_a_killed_worker_leaves_the_time_until_which_it_had_everything(
    flow: TimedWorkload, workers: Workers
) -> None:
    """What is published after it is not claimed, and what was before is; the next goes on from there."""
    flow.publish()
    workers.start()
    wait_until(flow.is_complete)
    flow.publish()
    wait_until(flow.is_complete)
    workers.kill()
    after = flow.publish()
    fresh = flow.reader.read()
    assert fresh.complete_until is not None
    assert flow.published[0][0] - timedelta(seconds=15) < fresh.complete_until <= after
    assert fresh.waiting == CHUNK
    flow.publish()
    assert flow.until() == fresh.complete_until
    workers.start()
    wait_until(flow.is_complete)
    assert flow.reader.read().waiting == 0


def test_a_worker_that_was_idle_and_is_stopped_leaves_a_time_close_to_its_end(
    flow: TimedWorkload, workers: Workers
) -> None:
    """Not that of its last commit of something new."""
    flow.publish()
    workers.start()
    wait_until(flow.is_complete)
    idle_since = datetime.now(UTC)
    wait_until(lambda: workers.has_asked_since(idle_since))
    workers.stop()
    after = flow.publish()
    until = flow.until()
    assert until is not None
    assert idle_since - timedelta(milliseconds=1) < until <= after  # microseconds are cut off


def test_a_clear_view_at_every_moment(flow: TimedWorkload, workers: Workers) -> None:
    """With events coming in and a worker killed five times, the answer never says too much.

    Once anything is known something is known, and in the end all is there.
    """
    flow.publish()
    workers.start()
    wait_until(lambda: flow.until() is not None)
    ended = threading.Event()

    def keep_publishing() -> None:
        while not ended.wait(0.02):
            flow.publish()

    publishing = threading.Thread(target=keep_publishing)
    publishing.start()
    try:
        for _ in range(5):
            began = datetime.now(UTC)
            wait_until(
                lambda began=began: _known(flow.until()) >= began
            )  # it has got to the present
            workers.kill()
            workers.start()
    finally:
        ended.set()
        publishing.join()
    wait_until(flow.is_complete)


def _known(until: datetime | None) -> datetime:
    assert until is not None
    return until
