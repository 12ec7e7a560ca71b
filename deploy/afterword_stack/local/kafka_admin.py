"""What the local stack asks of a broker: is it there, and make this topic.

create_topic("127.0.0.1:9092", "feedback.events", partitions=4, config={})
"""

import time
from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._metadata import TopicMetadata
from confluent_kafka.cimpl import NewTopic

from afterword_schemas.errors import ConfigurationError

_TIMEOUT_S: Final = 20.0


def new_admin(bootstrap_servers: str) -> AdminClient:
    """Return a client that reconnects quickly and keeps quiet while the broker is away."""
    return AdminClient(
        {
            "bootstrap.servers": bootstrap_servers,
            "reconnect.backoff.ms": 20,
            "reconnect.backoff.max.ms": 100,
            "log_level": 0,
        }
    )


def serves(admin: AdminClient) -> bool:
    """Return whether a broker answers a metadata request."""
    try:
        return bool(admin.list_topics(timeout=1).brokers)
    except KafkaException:
        return False


def create_topic(
    bootstrap_servers: str, name: str, partitions: int, config: Mapping[str, str]
) -> None:
    """Create the topic unless it exists, and wait until every partition has a leader.

    Raises:
        ConfigurationError: The broker refuses, or does not do it in 20 s.
    """
    admin = new_admin(bootstrap_servers)
    topic = NewTopic(name, num_partitions=partitions, replication_factor=1, config=dict(config))
    try:
        admin.create_topics([topic], operation_timeout=_TIMEOUT_S)[name].result(_TIMEOUT_S)
    except KafkaException as error:
        if error.args[0].code() != KafkaError.TOPIC_ALREADY_EXISTS:
            raise ConfigurationError(
                f"The broker refused topic {name}: {error.args[0].str()}.",
                "Choose another name or configuration.",
            ) from error
    _wait_for_leaders(admin, name)


def has_leaders(topic: TopicMetadata | None) -> bool:
    """Return whether the topic exists and every partition can be written."""
    if topic is None or topic.error is not None or not topic.partitions:
        return False
    return all(one.leader >= 0 and one.error is None for one in topic.partitions.values())


def _wait_for_leaders(admin: AdminClient, name: str) -> None:
    deadline = time.monotonic() + _TIMEOUT_S
    while not has_leaders(admin.list_topics(timeout=_TIMEOUT_S).topics.get(name)):
        if time.monotonic() > deadline:
            raise ConfigurationError(
                f"Topic {name} got no leader in 20 s.", "See the broker's log."
            )
        time.sleep(0.02)
