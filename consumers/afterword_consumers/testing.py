"""In-memory fakes of Kafka and ClickHouse, for tests without either; held to the same contracts.

broker, store = MemoryBroker(partitions=2), MemoryStore()
broker.publish(b'{"feedback_id": …}', key=b"…")
worker = Worker(broker.member("afterword"), store, WorkerOptions())
"""

import time
import zlib
from collections import defaultdict
from collections.abc import Callable, Collection, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

from afterword_consumers.ingest.path_index import PathSeen
from afterword_consumers.ingest.rejection import Rejection
from afterword_consumers.ingest.rows import (
    FEEDBACK_ID,
    IS_DELETED,
    PROJECT,
    Key,
    Row,
    decode,
    version,
)
from afterword_consumers.ingest.source import Committed, EndOffsets, RebalanceListener
from afterword_schemas import RetryableError


@dataclass(frozen=True, slots=True)
class MemoryMessage:
    """A message of a `MemoryBroker`, with the methods of Kafka's."""

    _topic: str
    _partition: int
    _offset: int
    _key: bytes | None
    _value: bytes | None
    _headers: tuple[tuple[str, bytes | None], ...]
    _timestamp_ms: int

    def topic(self) -> str:
        """Name of its topic."""
        return self._topic

    def partition(self) -> int:
        """Number of its partition."""
        return self._partition

    def offset(self) -> int:
        """Its place in the partition."""
        return self._offset

    def key(self) -> bytes | None:
        """Key bytes as published."""
        return self._key

    def value(self) -> bytes | None:
        """Payload bytes as published."""
        return self._value

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        """Headers in order, None for none."""
        return list(self._headers) or None

    def timestamp(self) -> tuple[int, int]:
        """Kind 1 (set by the producer), and milliseconds since 1970."""
        return 1, self._timestamp_ms


class MemoryBroker:
    """One topic and its consumer groups. Rebalances are stop-the-world: all are revoked first."""

    def __init__(self, *, partitions: int = 4, topic: str = "feedback.events") -> None:
        self.topic = topic
        self.topic_id = f"{topic}-1"
        self.log: list[list[MemoryMessage]] = [[] for _ in range(partitions)]
        self.committed: dict[str, dict[int, int]] = defaultdict(dict)
        self.caught_up: dict[str, dict[int, datetime]] = defaultdict(dict)
        self._members: dict[str, list[MemorySource]] = defaultdict(list)

    def publish(
        self,
        value: bytes | None,
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        partition: int | None = None,
        timestamp_ms: int | None = None,
    ) -> None:
        """Append a message; like Kafka, to the partition that the key decides if none is named."""
        number = zlib.crc32(key or b"") % len(self.log) if partition is None else partition
        at_ms = time.time_ns() // 1_000_000 if timestamp_ms is None else timestamp_ms
        log = self.log[number]
        log.append(MemoryMessage(self.topic, number, len(log), key, value, tuple(headers), at_ms))

    def member(self, group: str) -> "MemorySource":
        """Return a source that joins the group once it is subscribed."""
        return MemorySource(self, group)

    def recreate(self) -> None:
        """Delete the topic with its groups' offsets, and create another under its name at once."""
        name, number = self.topic_id.rsplit("-", 1)
        self.topic_id = f"{name}-{int(number) + 1}"
        self.log = [[] for _ in self.log]
        self.committed.clear()
        self.caught_up.clear()

    def lag(self, group: str) -> int:
        """Return how many messages the group has not committed."""
        done = self.committed[group]
        return sum(len(log) - done.get(number, 0) for number, log in enumerate(self.log))

    def join(self, source: "MemorySource") -> None:
        """Take a member in and share the partitions anew."""
        self._share(source.group, [*self._members[source.group], source])

    def leave(self, source: "MemorySource") -> None:
        """Let a member go, after it was asked to finish; harmless for one that is gone."""
        self._share(source.group, [m for m in self._members[source.group] if m is not source])

    def expel(self, source: "MemorySource") -> None:
        """Take a member's partitions away without asking, as after a missed session timeout."""
        self._members[source.group].remove(source)
        source.lose()
        self._share(source.group, self._members[source.group])

    def _share(self, group: str, members: list["MemorySource"]) -> None:
        for member in self._members[group]:
            member.revoke()
        self._members[group] = members
        for at, member in enumerate(members):
            member.assign(range(at, len(self.log), len(members)))


class MemorySource:
    """A `Source` on a `MemoryBroker`."""

    def __init__(self, broker: MemoryBroker, group: str) -> None:
        self.topic_id = broker.topic_id
        self.group = group
        self._broker = broker
        self._listener: RebalanceListener | None = None
        self._positions: dict[int, int] = {}
        self._paused = False

    @property
    def partitions(self) -> list[int]:
        """The partitions that it owns."""
        return sorted(self._positions)

    @property
    def topic_is_gone(self) -> bool:
        """Whether the broker has another topic of this name by now."""
        return self.topic_id != self._broker.topic_id

    def subscribe(self, listener: RebalanceListener) -> None:
        """Join the group."""
        self._listener = listener
        self._broker.join(self)

    def rejoin(self) -> None:
        """Leave the group, and join it again for the topic that has the name now."""
        self.lose()
        self._broker.leave(self)
        self.topic_id = self._broker.topic_id
        self._broker.join(self)

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[MemoryMessage]:  # never waits
        """Return the messages that follow."""
        messages: list[MemoryMessage] = []
        if self._paused or self.topic_is_gone:
            return messages
        for partition, position in self._positions.items():
            found = self._broker.log[partition][position:][: max_messages - len(messages)]
            self._positions[partition] = position + len(found)
            messages += found
        return messages

    def end_offsets(self) -> EndOffsets | None:
        """Return how far the logs of its partitions go: here there is always news."""
        log, asked_at = self._broker.log, datetime.now(UTC)
        return EndOffsets(asked_at, {number: len(log[number]) for number in self._positions})

    def commit(self, next_offsets: Mapping[int, int], caught_up: Mapping[int, datetime]) -> None:
        """Record for each partition the offset to go on from."""
        if self.topic_is_gone:
            raise RetryableError(f"topic {self._broker.topic} was deleted")
        self._broker.committed[self.group].update(next_offsets)
        times = self._broker.caught_up[self.group]
        for partition in next_offsets:
            times.pop(partition, None)
        times.update(caught_up)

    def pause(self) -> None:
        """Hand out nothing until `resume`."""
        self._paused = True

    def resume(self) -> None:
        """Go on after `pause`."""
        self._paused = False

    def close(self) -> None:
        """Leave the group."""
        self._broker.leave(self)

    def assign(self, partitions: Collection[int]) -> None:
        """Own partitions from now on, each from its committed offset."""
        done = self._broker.committed[self.group]
        self._positions = {partition: done.get(partition, 0) for partition in partitions}
        if self._listener is not None:
            times = self._broker.caught_up[self.group]
            self._listener.on_assigned(
                {at: Committed(offset, times.get(at)) for at, offset in self._positions.items()}
            )

    def revoke(self) -> None:
        """Give all partitions back, after the listener has finished with them."""
        if self.topic_is_gone:
            self.lose()
        if self._listener is not None and self._positions:
            self._listener.on_revoked(self.partitions)
        self._positions = {}

    def lose(self) -> None:
        """Learn that all partitions are another's already."""
        if self._listener is not None:
            self._listener.on_lost(self.partitions)
        self._positions = {}


@dataclass(slots=True)
class MemoryStore:
    """A `Sink` that replaces rows by their key as ClickHouse does.

    Attributes:
        rows: The newest row of each key, tombstones included.
        inserts: How many lines each `insert_feedback` that succeeded held.
        rejections: By topic id, partition and offset.
        paths_seen: All, in order.
        before_insert: Called with the lines before they are stored; what it raises is raised.
    """

    rows: dict[Key, Row] = field(default_factory=dict)
    inserts: list[int] = field(default_factory=list)
    rejections: dict[tuple[str, int, int], Rejection] = field(default_factory=dict)
    paths_seen: list[PathSeen] = field(default_factory=list)
    before_insert: Callable[[bytes], object] | None = None

    @property
    def current(self) -> list[Row]:
        """The rows that were not cleared."""
        return [row for row in self.rows.values() if not row[IS_DELETED]]

    def stored(self, keys: Collection[Key]) -> Generator[Row, None, None]:
        """Yield the newest row of each key that has one, once, tombstones included."""
        for key in sorted(keys):
            if key in self.rows:
                yield list(self.rows[key])

    def insert_feedback(self, lines: bytes, token: str) -> None:  # replaces by key anyway
        """Insert encoded rows."""
        if self.before_insert is not None:
            self.before_insert(lines)
        rows = [decode(line) for line in lines.splitlines()]
        for row in rows:
            key = row[PROJECT], row[FEEDBACK_ID]
            if key not in self.rows or version(self.rows[key]) <= version(row):
                self.rows[key] = row
        self.inserts.append(len(rows))

    def insert_rejections(self, rejections: Sequence[Rejection]) -> None:
        """Insert rejected messages."""
        for rejection in rejections:
            place = rejection.topic_id, rejection.partition, rejection.offset
            self.rejections[place] = rejection

    def insert_paths_seen(self, paths_seen: Sequence[PathSeen]) -> None:
        """Insert paths into the path index."""
        self.paths_seen += paths_seen
