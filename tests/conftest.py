"""The real parts that tests run against: one Kafka and one ClickHouse for the whole run.

Nothing here skips: where the parts cannot start, the tests that need them fail and say why.
"""

import shutil
import subprocess
import uuid
from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version

import clickhouse_connect
import pytest

from afterword_stack.local.clickhouse import ClickHouseNode
from afterword_stack.local.jars import KAFKA_VERSION
from afterword_stack.local.java import find_java
from afterword_stack.local.kafka import KafkaNode

# A consumer that died is missed after seconds here, not after Kafka's 45.
_KAFKA_PROPERTIES = {
    "group.consumer.session.timeout.ms": "1500",
    "group.consumer.heartbeat.interval.ms": "300",
}


def pytest_report_header() -> str:
    """Say what the run is about to prove itself on."""
    return f"kafka: {_describe_kafka()}; clickhouse: {_describe_clickhouse()}; {_describe_docker()}"


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


@pytest.fixture
def topic(kafka: KafkaNode) -> str:
    """The name of a fresh topic of 4 partitions."""
    name = f"test-{uuid.uuid4().hex}"
    kafka.create_topic(name, partitions=4)
    return name


@pytest.fixture
def database(clickhouse: ClickHouseNode) -> Iterator[str]:
    """The name of a fresh database, dropped afterwards."""
    name = f"test_{uuid.uuid4().hex}"
    with clickhouse_connect.get_client(host=clickhouse.host, port=clickhouse.port) as client:
        client.command(f"CREATE DATABASE {name}")
        yield name
        client.command(f"DROP DATABASE {name} SYNC")


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
    docker = shutil.which("docker")
    if docker and _succeeds([docker, "info"]):
        return "docker: daemon at hand"
    return "docker: no daemon, Docker variant not run"


def _succeeds(command: list[str]) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False, timeout=10).returncode == 0
    except subprocess.TimeoutExpired:
        return False
