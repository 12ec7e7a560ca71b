"""What became of one event: what the gateway asks, and the consumers' side answers."""

from dataclasses import dataclass
from enum import StrEnum


class ReceiptStatus(StrEnum):
    """Where an event is."""

    STORED = "stored"
    """In ClickHouse, with the newest of what was published under its id."""

    PENDING = "pending"
    """On the topic, and not in ClickHouse yet."""

    REJECTED = "rejected"
    """Refused by the worker; `code`, `path` and `detail` say why."""

    UNKNOWN = "unknown"
    """Neither here nor there, as far as could be looked."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is known of one event.

    Attributes:
        feedback_id: In lower case.
        status: Where it is.
        updated_at: When what is stored was last changed; RFC 3339.
        cleared: Whether what is stored was taken back.
        code: Why it was rejected.
        path: Where in the event the fault is.
        detail: A sentence for a person.
    """

    feedback_id: str
    status: ReceiptStatus
    updated_at: str | None = None
    cleared: bool = False
    code: str | None = None
    path: str | None = None
    detail: str | None = None
