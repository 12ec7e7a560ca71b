"""How far a consumer group is behind the end of its topic, as the broker knows it.

for at in read_lag("127.0.0.1:9092", "feedback.events", "afterword", {}):
    at.partition, at.lag
"""

import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Final

from confluent_kafka import (
    KafkaError,
    KafkaException,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._listoffsets import ListOffsetsResultInfo  # exported without a type

from afterword_consumers.ingest.watermark import read_committed
from afterword_consumers.kafka.consumer import Reader
from afterword_consumers.kafka.faults import (
    ASKS_ONLY,
    PASSING,
    check_topic,
    explain_failure,
    open_admin,
)
from afterword_consumers.kafka.topics import EARLIEST, LATEST, ask_ends, ask_topic_id, explain
from afterword_schemas import ConfigurationError

_log = logging.getLogger(__name__)

_TIMEOUT_S: Final = 5.0
_CONNECT_S: Final = 0.25
"""After so long a broker that refuses to be connected to has done so, at every address of it."""

_RETRY_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class PartitionLag:
    """One partition.

    Attributes:
        committed: The offset that the group goes on from; None before its first commit.
        begin: The oldest offset that the broker still has.
        end: The offset that the next message gets.
        caught_up: Everything that the partition held at this time is before `committed`, as the
            worker said that committed it; None where it did not.
    """

    partition: int
    committed: int | None
    begin: int
    end: int
    caught_up: datetime | None = None

    @property
    def lag(self) -> int:
        """How many messages wait, at the most: gaps of transactions count too."""
        return max(0, self.end - max(self.committed or 0, self.begin))


class LagReader:
    """Reads lags over one connection, made at first use; for one thread.

    Args:
        bootstrap_servers: `host:port`, several with commas.
        settings: librdkafka's own, by their dotted names.

    Raises:
        ConfigurationError: The client refuses a setting.
    """

    def __init__(self, bootstrap_servers: str, settings: Mapping[str, Any]) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._errors: list[KafkaError] = []  # no method of this object: neither keeps the other
        own = {**ASKS_ONLY, "error_cb": self._errors.append, "log_level": 0}
        self._admin = _connect(bootstrap_servers, {**settings, **own})
        self._settings = {**settings, "bootstrap.servers": bootstrap_servers}
        self._readers: dict[str, Reader] = {}

    def read(self, topic: str, group: str, timeout_s: float) -> list[PartitionLag]:
        """Ask for every partition of a topic, in order: what is committed first, then the ends, then its id.

        So an offset beyond its end is of a log that was cut since, and not of a worker that was
        quicker than the two questions.

        Raises:
            ConfigurationError: The broker has no such topic.
            RetryableError: It did not answer, or refuses to; at once if nobody listens there.
        """
        deadline_s = time.monotonic() + timeout_s
        while True:
            try:
                return self._read(topic, group, deadline_s)
            except KafkaException as error:
                code = error.args[0].code()
                if code not in PASSING or time.monotonic() + _RETRY_S > deadline_s:
                    self._admin.poll(0)
                    raise explain_failure(error, self._errors, self._settings) from error
                time.sleep(_RETRY_S)

    def _read(self, topic: str, group: str, deadline_s: float) -> list[PartitionLag]:
        numbers, has_ids = self._partitions(topic, deadline_s)
        places = [TopicPartition(topic, number) for number in numbers]
        committed = self._committed(places, group, _left_s(deadline_s))
        begins = ask_ends(self._admin, places, EARLIEST, _left_s(deadline_s))
        ends = ask_ends(self._admin, places, LATEST, _left_s(deadline_s))
        lags = [(at, begins[at].result(), ends[at].result()) for at in places]
        # Last: if it is the id beside an offset, both and the ends between are of one topic.
        topic_id = ask_topic_id(self._admin, topic, _left_s(deadline_s)) if has_ids else topic
        return [
            _lag(topic_id, committed.get(at.partition), begin, end, at) for at, begin, end in lags
        ]

    def _partitions(self, topic: str, deadline_s: float) -> tuple[list[int], bool]:
        """Return the partitions, and whether the broker has ids for topics."""
        if self._readers:
            # Not the first time. A connection that lay idle was closed, which is no error here.
            self._admin.poll(0)
            self._errors.clear()
        try:
            found = self._admin.list_topics(topic, timeout=min(_CONNECT_S, _left_s(deadline_s)))
        except KafkaException:
            self._admin.poll(0)
            if any(one.code() == KafkaError._ALL_BROKERS_DOWN for one in self._errors):  # noqa: SLF001  # its public name
                raise
            found = self._admin.list_topics(topic, timeout=_left_s(deadline_s))
        check_topic(found.topics[topic].error, topic, self._bootstrap_servers)
        # librdkafka's mock has no controller; the client would wait for one to ask.
        return sorted(found.topics[topic].partitions), found.controller_id in found.brokers

    def _committed(
        self, places: list[TopicPartition], group: str, timeout_s: float
    ) -> dict[int, TopicPartition]:
        # By a consumer that never joins: the admin client's own request ends the whole process by a
        # segmentation fault while the coordinator is moving or not there yet (librdkafka 2.16.0,
        # https://github.com/confluentinc/librdkafka/issues/5040).
        if group not in self._readers:
            servers = self._bootstrap_servers
            self._readers[group] = Reader(servers, group=group, settings=self._settings)
        found = self._readers[group].committed(places, timeout=timeout_s)
        for place in found:
            if place.error is not None:
                raise KafkaException(place.error)
        return {place.partition: place for place in found if place.offset >= 0}

    def close(self) -> None:
        """Close the connections."""
        while self._readers:
            self._readers.popitem()[1].close()


def read_lag(
    bootstrap_servers: str, topic: str, group: str, settings: Mapping[str, Any]
) -> list[PartitionLag]:
    """Ask the broker once for the lag of every partition; errors as for `LagReader`."""
    reader = LagReader(bootstrap_servers, settings)
    try:
        return reader.read(topic, group, _TIMEOUT_S)
    finally:
        reader.close()


def find_partitions(
    bootstrap_servers: str, topic: str, settings: Mapping[str, Any]
) -> list[TopicPartition]:
    """Ask the broker for the partitions of a topic, in order.

    Raises:
        ConfigurationError: It has no such topic, or the client refuses a setting.
        UnreachableError: It did not answer.
        AccessError: It does not let this client in.
    """
    with open_admin(bootstrap_servers, settings) as admin:
        found = admin.list_topics(topic, timeout=_TIMEOUT_S).topics[topic]
    check_topic(found.error, topic, bootstrap_servers)
    return [TopicPartition(topic, number) for number in sorted(found.partitions)]


def _connect(bootstrap_servers: str, settings: Mapping[str, Any]) -> AdminClient:
    try:
        return AdminClient({**settings, "bootstrap.servers": bootstrap_servers}, logger=_log)
    except (KafkaException, TypeError, ValueError) as error:
        raise ConfigurationError(f"The Kafka settings are refused: {explain(error)}.") from error


def _lag(
    topic_id: str,
    committed: TopicPartition | None,
    begin: ListOffsetsResultInfo,
    end: ListOffsetsResultInfo,
    at: TopicPartition,
) -> PartitionLag:
    found = PartitionLag(at.partition, None, begin.offset, end.offset)
    if committed is None:
        return found
    known = read_committed(topic_id, committed.offset, committed.metadata)
    if known is None:
        return found
    return replace(found, committed=known.offset, caught_up=known.caught_up)


def _left_s(deadline_s: float) -> float:
    """Return how long a request may still take; never quite nothing, for then it would not be sent."""
    return max(0.05, deadline_s - time.monotonic())
