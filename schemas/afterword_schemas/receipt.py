"""What became of one event: what the gateway asks, and the consumers' side answers."""

from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

from pydantic import ConfigDict


class ReceiptStatus(StrEnum):
    """Where an event is."""

    STORED = "stored"
    """In ClickHouse, with the newest of what was published under its id."""

    PENDING = "pending"
    """On the topic: the workers have not finished with the newest of what was published."""

    REJECTED = "rejected"
    """The newest of what was published was rejected by a worker."""

    UNKNOWN = "unknown"
    """Neither in ClickHouse nor on the topic."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """What is known of one event. A field that says nothing of this one is absent."""

    __pydantic_config__: ClassVar[ConfigDict] = ConfigDict(use_attribute_docstrings=True)

    feedback_id: str
    """In lower case."""

    status: ReceiptStatus
    """Where it is; see `unread` too."""

    updated_at: str | None = None
    """When what is stored was last changed, in RFC 3339. A rejected event may have an older state stored;
    while one is pending, what is stored is not looked at."""

    cleared: bool | None = None
    """Whether what is stored was taken back."""

    code: str | None = None
    """Why it was rejected: a reject code."""

    path: str | None = None
    """Where in the event the fault is."""

    place: str | None = None
    """Where the rejected message stood: the name that `afterword rejected show` takes."""

    detail: str | None = None
    """A sentence for a person: why it was rejected, else what is uncertain about the status."""

    unread: int = 0
    """Where the workers are far behind: how many messages wait that were not looked through. One of them
    may be of this event; 0 makes the status certain."""
