"""check and publish: which lines, why, and what reaches the topic."""

import io
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.kafka import lag
from afterword_stack.commands import events

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword, InProcessPipeline

TOO_LONG = b'{"feedback_id": "%s"}' % (b"x" * 1_000_000)
MIXED = b"".join(
    (
        b"\xef\xbb\xbf",
        b'{"feedback_id": "5f0e2f0a-0000-4000-8000-000000000001", "project": "p", ',
        b'"trace_id": "t", "value": 1}\r\n',
        b"\r\n",
        b"   \n",
        b'{"feedback_id": "5f0e2f0a-0000-4000-8000-000000000002", "project": "p", ',
        b'"trace_id": "t", "vlaue": 1}\n',
        TOO_LONG,
        b"\n\xff\n",
        b'{"feedback_id": "5f0e2f0a-0000-4000-8000-000000000003", "project": "p", ',
        b'"trace_id": "t", "feedback": {"\\u001b[2J": true}, "value": 11}\n',
        b'{"feedback_id": "5f0e2f0a-0000-4000-8000-000000000004", "project": "p", ',
        b'"trace_id": "t", "value": 2}',
    )
)
REFUSALS = [
    "line 4: no such field; did you mean value? [unknown_field at $.vlaue]",
    "line 5: 1,000,019 bytes; at most 1,000,000 make an event [too_large at $]",
    "line 6: byte 0 is not valid UTF-8 [invalid_utf8 at $]",
    "line 7: value must be at most 10 [out_of_range at $.value]",
]


def numbered(numbers: range) -> bytes:
    """Return a file of valid events."""
    return b"".join(
        b'{"feedback_id":"5f0e2f0a-0000-4000-8000-%012d","project":"p","trace_id":"t","value":1}\n'
        % number
        for number in numbers
    )


@pytest.fixture
def mixed(own_folders: Path) -> str:
    """A file with good lines, bad lines and what editors add."""
    (own_folders / "mixed.jsonl").write_bytes(MIXED)
    return "mixed.jsonl"


def feed(monkeypatch: pytest.MonkeyPatch, content: bytes) -> None:
    """Let stdin hold something."""
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(content)))


def test_check_names_the_lines_that_would_be_refused(
    afterword: "Afterword", mixed: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By number and reason, and asks neither settings nor network."""
    monkeypatch.setenv("AFTERWORD_KAFKA_TOPIC", "no valid topic")
    ran = afterword("check", mixed)
    assert (ran.status, ran.out.splitlines()) == (1, REFUSALS)
    assert ran.err == "6 lines, 4 would be refused\n"


def test_a_line_without_an_end_is_refused_in_bounded_memory(
    afterword: "Afterword", tmp_path: Path
) -> None:
    """Once, whatever its length, and the line after it is read as usual."""
    path = tmp_path / "endless.jsonl"
    path.write_bytes(b"x" * 5_000_000 + b"\n[]\n")

    ran = afterword("check", str(path))

    assert ran.status == 1
    assert [line.partition(":")[0] for line in ran.out.splitlines()] == ["line 1", "line 2"]
    assert "[too_large at $]" in ran.out.splitlines()[0]


def test_check_of_good_lines_is_silent(
    afterword: "Afterword", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status 0, and the count on stderr; from stdin too."""
    feed(monkeypatch, numbered(range(3)))
    ran = afterword("check", "-")
    assert (ran.status, ran.out, ran.err) == (0, "", "3 lines, 0 would be refused\n")


@pytest.mark.parametrize("command", ["check", "publish"])
def test_a_file_that_cannot_be_read_is_named(afterword: "Afterword", command: str) -> None:
    """With the system's reason, status 2, and nothing else."""
    ran = afterword(command, "missing.jsonl")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == "afterword: missing.jsonl cannot be read: No such file or directory.\n"
    ran = afterword(command, ".")
    assert (ran.status, ran.err) == (2, "afterword: . cannot be read: Is a directory.\n")


def test_escape_codes_in_a_key_do_not_reach_the_terminal(
    afterword: "Afterword", monkeypatch: pytest.MonkeyPatch
) -> None:
    """The path of a fault shows the event's keys, which are anybody's."""
    feed(monkeypatch, b'{"\\u001b[2J": 1}')
    ran = afterword("check", "-")
    assert ran.status == 1
    assert "\x1b" not in ran.out


@pytest.mark.services
def test_publish_leaves_out_what_would_be_refused(
    afterword: "Afterword", mixed: str, pipeline: "InProcessPipeline", database_of: ClickHouse
) -> None:
    """The rest arrives; the lines left out are named on stderr, with status 1."""
    ran = afterword("publish", mixed)
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.splitlines() == [
        *REFUSALS,
        "publishing: 6 done",
        "2 published, 4 refused, 0 failed",
    ]
    assert pipeline.ingest(2) == (2, 0)
    assert database_of.select("SELECT value FROM feedback_current ORDER BY value") == ((1,), (2,))


@pytest.mark.services
def test_a_file_published_twice_counts_once(
    afterword: "Afterword",
    pipeline: "InProcessPipeline",
    database_of: ClickHouse,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The same feedback_id is the same event, from a file or from stdin."""
    feed(monkeypatch, numbered(range(50)))
    assert afterword("publish", "-").status == 0
    Path("again.jsonl").write_bytes(numbered(range(50)))
    ran = afterword("publish", "again.jsonl")
    assert (ran.status, ran.out) == (0, "")
    assert ran.err.splitlines() == ["publishing: 50 done", "50 published, 0 refused, 0 failed"]
    assert pipeline.ingest(100) == (100, 0)
    assert database_of.select("SELECT count() FROM feedback_current") == ((50,),)


@pytest.mark.services
def test_an_empty_file_publishes_nothing(afterword: "Afterword", topic_set: str) -> None:
    """That is no failure."""
    assert topic_set
    Path("empty.jsonl").touch()
    ran = afterword("publish", "empty.jsonl")
    assert (ran.status, ran.out) == (0, "")
    assert ran.err.splitlines() == ["publishing: 0 done", "0 published, 0 refused, 0 failed"]


@pytest.mark.services
def test_only_the_first_20_refusals_are_shown(afterword: "Afterword", topic_set: str) -> None:
    """A file of another kind must not fill the screen."""
    assert topic_set
    Path("other.csv").write_text("a,b\n" * 30)
    lines = afterword("publish", "other.csv").err.splitlines()
    assert len(lines) == 23
    assert lines[-2:] == [
        "0 published, 30 refused, 0 failed",
        "only the first 20 refusals are shown; see `afterword check`",
    ]


@pytest.mark.services
def test_a_file_faster_than_kafka_waits_for_room(
    afterword: "Afterword", topic_set: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full queue is no failure: nothing is lost, and nothing counts as failed."""
    assert topic_set
    kafka = {"queue.buffering.max.messages": 100, "linger.ms": 50}
    monkeypatch.setenv("AFTERWORD_KAFKA", json.dumps(kafka))
    Path("many.jsonl").write_bytes(numbered(range(2_000)))
    ran = afterword("publish", "many.jsonl")
    assert (ran.status, ran.err.splitlines()[-1]) == (0, "2,000 published, 0 refused, 0 failed")


@pytest.mark.services
def test_a_topic_that_does_not_exist_is_named_at_once(
    afterword: "Afterword", topic_set: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is read or sent, and the status says that the user must change something."""
    assert topic_set
    monkeypatch.setenv("AFTERWORD_KAFKA_TOPIC", "no-such-topic")
    feed(monkeypatch, numbered(range(3)))
    ran = afterword("publish", "-")
    assert ran.status == 2
    assert ran.err.startswith("afterword: Topic no-such-topic does not exist on 127.0.0.1:")


def test_a_broker_that_is_away_is_named_before_anything_is_read(
    afterword: "Afterword", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Within the time for one answer, with status 1."""
    monkeypatch.setattr(lag, "_TIMEOUT_S", 0.2)
    monkeypatch.setenv("AFTERWORD_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    feed(monkeypatch, numbered(range(3)))
    ran = afterword("publish", "-")
    assert (ran.status, ran.out) == (1, "")
    assert ran.err.startswith("afterword: Kafka at 127.0.0.1:1 does not answer; see `afterword")


def test_a_broker_that_goes_away_ends_it_in_time(
    afterword: "Afterword", monkeypatch: pytest.MonkeyPatch
) -> None:
    """What was not delivered is counted and said, with status 1."""
    monkeypatch.setattr(events, "find_partitions", lambda *_: [])
    monkeypatch.setattr(events, "_TAKES_NOTHING_S", 0.2)
    monkeypatch.setenv("AFTERWORD_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    feed(monkeypatch, numbered(range(3)))
    ran = afterword("publish", "-")
    assert ran.status == 1
    assert ran.err.splitlines()[1] == "0 published, 0 refused, 3 failed"
    monkeypatch.setenv("AFTERWORD_KAFKA", '{"queue.buffering.max.messages": 2}')
    feed(monkeypatch, numbered(range(3)))
    ran = afterword("publish", "-")
    assert ran.status == 1
    assert ran.err.splitlines() == [
        "0 published, 0 refused, 2 failed",
        "afterword: Kafka took nothing for 0 s; see `afterword doctor`.",
    ]
