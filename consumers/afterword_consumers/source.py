"""Where the worker reads: a member of a consumer group, and whom it tells of a rebalance."""

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from afterword_consumers.messages import Message


class RebalanceListener(Protocol):
    """Told, from within `poll` or `close`, which partitions come and go."""

    def on_revoked(self, partitions: Collection[int]) -> None:
        """They will be another's when this returns; offsets can still be committed."""

    def on_lost(self, partitions: Collection[int]) -> None:
        """They are another's already; nothing can be committed."""


class Source(Protocol):
    """A member of a consumer group on one topic.

    A message is handed out again to whoever owns its partition, until an offset after it is
    committed.
    """

    topic_id: str

    def subscribe(self, listener: RebalanceListener) -> None:
        """Join the group."""

    def poll(self, max_messages: int, timeout_s: float) -> Sequence[Message]:
        """Return the messages that follow, those of a partition in order.

        Must be called every few seconds, paused or not, for the group to keep the member.

        Raises:
            StoreError: The broker could not answer; nothing is skipped by the next call.
            SetupError: It never will, until somebody acts.
        """

    def commit(self, next_offsets: Mapping[int, int]) -> None:
        """Record for each partition the offset to go on from, and wait for the answer.

        Raises:
            StoreError: It was not recorded.
        """

    def pause(self) -> None:
        """Hand out nothing until `resume`, and remain a member."""

    def resume(self) -> None:
        """Go on after `pause`."""

    def close(self) -> None:
        """Leave the group."""
