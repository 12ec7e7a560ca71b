"""A rejected message, kept whole: its bytes, where it stood, and why it was rejected."""

from dataclasses import dataclass

from afterword_consumers.ingest.rows import published
from afterword_consumers.ingest.source import Message
from afterword_schemas import InvalidEventError, RejectCode


@dataclass(frozen=True, slots=True)
class Rejection:
    """One row of `feedback_rejected`.

    Attributes:
        topic_id: Kafka's id of the topic, which a topic made again under the same name changes;
            the topic's name where the broker gives none.
        published_ms: Milliseconds since 1970, as `rejected_ms`.
        code: A `RejectCode`.
        path: Where in the event.
        detail: Why, in a sentence.
        payload: The message as it came.
    """

    topic: str
    topic_id: str
    partition: int
    offset: int
    published_ms: int
    rejected_ms: int
    code: RejectCode
    path: str
    detail: str
    key: bytes
    headers: tuple[tuple[bytes, bytes], ...]
    payload: bytes

    @property
    def size(self) -> int:
        """Bytes of its key, headers and payload."""
        headers = sum(len(name) + len(value) for name, value in self.headers)
        return len(self.key) + headers + len(self.payload)

    @classmethod
    def of(
        cls, message: Message, topic_id: str, error: InvalidEventError, now_ms: int
    ) -> "Rejection":
        """Reject a message for an error."""
        return cls(
            topic=message.topic() or "",
            topic_id=topic_id,
            partition=message.partition() or 0,
            offset=message.offset() or 0,
            published_ms=published(message, now_ms),
            rejected_ms=now_ms,
            code=error.code,
            path=error.path,
            detail=error.detail,
            key=message.key() or b"",
            headers=tuple((name.encode(), value or b"") for name, value in message.headers() or ()),
            payload=message.value() or b"",
        )
