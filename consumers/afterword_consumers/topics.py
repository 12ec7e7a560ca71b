"""What a broker says of a topic, and what it says when it cannot: for members of a group and others."""

import logging
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import (  # the package exports them without a type
    ListOffsetsResultInfo,
    OffsetSpec,
)
from confluent_kafka.admin._topic import TopicDescription  # the package exports it without a type

from afterword_schemas import SetupError

if TYPE_CHECKING:
    from concurrent.futures import Future

_log = logging.getLogger(__name__)

EARLIEST: Final[OffsetSpec] = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the package has no type for it
"""Of a partition, the oldest offset that the broker still has."""

LATEST: Final[OffsetSpec] = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # likewise
"""Of a partition, the offset that the next message gets, whatever transactions are open."""

_NO_TOPIC_ID: Final = "AAAAAAAAAAAAAAAAAAAAAA"
"""A UUID of zeros in base 64: what brokers before 2.8 answer."""


def find_topic_id(settings: Mapping[str, Any], topic: str, timeout_s: float) -> str:
    """Ask the broker for the topic's id; its name where the broker is too old to have one.

    Raises:
        SetupError: There is no such topic, no broker answers, or the client refuses a setting.
    """
    try:
        admin = AdminClient({**settings, "client.id": "afterword-worker"}, logger=_log)
    except (KafkaException, TypeError, ValueError) as error:
        raise SetupError(f"The Kafka settings are refused: {explain(error)}.") from error
    try:
        metadata = admin.list_topics(topic, timeout=timeout_s)
    except KafkaException as error:
        raise SetupError(
            f"No Kafka broker answers at {settings['bootstrap.servers']}: {explain(error)}.",
            "Start one with `afterword up`, or set AFTERWORD_KAFKA_BOOTSTRAP_SERVERS.",
        ) from error
    if metadata.topics[topic].error is not None:
        raise SetupError(
            f"Topic {topic} does not exist on {settings['bootstrap.servers']}.",
            f"Create it, for instance: kafka-topics.sh --create --topic {topic} --partitions 12.",
        )
    if metadata.controller_id not in metadata.brokers:
        return topic  # librdkafka's mock: the client would wait for a controller to ask
    try:
        described = admin.describe_topics(TopicCollection([topic]), request_timeout=timeout_s)
        return known_id(topic, described[topic].result())
    except KafkaException as error:
        # Not the name instead: the same refused message would be kept twice, under two ids.
        raise SetupError(
            f"Kafka at {settings['bootstrap.servers']} does not describe topic {topic}: "
            f"{explain(error)}.",
            "Start the worker again; it needs the right to DESCRIBE the topic.",
        ) from error


def known_id(topic: str, described: TopicDescription) -> str:
    """Return the id of a topic; its name where the broker is too old to have one."""
    topic_id = str(described.topic_id)
    return topic if topic_id == _NO_TOPIC_ID else topic_id


def ask_ends(
    admin: AdminClient, places: Sequence[TopicPartition], end: OffsetSpec, timeout_s: float
) -> "dict[TopicPartition, Future[ListOffsetsResultInfo]]":
    """Ask for the `EARLIEST` or `LATEST` offset of partitions, without waiting for the answers.

    Raises:
        KafkaException: The question could not be put.
    """
    return admin.list_offsets(dict.fromkeys(places, end), request_timeout=timeout_s)


def explain(error: Exception) -> str:
    """Return what the client library says is wrong, without its own decoration."""
    cause = error.args[0] if error.args else error
    return cause.str() if isinstance(cause, KafkaError) else str(cause)
