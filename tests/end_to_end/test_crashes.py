"""Killed at any moment, worker or store: what was published is stored or rejected, once."""

import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from confluent_kafka import Consumer, TopicPartition
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Pipeline

pytestmark = pytest.mark.services

SCRIPT = Path(__file__).with_name("worker_process.py")
SEED = 20_261_120
KILLS = 22
CHUNK = 200


class Process:
    """A worker that is ready to join the group once it is told to."""

    def __init__(self, pipeline: "Pipeline", *variant: str) -> None:
        address = pipeline.clickhouse.address
        target = [pipeline.kafka.bootstrap_servers, pipeline.topic, pipeline.group]
        command = [*target, str(address.port), address.database, *variant]
        self._process = subprocess.Popen(
            [sys.executable, str(SCRIPT), *command], stdin=subprocess.PIPE, text=True
        )

    def go(self) -> "Process":
        """Let it join."""
        assert self._process.stdin is not None
        self._process.stdin.write("go\n")
        self._process.stdin.close()
        return self

    def kill(self) -> None:
        """End it by SIGKILL; it must have been alive."""
        assert self._process.poll() is None, "a worker ended by itself"
        self._process.kill()
        self._process.wait()
        assert self._process.stdin is not None
        self._process.stdin.close()

    def end(self) -> None:
        """End it by SIGTERM, which must be clean."""
        self._process.terminate()
        assert self._process.wait(30) == 0


class CrashWorkload:
    """Events that come as a set and later a patch, every tenth message a bad one."""

    def __init__(self, pipeline: "Pipeline") -> None:
        self.pipeline = pipeline
        self.patched = self.bad = 0
        self.ids: list[str] = []

    def publish(self, count: int) -> None:
        """Publish so many events and some bad messages, and patch the events of the time before."""
        fresh = [f"5f0e2f0a-0000-4000-8000-{len(self.ids) + n:012}" for n in range(count)]
        self.pipeline.publish(self._event(id_, {"value": 1, "trace_id": "t"}) for id_ in fresh)
        self.finish()
        for _ in range(count // 10):
            self.pipeline.publish_raw(b"bad", None)
        self.pipeline.flush()
        self.bad += count // 10
        self.ids += fresh

    def finish(self) -> None:
        """Patch the events that are not patched yet."""
        self.pipeline.publish(
            self._event(id_, {"op": "patch", "feedback": {"patched": True}})
            for id_ in self.ids[self.patched :]
        )
        self.patched = len(self.ids)

    def progress(self) -> int:
        """Return how far the store has got in the topic."""
        last = "SELECT max(kafka_offset) AS last FROM feedback GROUP BY kafka_partition"
        return int(self.pipeline.select(f"SELECT sum(last) FROM ({last})")[0][0])

    def differences(self) -> list[str]:
        """Compare ids and contents exactly; an empty list is a perfect store."""
        rows = self.pipeline.select(
            "SELECT toString(feedback_id), value, booleans['feedback.patched']"
            " FROM feedback_current ORDER BY 1"
        )
        rejected = self.pipeline.select(
            "SELECT count() FROM (SELECT DISTINCT kafka_partition, kafka_offset"
            " FROM feedback_rejected FINAL)"
        )[0][0]
        stored = [row[0] for row in rows]
        found = []
        if len(stored) != len(set(stored)):
            found.append(f"{len(stored) - len(set(stored))} doubled")
        if missing := set(self.ids) - set(stored):
            found.append(f"{len(missing)} events missing")
        if unknown := set(stored) - set(self.ids):
            found.append(f"{len(unknown)} never published")
        if unpatched := [row for row in rows if row[1:] != (1, True)]:
            found.append(f"{len(unpatched)} without their patch or value")
        if rejected != self.bad:
            found.append(f"{rejected} of {self.bad} bad messages kept")
        return found

    @staticmethod
    def _event(id_: str, rest: dict[str, Any]) -> dict[str, Any]:
        return {"feedback_id": id_, "project": "acme", **rest}


@contextmanager
def lag_of(pipeline: "Pipeline") -> Iterator[Any]:
    """Give a function that returns how many messages the group has not committed."""
    settings = {"bootstrap.servers": pipeline.kafka.bootstrap_servers, "group.id": pipeline.group}
    asking = Consumer(settings)
    partitions = [TopicPartition(pipeline.topic, number) for number in range(4)]

    def lag() -> int:
        committed = asking.committed(partitions, timeout=20)
        ends = [asking.get_watermark_offsets(one, timeout=20)[1] for one in partitions]
        return sum(end - max(one.offset, 0) for end, one in zip(ends, committed, strict=True))

    yield lag
    asking.close()


def test_killed_workers_lose_and_double_nothing(pipeline: "Pipeline") -> None:
    """Three workers, 22 times one of them killed while rows flow in, leave a perfect store."""
    chance, moment = random.Random(SEED), threading.Event()
    flow = CrashWorkload(pipeline)
    working = [Process(pipeline).go() for _ in range(3)]
    ready = Process(pipeline)
    for _ in range(KILLS):
        before = flow.progress()
        flow.publish(CHUNK)
        wait_until(lambda before=before: flow.progress() > before)
        moment.wait(chance.uniform(0, 0.2))
        working.pop(chance.randrange(2)).kill()  # the newest may not have begun yet
        working.append(ready.go())
        ready = Process(pipeline)
    flow.finish()
    with lag_of(pipeline) as lag:
        wait_until(lambda: lag() == 0)
    ready.kill()
    for process in working:
        process.end()
    assert (SEED, flow.differences()) == (SEED, [])


def test_a_store_killed_in_the_middle_of_inserts_gets_everything(pipeline: "Pipeline") -> None:
    """ClickHouse is killed five times while rows flow in, and has every one of them at the end."""
    chance, moment = random.Random(SEED + 1), threading.Event()
    flow = CrashWorkload(pipeline)
    working = Process(pipeline).go()
    for _ in range(5):
        flow.publish(CHUNK)
        before = flow.progress()
        flow.publish(3 * CHUNK)
        wait_until(lambda before=before: flow.progress() > before)
        moment.wait(chance.uniform(0, 0.05))
        pipeline.node.kill()
        moment.wait(chance.uniform(0, 0.3))
        pipeline.node.start()
    flow.finish()
    with lag_of(pipeline) as lag:
        wait_until(lambda: lag() == 0)
    working.end()
    assert (SEED, flow.differences()) == (SEED, [])


@pytest.mark.parametrize(
    ("variant", "loses"), [((), False), (("commit-first",), True)], ids=["worker", "control"]
)
def test_a_worker_killed_while_the_store_is_away(
    pipeline: "Pipeline", variant: tuple[str, ...], *, loses: bool
) -> None:
    """What it had fetched is read again by the next; one that commits first loses it, and it shows."""
    flow = CrashWorkload(pipeline)
    first, second = Process(pipeline, *variant).go(), Process(pipeline)
    flow.publish(CHUNK)
    with lag_of(pipeline) as lag:
        wait_until(
            lambda: lag() == 0 and flow.differences() == [f"{CHUNK} without their patch or value"]
        )
        pipeline.node.kill()
        flow.publish(CHUNK)
        flow.finish()
        published, tick = 3 * CHUNK + CHUNK // 10, threading.Event()
        for _ in range(20):  # the right worker never commits, so there is nothing else to wait for
            if lag() < published:
                break
            tick.wait(0.1)
        first.kill()
        pipeline.node.start()
        second.go()
        wait_until(lambda: lag() == 0)
    second.end()
    assert bool(flow.differences()) == loses
