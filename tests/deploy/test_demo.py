"""The demo's traffic is what it says, and the demo leaves numbers that agree and nothing else."""

import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import psutil
import pytest

from afterword import MemoryTransport, Message
from afterword_schemas import InvalidEventError, read_event
from afterword_stack.demo import run as demo_run
from afterword_stack.demo.run import Feeder
from afterword_stack.demo.traffic import traffic
from afterword_stack.errors import CommandError

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
SECTIONS = [
    "Thumbs up by model",
    "Thumbs up of aurora-2 by week: did it get worse?",
    "Latency of step 1 in ms by prompt",
    "Is summarise-v2 faster than summarise-v1, or is that chance?",
    "Weighted feedback by environment",
    "Top reasons for rejection",
    "Next",
]


def made(events: int, now: datetime = NOW) -> list[Message]:
    """Return the traffic as messages."""
    transport = MemoryTransport()
    with Feeder(transport) as feeder:
        feeder.publish(traffic(events, now), lambda _: None)
    return list(transport.messages)


@pytest.fixture(scope="module")
def many() -> list[Message]:
    """Enough traffic to count shares."""
    return made(20_000)


def refusals(messages: list[Message]) -> list[str]:
    """Return the codes of those that are refused, in order."""
    codes = []
    for message in messages:
        try:
            read_event(message.value)
        except InvalidEventError as error:
            codes.append(str(error.code))
    return codes


def test_traffic_is_the_same_for_the_same_time() -> None:
    """So that what the demo shows can be talked about."""
    assert made(400) == made(400)
    assert made(400) != made(400, NOW + timedelta(days=1))


def test_one_event_in_200_is_broken_and_every_other_is_good(many: list[Message]) -> None:
    """The broken ones have several faults, a misspelt field the most often."""
    codes = Counter(refusals(many))
    assert len(many) == 20_000
    assert codes.total() == 100
    assert len(codes) >= 8
    assert codes.most_common(1)[0][0] == "unknown_field"
    assert len(refusals(many[199::200])) == 100


def test_traffic_is_a_month_that_ends_now() -> None:
    """In order of time, each event under an id of its own that carries the time."""
    events = [orjson.loads(m.value) for at, m in enumerate(made(2_000)) if at % 200 != 199]
    times = [datetime.fromisoformat(event["updated_at"]) for event in events]
    assert times == sorted(times)
    assert NOW - timedelta(days=30) < times[0] < times[-1] <= NOW
    assert len({event["feedback_id"] for event in events}) == len(events)
    first = int(events[0]["feedback_id"].replace("-", "")[:12], 16)
    assert datetime.fromtimestamp(first / 1000, UTC) == times[0]


def test_traffic_is_a_mix_of_all_kinds_of_feedback(many: list[Message]) -> None:
    """Thumbs the most, stars, scores, comments, edits and ground truths, and what people did."""
    kinds: Counter[str] = Counter()
    for number, message in enumerate(many):
        if number % 200 != 199:
            event = orjson.loads(message.value)
            said = event["feedback"]
            kinds.update(said.keys() & {"stars", "score", "comment", "edits", "ground_truth"})
            kinds.update(said.keys() & {"copied", "regenerated"})
            kinds["thumb"] += "rating" in said and "step1" in said
    shares = {kind: 100 * count / 19_900 for kind, count in kinds.items()}
    expected = {
        "thumb": 34,
        "stars": 14,
        "score": 14,
        "copied": 11,
        "edits": 10,
        "comment": 8,
        "regenerated": 7,
        "ground_truth": 2,
    }
    assert shares == pytest.approx(expected, abs=1)


def test_one_model_gets_worse_in_the_last_week(many: list[Message]) -> None:
    """That is what the demo's report is there to show."""
    good: Counter[str] = Counter()
    total: Counter[str] = Counter()
    for number, message in enumerate(many):
        event = orjson.loads(message.value) if number % 200 != 199 else {}
        rating = event.get("feedback", {}).get("rating")
        if rating is not None and event["metadata"]["model"] == "aurora-2":
            late = datetime.fromisoformat(event["updated_at"]) > NOW - timedelta(days=7)
            good["late" if late else "early"] += rating
            total["late" if late else "early"] += 1
    assert 0.79 < good["early"] / total["early"] < 0.85
    assert 0.54 < good["late"] / total["late"] < 0.66


def test_a_queue_that_is_full_is_waited_for() -> None:
    """Nothing counts as lost that was sent again, the broken ones included."""
    transport = MemoryTransport(capacity=50)
    transport.hold()
    flushes = []

    def flush(timeout_s: float) -> None:
        flushes.append(timeout_s)
        transport.release()
        transport.hold()

    transport.flush = flush  # type: ignore[method-assign]  # the fake's queue empties by itself
    with Feeder(transport) as feeder:
        feeder.publish(traffic(1_000, NOW), lambda _: None)
    assert len(transport.messages) == 1_000
    assert len(flushes) >= 19


def test_what_kafka_did_not_take_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    """The demo ends there: its numbers could not agree."""
    monkeypatch.setattr(demo_run, "_FLUSH_S", 0.01)
    transport = MemoryTransport()
    transport.fail()
    with (
        pytest.raises(CommandError, match="Kafka did not take all events: 200 are missing"),
        Feeder(transport) as feeder,
    ):
        feeder.publish(traffic(200, NOW), lambda _: None)


class Demo:
    """One `afterword demo` in a process group and a temporary folder of its own."""

    def __init__(self, home: Path, *options: str) -> None:
        self.temp = home / "tmp"
        self.temp.mkdir()
        folders = {"TMPDIR": self.temp, "HOME": home}
        folders |= {f"XDG_{name}_HOME": home / name.lower() for name in ("STATE", "DATA")}
        cache = os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))  # Kafka's jars
        self.process = subprocess.Popen(
            [sys.executable, "-m", "afterword_stack", "demo", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **{k: str(v) for k, v in folders.items()}, "XDG_CACHE_HOME": cache},
            start_new_session=True,
            cwd=home,
        )
        self.family: set[psutil.Process] = set()
        self._watcher = threading.Thread(target=self._watch)
        self._watcher.start()

    def _watch(self) -> None:
        """Collect every process that it ever starts."""
        while self.process.poll() is None:
            try:
                self.family.update(psutil.Process(self.process.pid).children(recursive=True))
            except psutil.NoSuchProcess:
                break
            time.sleep(0.02)  # each look costs the processor that the demo needs

    def read_until(self, text: str) -> None:
        """Read its stderr up to a line that holds the text."""
        assert self.process.stderr is not None
        while text not in (said := self.process.stderr.readline()):
            assert said, "it ended"

    def finish(self) -> tuple[int, str, str]:
        """Wait for its end; return status, stdout and stderr."""
        out, err = self.process.communicate(timeout=60)
        self._watcher.join()
        return self.process.returncode, out, err

    @property
    def left(self) -> list[str]:
        """Processes and files that are still there."""
        _, alive = psutil.wait_procs(list(self.family), timeout=5)
        return [*map(str, alive), *(path.name for path in self.temp.glob("afterword*"))]


def assert_agrees(out: str, events: int) -> None:
    """Check the numbers and the report."""
    found = re.search(
        r"^published ([\d,]+) = stored ([\d,]+) \+ rejected (\d+)$", out, re.MULTILINE
    )
    assert found is not None
    numbers = [int(group.replace(",", "")) for group in found.groups()]
    assert numbers == [events, events - events // 200, events // 200]
    titles = [line for line in out.splitlines() if line in SECTIONS]
    assert titles == SECTIONS


@pytest.mark.services
def test_two_demos_at_once_agree_and_leave_nothing(tmp_path: Path) -> None:
    """Each on parts of its own; neither reads the user's settings."""
    for name in ("first", "second"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "afterword.toml").write_text('[kafka]\nsecurity.protocol = "SSL"\n')
    demos = [
        Demo(tmp_path / "first", "--events", "1000"),
        Demo(tmp_path / "second", "--events", "6000"),
    ]
    for demo, events in zip(demos, (1_000, 6_000), strict=True):
        status, out, err = demo.finish()
        assert status == 0, err
        assert_agrees(out, events)
        assert "ingesting: " in err
        assert len(demo.family) >= 4
        assert demo.left == []


@pytest.mark.services
@pytest.mark.parametrize(
    ("number", "moment"),
    [
        (signal.SIGINT, "running Kafka"),
        (signal.SIGTERM, "publishing: "),
    ],
)
def test_a_demo_that_is_interrupted_leaves_nothing(
    tmp_path: Path, number: signal.Signals, moment: str
) -> None:
    """Ctrl-C goes to the whole group, SIGTERM to the process; neither ends in a traceback."""
    demo = Demo(tmp_path, "--events", "20000")
    demo.read_until(moment)
    if number is signal.SIGINT:
        os.killpg(demo.process.pid, number)
    else:
        demo.process.send_signal(number)
    status, out, err = demo.finish()
    assert status == 130
    assert "published" not in out
    assert "Traceback" not in err
    assert demo.left == []
