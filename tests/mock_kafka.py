"""librdkafka's built-in mock of a broker: the real protocol in this process, for tests of what needs no Kafka.

    with MockKafka() as mock:
        mock.create_topic("t")
        produce(mock.bootstrap_servers, "t", [b"1"])

It forgets: 5 MiB or 100,000 batches a partition, and everything when it stops. Each topic has 4 partitions.
"""

from types import TracebackType
from typing import Self

from confluent_kafka.admin import AdminClient

from afterword_stack.local.kafka_admin import has_leaders

_TIMEOUT_S = 10.0


class MockKafka:
    """A broker without topic ids, without a controller and without a memory."""

    def __enter__(self) -> Self:
        # The broker lives as long as the client that was made with this setting.
        self._owner: AdminClient | None = AdminClient({"test.mock.num.brokers": 1, "log_level": 0})
        brokers = self._owner.list_topics(timeout=_TIMEOUT_S).brokers.values()
        self.bootstrap_servers = ",".join(f"{one.host}:{one.port}" for one in brokers)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._owner = None

    def create_topic(self, name: str) -> None:
        """Make the topic known: it knows no CreateTopics request, but asking about a topic creates it."""
        assert self._owner is not None
        assert has_leaders(self._owner.list_topics(name, timeout=_TIMEOUT_S).topics.get(name))
