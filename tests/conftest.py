"""The real parts that tests run against: one Kafka and one ClickHouse for the whole run.

Nothing here skips: where the parts cannot start, the tests that need them fail and say why.
"""

import re
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import clickhouse_connect
import hypothesis
import pytest
from playwright.sync_api import Browser, sync_playwright
from tests.databases import MigratedDatabases

from afterword_stack.local.clickhouse import ClickHouseNode
from afterword_stack.local.jars import KAFKA_VERSION
from afterword_stack.local.java import find_java
from afterword_stack.local.kafka import KafkaNode

# How long an example takes is for benchmarks to say: on a busy machine it is anything. Each run makes other
# examples, so forty in each find as much over time as a hundred, and leave the processor to the others.
# `make test ARGS=--hypothesis-profile=thorough` looks longer.
hypothesis.settings.register_profile("suite", deadline=None, max_examples=40)
hypothesis.settings.register_profile("thorough", deadline=None, max_examples=1000)
hypothesis.settings.load_profile("suite")

# A consumer that died is missed after seconds here, not after Kafka's 45.
_KAFKA_PROPERTIES = {
    "group.consumer.session.timeout.ms": "1500",
    "group.consumer.heartbeat.interval.ms": "300",
    # Tests publish with times of long ago, which Kafka would delete at its next look, in the midst of a test.
    "log.retention.ms": "-1",
}


_KAFKA_IMAGE = "apache/kafka:4.3.1"
_CLICKHOUSE_IMAGE = "clickhouse/clickhouse-server:26.9"

# Chrome first: Ubuntu's chromium is a snap, which cannot read the profile that playwright makes.
_BROWSERS = ("google-chrome", "chromium", "chromium-headless-shell")


_LEFT_OUT = re.compile(r"not \(([a-z ]+)\)")
"""An expression that leaves out tests by their markers: `not (services or browser)`."""

_WHOLE_FILE = re.compile(r"^pytestmark = \[?pytest\.mark\.([a-z]+)", re.MULTILINE)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let a run insist on what else it would leave out, as `.ci/run` does."""
    parser.addoption(
        "--require-browser",
        action="store_true",
        help="fail the tests that need a Chromium or npm where there is none, instead of leaving them out",
    )


def pytest_report_header(config: pytest.Config) -> str:
    """Say what the run is about to prove itself on."""
    return (
        f"kafka: {_describe_kafka()}; clickhouse: {_describe_clickhouse()}; {_describe_docker()}; "
        f"{_describe_browser(config)}; {_describe_npm(config)}"
    )


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave out, unread, a file whose every test the run leaves out, as `make test-fast` does with many.

    What such a file imports takes seconds: schemathesis makes its cases, and SciPy its distributions.
    """
    left_out = _LEFT_OUT.fullmatch(config.option.markexpr)
    if left_out is None or collection_path.suffix != ".py":
        return None
    mark = _WHOLE_FILE.search(collection_path.read_text("utf-8"))
    return True if mark and mark[1] in left_out[1].split(" or ") else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what opens the engine, and leave out Docker, the browser and React where they cannot run.

    The header says so.
    """
    for item in items:
        if "engine" in getattr(item, "fixturenames", ()):
            item.add_marker("engine")
    if not _docker_at_hand():
        _leave_out("docker", config, items)
    if not _find_browser() and not config.getoption("require_browser"):
        _leave_out("browser", config, items)
    if not shutil.which("npm") and not config.getoption("require_browser"):
        _leave_out("npm", config, items)


@pytest.fixture(scope="session")
def docker_images() -> dict[str, str]:
    """The images that the Docker arm of the contracts runs on."""
    return {"kafka": _KAFKA_IMAGE, "clickhouse": _CLICKHOUSE_IMAGE}


@pytest.fixture(scope="session")
def chromium() -> str:
    """Path of the browser."""
    path = _find_browser()
    assert path, f"none of {', '.join(_BROWSERS)} is on PATH"
    return path


@pytest.fixture(scope="module")
def browser(chromium: str) -> Iterator[Browser]:
    """A headless Chromium, for as long as a module needs it: asyncio shares no thread with it."""
    quiet = ("gpu", "quic", "background-networking", "component-update", "sync")
    arguments = ["--no-sandbox", "--no-first-run", *(f"--disable-{name}" for name in quiet)]
    resolve = "--host-resolver-rules=MAP intranet.test 127.0.0.1"
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(
            executable_path=chromium,
            args=[*arguments, resolve],
            ignore_default_args=["--disable-back-forward-cache"],
        ) as browser,
    ):
        yield browser


@pytest.fixture(scope="session")
def kafka(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaNode]:
    """A running Kafka that all tests share; give each test its own topics and groups."""
    data_dir = tmp_path_factory.mktemp("kafka")
    with KafkaNode(data_dir, extra_properties=_KAFKA_PROPERTIES) as node:
        yield node


@pytest.fixture(scope="session")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ClickHouseNode]:
    """A running ClickHouse that all tests share; give each test its own database."""
    with ClickHouseNode(tmp_path_factory.mktemp("clickhouse")) as node:
        yield node


@pytest.fixture(scope="session")
def databases(clickhouse: ClickHouseNode) -> Iterator[MigratedDatabases]:
    """Databases with all tables, to borrow."""
    lent = MigratedDatabases(clickhouse)
    yield lent
    lent.close()


@pytest.fixture
def migrated_database(databases: MigratedDatabases) -> Iterator[str]:
    """The name of an empty database with all tables."""
    with databases.borrow() as name:
        yield name


@pytest.fixture
def topic(kafka: KafkaNode) -> str:
    """The name of a fresh topic of 4 partitions."""
    name = f"test-{uuid.uuid4().hex}"
    kafka.create_topic(name, partitions=4)
    return name


@pytest.fixture
def database(clickhouse: ClickHouseNode) -> Iterator[str]:
    """The name of a fresh database without any table, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    with clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port) as client:
        client.command(f"CREATE DATABASE {name}")
        yield name
        client.command(f"DROP DATABASE {name} SYNC")


def _leave_out(mark: str, config: pytest.Config, items: list[pytest.Item]) -> None:
    marked = [item for item in items if item.get_closest_marker(mark)]
    config.hook.pytest_deselected(items=marked)
    items[:] = [item for item in items if item not in marked]


def _find_browser() -> str | None:
    return next(filter(None, map(shutil.which, _BROWSERS)), None)


def _describe_kafka() -> str:
    java = find_java()
    return f"{KAFKA_VERSION} on Java {java.major}" if java else "no Java, tests that need it fail"


def _describe_clickhouse() -> str:
    if server := shutil.which("clickhouse"):
        return f"server {server}"
    try:
        return f"chDB {version('chdb-core')}"
    except PackageNotFoundError:
        return "none, tests that need it fail"


def _describe_docker() -> str:
    if _docker_at_hand():
        return f"docker: {_KAFKA_IMAGE} and {_CLICKHOUSE_IMAGE}"
    return "docker: no daemon with the images, Docker variant not run"


def _describe_browser(config: pytest.Config) -> str:
    if path := _find_browser():
        return f"browser: {path}"
    fate = "that need it fail" if config.getoption("require_browser") else "in it not run"
    return f"browser: no Chromium on PATH, tests {fate}"


@cache
def _docker_at_hand() -> bool:
    docker = shutil.which("docker")
    images = [_KAFKA_IMAGE, _CLICKHOUSE_IMAGE]
    return docker is not None and _succeeds([docker, "image", "inspect", *images])


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=10).returncode == 0
    except subprocess.TimeoutExpired:
        return False


def _describe_npm(config: pytest.Config) -> str:
    if path := shutil.which("npm"):
        return f"npm: {path}"
    fate = "fail" if config.getoption("require_browser") else "are not run"
    return f"npm: not on PATH, tests of React pages {fate}"
