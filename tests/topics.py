"""Delete a topic and create another under its name, as fast as Kafka lets anyone do it."""

from confluent_kafka.admin import AdminClient
from tests.waiting import wait_until

from afterword_stack.local.kafka_admin import create_topic

_TIMEOUT_S = 20.0


def delete_topic(bootstrap_servers: str, name: str) -> None:
    """Delete a topic, and wait until the broker lists it no more."""
    admin = AdminClient({"bootstrap.servers": bootstrap_servers})
    admin.delete_topics([name], operation_timeout=_TIMEOUT_S)[name].result(_TIMEOUT_S)
    wait_until(lambda: name not in admin.list_topics(timeout=_TIMEOUT_S).topics)


def recreate_topic(bootstrap_servers: str, name: str, partitions: int) -> None:
    """Delete a topic, and create another of its name at once."""
    delete_topic(bootstrap_servers, name)
    create_topic(bootstrap_servers, name, partitions, {})
