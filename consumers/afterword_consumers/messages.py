"""What a topic holds, as the worker sees it: one message, and where it stands."""

from typing import Protocol


class Message(Protocol):
    """One Kafka message; confluent-kafka's own `Message` is one, so none is copied.

    Methods, not attributes, because that is what the client library's type has, and a wrapper for
    each message would cost as much as fetching it.
    """

    def topic(self) -> str | None:
        """Name of its topic."""

    def partition(self) -> int | None:
        """Number of its partition."""

    def offset(self) -> int | None:
        """Its place in the partition."""

    def key(self) -> bytes | None:
        """Key bytes as published."""

    def value(self) -> bytes | None:
        """Payload bytes as published; None for a tombstone."""

    def headers(self) -> list[tuple[str, bytes | None]] | None:
        """Headers in order; a name may stand there twice."""

    def timestamp(self) -> tuple[int, int]:
        """Kind (0: none) and milliseconds since 1970 at which it was published."""
