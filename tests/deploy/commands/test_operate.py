"""migrate, status, doctor and schema: what stands, what is missing, and what to do."""

import json
import re
from typing import TYPE_CHECKING

import clickhouse_connect
import pytest

from afterword_consumers.kafka import lag
from afterword_schemas.migrate import migrations
from afterword_stack.local.clickhouse import ClickHouseNode
from afterword_stack.local.kafka import KafkaNode
from afterword_stack.run import doctor
from afterword_stack.settings import Settings

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword, InProcessPipeline

NAMES = [migration.name for migration in migrations()]
GOOD = (
    b'{"feedback_id":"5f0e2f0a-0000-4000-8000-000000000001","project":"p","trace_id":"t","value":1}'
)


@pytest.fixture
def absent(clickhouse: ClickHouseNode, database_set: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """The name of a database that does not exist."""
    name = f"{database_set}_new"
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_DATABASE", name)
    return name


def tables(clickhouse: ClickHouseNode, database: str) -> list[str]:
    """Return the names of the tables of a database."""
    with clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port) as client:
        found = client.query(
            "SELECT name FROM system.tables WHERE database = {d:String}", {"d": database}
        )
    return [row[0] for row in found.result_rows]


def drop(clickhouse: ClickHouseNode, database: str) -> None:
    """Remove a database that a test made."""
    with clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port) as client:
        client.command(f"DROP DATABASE {database} SYNC")


@pytest.mark.services
def test_migrate_makes_the_database_once(
    afterword: "Afterword", clickhouse: ClickHouseNode, absent: str
) -> None:
    """The first time names what was run, the second that nothing was left to do."""
    ran = afterword("migrate")
    where = f"{clickhouse.url}/?database={absent} is up to date\n"
    assert (ran.status, ran.out.splitlines(), ran.err) == (0, NAMES, where)
    ran = afterword("migrate")
    assert (ran.status, ran.out, ran.err) == (0, "", where)
    ran = afterword("migrate", "--dry-run")
    assert (ran.status, ran.out, ran.err) == (0, "", where)
    drop(clickhouse, absent)


@pytest.mark.services
def test_a_dry_run_prints_what_would_be_run_and_runs_nothing(
    afterword: "Afterword", clickhouse: ClickHouseNode, absent: str
) -> None:
    """What it prints makes the same tables when an administrator pastes it."""
    ran = afterword("migrate", "--dry-run")
    assert (ran.status, ran.err) == (0, "nothing was run\n")
    assert ran.out.startswith(f"CREATE DATABASE IF NOT EXISTS {absent};\n\nUSE {absent};\n")
    assert [name for name in NAMES if f"VALUES ('{name}'" in ran.out] == NAMES
    assert tables(clickhouse, absent) == []
    with clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port) as client:
        client.command(f"CREATE DATABASE {absent}")
    with clickhouse_connect.get_client(
        host=clickhouse.host, port=clickhouse.port, database=absent
    ) as client:
        for statement in ran.out.split(";\n"):
            if statement.strip():
                client.command(statement)
    pasted = tables(clickhouse, absent)
    drop(clickhouse, absent)
    afterword("migrate")
    assert sorted(pasted) == sorted(tables(clickhouse, absent))
    drop(clickhouse, absent)


@pytest.mark.services
@pytest.mark.parametrize("command", ["status", "paths", "query count", "rejected list"])
def test_a_database_without_tables_says_what_to_run(
    afterword: "Afterword", topic_set: str, absent: str, command: str
) -> None:
    """Not ClickHouse's own words, and with the status of what the user must change."""
    assert topic_set
    ran = afterword(*command.split())
    assert ran.status == 2
    assert (
        f"?database={absent} lacks tables of Afterword. Run `afterword migrate`, or set" in ran.err
    )
    assert "Exception" not in ran.err


def test_a_clickhouse_that_is_away_is_named(
    afterword: "Afterword", monkeypatch: pytest.MonkeyPatch
) -> None:
    """By its address, with status 1: it may be back soon."""
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", "http://127.0.0.1:1")
    for command in ("migrate", "paths", "rejected list"):
        ran = afterword(*command.split())
        assert (ran.status, ran.out) == (1, "")
        assert ran.err == (
            "afterword: ClickHouse at http://127.0.0.1:1 does not answer; see `afterword doctor`\n"
        )


@pytest.mark.services
def test_status_says_how_far_everything_is(
    afterword: "Afterword", pipeline: "InProcessPipeline"
) -> None:
    """What waits, what is stored, until when that is complete, and what was refused for which reason."""
    pipeline.publish(GOOD, b"{}", b"[]")
    ran = afterword("status")
    assert ran.status == 0
    assert ran.out.splitlines()[-2:] == [
        "0 feedbacks stored; 3 messages wait",
        "No worker has read this topic yet.",
    ]
    pipeline.ingest(3)
    said = afterword("status").out.splitlines()
    assert said[0].split() == ["partition", "end", "committed", "lag"]
    assert max(row.split()[1:] for row in said[1:5]) == ["3", "3", "0"]
    assert said[6].startswith("1 feedback stored, the last at 20")
    assert said[6].endswith(" UTC; 0 messages wait")
    assert re.fullmatch(r"complete until 20\S+Z", said[7])
    assert said[9:] == [
        "rejected for   messages  not replayed",
        "missing_field         1             1",
        "not_an_object         1             1",
    ]


@pytest.mark.services
def test_the_doctor_finds_nothing_wrong(afterword: "Afterword", settings: Settings) -> None:
    """Each part in a line with its address and version, and status 0."""
    ran = afterword("doctor")
    lines = ran.out.splitlines()
    assert (ran.status, ran.err) == (0, "")
    assert [row[0] for row in lines] == ["✓"] * 5
    assert lines[0].startswith("✓ Python 3.")
    assert lines[2] == (
        f"✓ Kafka {settings.kafka_bootstrap_servers}, topic {settings.kafka_topic}: "
        "4 partitions, 0 messages wait for a worker"
    )
    assert lines[3].startswith(f"✓ ClickHouse {settings.clickhouse}: version 2")
    assert lines[4] == "✓ tables: up to date"


@pytest.mark.services
def test_the_doctor_names_what_the_topic_is_set_to(
    afterword: "Afterword", settings: Settings, kafka: KafkaNode, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where it takes less than Afterword accepts, with the command that changes it."""
    small = f"{settings.kafka_topic}-small"
    kafka.create_topic(small, config={"max.message.bytes": "20000"})
    monkeypatch.setenv("AFTERWORD_KAFKA_TOPIC", small)
    ran = afterword("doctor")
    assert ran.status == 0
    assert ran.out.splitlines()[3:5] == [
        (
            f"! max.message.bytes of topic {small} is 20,000: Kafka refuses events that Afterword "
            "accepts, which may have 1,000,000 bytes."
        ),
        (
            "    → Change it: kafka-configs.sh --alter --entity-type topics "
            f"--entity-name {small} --add-config max.message.bytes=1048588"
        ),
    ]


@pytest.mark.services
def test_the_doctor_names_missing_tables(
    afterword: "Afterword", topic_set: str, absent: str
) -> None:
    """All of them where the database does not exist, and what to run; nothing is created."""
    assert topic_set
    assert absent
    ran = afterword("doctor")
    assert ran.status == 2
    assert ran.out.splitlines()[-2:] == [
        f"✗ tables: {', '.join(NAMES)} not applied",
        "    → run `afterword migrate`",
    ]


@pytest.mark.services
def test_the_doctor_names_a_missing_topic(
    afterword: "Afterword", settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And goes on: what is wrong in one place does not hide the next."""
    monkeypatch.setenv("AFTERWORD_KAFKA_TOPIC", "no-such-topic")
    monkeypatch.setenv("AFTERWORD_KAFKA_TOPCI", "x")
    ran = afterword("doctor")
    where = settings.kafka_bootstrap_servers
    assert ran.status == 2
    assert ran.out.splitlines()[1:3] == [
        "! AFTERWORD_KAFKA_TOPCI is not a setting",
        "    → is it AFTERWORD_KAFKA_TOPIC?",
    ]
    assert (
        f"✗ Kafka {where}, topic no-such-topic: Topic no-such-topic does not exist on {where}.\n"
        "    → Create it, or set AFTERWORD_KAFKA_TOPIC to another.\n"
    ) in ran.out
    assert ran.out.endswith("✓ tables: up to date\n")


def test_the_doctor_names_every_part_that_is_away(
    afterword: "Afterword", monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each with what to do, and the settings that name it."""
    monkeypatch.setattr(lag, "_TIMEOUT_S", 0.2)
    monkeypatch.setattr(doctor, "find_java", lambda: None)
    monkeypatch.setenv("AFTERWORD_KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:1")
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_URL", "http://127.0.0.1:1")
    ran = afterword("doctor")
    assert ran.status == 2
    assert [row[0] for row in ran.out.splitlines() if row[0] != " "] == ["✓", "!", "✗", "✗"]
    assert "no Java for Kafka 4.3.1, so no `afterword demo` and `afterword up`" in ran.out
    assert "or set AFTERWORD_KAFKA_BOOTSTRAP_SERVERS\n" in ran.out
    assert "✗ Kafka at 127.0.0.1:1 does not answer\n" in ran.out
    assert "✗ ClickHouse at http://127.0.0.1:1 does not answer\n" in ran.out
    assert ran.out.endswith("or set AFTERWORD_CLICKHOUSE_URL\n")


@pytest.mark.services
def test_a_user_without_access_is_named(
    afterword: "Afterword", settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the settings to change, and without the password."""
    assert settings.kafka_topic
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_USER", "nobody")
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_PASSWORD", "hunter2")
    ran = afterword("paths")
    assert "hunter2" not in ran.out + ran.err
    assert ran.status == 2
    assert ran.err == (
        f"afterword: ClickHouse at {settings.clickhouse.server} refuses user 'nobody' or the "
        "password. Set AFTERWORD_CLICKHOUSE_USER and AFTERWORD_CLICKHOUSE_PASSWORD.\n"
    )


@pytest.mark.parametrize(
    ("document", "title"),
    [
        ("json", "Feedback event"),
        ("asyncapi", "Afterword feedback events"),
        ("openapi", "Afterword gateway"),
        ("openapi-dashboard", "Afterword dashboard"),
    ],
)
def test_schema_prints_a_document(afterword: "Afterword", document: str, title: str) -> None:
    """As JSON, on stdout alone."""
    ran = afterword("schema", document)
    found = json.loads(ran.out)
    assert (ran.status, ran.err) == (0, "")
    assert found.get("info", found)["title"] == title


def test_schema_names_its_documents(afterword: "Afterword") -> None:
    """Where another is asked for."""
    ran = afterword("schema", "avro")
    assert ran.status == 2
    assert "'json', 'asyncapi', 'openapi'" in ran.err
