"""Kafka and ClickHouse in containers, for the Docker arm of the contracts.

It runs where a Docker daemon has both images, and never stands in for the arm that is called real.
"""

import socket
from collections.abc import Iterator

import pytest
from testcontainers.core.container import DockerContainer
from testcontainers.core.wait_strategies import HttpWaitStrategy, LogMessageWaitStrategy


@pytest.fixture(scope="session")
def kafka_container(docker_images: dict[str, str]) -> Iterator[str]:
    """Bootstrap servers of Kafka in a container."""
    with socket.socket() as free:  # a client is told this port by the broker: it must be known
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    container = DockerContainer(
        docker_images["kafka"],
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
def clickhouse_container(docker_images: dict[str, str]) -> Iterator[tuple[str, int]]:
    """Host and HTTP port of ClickHouse in a container."""
    container = DockerContainer(
        docker_images["clickhouse"], env={"CLICKHOUSE_SKIP_USER_SETUP": "1"}, ports=[8123]
    )
    container.waiting_for(HttpWaitStrategy(8123, "/ping"))
    with container:
        yield container.get_container_host_ip(), int(container.get_exposed_port(8123))
