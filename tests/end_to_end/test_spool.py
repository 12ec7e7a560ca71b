"""The durable mode from call to row: with the broker away and the service killed, nothing is lost."""

import random
import subprocess
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.waiting import wait_until

if TYPE_CHECKING:
    from tests.end_to_end.conftest import Pipeline

pytestmark = pytest.mark.services

SCRIPT = Path(__file__).with_name("emitter_process.py")
SEED = 20_261_121
KILLS = 2


class Emitter:
    """A service that emits, and the ids of the calls that returned."""

    def __init__(self, pipeline: "Pipeline", spool: Path | None, log: Path) -> None:
        command = [sys.executable, str(SCRIPT), pipeline.kafka.bootstrap_servers, pipeline.topic]
        with log.open("a") as errors:
            self.process = subprocess.Popen(
                command if spool is None else [*command, str(spool)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._ids: list[str] = []
        self._reading = threading.Thread(target=self._read)
        self._reading.start()

    def wait_for(self, count: int) -> None:
        """Wait until so many calls returned."""
        wait_until(lambda: len(self._ids) >= count)

    def kill(self) -> set[str]:
        """End it by SIGKILL; it must have been alive."""
        assert self.process.poll() is None, "the service ended by itself"
        self.process.kill()
        return self._finish()

    def end(self) -> set[str]:
        """Let it close its client, which must be clean."""
        assert self.process.stdin is not None
        self.process.stdin.write("\n")
        self.process.stdin.flush()
        ids = self._finish()
        assert self.process.returncode == 0
        return ids

    def _read(self) -> None:
        assert self.process.stdout is not None
        self._ids.extend(line.strip() for line in self.process.stdout)

    def _finish(self) -> set[str]:
        self.process.wait(60)
        self._reading.join()
        for stream in (self.process.stdin, self.process.stdout):
            assert stream is not None
            stream.close()
        return set(self._ids)


@pytest.mark.parametrize("durable", [True, False], ids=["spool", "control"])
def test_a_service_killed_while_kafka_is_away(
    pipeline: "Pipeline", tmp_path: Path, *, durable: bool
) -> None:
    """Every call that returned is stored, once; without a spool those before a kill are lost."""
    chance, log = random.Random(SEED), tmp_path / "log"
    spool = tmp_path / "spool" if durable else None
    killed: set[str] = set()
    pipeline.kafka.kill()
    for _ in range(KILLS):
        emitter = Emitter(pipeline, spool, log)
        emitter.wait_for(chance.randint(50, 200))
        killed |= emitter.kill()
    emitter = Emitter(pipeline, spool, log)
    emitter.wait_for(50)
    if durable:  # librdkafka gave up on events, which is not their end
        wait_until(lambda: "tried again: Local: Message timed out" in log.read_text())
    pipeline.kafka.start()
    ended = emitter.end()
    expected = killed | ended if durable else ended
    pipeline.work(pipeline.worker(), until=lambda: updated(pipeline) >= expected)
    rows = pipeline.select("SELECT toString(feedback_id), value FROM feedback_current")
    assert (SEED, killed - updated(pipeline)) == (SEED, set() if durable else killed)
    assert len({feedback_id for feedback_id, _ in rows}) == len(rows)
    assert {value for feedback_id, value in rows if feedback_id in expected} == {1}
    # A call each may have been killed when its event was on disk.
    assert len({feedback_id for feedback_id, _ in rows} - expected) <= KILLS
    if spool is not None:
        assert list(spool.iterdir()) == []


def updated(pipeline: "Pipeline") -> set[str]:
    """Return the ids of the events that have their update."""
    sql = "SELECT toString(feedback_id) FROM feedback_current WHERE booleans['feedback.updated']"
    return {feedback_id for (feedback_id,) in pipeline.select(sql)}
