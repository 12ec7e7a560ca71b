"""Kafka and ClickHouse in containers, for the Docker arm of the contracts.

The arm runs where a Docker daemon has both images; elsewhere its tests are deselected, and the
header of the run says so. It never stands in for the arm that is called real.
"""

import shutil
import socket
import subprocess
from collections.abc import Iterator

import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy

KAFKA_IMAGE = "apache/kafka:4.3.1"
CLICKHOUSE_IMAGE = "clickhouse/clickhouse-server:26.9"


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave the Docker arm out where it cannot run."""
    docker = [item for item in items if item.get_closest_marker("docker")]
    if docker and not images_at_hand():
        config.hook.pytest_deselected(items=docker)
        items[:] = [item for item in items if item not in docker]


def images_at_hand() -> bool:
    """Return whether a Docker daemon answers and has both images."""
    docker = shutil.which("docker")
    if docker is None:
        return False
    asked = [docker, "image", "inspect", KAFKA_IMAGE, CLICKHOUSE_IMAGE]
    return subprocess.run(asked, capture_output=True, check=False).returncode == 0


@pytest.fixture(scope="session")
def kafka_container() -> Iterator[str]:
    """Bootstrap servers of Kafka in a container."""
    with socket.socket() as free:  # a client is told this port by the broker: it must be known
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    container = DockerContainer(
        KAFKA_IMAGE,
        env={
            "KAFKA_NODE_ID": "1",
            "KAFKA_PROCESS_ROLES": "broker,controller",
            "KAFKA_CONTROLLER_LISTENER_NAMES": "CONTROLLER",
            "KAFKA_CONTROLLER_QUORUM_VOTERS": "1@localhost:9093",
            "KAFKA_LISTENERS": "PLAINTEXT://0.0.0.0:9092,CONTROLLER://localhost:9093",
            "KAFKA_ADVERTISED_LISTENERS": f"PLAINTEXT://127.0.0.1:{port}",
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR": "1",
            "KAFKA_TRANSACTION_STATE_LOG_MIN_ISR": "1",
            "KAFKA_GROUP_CONSUMER_MIN_SESSION_TIMEOUT_MS": "1000",
            "KAFKA_GROUP_CONSUMER_SESSION_TIMEOUT_MS": "1500",
            "KAFKA_GROUP_CONSUMER_MIN_HEARTBEAT_INTERVAL_MS": "100",
            "KAFKA_GROUP_CONSUMER_HEARTBEAT_INTERVAL_MS": "300",
        },
    )
    container.with_bind_ports(9092, port)
    container.waiting_for(LogMessageWaitStrategy("Kafka Server started"))
    with container:
        yield f"127.0.0.1:{port}"


@pytest.fixture(scope="session")
def clickhouse_container() -> Iterator[tuple[str, int]]:
    """Host and HTTP port of ClickHouse in a container."""
    container = DockerContainer(
        CLICKHOUSE_IMAGE, env={"CLICKHOUSE_SKIP_USER_SETUP": "1"}, ports=[8123]
    )
    container.waiting_for(HttpWaitStrategy(8123, "/ping"))
    with container:
        yield container.get_container_host_ip(), int(container.get_exposed_port(8123))
