"""consumers/docs/json-api.md says what happens: its commands run, and it names every route and parameter."""

import os
import re
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from afterword.gateway import KeyFile
from afterword_consumers.api import ErrorCode
from afterword_stack.run.dashboard import open_dashboard
from afterword_stack.run.dashboard_openapi import dashboard_openapi
from afterword_stack.settings import Settings

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword, InProcessPipeline

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "consumers" / "docs" / "json-api.md").read_text(encoding="utf-8")


@pytest.fixture
def address(
    settings: Settings, afterword: "Afterword", pipeline: "InProcessPipeline"
) -> Iterator[str]:
    """Where a dashboard runs over the example events, and nothing else."""
    published = afterword("publish", str(ROOT / "deploy/examples/feedback.jsonl"))
    assert published.status == 0
    assert pipeline.ingest(24) == (24, 0)
    settings = settings.model_copy(update={"dashboard_port": 0})
    with open_dashboard(settings, KeyFile(settings.gateway_keys_file)) as server:
        thread = threading.Thread(target=server.run)
        thread.start()
        yield server.address
        server.should_exit = True
        thread.join()


def said(command: str, address: str) -> str:
    """Run a command of the page as its reader would, and return what it prints."""
    return subprocess.run(
        ["bash", "-c", command],
        env={**os.environ, "DASHBOARD": address},
        capture_output=True,
        check=True,
        text=True,
    ).stdout


@pytest.mark.services
def test_the_curl_session_runs(address: str) -> None:
    """Each command answers what the page shows, where … stands for what is left out or differs."""
    session = "".join(re.findall(r"```console\n(.*?)```", PAGE, flags=re.DOTALL))
    steps = re.findall(r"^\$ (.*)\n((?:[^$].*\n)*)", session, flags=re.MULTILINE)
    assert len(steps) == 9
    for command, shown in steps:
        answer = said(command, address).strip()
        expected = re.escape(shown.strip()).replace("…", ".*")
        assert re.fullmatch(expected, answer, re.DOTALL), f"{command}\n{answer}"


def test_the_page_names_every_route_and_parameter() -> None:
    """And none besides."""
    named = set(re.findall(r"^\| `GET ([^`]+)`", PAGE, flags=re.MULTILINE))
    assert named == set(dashboard_openapi()["paths"])
    for path, described in dashboard_openapi()["paths"].items():
        row = next(line for line in PAGE.splitlines() if line.startswith(f"| `GET {path}`"))
        for one in described["get"].get("parameters", []):
            assert one["name"] == "project" or f"`{one['name']}`" in row, (path, one["name"])


def test_the_page_names_every_code() -> None:
    """And none besides, for programs look at them."""
    errors = PAGE.partition("## Errors")[2].partition("\n## ")[0]
    named = re.findall(r"`(\w+)`", "".join(re.findall(r"^\| \d+ \|([^|]+)", errors, re.MULTILINE)))
    assert sorted(named) == sorted(ErrorCode)
