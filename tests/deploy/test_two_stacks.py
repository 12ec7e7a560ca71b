"""Two stacks on one machine: each command, gateway and key belongs to the stack of its data folder."""

import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack
from http import HTTPStatus
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.waiting import wait_until

from afterword_stack.local.stack import LocalStack
from afterword_stack.run.pipeline import Pipeline
from afterword_stack.settings import load_settings

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword

EVENT = (
    '{"feedback_id":"5f0e2f0a-0000-4000-8000-000000000001","project":"p","trace_id":"t","value":1}'
)
NAMES = ("first", "second")


@pytest.fixture
def stacks(
    tmp_path: Path, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[dict[str, Pipeline]]:
    """Two running stacks, started one after the other, each as `afterword up` starts it."""
    assert own_folders.is_dir()
    running: dict[str, Pipeline] = {}
    with ExitStack() as stack:
        for name in NAMES:
            monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / name))
            made = Pipeline(LocalStack(), load_settings(), servers=True)
            running[name] = stack.enter_context(made)
        yield running


def send(gateway: str, key: str) -> int:
    """Send an event with a key, and return the status of the answer."""
    request = urllib.request.Request(
        f"{gateway}/v1/feedback",
        b'{"trace_id": "t", "value": 1}',
        {"content-type": "application/json", "authorization": f"Bearer {key}"},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        error.close()
        return error.code


@pytest.mark.services
def test_two_stacks_never_mix(
    afterword: "Afterword",
    stacks: dict[str, Pipeline],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A command talks to the stack of its folder and says so, and a key opens one gateway alone."""
    Path("event.jsonl").write_text(EVENT)
    keys: dict[str, str] = {}
    for name in NAMES:
        folder = tmp_path / name / "afterword"
        monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / name))
        made = afterword("keys", "create", "--project", "p", "--scope", "write")
        assert f"is in {folder}/afterword.keys.json" in made.err
        keys[name] = made.out.strip()
        said = afterword("status").err.splitlines()
        servers = stacks[name].settings.kafka_bootstrap_servers
        assert said[0] == f"using the local stack on {folder}"
        assert said[1].startswith(f"Kafka {servers}, ClickHouse {stacks[name].settings.clickhouse}")
    for key in NAMES:
        for gateway in NAMES:
            fits = HTTPStatus.OK if key == gateway else HTTPStatus.UNAUTHORIZED
            assert send(stacks[gateway].gateway_url, keys[key]) == fits
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "first"))
    assert afterword("publish", "event.jsonl").status == 0
    wait_until(lambda: afterword("query", "count", "-f", "csv").out == "type,n\ncount,2\n")
    stacks["first"].check()
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "second"))
    assert "2" not in afterword("query", "count", "-f", "csv").out
