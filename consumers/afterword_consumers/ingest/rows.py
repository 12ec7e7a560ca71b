"""From an event to its row in the table `feedback`, and back to the state that a patch merges into.

    line = encode(to_row(event, leaves, message, topic_id, published(message, now_ms)))

A row is a list in the order of `COLUMNS`; on the wire it is one line of JSONCompactEachRow. It is a
function of the message alone, so that a message delivered twice makes the same row twice. What is stored
changes it only where an event asks for that: see `chains`.
"""

from typing import Any, Final

import orjson

from afterword_consumers.ingest.source import Message
from afterword_schemas import Event, Leaves, to_ms, uuid7_ms
from afterword_schemas.limits import MAX_AHEAD_MS, MIN_TIME_MS
from afterword_schemas.times import capped_ms, is_in_range

Row = list[Any]
"""The values of `COLUMNS`, as JSON has them; times are seconds since 1970 with milliseconds."""

Key = tuple[str, str]
"""Project and feedback_id: the identity of a row."""

MAX_KEY_BYTES: Final = 128
"""A line holds its project and feedback_id within so many bytes."""

COLUMNS: Final = (
    "project",
    "feedback_id",
    "trace_id",
    "session_id",
    "span_id",
    "source",
    "user_id",
    "organisation",
    "prompt",
    "environment",
    "value",
    "weight",
    "numbers",
    "booleans",
    "strings",
    "created_at",
    "updated_at",
    "is_deleted",
    "kafka_topic",
    "topic_id",
    "kafka_partition",
    "kafka_offset",
)
"""The columns that the worker writes; the others have defaults made of these."""

PROJECT, FEEDBACK_ID, TRACE_ID, SESSION_ID, SPAN_ID, SOURCE = range(6)
USER_ID, ORGANISATION, PROMPT, ENVIRONMENT = range(6, 10)
VALUE, WEIGHT, NUMBERS, BOOLEANS, STRINGS = range(10, 15)
CREATED_AT, UPDATED_AT, IS_DELETED = range(15, 18)
KAFKA_TOPIC, TOPIC_ID, KAFKA_PARTITION, KAFKA_OFFSET = range(18, 22)


def to_row(event: Event, leaves: Leaves, message: Message, topic_id: str, published_ms: int) -> Row:
    """Make the row of an event as if nothing were stored under its id.

    Args:
        event: Of any `op`; a `clear` makes a tombstone.
        leaves: The event's; the reserved metadata are moved out of it into columns.
        message: Where the event came from.
        topic_id: Kafka's id of the message's topic.
        published_ms: When the message was published: the default of the event's times.
    """
    updated_at = event.updated_at
    strings = leaves.strings
    return [
        event.project,
        event.feedback_id,
        event.trace_id or "",
        event.session_id or "",
        event.span_id or "",
        event.source,
        strings.pop("metadata._user", None) or _integer(leaves, "metadata._user"),
        strings.pop("metadata._organisation", None) or _integer(leaves, "metadata._organisation"),
        strings.pop("metadata._prompt", None) or _integer(leaves, "metadata._prompt"),
        strings.pop("metadata._environment", None) or _integer(leaves, "metadata._environment"),
        None if event.value is None else int(event.value),
        1.0 if event.weight is None else event.weight,
        leaves.numbers,
        leaves.booleans,
        strings,
        _created_ms(event, published_ms) / 1000,
        (published_ms if updated_at is None else capped_ms(to_ms(updated_at), published_ms)) / 1000,
        1 if event.op == "clear" else 0,
        message.topic(),
        topic_id,
        message.partition(),
        message.offset(),
    ]


def version(row: Row) -> tuple[float, int]:
    """Return what decides between two rows of one key, as the column `version` does in the table."""
    return row[UPDATED_AT], row[KAFKA_OFFSET]


def published(message: Message, now_ms: int) -> int:
    """Return when a message was published, in milliseconds since 1970.

    A message without a timestamp, or with one that no event may carry, counts as published now.
    """
    kind, published_ms = message.timestamp()
    return published_ms if kind and is_in_range(published_ms) else now_ms


def key(row: Row) -> Key:
    """Return the identity of a row."""
    return row[PROJECT], row[FEEDBACK_ID]


def key_of_line(line: bytes | bytearray) -> Key:
    """Return the identity of the row of a line, of which the first `MAX_KEY_BYTES` are enough.

    >>> key_of_line(b'["acme","019c12e9-8b3d-7000-8000-000000000001","tr-1"]')
    ('acme', '019c12e9-8b3d-7000-8000-000000000001')
    """
    # Both parts were validated: neither holds a quote or an escape.
    _, project, _, feedback_id, _ = line.split(b'"', 4)
    return project.decode(), feedback_id.decode()


def encode(row: Row) -> bytes:
    """Return a row as one line of JSONCompactEachRow."""
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def decode(line: bytes) -> Row:
    """Return the row of a line made by `encode`."""
    row: Row = orjson.loads(line)
    return row


def _created_ms(event: Event, published_ms: int) -> int:
    """Return when feedback was first given; the time of an odd version 7 id says nothing of it."""
    if event.created_at is not None:
        return capped_ms(to_ms(event.created_at), published_ms)
    id_ms = uuid7_ms(event.feedback_id)
    if id_ms is None or not MIN_TIME_MS <= id_ms <= published_ms + MAX_AHEAD_MS:
        return published_ms
    return id_ms


def _integer(leaves: Leaves, path: str) -> str:
    """Move an integer that stands in a reserved place out of the leaves, as text."""
    number = leaves.numbers.pop(path, None) if leaves.numbers else None
    return "" if number is None else str(number)
