"""What of one key waits in the topic: published, and not committed by the workers.

    found = backlog.search(b"019c12e9-…", is_mine)
    found.last, found.unread

It looks from outside the group: no member, no commit, nothing that moves the workers.
"""

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from confluent_kafka import KafkaError, KafkaException, Message, TopicPartition
from confluent_kafka.admin import AdminClient

from afterword_consumers.ingest.source import next_offset
from afterword_consumers.ingest.watermark import read_committed
from afterword_consumers.kafka.consumer import Reader
from afterword_consumers.kafka.partitioner import likely_partitions
from afterword_consumers.kafka.topics import ask_topic_id, explain
from afterword_schemas import RetryableError

TAIL_MESSAGES: Final = 10_000
"""How many messages of a partition are looked through, the newest: who asks has often just published."""

_TAIL_S: Final = 0.5
"""... and for how long, where they are large or the broker is far."""

_FETCH_MESSAGES: Final = 1_000
_FETCH_S: Final = 0.02
"""A fetch that finds fewer messages than it asked for lasts this long."""

_RETRY_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class Place:
    """Where a message stands.

    Attributes:
        topic_id: Kafka's id of the topic; its name where the broker is too old to have ids.
        published_ms: By its producer's clock, in milliseconds since 1970.
    """

    topic: str
    topic_id: str
    partition: int
    offset: int
    published_ms: int


@dataclass(frozen=True, slots=True)
class Found:
    """What a search gave.

    Attributes:
        last: Of the messages that were looked for and wait, the last of each partition.
        unread: How many messages wait that were not looked through; one of these may be later.
    """

    last: tuple[Place, ...]
    unread: int


@dataclass(slots=True)
class _Tail:
    """The messages of a partition that are not committed.

    Attributes:
        skipped: How many are older than those to be read.
        begin: The offset to read from, and then on.
        end: The offset after the last one.
    """

    partition: int
    skipped: int
    begin: int
    end: int

    @property
    def unread(self) -> int:
        """How many were not read."""
        return self.skipped + self.end - self.begin


class Backlog:
    """Searches the backlog of a consumer group; connects at first use, and is safe across threads.

    Args:
        bootstrap_servers: `host:port`, several with commas.
        topic: Where the messages are.
        group: Whose backlog it is.
        settings: librdkafka's own, by their dotted names.
        timeout_s: For one search, the reading included.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        *,
        topic: str,
        group: str,
        settings: Mapping[str, Any] | None = None,
        timeout_s: float = 3.0,
    ) -> None:
        self._bootstrap_servers, self._topic, self._group = bootstrap_servers, topic, group
        self._settings = settings
        self._timeout_s = timeout_s
        self._reader: Reader | None = None
        self._admin: AdminClient | None = None
        self._opening, self._reading = threading.Lock(), threading.Lock()

    def search(self, key: bytes, wanted: Callable[[bytes], bool]) -> Found:
        """Look for messages of a key whose payload is wanted, among all that are published by now.

        What is neither found, or before what is found, nor among the unread is committed, and so was
        in the store before this returned.

        Raises:
            RetryableError: Kafka does not answer, or has no such topic.
            ConfigurationError: The client refuses a setting.
        """
        deadline_s = time.monotonic() + self._timeout_s
        reader, admin = self._open()
        while True:
            try:
                return self._search(reader, admin, key, wanted, deadline_s)
            except KafkaException as error:
                # Leaders and coordinators move: the client leaves it to its caller to ask again.
                if time.monotonic() + _RETRY_S > deadline_s:
                    raise RetryableError(
                        f"Kafka at {self._bootstrap_servers} does not tell what waits in topic "
                        f"{self._topic}: {explain(error)}"
                    ) from error
                time.sleep(_RETRY_S)

    def close(self) -> None:
        """Close the connections, if any were opened."""
        with self._opening, self._reading:
            reader, self._reader = self._reader, None
            if reader is not None:
                reader.close()

    def _open(self) -> tuple[Reader, AdminClient]:
        with self._opening:
            if self._reader is None or self._admin is None:
                servers, settings = self._bootstrap_servers, self._settings or {}
                self._reader = Reader(servers, group=self._group, settings=settings)
                # Silent, as the reader is: what fails is raised.
                self._admin = AdminClient(
                    {**settings, "bootstrap.servers": servers, "log_level": 0}
                )
            return self._reader, self._admin

    def _search(
        self,
        reader: Reader,
        admin: AdminClient,
        key: bytes,
        wanted: Callable[[bytes], bool],
        deadline_s: float,
    ) -> Found:
        topic_id, tails = self._tails(reader, admin, key, deadline_s)
        last: dict[int, Place] = {}
        # One at a time can tell the reader where to read; the questions before go side by side.
        if tails and self._reading.acquire(timeout=_left_s(deadline_s)):
            try:
                for message in self._read(reader, tails):
                    if message.key() == key and wanted(message.value() or b""):
                        place = _place(message, topic_id)
                        last[place.partition] = place
            finally:
                self._reading.release()
        return Found(tuple(last.values()), sum(tail.unread for tail in tails))

    def _tails(
        self, reader: Reader, admin: AdminClient, key: bytes, deadline_s: float
    ) -> tuple[str, list[_Tail]]:
        # Anew each time: partitions may be added, and then keys change their place.
        metadata = reader.list_topics(self._topic, timeout=_left_s(deadline_s))
        topic = metadata.topics[self._topic]
        _check(topic.error)
        partitions = likely_partitions(key, len(topic.partitions))
        places = [TopicPartition(self._topic, number) for number in partitions]
        # The end before what is committed: what the workers finish in between need not be read.
        marks = [
            reader.get_watermark_offsets(place, timeout=_left_s(deadline_s), cached=False)
            for place in places
        ]
        tails = []
        committed = reader.committed(places, timeout=_left_s(deadline_s))
        topic_id = self._topic
        if (
            metadata.controller_id in metadata.brokers
        ):  # else it is librdkafka's mock, which has no ids
            # After the offsets: if one names this id, it is of the topic that is there.
            topic_id = ask_topic_id(admin, self._topic, _left_s(deadline_s))
        for mark, place in zip(marks, committed, strict=True):
            _check(KafkaError(KafkaError._TIMED_OUT) if mark is None else place.error)  # noqa: SLF001  # its public name
            oldest, end = mark
            done = read_committed(topic_id, place.offset, place.metadata)
            waiting = oldest if done is None else max(oldest, done.offset)
            if waiting < end:
                begin = max(waiting, end - TAIL_MESSAGES)
                tails.append(_Tail(place.partition, begin - waiting, begin, end))
        return topic_id, tails

    def _read(self, reader: Reader, tails: Sequence[_Tail]) -> Iterator[Message]:
        reader.assign([TopicPartition(self._topic, tail.partition, tail.begin) for tail in tails])
        try:
            yield from _follow(reader, tails)
        finally:
            reader.unassign()  # or it would go on fetching


def _follow(reader: Reader, tails: Sequence[_Tail]) -> Iterator[Message]:
    """Read each tail to its end, or as far as the time goes."""
    by_partition = {tail.partition: tail for tail in tails}
    deadline_s = time.monotonic() + _TAIL_S
    while (left := sum(tail.end - tail.begin for tail in tails)) and time.monotonic() < deadline_s:
        for message in reader.consume(min(left, _FETCH_MESSAGES), _FETCH_S):
            tail = by_partition.get(message.partition() or 0)
            offset, error = message.offset() or 0, message.error()
            if tail is None:
                continue  # an error of the connection: the time will tell
            if error is None:
                yield message
                tail.begin = min(next_offset(message), tail.end)
            elif error.code() == KafkaError._PARTITION_EOF and offset >= tail.end:  # noqa: SLF001  # its public name
                tail.begin = tail.end  # what is left are marks of transactions, no messages


def _place(message: Message, topic_id: str) -> Place:
    _, published_ms = message.timestamp()
    partition, offset = message.partition() or 0, message.offset() or 0
    return Place(message.topic() or "", topic_id, partition, offset, published_ms)


def _check(error: KafkaError | None) -> None:
    if error is not None:
        raise KafkaException(error)


def _left_s(deadline_s: float) -> float:
    """Return how long a request may still take; never quite nothing, for then it would not be sent."""
    return max(0.05, deadline_s - time.monotonic())
