"""rejected list, show, replay and edit: from a refused message back onto the topic, once."""

import os
import pty
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from io import BytesIO, TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from confluent_kafka import Consumer, Message
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from tests.topics import recreate_topic

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_consumers.kafka.lag import read_lag
from afterword_schemas import to_ms
from afterword_stack.commands import rejected
from afterword_stack.settings import Settings

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword, InProcessPipeline

pytestmark = pytest.mark.services

GOOD = b'{"feedback_id":"5f0e2f0a-0000-4000-8000-%012d","project":"p","trace_id":"t","value":1}'
UNKNOWN = GOOD % 1 + b"}"
TWICE = GOOD[:-1] % 2 + b',"feedback":{"rating":true,"rating":false}}'
HOSTILE = b'{"feedback": "\x1b[2J \xff \x9b \\ud800", \r\n "x": 1}'


def messages(settings: Settings, count: int) -> list[tuple[object, object, object]]:
    """Return headers, key and payload of the first messages of the topic, which has one partition in use."""
    consumer = Consumer(
        {
            "bootstrap.servers": settings.kafka_bootstrap_servers,
            "group.id": f"{settings.kafka_topic}-reader",
            "auto.offset.reset": "earliest",
        }
    )
    consumer.subscribe([settings.kafka_topic])
    found: list[Message] = []
    while len(found) < count:
        found += consumer.consume(count - len(found), 10)
    assert consumer.consume(1, 0.2) == []
    consumer.close()
    return [(message.headers(), message.key(), message.value()) for message in found]


def partition_of(settings: Settings) -> int:
    """Return the partition that the key of these tests meets."""
    (used,) = (
        at.partition
        for at in read_lag(settings.kafka_bootstrap_servers, settings.kafka_topic, "none", {})
        if at.end
    )
    return used


def place_of(afterword: "Afterword", code: str) -> str:
    """Return where the one message with a code stands, as the list shows it."""
    lines = afterword("rejected", "list", "--code", code).out.splitlines()
    return lines[-1].split()[0]


def test_nothing_was_refused_yet(afterword: "Afterword", settings: Settings) -> None:
    """That is said, and is no failure."""
    assert settings.kafka_topic
    ran = afterword("rejected", "list")
    assert (ran.status, ran.out, ran.err) == (0, "", "no message on the topic was refused\n")
    ran = afterword("rejected", "replay", "--yes")
    assert (ran.status, ran.out) == (0, "0 messages published again\n")


def test_the_list_counts_and_shows_the_newest(
    afterword: "Afterword", pipeline: "InProcessPipeline"
) -> None:
    """By reason, then each with its place, which `show` takes."""
    pipeline.publish(TWICE, UNKNOWN, UNKNOWN)
    assert pipeline.ingest(3) == (0, 3)
    ran = afterword("rejected", "list", "--limit", "2")
    lines = ran.out.splitlines()
    assert lines[:3] == [
        "code           messages  not replayed",
        "invalid_json          2             2",
        "duplicate_key         1             1",
    ]
    assert lines[4].split() == ["at", "rejected", "replayed", "code", "path", "why"]
    assert [row.split()[3:5] for row in lines[5:]] == [["no", "invalid_json"]] * 2
    assert ran.err == "`afterword rejected show PARTITION:OFFSET` prints one whole\n"
    ran = afterword("rejected", "list", "--code", "too_deep")
    assert ran.err == "no refused message has the code too_deep\n"


def test_a_message_is_shown_as_it_came(
    afterword: "Afterword", pipeline: "InProcessPipeline"
) -> None:
    """Also a key that is there twice, which is why it was refused."""
    pipeline.publish(TWICE, key=b"k-1", headers=[("schema", b"feedback/v1")])
    pipeline.ingest(1)
    ran = afterword("rejected", "show", place_of(afterword, "duplicate_key"))
    assert ran.status == 0
    fields = dict(row.split(maxsplit=1) for row in ran.out.splitlines()[:-1])
    assert fields["topic"].startswith(f"{pipeline.settings.kafka_topic} (")
    assert fields["replayed"] == "no"
    assert fields["why"].endswith("[duplicate_key at $.feedback.rating]")
    assert fields["key"] == "k-1"
    assert fields["header"] == "schema: feedback/v1"
    assert fields["payload"] == "135 bytes"
    assert ran.out.splitlines()[-1] == TWICE.decode()


def test_bytes_that_command_terminals_are_shown_as_escapes(
    afterword: "Afterword", pipeline: "InProcessPipeline", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Payload, key, header and path; `--raw` gives the payload byte for byte."""
    key = b'{"a":\n\x1b]0;x\x07}'
    pipeline.publish(HOSTILE, key=key, headers=[("x\x1b[31m", b"\xff\x1b[0m")])
    pipeline.ingest(1)
    place = place_of(afterword, "invalid_utf8")
    shown = afterword("rejected", "show", place).out
    assert all(char.isprintable() or char == "\n" for char in shown)
    assert '{"feedback": "\\x1b[2J \\xff \\x9b \\ud800", \\r\n "x": 1}' in shown
    assert 'key       {"a":\\n\\x1b]0;x\\x07}\n' in shown
    assert "header    x\\x1b[31m: \\xff\\x1b[0m\n" in shown
    raw = BytesIO()
    monkeypatch.setattr(sys, "stdout", TextIOWrapper(raw))
    assert afterword("rejected", "show", place, "--raw").status == 0
    assert raw.getvalue() == HOSTILE


def test_a_replay_puts_messages_back_as_they_were(
    afterword: "Afterword", pipeline: "InProcessPipeline"
) -> None:
    """Key, payload, and headers with a mark; and a second replay moves nothing, also of what is bad."""
    headers = [("schema", b"feedback/v1"), ("bin", b"\xff\x00")]
    pipeline.publish(HOSTILE, key=b"\xfe\x00k", headers=headers)
    pipeline.publish(GOOD % 7, UNKNOWN, key=b"\xfe\x00k")
    assert pipeline.ingest(3) == (1, 2)
    ran = afterword("rejected", "replay", "--yes")
    assert (ran.status, ran.out) == (0, "2 messages published again\n")
    assert afterword("rejected", "replay", "--yes").out == "0 messages published again\n"
    found = messages(pipeline.settings, 5)
    places = b"%d" % partition_of(pipeline.settings)
    marks = [("afterword-replay-of", places + b":0"), ("afterword-replay-of", places + b":2")]
    assert found[3] == ([*headers, marks[0]], b"\xfe\x00k", HOSTILE)
    assert found[4] == ([marks[1]], b"\xfe\x00k", UNKNOWN)
    assert pipeline.ingest(2) == (0, 2)
    ran = afterword("rejected", "replay", "--yes")
    assert ran.out == "0 messages published again\n"
    hint = "2 messages were refused once more after a replay; --again includes such messages\n"
    assert ran.err == hint
    assert afterword("rejected", "replay", "--dry-run").err == hint
    counted = afterword("rejected", "list", "--waiting").out.splitlines()
    assert [row.split()[:3] for row in counted[1:3]] == [
        ["invalid_json", "2", "0"],
        ["invalid_utf8", "2", "0"],
    ]
    shown = afterword("rejected", "list").out.splitlines()[5:]
    said = sorted(re.findall(r"  (yes|no|refused again)  ", "\n".join(shown)))
    assert said == ["refused again", "refused again", "yes", "yes"]
    place = shown[0].split()[0]
    assert "\nreplayed  refused again\n" in afterword("rejected", "show", place).out
    assert afterword("rejected", "replay", "--again", "--yes").out == "2 messages published again\n"
    ran = afterword("rejected", "replay", "--again", "--yes")
    assert (ran.out, ran.err) == ("0 messages published again\n", "")


def test_a_replay_keeps_the_time_of_the_first_publishing(
    afterword: "Afterword", pipeline: "InProcessPipeline", database_of: ClickHouse
) -> None:
    """Or old feedback that carries no time of its own would overrule what was said since."""
    old, new = GOOD % 1, (GOOD % 1).replace(b'"value":1', b'"value":-5')
    assert new != old
    database_of.command("ALTER TABLE feedback ADD CONSTRAINT c CHECK value != 1")
    pipeline.publish(old)
    assert pipeline.ingest(1) == (0, 1)
    database_of.command("ALTER TABLE feedback DROP CONSTRAINT c")
    pipeline.publish(new)
    assert pipeline.ingest(1) == (1, 0)

    assert afterword("rejected", "replay", "--yes").out == "1 message published again\n"
    assert pipeline.ingest(1) == (1, 0)

    assert database_of.select("SELECT value FROM feedback_current") == ((-5,),)


def test_what_became_valid_is_stored_by_a_replay(
    afterword: "Afterword", pipeline: "InProcessPipeline", monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when a newer worker knows the field: it is judged anew."""
    with monkeypatch.context() as older:
        older.setattr("afterword_schemas.limits.MAX_EVENT_BYTES", 10)
        older.setattr("afterword_schemas.event.MAX_EVENT_BYTES", 10)
        pipeline.publish(GOOD % 1)
        assert pipeline.ingest(1) == (0, 1)
    assert afterword("rejected", "replay", "--code", "unknown_field").out.startswith("0 messages")
    assert afterword("rejected", "replay", "--code", "too_large").out.startswith("1 message")
    assert pipeline.ingest(1) == (1, 0)


def test_a_replay_may_be_of_one_place(
    afterword: "Afterword", pipeline: "InProcessPipeline"
) -> None:
    """The others wait; the same place again is nothing to do, one that never was is a mistake."""
    pipeline.publish(UNKNOWN, TWICE)
    pipeline.ingest(2)
    place = place_of(afterword, "duplicate_key")
    assert afterword("rejected", "replay", "--at", place).out == "1 message published again\n"
    ran = afterword("rejected", "replay", "--at", place)
    assert (ran.status, ran.out) == (0, "0 messages published again\n")
    ran = afterword("rejected", "replay", "--at", "3:99")
    assert (ran.status, ran.out) == (2, "")
    assert "No refused message is at 3:99. See `afterword rejected list`." in ran.err


def test_a_place_in_two_topics_of_one_name_is_asked_about(
    afterword: "Afterword", pipeline: "InProcessPipeline"
) -> None:
    """Neither is published by guess; the topic's id chooses, and `show` prints both."""
    pipeline.publish(UNKNOWN)
    pipeline.ingest(1)
    settings = pipeline.settings
    recreate_topic(settings.kafka_bootstrap_servers, settings.kafka_topic, 4)
    pipeline.publish(TWICE)
    pipeline.ingest(1)
    place = place_of(afterword, "duplicate_key")
    assert place_of(afterword, "invalid_json") == place
    edited = afterword("rejected", "edit", place)
    replayed = afterword("rejected", "replay", "--at", place)
    for ran in (edited, replayed):
        assert (ran.status, ran.out) == (2, "")
        assert f"2 refused messages stand at {place}" in ran.err
    choices = re.findall(rf"{place}@\S+[^.\s]", replayed.err)
    assert len(choices) == 2
    assert [TWICE.decode() in afterword("rejected", "show", one).out for one in choices] == [
        True,
        False,
    ]
    assert afterword("rejected", "show", place).out.count("topic ") == 2
    ran = afterword("rejected", "replay", "--at", choices[1])
    assert (ran.status, ran.out) == (0, "1 message published again\n")
    assert messages(settings, 2)[-1][2] == UNKNOWN


def test_a_page_larger_than_the_queue_is_replayed(
    afterword: "Afterword", pipeline: "InProcessPipeline", monkeypatch: pytest.MonkeyPatch
) -> None:
    """A full queue is waited for."""
    pipeline.publish(*[UNKNOWN] * 30)
    assert pipeline.ingest(30) == (0, 30)
    monkeypatch.setenv("AFTERWORD_KAFKA", '{"queue.buffering.max.messages": 10}')
    assert afterword("rejected", "replay", "--yes").out == "30 messages published again\n"


def test_a_replay_is_counted_before_it_is_done(
    afterword: "Afterword", pipeline: "InProcessPipeline"
) -> None:
    """A dry run publishes nothing; without a choice, nobody at a terminal and no --yes nor does the real one."""
    pipeline.publish(TWICE, UNKNOWN, UNKNOWN)
    assert pipeline.ingest(3) == (0, 3)
    ran = afterword("rejected", "replay", "--dry-run")
    assert (ran.status, ran.out.splitlines()) == (
        0,
        [
            "code           messages",
            "invalid_json          2",
            "duplicate_key         1",
            "3 messages would be published again",
        ],
    )
    ran = afterword("rejected", "replay", "--dry-run", "--code", "duplicate_key")
    assert ran.out.endswith("\n1 message would be published again\n")
    ran = afterword("rejected", "replay")
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == (
        "afterword: This would publish all refused messages again, 3 of them. "
        "Add --yes, or choose with --code or --at; --dry-run counts them.\n"
    )
    assert len(messages(pipeline.settings, 3)) == 3


@pytest.mark.parametrize(("said", "published"), [("n", 0), ("y", 2)])
def test_on_a_terminal_a_replay_asks_first(
    pipeline: "InProcessPipeline", said: str, published: int
) -> None:
    """With the counts above the question; no is no."""
    pipeline.publish(UNKNOWN, UNKNOWN)
    assert pipeline.ingest(2) == (0, 2)
    here, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "afterword_stack", "rejected", "replay"],
        stdin=terminal,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    os.write(here, f"{said}\n".encode())
    out, err = process.communicate(timeout=60)
    os.close(here)
    os.close(terminal)
    assert err.startswith("code          messages\ninvalid_json         2\n")
    assert "Publish 2 messages again? [y/N]:" in err
    assert process.returncode == (0 if published else 1)
    assert ("2 messages published again\n" in out) is bool(published)
    assert len(messages(pipeline.settings, 2 + published)) == 2 + published


@pytest.fixture
def editor(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[bytes, bytes], None]:
    """`editor(b"old", b"new")`: the editor of the user replaces this, and adds a newline as editors do."""

    def use(old: bytes, new: bytes) -> None:
        script = tmp_path / "editor.py"
        script.write_text(
            "import pathlib, sys\n"
            "file = pathlib.Path(sys.argv[1])\n"
            f"file.write_bytes(file.read_bytes().replace({old!r}, {new!r}) + b'\\n')\n"
        )
        monkeypatch.setenv("EDITOR", f"{sys.executable} '{script}'")

    return use


def test_a_mended_message_takes_the_place_of_the_refused_one(
    afterword: "Afterword",
    pipeline: "InProcessPipeline",
    database_of: ClickHouse,
    editor: Callable[[bytes, bytes], None],
) -> None:
    """With its time and headers, and the key that its event needs; the other counts as replayed."""
    pipeline.publish(UNKNOWN, key=b"wrong", headers=[("schema", b"feedback/v1")])
    assert pipeline.ingest(1) == (0, 1)
    place = place_of(afterword, "invalid_json")
    editor(b"}}", b"}")
    ran = afterword("rejected", "edit", place)
    assert (ran.status, ran.out) == (
        0,
        f"5f0e2f0a-0000-4000-8000-000000000001 published in place of {place}\n",
    )
    assert "[invalid_json at $]\n" in ran.err
    assert pipeline.ingest(1) == (1, 0)
    found = messages(pipeline.settings, 2)  # by its new key it may be on another partition
    headers, key, payload = max(found, key=lambda message: message[1] != b"wrong")
    mark = ("afterword-replay-of", place.encode())
    assert (headers, payload) == ([("schema", b"feedback/v1"), mark], GOOD % 1)
    assert key == b"5f0e2f0a-0000-4000-8000-000000000001"
    assert database_of.select("SELECT value FROM feedback_current") == ((1,),)
    assert afterword("rejected", "replay", "--yes").out == "0 messages published again\n"
    ran = afterword("rejected", "edit", place)
    assert (ran.status, ran.err) == (
        2,
        f"afterword: The message at {place} was published again before. Add --again.\n",
    )


def test_an_edited_message_that_is_still_wrong_is_not_published(
    afterword: "Afterword",
    pipeline: "InProcessPipeline",
    editor: Callable[[bytes, bytes], None],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    """It is judged before, and kept where its writer finds it; unchanged text is no mend."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    pipeline.publish(UNKNOWN)
    assert pipeline.ingest(1) == (0, 1)
    place = place_of(afterword, "invalid_json")
    editor(b'"trace_id"', b'"trace"')
    ran = afterword("rejected", "edit", place)
    assert (ran.status, ran.out) == (1, "")
    assert "[invalid_json at $]" in ran.err.splitlines()[-1]
    (kept,) = tmp_path.glob("afterword-*.json")
    assert f"your text is in {kept}; `afterword rejected edit {place} --from {kept}`" in ran.err
    editor(b"nothing of it", b"")
    assert afterword("rejected", "edit", place).status == 1
    assert len(messages(pipeline.settings, 1)) == 1


def test_a_change_that_was_too_old_goes_in_with_a_later_time(
    afterword: "Afterword", pipeline: "InProcessPipeline", database_of: ClickHouse
) -> None:
    """The time that a person writes counts, though the first message was published before it."""
    change = GOOD[:-1] % 1 + b',"op":"patch","updated_at":"%s"}'
    change = change.replace(b'"value":1', b'"value":2')
    key, now = b"5f0e2f0a-0000-4000-8000-000000000001", datetime.now(UTC)
    minute = timedelta(minutes=1)
    pipeline.publish(GOOD % 1, key=key, timestamp_ms=to_ms(now - 10 * minute))
    old = (now - 20 * minute).isoformat().encode()
    pipeline.publish(change % old, key=key, timestamp_ms=to_ms(now - 20 * minute))
    assert pipeline.ingest(2) == (1, 1)
    place = place_of(afterword, "older_than_stored")
    Path("later.json").write_bytes(change % now.isoformat().encode())
    assert afterword("rejected", "edit", place, "--from", "later.json").status == 0
    assert pipeline.ingest(1) == (1, 0)
    assert database_of.select("SELECT value FROM feedback_current") == ((2,),)


def test_a_mended_message_may_come_from_a_file(
    afterword: "Afterword", pipeline: "InProcessPipeline", monkeypatch: pytest.MonkeyPatch
) -> None:
    """For scripts, and where there is no editor, which is said."""
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.delenv("EDITOR", raising=False)
    pipeline.publish(UNKNOWN)
    assert pipeline.ingest(1) == (0, 1)
    place = place_of(afterword, "invalid_json")
    ran = afterword("rejected", "edit", place)
    assert ran.status == 2
    assert "There is no editor. Set EDITOR, or give the payload with --from FILE." in ran.err
    monkeypatch.setattr(tempfile, "tempdir", str(Path.cwd()))
    Path("mended.json").write_bytes(TWICE)
    ran = afterword("rejected", "edit", place, "--from", "mended.json")
    assert ran.status == 1
    wrong, why = ran.err.splitlines()[-2:]
    assert wrong == "mended.json would be refused again, so nothing was published; correct it there"
    assert "[duplicate_key at $" in why
    assert list(Path.cwd().glob("afterword-*.json")) == []
    Path("mended.json").write_bytes(GOOD % 1 + b"\n")
    assert afterword("rejected", "edit", place, "--from", "mended.json").status == 0
    assert pipeline.ingest(1) == (1, 0)


def test_what_kafka_refuses_for_good_is_not_said_to_be_worth_another_try(
    afterword: "Afterword", pipeline: "InProcessPipeline", settings: Settings
) -> None:
    """The topic takes less than it did: the sentence says so, and how to replay the others."""
    pipeline.publish(UNKNOWN + os.urandom(30_000).hex().encode())
    pipeline.ingest(1)
    limit = ConfigEntry("max.message.bytes", "20000", incremental_operation=AlterConfigOpType.SET)
    topic = ConfigResource(ResourceType.TOPIC, settings.kafka_topic, incremental_configs=[limit])
    admin = AdminClient({"bootstrap.servers": settings.kafka_bootstrap_servers})
    for done in admin.incremental_alter_configs([topic]).values():
        done.result()
    ran = afterword("rejected", "replay", "--yes")
    assert (ran.status, ran.out) == (1, "")
    assert "Kafka refuses one of these messages for good; replay the others by --at" in ran.err


def test_what_kafka_did_not_take_is_not_marked(
    afterword: "Afterword", pipeline: "InProcessPipeline", monkeypatch: pytest.MonkeyPatch
) -> None:
    """An outage in the middle of a replay loses nothing: the next one publishes it."""
    pipeline.publish(UNKNOWN)
    pipeline.ingest(1)
    with monkeypatch.context() as outage:
        outage.setattr(rejected, "find_partitions", lambda *_: [])
        outage.setattr(rejected, "_FLUSH_S", 0.2)
        outage.setenv("AFTERWORD_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
        ran = afterword("rejected", "replay", "--yes")
    assert (ran.status, ran.out) == (1, "")
    assert "Kafka did not take all of them, replay again later: " in ran.err
    assert afterword("rejected", "replay", "--yes").out == "1 message published again\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["list", "--code", "unknwon"], "There is no code unknwon. Codes: empty_message, "),
        (["replay", "--code", "unknwon"], "There is no code unknwon. Codes: empty_message, "),
        (["replay", "--at", "3"], "3 is not a place. Write PARTITION:OFFSET, such as 3:1042."),
        (["show", "1:2:3"], "1:2:3 is not a place. Write PARTITION:OFFSET, such as 3:1042."),
        (["edit", "0:77"], "No refused message is at 0:77. See `afterword rejected list`."),
        (["show", "0:77"], "No refused message is at 0:77. See `afterword rejected list`."),
    ],
)
def test_a_wrong_code_or_place_is_the_users_to_change(
    afterword: "Afterword", settings: Settings, arguments: list[str], said: str
) -> None:
    """Status 2, and what may be written."""
    assert settings.kafka_topic
    ran = afterword("rejected", *arguments)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err.startswith(f"afterword: {said}")
