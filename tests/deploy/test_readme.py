"""The front page says what happens: its commands, its snippet and its SQL run."""

import os
import re
import shlex
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from afterword_consumers.clickhouse.client import ClickHouse
from afterword_stack.settings import Settings

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword, InProcessPipeline

ROOT = Path(__file__).parents[2]
PICTURE = ROOT / ".github"
FEEDBACK_ID = "019c12e9-8b3d-7000-8000-000000000000"
README = (ROOT / "README.md").read_text(encoding="utf-8")

pytestmark = pytest.mark.services


def blocks(language: str, text: str = README) -> list[str]:
    """Return the code blocks in a language."""
    return re.findall(rf"```{language}\n(.*?)```", text, flags=re.DOTALL)


def test_the_commands_run(
    afterword: "Afterword",
    pipeline: "InProcessPipeline",
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What the second terminal is told to type works, in the order in which it stands there."""
    commands = re.findall(r"^    \.venv/bin/afterword (?!up)(.*)$", README, flags=re.MULTILINE)
    assert commands[0].startswith("publish")
    monkeypatch.chdir(tmp_path)
    for command in commands:
        ran = afterword(*shlex.split(command.replace("deploy/", f"{ROOT}/deploy/")))
        assert ran.status == 0, ran.err
        if command.startswith("publish"):
            assert pipeline.ingest(24) == (24, 0)


def test_the_snippet_and_the_sql_run(
    pipeline: "InProcessPipeline", settings: Settings, database_of: ClickHouse
) -> None:
    """What the snippet sends is what the SQL answers."""
    (python,), (sql,) = blocks("python"), blocks("sql")
    snippet = python.replace("localhost:9092", settings.kafka_bootstrap_servers).replace(
        'project="support-bot"', f'project="support-bot", topic="{settings.kafka_topic}"'
    )

    exec(compile(snippet, "README.md", "exec"), {})

    assert pipeline.ingest(3) == (3, 0)
    rows = database_of.select(sql.replace("numbers['feedback.score']", "weight"))
    assert {row[0]: row[1:] for row in rows} == {"aurora-2": (2, 1.0, 100.0), None: (1, 0.2, None)}


def said(command: str, address: str) -> str:
    """Run a command of a page as its reader would, and return what it prints."""
    environment = {**os.environ, "GATEWAY": address}
    return subprocess.run(
        ["bash", "-c", command], env=environment, capture_output=True, check=True, text=True
    ).stdout


@pytest.mark.parametrize(("page", "commands"), [("README.md", 1), ("producers/docs/gateway.md", 8)])
def test_the_curl_session_runs(
    page: str, commands: int, gateway_address: str, pipeline: "InProcessPipeline"
) -> None:
    """Each command answers what the page shows, where … stands for what differs each time."""
    session = "".join(blocks("console", (ROOT / page).read_text(encoding="utf-8")))
    steps = re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", session, flags=re.MULTILINE)
    assert len(steps) == commands
    published = 0
    for command, shown in steps:
        if command == f"curl $GATEWAY/v1/feedback/{FEEDBACK_ID}":
            pipeline.ingest(published)  # a worker has read what was published
        answer = said(command, gateway_address).strip()
        expected = re.escape(shown.strip()).replace("…", ".*")
        assert re.fullmatch(expected, answer), answer
        published += answer.count('"success"') + answer.count('"partial"')


def test_both_pictures_show_the_same() -> None:
    """The light and the dark picture differ in their colours alone."""
    pictures = [
        re.sub("#[0-9a-f]{3,6}", "#", (PICTURE / f"pipeline-{scheme}.svg").read_text("utf-8"))
        for scheme in ("light", "dark")
    ]
    assert pictures[0] == pictures[1]
