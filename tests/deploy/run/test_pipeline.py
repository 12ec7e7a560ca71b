"""Everything on one machine: started and stopped together, on its own settings, watched."""

import json
import os
import re
import signal
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import TYPE_CHECKING, Self

import psutil
import pytest
from tests.waiting import wait_until

from afterword_consumers.kafka.lag import read_lag
from afterword_schemas import ConfigurationError
from afterword_stack.local.stack import LocalStack, running_stack
from afterword_stack.run import pipeline as module
from afterword_stack.run.pipeline import Pipeline, _as_environment
from afterword_stack.run.restarts import Restarts
from afterword_stack.settings import Settings, default_settings, load_settings

if TYPE_CHECKING:
    from tests.deploy.conftest import Afterword

EVENT = (
    '{"feedback_id":"5f0e2f0a-0000-4000-8000-00000000000%d","project":"p","trace_id":"t","value":1}'
)


def test_settings_pass_to_another_process_whole(
    own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The password, the nested ones, and those that a file here would set otherwise."""
    changed = Settings(
        kafka_topic="t",
        kafka={"a.b": 1, "c": True},
        clickhouse_password="hunter2",
        retry_max_s=0.5,
        gateway_keys_file=own_folders / "keys.json",
    )
    for name, value in _as_environment(changed).items():
        monkeypatch.setenv(name, value)
    (own_folders / "afterword.toml").write_text('kafka_topic = "other"\n')
    assert load_settings() == changed
    assert load_settings().clickhouse.password == "hunter2"


def test_the_keys_file_is_the_same_one_for_a_process_in_another_folder(own_folders: Path) -> None:
    """A gateway of `afterword up` asks for the keys that `afterword keys create` made here."""
    passed = _as_environment(load_settings())
    assert passed["AFTERWORD_GATEWAY_KEYS_FILE"] == str(own_folders / "afterword.keys.json")


@pytest.fixture
def stack(tmp_path: Path, own_folders: Path) -> LocalStack:
    """A stack of this test's own, not started."""
    assert own_folders.is_dir()
    return LocalStack(tmp_path / "stack")


@pytest.mark.services
def test_a_pipeline_is_ready_once_it_is_entered(
    stack: LocalStack, own_folders: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Topic and tables stand and a worker runs, on no settings of the user's own servers."""
    monkeypatch.setenv("AFTERWORD_KAFKA", '{"security.protocol": "SSL"}')
    monkeypatch.setenv("AFTERWORD_CLICKHOUSE_USER", "me")
    (own_folders / "afterword.toml").write_text('[kafka]\nsecurity.protocol = "SSL"\n')
    others = set(psutil.Process().children(recursive=True))
    with Pipeline(stack, load_settings()) as pipeline:
        pipeline.check()
        settings = pipeline.settings
        assert (settings.kafka, settings.clickhouse.user) == ({}, "default")
        servers = settings.kafka_bootstrap_servers
        assert servers == stack.addresses.bootstrap_servers
        assert len(read_lag(servers, settings.kafka_topic, settings.kafka_group, {})) == 4
        assert pipeline._worker is not None
        wait_until(lambda: "assigned partitions" in pipeline.worker_says)
        pipeline.check()
        family = set(psutil.Process().children(recursive=True)) - others
    assert len(family) >= 4
    assert psutil.wait_procs(family, timeout=10)[1] == []


def check_for_ever(pipeline: Pipeline) -> None:
    """Look until something is wrong."""
    while True:
        pipeline.check()
        time.sleep(0.01)


@pytest.mark.services
@pytest.mark.parametrize(
    ("victim", "said"),
    [
        ("worker", "The worker has ended. The end of its log:\n"),
        ("clickhouse", "ClickHouse has ended. Its log is in "),
        ("kafka", "Kafka has ended. Its log is in "),
    ],
)
def test_a_part_that_ended_is_named(stack: LocalStack, victim: str, said: str) -> None:
    """With where to look; nobody waits for what cannot come."""
    with Pipeline(stack, default_settings()) as pipeline:
        assert pipeline._worker is not None
        parts = {
            "worker": psutil.Process(pipeline._worker.pid).kill,
            "clickhouse": stack.clickhouse.kill,
            "kafka": stack.kafka.kill,
        }
        parts[victim]()
        with pytest.raises(ConfigurationError, match=f"^{said}"):
            check_for_ever(pipeline)


def part_of_up(up: "RunningStack", word: str) -> psutil.Process:
    """Return the process of a part, not its guard."""
    family = psutil.Process(up.process.pid).children(recursive=True)
    (found,) = [
        p for p in family if word in p.cmdline() and not any("guard" in w for w in p.cmdline())
    ]
    return found


@pytest.mark.services
def test_up_starts_parts_that_were_killed_again(afterword: "Afterword") -> None:
    """Each on its own address and with a line on stderr; what comes then is stored as before."""
    Path("events.jsonl").write_text(EVENT % 1 + "\n" + EVENT % 2)
    names = {
        "afterword_stack.local.chdb_server": "ClickHouse",
        "kafka.Kafka": "Kafka",
        "worker": "The worker",
        "gateway": "The gateway",
        "dashboard": "The dashboard",
    }
    with RunningStack() as up:
        assert up.process.stderr is not None
        before = running_stack()
        for word, name in names.items():
            part_of_up(up, word).kill()
            while (line := up.process.stderr.readline()) != f"{name} had ended, and runs again\n":
                assert line, "up has ended"
        assert running_stack() == before
        for url in (up.named["gateway"][0], up.named["page"][0]):
            assert urllib.request.urlopen(f"{url}/healthz").status == 200
        assert afterword("publish", "events.jsonl").status == 0
        wait_until(
            lambda: afterword("query", "count", "-f", "csv").out == "type,n\ncount,2\n",
            alive=lambda: up.process.poll() is None,
        )
        assert up.end(signal.SIGTERM)[0] == 0


@pytest.mark.services
def test_a_part_that_ends_again_and_again_is_given_up(stack: LocalStack) -> None:
    """After three restarts within five minutes, with the end of its log."""
    now_s = 0.0
    restarts = Restarts(lambda: now_s)
    with Pipeline(stack, default_settings()) as pipeline:
        worker = pipeline._worker
        assert worker is not None
        for _ in range(3):
            psutil.Process(worker.pid).kill()
            wait_until(lambda: not worker.alive)
            assert list(pipeline.restart_ended(restarts)) == [
                "The worker had ended, and runs again"
            ]
            assert list(pipeline.restart_ended(restarts)) == []
        psutil.Process(worker.pid).kill()
        wait_until(lambda: not worker.alive)
        now_s = 299.0
        with pytest.raises(
            ConfigurationError, match=r"^The worker has ended. The end of its log:\n"
        ):
            list(pipeline.restart_ended(restarts))
        now_s = 301.0
        assert list(pipeline.restart_ended(restarts)) == ["The worker had ended, and runs again"]


@pytest.mark.services
def test_a_pipeline_that_cannot_start_leaves_nothing(
    stack: LocalStack, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when the tables cannot be made: both parts are stopped again."""

    def fail(_: object) -> list[str]:
        raise ConfigurationError("a later version", "upgrade")

    monkeypatch.setattr(module, "prepare_database", fail)
    with pytest.raises(ConfigurationError, match="a later version"):
        Pipeline(stack, default_settings()).start()
    assert (stack.kafka.alive, stack.clickhouse.alive) == (False, False)


class RunningStack:
    """One `afterword up` on the user's folders."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "afterword_stack", "up"],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={k: v for k, v in os.environ.items() if k != "PYTHONUNBUFFERED"},
        )
        assert self.process.stdout is not None
        self.addresses = [self.process.stdout.readline() for _ in range(7)]
        self.named = {line[:12].strip(): line[12:].split() for line in self.addresses}

    def end(self, number: signal.Signals) -> tuple[int, str]:
        """Send a signal, and return status and stderr once it and its parts have ended."""
        family = psutil.Process(self.process.pid).children(recursive=True)
        self.process.send_signal(number)
        try:
            _, err = self.process.communicate(timeout=60)
        except subprocess.TimeoutExpired:
            left = [" ".join(each.cmdline()[-4:]) for each in family if each.is_running()]
            pytest.fail(f"up does not end, with these parts: {left}")
        assert psutil.wait_procs(family, timeout=5)[1] == []
        return self.process.returncode, err

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self.process.poll() is None:
            self.end(signal.SIGTERM)


@pytest.mark.services
def test_up_is_found_by_other_commands_and_keeps_its_data(afterword: "Afterword") -> None:
    """Over two runs, ended by SIGTERM and by Ctrl-C; a second one beside it says what to do."""
    with RunningStack() as up:
        found = running_stack()
        assert found is not None
        assert next(iter(up.named)) == "page"
        assert up.named["Kafka"][:3] == [found.bootstrap_servers, "topic", "feedback.events"]
        assert up.named["ClickHouse"][0] == f"{found.clickhouse_url}/?database=afterword"
        native = f"native {found.clickhouse_native}"
        assert up.named["ClickHouse"][1:3] == native.split()
        assert native in afterword("status").err
        assert native in afterword("doctor").out
        gateway, api = up.named["gateway"][0], up.named["JSON API"][0]
        assert up.named["data"] == [found.data_dir]
        assert up.named["keys"][0] == "none,"
        ran = afterword("up")
        assert (ran.status, ran.out) == (2, "")
        assert ran.err.startswith("afterword: A local stack is already running on ")
        Path("events.jsonl").write_text(EVENT % 1 + "\n" + EVENT % 2)
        assert afterword("publish", "events.jsonl").status == 0
        request = urllib.request.Request(
            f"{gateway}/v1/feedback",
            b'{"trace_id": "tr-3", "value": 1}',
            {"content-type": "application/json"},
        )
        assert urllib.request.urlopen(request).status == 200
        with urllib.request.urlopen(api) as answer:
            assert "/api/query" in json.loads(answer.read())["routes"]
        with urllib.request.urlopen(up.named["page"][0]) as answer:
            assert b"No feedback yet. Send the first one." in answer.read()
        made = afterword("keys", "create", "--project", "p", "--scope", "write")
        assert f"is in {found.data_dir}/afterword.keys.json" in made.err
        status, err = up.end(signal.SIGTERM)  # the worker writes what it has
        assert (status, err.splitlines()[-1]) == (0, "stopping: the worker writes what it has")
    assert running_stack() is None
    with RunningStack() as again:
        assert again.addresses[:6] == up.addresses[:6]
        with pytest.raises(urllib.error.HTTPError, match="401"):  # the key is kept with the data
            urllib.request.urlopen(request)
        wait_until(
            lambda: re.search(
                r"^3 feedbacks stored, .*; 0 m", afterword("status").out, re.MULTILINE
            ),
            alive=lambda: again.process.poll() is None,
        )
        assert afterword("query", "count", "-f", "csv").out == "type,n\ncount,3\n"
        assert again.end(signal.SIGINT)[0] == 0
