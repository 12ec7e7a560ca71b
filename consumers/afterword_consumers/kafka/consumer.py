"""The consumer group member on Kafka: the one module that knows the consumer client.

    source = KafkaSource("127.0.0.1:9092", topic="feedback.events", group="afterword")

Nothing is committed or stored behind the worker's back, a partition with a committed offset goes on
from there or stops loudly, and an error while fetching never skips what was fetched already.

Beside the group there is the `Reader`, which only looks.
"""

import logging
import time
from collections.abc import Collection, Mapping, Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, Final, cast

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka import Message as KafkaMessage

from afterword_consumers.ingest.source import (
    Committed,
    EndOffsets,
    Message,
    RebalanceListener,
    next_offsets,
)
from afterword_consumers.ingest.watermark import read_committed, to_metadata
from afterword_consumers.kafka.end_offsets import EndOffsetPoller
from afterword_consumers.kafka.stall import StallWatch
from afterword_consumers.kafka.topics import TopicIdentity, explain
from afterword_schemas import ConfigurationError, RetryableError

_log = logging.getLogger(__name__)

_OWN_SETTINGS: Final = {
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    # A group's offset that the broker no longer has means lost messages: never skip in silence.
    "auto.offset.reset": "error",
    "isolation.level": "read_committed",
    # Or what transactions leave at the end of a log would look like messages that wait.
    "enable.partition.eof": True,
}
_READER_SETTINGS: Final = {
    "client.id": "afterword-reader",
    "enable.auto.commit": False,
    "enable.auto.offset.store": False,
    "isolation.level": "read_committed",
    "enable.partition.eof": True,
    # What was deleted meanwhile is not there to be read; the rest is.
    "auto.offset.reset": "earliest",
    # One fetch is under way at a time: one that waits for messages to come holds up the next read.
    "fetch.wait.max.ms": 0,
    "max.partition.fetch.bytes": 4 * 1024 * 1024,
    "queued.max.messages.kbytes": 16 * 1024,
    "reconnect.backoff.max.ms": 1_000,
    # Messages of the client would wait in memory for the next read, as errors are raised anyway.
    "log_level": 0,
}
_GROUP_PROTOCOLS: Final[Mapping[str, Mapping[str, str]]] = {
    "consumer": {"group.protocol": "consumer"},  # KIP-848, brokers from 4.0
    "classic": {
        "group.protocol": "classic",
        "partition.assignment.strategy": "cooperative-sticky",
    },
}


class KafkaSource:
    """A `Source` on a Kafka topic.

    Args:
        bootstrap_servers: `host:port`, several with commas.
        group_protocol: `consumer` for brokers from 4.0, `classic` for older ones.
        settings: librdkafka's own, by their dotted names; they cannot weaken delivery.
        request_timeout_s: For one question to the broker.

    Raises:
        ConfigurationError: The topic does not exist, or waiting will not mend what is wrong.
        RetryableError: No broker answers.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        topic: str,
        group: str,
        group_protocol: str = "consumer",
        settings: Mapping[str, Any] | None = None,
        request_timeout_s: float = 10.0,
    ) -> None:
        self._topic = topic
        self._listener: RebalanceListener | None = None
        self._common = {**(settings or {}), "bootstrap.servers": bootstrap_servers}
        self._own = {
            "group.id": group,
            "client.id": "afterword-worker",
            "fetch.queue.backoff.ms": 50,
            **self._common,
            **_OWN_SETTINGS,
            **_GROUP_PROTOCOLS[group_protocol],
        }
        self._request_timeout_s = request_timeout_s
        self._open()

    def _open(self) -> None:
        self._positions: dict[int, int] = {}
        self._behind = self._paused = self._leaving = False
        self._stall = StallWatch()
        self._identity = TopicIdentity(self._common, self._topic, self._request_timeout_s)
        self._ends = EndOffsetPoller(self._common, self._topic, self._request_timeout_s)
        self._consumer = Consumer(self._own, logger=_log)

    @property
    def topic_id(self) -> str:
        """Kafka's id of the topic; its name where the broker is too old to have ids."""
        return self._identity.id

    @property
    def topic_is_gone(self) -> bool:
        """Whether the topic of this id was deleted, and perhaps another created under its name."""
        return self._identity.is_gone

    def subscribe(self, listener: RebalanceListener) -> None:
        """Join the group."""
        self._listener = listener
        self._consumer.subscribe(
            [self._topic],
            on_assign=self._on_assign,
            on_revoke=self._on_revoke,
            on_lost=self._on_lost,
        )

    def rejoin(self) -> None:
        """Leave the group, and join it again for the topic that has the name now."""
        self.close()
        if self._listener is not None:
            self._listener.on_lost(list(self._positions))
        try:
            self._open()
        except ConfigurationError as error:  # the settings were right before: the topic is missing
            raise RetryableError(str(error)) from error
        if self._listener is not None:
            self.subscribe(self._listener)

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Message]:
        """Return the messages that follow."""
        try:
            if self._behind:
                self._rewind()
            fetched = self._consumer.consume(max_messages, timeout_s)
        except KafkaException as error:
            self._behind = True
            raise RetryableError(explain(error)) from error
        except BaseException:
            # A callback or a signal handler raised: the client has thrown the messages away, but
            # stands behind them.
            self._behind = True
            raise
        messages = [message for message in fetched if message.error() is None]
        self._advance(messages)
        if len(messages) < len(fetched):
            for message in fetched:
                if message.error() is not None:
                    self._judge(message)
        # Headers that were fetched are a list, whatever else the library's type allows.
        return cast("list[Message]", messages)

    def end_offsets(self) -> EndOffsets | None:
        """Return how far the logs of the member's partitions go, if there is news."""
        self._identity.look()
        ends = self._ends.news(self._positions)
        if self._paused:
            self._stall.rest(time.monotonic())
        elif ends is not None and (stalled := self._stall.look(ends.offsets, time.monotonic())):
            _log.warning(stalled)
        return ends

    def commit(self, next_offsets: Mapping[int, int], caught_up: Mapping[int, datetime]) -> None:
        """Record for each partition the offset to go on from."""
        offsets = [
            self._place(partition, offset, caught_up.get(partition))
            for partition, offset in next_offsets.items()
        ]
        # Kafka takes commits by the topic's name. Before: or an offset of this topic would stand in the
        # next of its name. After: where that came about nevertheless, the caller must not count on it.
        self._check_topic()
        try:
            committed = self._consumer.commit(offsets=offsets, asynchronous=False)
        except KafkaException as error:
            raise RetryableError(explain(error)) from error
        for partition in committed or ():
            if partition.error is not None:
                raise RetryableError(str(partition.error))
        self._check_topic()

    def pause(self) -> None:
        """Hand out nothing until `resume`."""
        self._paused = True
        self._consumer.pause(self._consumer.assignment())

    def resume(self) -> None:
        """Go on after `pause`."""
        self._paused = False
        self._consumer.resume(self._consumer.assignment())

    def close(self) -> None:
        """Leave the group."""
        self._leaving = True
        self._consumer.close()

    def _on_assign(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        # Of a topic that came after, or too late: what is asked for could fail, and end the worker.
        if self._leaving or self._is_gone_now():
            consumer.incremental_assign([])
            return
        try:
            committed = consumer.committed(partitions, timeout=self._request_timeout_s)
        except KafkaException as error:
            # Here, as the client would hand on what is inside it, which is no exception that can be caught.
            raise RetryableError(explain(error)) from error
        self._remember(committed)
        _log.info("assigned partitions %s", [(p.partition, p.offset) for p in committed])
        consumer.incremental_assign(committed)

    def _on_revoke(self, consumer: Consumer, partitions: list[TopicPartition]) -> None:
        if self._is_gone_now():
            self._on_lost(consumer, partitions)
            return
        _log.info("revoked partitions %s", [p.partition for p in partitions])
        if self._listener is not None:
            self._listener.on_revoked(self._forget(partitions))

    def _on_lost(self, _: Consumer, partitions: list[TopicPartition]) -> None:
        _log.warning("lost partitions %s", [p.partition for p in partitions])
        if self._listener is not None:
            self._listener.on_lost(self._forget(partitions))

    def _is_gone_now(self) -> bool:
        """Ask whether the topic is gone, as a rebalance may be due to that; no if Kafka is silent."""
        with suppress(RetryableError):
            self._identity.ask()
        return self._identity.is_gone

    def _check_topic(self) -> None:
        if self._identity.ask():
            raise RetryableError(f"topic {self._topic} was deleted")

    def _place(self, partition: int, offset: int, caught_up: datetime | None) -> TopicPartition:
        metadata = to_metadata(self.topic_id, caught_up)
        return TopicPartition(self._topic, partition, offset, metadata)

    def _forget(self, partitions: list[TopicPartition]) -> Collection[int]:
        numbers = [partition.partition for partition in partitions]
        for number in numbers:
            self._positions.pop(number, None)
        self._stall.forget(numbers)
        return numbers

    def _advance(self, messages: Sequence[KafkaMessage]) -> None:
        reached = next_offsets(messages)
        self._positions |= reached
        if reached:
            self._stall.reach(reached, time.monotonic())

    def _rewind(self) -> None:
        """Go back to what was handed out last; what fails here is done again by the next poll."""
        assignment = self._consumer.assignment()
        # Not known where asking for the offsets was what failed: the client then asked by itself.
        unknown = [one for one in assignment if one.partition not in self._positions]
        if unknown:
            self._remember(self._consumer.committed(unknown, timeout=self._request_timeout_s))
        for one in assignment:
            offset = self._positions[one.partition]
            self._consumer.seek(TopicPartition(self._topic, one.partition, offset))
        self._behind = False

    def _remember(self, committed: list[TopicPartition]) -> None:
        known = {
            at.partition: read_committed(self.topic_id, at.offset, at.metadata) for at in committed
        }
        foreign = [at.partition for at in committed if at.offset >= 0 and not known[at.partition]]
        if foreign:
            _log.warning(
                "the offsets of partitions %s were committed for an earlier topic of the name %s: this "
                "one (id %s) is read from its start there",
                foreign,
                self._topic,
                self.topic_id,
            )
        if self._listener is not None:
            self._listener.on_assigned({at: one or Committed(0) for at, one in known.items()})
        for at in committed:
            one = known[at.partition]
            at.offset = OFFSET_BEGINNING if one is None else one.offset
            self._positions[at.partition] = at.offset
        self._stall.reach({at.partition: at.offset for at in committed}, time.monotonic())

    def _judge(self, message: KafkaMessage) -> None:
        """Raise for an error that the client hands out in place of a message."""
        error, partition = message.error(), message.partition()
        if error is None:
            return
        if error.code() == KafkaError._PARTITION_EOF:  # noqa: SLF001  # its public name
            if partition in self._positions:
                self._stall.reach({partition: message.offset() or 0}, time.monotonic())
            return
        if error.code() == KafkaError._AUTO_OFFSET_RESET:  # noqa: SLF001  # its public name
            self._behind = True  # where Kafka cannot say it now, the next poll comes here again
            if self._identity.ask():
                return  # an offset of the topic before
            raise ConfigurationError(
                f"Partition {message.partition()} no longer has offset {message.offset()}, where "
                f"this group stopped: messages were deleted before they were read ({error.str()}).",
                "Look at the topic's retention.ms. To go on from what is left, reset the group's "
                "offsets with kafka-consumer-groups.sh --reset-offsets --to-earliest.",
            )
        if error.fatal():
            raise ConfigurationError(f"Kafka refused this consumer: {error.str()}.")
        _log.warning("Kafka: %s", error.str())


class Reader(Consumer):
    """A consumer that reads where it is told, and knows what a group has committed.

    It must never subscribe, for then it would take partitions away from the workers.

    Args:
        bootstrap_servers: `host:port`, several with commas.
        group: Whose offsets it is to know.
        settings: librdkafka's own, by their dotted names.

    Raises:
        ConfigurationError: A setting is refused. Whether a broker answers is not looked at.
    """

    def __init__(
        self, bootstrap_servers: str, *, group: str, settings: Mapping[str, Any] | None = None
    ) -> None:
        own = {"bootstrap.servers": bootstrap_servers, "group.id": group, **_READER_SETTINGS}
        try:
            super().__init__({**(settings or {}), **own})
        except (KafkaException, TypeError, ValueError) as error:
            raise ConfigurationError(
                f"The Kafka settings are refused: {explain(error)}."
            ) from error
