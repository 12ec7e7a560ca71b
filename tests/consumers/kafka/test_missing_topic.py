"""A topic that is missing, on a broker that creates what it is asked for: Kafka's default."""

from collections.abc import Callable, Iterator

import pytest
from confluent_kafka.admin import AdminClient

from afterword_consumers.kafka.consumer import KafkaSource
from afterword_consumers.kafka.lag import find_partitions, read_lag
from afterword_consumers.kafka.topic_limits import find_concerns
from afterword_schemas import ConfigurationError
from afterword_stack.local.kafka import KafkaNode

pytestmark = pytest.mark.services


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Its address."""
    properties = {"auto.create.topics.enable": "true"}
    with KafkaNode(tmp_path_factory.mktemp("kafka"), extra_properties=properties) as node:
        yield node.bootstrap_servers


@pytest.mark.parametrize(
    "ask",
    [
        lambda servers, topic: KafkaSource(servers, topic=topic, group="afterword"),
        lambda servers, topic: read_lag(servers, topic, "afterword", {}),
        lambda servers, topic: find_partitions(servers, topic, {}),
        lambda servers, topic: find_concerns(servers, topic, {}),
    ],
    ids=["worker", "lag", "partitions", "settings"],
)
def test_a_question_names_the_missing_topic_and_creates_none(
    broker: str, ask: Callable[[str, str], object], request: pytest.FixtureRequest
) -> None:
    """Nor does one create again what somebody deletes: with one partition, in the way of the one you create."""
    topic = request.node.callspec.id
    with pytest.raises(
        ConfigurationError, match=f"Topic {topic} does not exist on {broker}"
    ) as raised:
        ask(broker, topic)
    assert raised.value.next_step.startswith("Create it, ")
    admin = AdminClient({"bootstrap.servers": broker})
    assert topic not in admin.list_topics(timeout=20).topics
