"""A broker without Java: librdkafka's built-in mock, inside this process.

    with MockKafkaNode() as kafka:
        kafka.create_topic("feedback.events", partitions=4)

It speaks the real protocol, also to other processes, but keeps everything in memory: 5 MiB or 100,000
batches a partition, the oldest dropped silently, all of it gone when it stops. Every topic exists
as soon as somebody asks for it and has 4 partitions. Good for a demo, not for a promise.
"""

from collections.abc import Mapping
from typing import Final

from confluent_kafka import KafkaException, libversion
from confluent_kafka.admin import AdminClient

from afterword_schemas.errors import SetupError
from afterword_stack.local.kafka_admin import has_leaders
from afterword_stack.local.lifecycle import Lifecycle

PARTITIONS: Final = 4
"""Of every topic: the mock has no other number."""

_TIMEOUT_S: Final = 10.0


class MockKafkaNode(Lifecycle):
    """A volatile broker with the interface of `KafkaNode`."""

    volatile = True
    """Records may vanish before they are read."""

    def __init__(self) -> None:
        self.version = f"librdkafka {libversion()[0]} mock"
        self._owner: AdminClient | None = None
        self._bootstrap_servers = ""

    @property
    def bootstrap_servers(self) -> str:
        """The broker's address, `host:port`; another one after every start."""
        if not self._bootstrap_servers:
            raise SetupError("The mock broker has not been started.", "Start it first.")
        return self._bootstrap_servers

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self._owner is not None

    def start(self) -> None:
        """Start it, empty; does nothing if it runs.

        Raises:
            SetupError: This librdkafka has no mock broker.
        """
        if self._owner is not None:
            return
        # The broker lives as long as the client that was made with this setting.
        owner = AdminClient({"test.mock.num.brokers": 1, "log_level": 0})
        try:
            brokers = owner.list_topics(timeout=_TIMEOUT_S).brokers.values()
        except KafkaException as error:
            raise SetupError(
                "librdkafka's mock broker did not start.", "Use Java and Kafka, or Docker."
            ) from error
        self._owner = owner
        self._bootstrap_servers = ",".join(f"{one.host}:{one.port}" for one in brokers)

    def stop(self) -> None:
        """End it and forget everything."""
        self._owner = None

    kill = stop

    def restart(self) -> None:
        """Begin anew, empty and at another address."""
        self.stop()
        self.start()

    def create_topic(
        self, name: str, partitions: int = PARTITIONS, config: Mapping[str, str] | None = None
    ) -> None:
        """Make the topic known; it has no configuration.

        Raises:
            SetupError: It should have another number of partitions than 4, or a configuration.
        """
        if partitions != PARTITIONS or config:
            raise SetupError(
                f"The mock broker's topics have {PARTITIONS} partitions and no configuration.",
                "Install Java, so that a real Kafka runs, or ask for what the mock has.",
            )
        if self._owner is None:
            raise SetupError("The mock broker is not running.", "Start it first.")
        # It knows no CreateTopics request; asking about a topic creates it.
        if not has_leaders(self._owner.list_topics(name, timeout=_TIMEOUT_S).topics.get(name)):
            raise SetupError(f"The mock broker has no topic {name}.", "Choose another name.")
