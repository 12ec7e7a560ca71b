"""Where the worker reads: a member of a consumer group, and whom it tells of a rebalance."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol


class Positioned(Protocol):
    """What has a place in a partition's log."""

    def partition(self) -> int | None:
        """Number of its partition."""

    def offset(self) -> int | None:
        """Its place in the partition."""


class Message(Positioned, Protocol):
    """One Kafka message; confluent-kafka's own `Message` is one, so none is copied.

    Methods, not attributes, because that is what the client library's type has, and a wrapper for
    each message would cost as much as fetching it.
    """

    def topic(self) -> str | None:
        """Name of its topic."""

    def key(self) -> bytes | None:
        """Key bytes as published."""

    def value(self) -> bytes | None:
        """Payload bytes as published; None for a tombstone."""

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        """Headers in order; a name may stand there twice."""

    def timestamp(self) -> tuple[int, int]:
        """Kind (0: none) and milliseconds since 1970 at which it was published."""


def next_offset(message: Positioned) -> int:
    """Return the offset from which to read on after a message."""
    return (message.offset() or 0) + 1


def next_offsets(messages: Sequence[Positioned]) -> dict[int, int]:
    """Return the offset from which to read on after these messages, by partition.

    Args:
        messages: Of one partition they are in order, as Kafka hands them out.
    """
    offsets: dict[int, int] = {}
    for message in reversed(messages):  # going backwards, the first met is the last
        partition = message.partition()
        if partition is not None and partition not in offsets:
            offsets[partition] = next_offset(message)
    return offsets


@dataclass(frozen=True, slots=True)
class Committed:
    """What a group has recorded of a partition.

    Attributes:
        offset: The one to go on from; 0 before the first commit.
        caught_up: Everything that the topic held at this time is before the offset, in UTC; None
            where nobody has said so.
    """

    offset: int
    caught_up: datetime | None = None


@dataclass(frozen=True, slots=True)
class EndOffsets:
    """How far the log of each partition went.

    Attributes:
        asked_at: A time before the broker was asked, in UTC: what was there by then is before the ends.
        offsets: By partition, the offset after the last message, whether or not it can be read yet.
    """

    asked_at: datetime
    offsets: Mapping[int, int]


class RebalanceListener(Protocol):
    """Told, from within `poll` or `close`, which partitions come and go."""

    def on_assigned(self, committed: Mapping[int, Committed]) -> None:
        """They are this member's from now on, each from what is committed."""

    def on_revoked(self, partitions: Collection[int]) -> None:
        """They will be another's when this returns; offsets can still be committed."""

    def on_lost(self, partitions: Collection[int]) -> None:
        """They are another's already; nothing can be committed."""


class Source(Protocol):
    """A member of a consumer group on one topic.

    A message is handed out again to whoever owns its partition, until an offset after it is
    committed.
    """

    @property
    def topic_id(self) -> str:
        """The id of the topic, by which it differs from all others that ever had its name."""

    @property
    def topic_is_gone(self) -> bool:
        """Whether the topic of this id was deleted, and perhaps another created under its name.

        Noticed about every second, if `end_offsets` is called as often, and before a commit. From then on
        nothing can be committed, until `rejoin`.
        """

    def subscribe(self, listener: RebalanceListener) -> None:
        """Join the group."""

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Message]:
        """Return the messages that follow, those of a partition in order.

        Must be called every few seconds, paused or not, for the group to keep the member.

        Raises:
            RetryableError: The broker could not answer; nothing is skipped by the next call.
            ConfigurationError: It never will, until somebody acts.
        """

    def end_offsets(self) -> EndOffsets | None:
        """Return how far the logs of the member's partitions go, if there is news; never waits.

        A source asks about every second, if this is called as often, and says nothing while it has
        no answer.
        """

    def commit(self, next_offsets: Mapping[int, int], caught_up: Mapping[int, datetime]) -> None:
        """Record for each partition the offset to go on from, and wait for the answer.

        Args:
            next_offsets: By partition.
            caught_up: By partition, the time to record beside the offset, in milliseconds; none is
                recorded for a partition that is not in it.

        Raises:
            RetryableError: It was not recorded, or `topic_is_gone`.
        """

    def pause(self) -> None:
        """Hand out nothing until `resume`, and remain a member."""

    def resume(self) -> None:
        """Go on after `pause`."""

    def rejoin(self) -> None:
        """Leave the group, and join it again for the topic that has the name now.

        The partitions are lost, and new ones are assigned, none from an offset of another topic.

        Raises:
            RetryableError: There is no such topic now, or the broker could not answer.
        """

    def close(self) -> None:
        """Leave the group."""
