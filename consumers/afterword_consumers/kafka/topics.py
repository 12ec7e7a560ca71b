"""What a broker says of a topic, and what it says when it cannot: for members of a group and others."""

import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from confluent_kafka import KafkaError, KafkaException, TopicCollection, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import (  # the package exports them without a type
    ListOffsetsResultInfo,
    OffsetSpec,
)
from confluent_kafka.admin._topic import TopicDescription  # the package exports it without a type

from afterword_consumers.kafka.faults import ASKS_ONLY, explain_failure
from afterword_schemas import ConfigurationError, RetryableError

if TYPE_CHECKING:
    from concurrent.futures import Future

_log = logging.getLogger(__name__)

EARLIEST: Final[OffsetSpec] = OffsetSpec.earliest()  # type: ignore[no-untyped-call]  # the package has no type for it
"""Of a partition, the oldest offset that the broker still has."""

LATEST: Final[OffsetSpec] = OffsetSpec.latest()  # type: ignore[no-untyped-call]  # likewise
"""Of a partition, the offset that the next message gets, whatever transactions are open."""

_NO_TOPIC_ID: Final = "AAAAAAAAAAAAAAAAAAAAAA"
"""A UUID of zeros in base 64: what brokers before 2.8 answer."""

_EVERY_S: Final = 1.0

_NO_WAY_IN: Final = {
    KafkaError._AUTHENTICATION,  # noqa: SLF001  # its public name
    KafkaError._SSL,  # noqa: SLF001  # likewise
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
}
"""A broker that answers, and refuses the user or the certificate, or has one that is refused."""


class TopicIdentity:
    """The topic that has a name now, told from those that had it before or will have it.

        identity = TopicIdentity({"bootstrap.servers": "127.0.0.1:9092"}, "feedback.events", 10.0)
        identity.id           # "tPAQ2C2kT2y0bYRO2Za78A"
        identity.look()       # asks about every second, beside the work; never waits
        identity.is_gone      # once the topic was deleted, for good

    For one thread.

    Args:
        settings: librdkafka's own, with `bootstrap.servers`.
        topic: Its name.
        timeout_s: For one question to the broker.

    Attributes:
        id: Kafka's id of the topic; its name where the broker is too old to have ids.
        is_gone: Whether Kafka has said that the topic was deleted.

    Raises:
        ConfigurationError: There is no such topic, or the client refuses a setting.
        AccessError: Kafka refuses the login, the certificate or the topic.
        RetryableError: No broker answers.
    """

    def __init__(self, settings: Mapping[str, Any], topic: str, timeout_s: float) -> None:
        self._settings, self._topic, self._timeout_s = settings, topic, timeout_s
        self._errors: list[KafkaError] = []
        own: dict[str, Any] = {
            **ASKS_ONLY,
            "client.id": "afterword-worker-topic",
            "error_cb": self._errors.append,
            "log_level": 0,  # what it comes upon is raised, and the consumer tells of the same broker
        }
        try:
            self._admin = AdminClient({**settings, **own})
        except (KafkaException, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"The Kafka settings are refused: {explain(error)}."
            ) from error
        self._question: Future[TopicDescription] | None = None
        self._next_s = 0.0
        self.is_gone = False
        self.id = self._find()

    def look(self) -> None:
        """Learn from an answer that has come since the last call, and ask again when it is time."""
        if self._question is not None and self._question.done():
            question, self._question = self._question, None
            self._admin.poll(0)  # or its errors would pile up
            self._errors.clear()
            with suppress(KafkaException):  # the next answer will say
                self._learn(question)
        elif self._question is None and time.monotonic() >= self._next_s and self._has_id:
            self._next_s = time.monotonic() + _EVERY_S
            with suppress(KafkaException):
                self._question = self._describe()

    def ask(self) -> bool:
        """Ask now whether the topic is gone, and wait for the answer.

        Raises:
            RetryableError: Kafka does not answer.
        """
        if self._has_id and not self.is_gone:
            try:
                self._learn(self._describe())
            except KafkaException as error:
                raise RetryableError(explain(error)) from error
        return self.is_gone

    @property
    def _has_id(self) -> bool:
        return self.id != self._topic

    def _learn(self, answer: "Future[TopicDescription]") -> None:
        try:
            is_same = str(answer.result().topic_id) == self.id
        except KafkaException as error:
            if error.args[0].code() != KafkaError.UNKNOWN_TOPIC_OR_PART:
                raise
            is_same = False
        if not is_same and not self.is_gone:
            self.is_gone = True
            _log.warning(
                "topic %s (id %s) was deleted: nothing more is committed of it; what was read of it is "
                "stored, and then the topic that has its name now is read from its start",
                self._topic,
                self.id,
            )

    def _find(self) -> str:
        try:
            metadata = self._admin.list_topics(self._topic, timeout=self._timeout_s)
            _check(metadata.topics[self._topic].error)
            if metadata.controller_id not in metadata.brokers:
                return self._topic  # librdkafka's mock: the client would wait for a controller
            return known_id(self._topic, self._describe().result())
        except KafkaException as error:
            raise self._judge(error) from error

    def _describe(self) -> "Future[TopicDescription]":
        names = TopicCollection([self._topic])
        described = self._admin.describe_topics(names, request_timeout=self._timeout_s)
        return described[self._topic]

    def _judge(self, error: KafkaException) -> ConfigurationError | RetryableError:
        """Return what to tell: an `AccessError` only where waiting mends nothing for certain."""
        self._admin.poll(0)
        code = error.args[0].code()
        if code == KafkaError.UNKNOWN_TOPIC_OR_PART:
            return ConfigurationError(
                f"Topic {self._topic} does not exist on {self._settings['bootstrap.servers']}.",
                "Create it, for instance: "
                f"kafka-topics.sh --create --topic {self._topic} --partitions 12.",
            )
        found = explain_failure(error, self._errors, self._settings)
        is_told = any(one.code() in _NO_WAY_IN for one in (error.args[0], *self._errors))
        # A broker that comes up, or a proxy before none, looks like one that wants another login.
        return found if is_told else RetryableError(str(found))


def _check(error: KafkaError | None) -> None:
    if error is not None:
        raise KafkaException(error)


def known_id(topic: str, described: TopicDescription) -> str:
    """Return the id of a topic; its name where the broker is too old to have one."""
    topic_id = str(described.topic_id)
    return topic if topic_id == _NO_TOPIC_ID else topic_id


def ask_topic_id(admin: AdminClient, topic: str, timeout_s: float) -> str:
    """Return the id of the topic that has a name now; its name where the broker is too old to have ids.

    Raises:
        KafkaException: There is none, or no answer.
    """
    described = admin.describe_topics(TopicCollection([topic]), request_timeout=timeout_s)
    return known_id(topic, described[topic].result())


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
