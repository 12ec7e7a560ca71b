"""Clients that are made before a server forks its workers: uWSGI, gunicorn and Celery themselves."""

import json
import os
import re
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
from tests.waiting import wait_until

from afterword import MemoryTransport, Message

pytestmark = pytest.mark.slow

ReadTopic = Callable[[str, str], list[Message]]

CLIENT = """
import logging, os
from afterword import Client
logging.getLogger("afterword.kafka").setLevel(logging.CRITICAL)  # a young broker makes it talk
ways = {
    "url": {"url": os.environ["ADDRESS"]},
    "kafka": {
        "bootstrap_servers": os.environ["ADDRESS"],
        "topic": os.environ["TOPIC"],
        "kafka": {"linger.ms": 2_000},
    },
}
ways["spool"] = {**ways["kafka"], "spool": os.environ["SPOOL"]}
client = Client(project="acme", **ways[os.environ["WAY"]])
client.feedback(trace_id="parent", value=1)
"""

APP = """
def application(environ, start_response):
    start_response("200 OK", [])
    client.feedback(trace_id="child", value=1)
    return [str(os.getpid()).encode()]
"""

REQUESTS = 20

ways = pytest.mark.parametrize("way", ["kafka", "url", "spool"])


class Place:
    """Where the clients of a server send to, and what arrived there."""

    def __init__(self, environment: dict[str, str], read: Callable[[], list[Message]]) -> None:
        self.environment = environment
        self._read = read

    def arrived(self) -> Counter[str]:
        """Count the events by who sent them, each id once."""
        events = [json.loads(message.value) for message in self._read()]
        return Counter({event["feedback_id"]: event["trace_id"] for event in events}.values())


@pytest.fixture
def place(request: pytest.FixtureRequest, way: str, read_topic: ReadTopic, tmp_path: Path) -> Place:
    """The end of each way."""
    environment = {
        **os.environ,
        "WAY": way,
        "SPOOL": str(tmp_path / "spool"),
        "TOPIC": tmp_path.name,
        "PYTHONPATH": str(tmp_path),
        "PYTHONWARNINGS": "ignore",
    }
    if way == "url":
        memory = MemoryTransport()
        gateway = request.getfixturevalue("start_gateway")(memory)
        return Place({**environment, "ADDRESS": gateway.address}, lambda: [*memory.messages])
    broker = request.getfixturevalue("mock_broker")
    return Place({**environment, "ADDRESS": broker}, lambda: read_topic(broker, tmp_path.name))


@contextmanager
def serving(place: Place, tmp_path: Path, command: list[str], listens: str) -> Iterator[str]:
    """Run a server until the block ends, and give the address that it writes into its log."""
    (tmp_path / "app.py").write_text(CLIENT + APP)
    log = tmp_path / "log"
    with log.open("w") as output:
        server = subprocess.Popen(
            [sys.executable, *command],
            cwd=tmp_path,
            env=place.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: re.search(listens, log.read_text()) or server.poll() is not None)
        found = re.search(listens, log.read_text())
        assert found, log.read_text()
        yield f"http://127.0.0.1:{found[1]}/"
        server.send_signal(signal.SIGTERM)
        server.wait(60)
    finally:
        server.kill()
        server.wait()
    assert "Traceback" not in log.read_text()


def ask(url: str) -> None:
    """Send the requests."""
    with httpx2.Client(timeout=60) as http:
        for _ in range(REQUESTS):
            assert http.get(url).status_code == 200


@ways
def test_uwsgi_forks_workers_that_deliver(place: Place, tmp_path: Path) -> None:
    """It forks in C, where Python does not see it: the workers deliver theirs, the parent its own."""
    options = ["--http-socket", "127.0.0.1:0", "--module", "app", "--master", "--processes", "2"]
    start = "import sys, pyuwsgi; sys.argv[0] = 'uwsgi'; pyuwsgi.run()"
    command = ["-c", start, *options, "--enable-threads", "--die-on-term"]
    with serving(place, tmp_path, command, r"bound to TCP address 127\.0\.0\.1:(\d+)") as url:
        ask(url)
    assert place.arrived() == {"parent": 1, "child": REQUESTS}
    if place.environment["WAY"] == "spool":
        assert not (tmp_path / "spool" / "refused.db").exists()


def test_uwsgi_without_threads_is_warned_of_once() -> None:
    """The wheel of uWSGI always has threads, so its module is a stand-in here."""
    program = """
    import sys, types
    sys.modules["uwsgi"] = types.SimpleNamespace(has_threads=0, worker_id=lambda: 1)
    from afterword import Client, MemoryTransport
    for _ in range(2):
        Client(project="acme", transport=MemoryTransport())
    """
    command = [sys.executable, "-c", textwrap.dedent(program)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert ended.stderr.count("--enable-threads") == 1


@ways
@pytest.mark.parametrize("worker", ["sync", "gthread", "gevent"])
def test_gunicorn_forks_workers_that_deliver(place: Place, tmp_path: Path, worker: str) -> None:
    """With `--preload` the app and its client are made before the worker is.

    There is one: a signal that comes while gunicorn starts another is lost, and then it waits.
    """
    options = [
        "--preload",
        "--no-control-socket",
        "--workers",
        "1",
        "--worker-class",
        worker,
        "--bind",
        "127.0.0.1:0",
    ]
    command = ["-m", "gunicorn", *options, "app"]
    with serving(place, tmp_path, command, r"Listening at: http://127\.0\.0\.1:(\d+)") as url:
        ask(url)
    assert place.arrived() == {"parent": 1, "child": REQUESTS}


@ways
def test_a_worker_of_celery_delivers_at_its_end(place: Place, tmp_path: Path) -> None:
    """A child of its pool ends without `atexit`, and what it holds is delivered all the same."""
    for name in ("in", "done"):
        (tmp_path / name).mkdir()
    tasks = """
    from celery import Celery
    folders = {"data_folder_in": "in", "data_folder_out": "in", "processed_folder": "done"}
    celery = Celery(broker="filesystem://")
    celery.conf.broker_transport_options = {**folders, "polling_interval": 0.02}

    @celery.task
    def emit():
        client.feedback(trace_id="child", value=1)
    """
    (tmp_path / "jobs.py").write_text(CLIENT + textwrap.dedent(tasks))
    ask = f"import jobs\nfor _ in range({REQUESTS}): jobs.emit.delay()\njobs.client.close()"
    subprocess.run([sys.executable, "-c", ask], cwd=tmp_path, env=place.environment, check=True)
    log = tmp_path / "log"
    options = ["--pool", "prefork", "--concurrency", "2", "--loglevel", "INFO"]
    with log.open("w") as output:
        worker = subprocess.Popen(
            [sys.executable, "-m", "celery", "-A", "jobs", "worker", *options],
            cwd=tmp_path,
            env=place.environment,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        wait_until(lambda: log.read_text().count(" succeeded in ") == REQUESTS)
        worker.send_signal(signal.SIGTERM)
        worker.wait(60)
    finally:
        worker.kill()
        worker.wait()
    assert place.arrived() == {"parent": 2, "child": REQUESTS}
