"""What one event may hold; past a limit it is rejected with code and path, never truncated."""

from typing import Final

MAX_EVENT_BYTES: Final = 1_000_000
"""Of the JSON text; below Kafka's default `message.max.bytes` of 1,048,588 with room for headers."""

MAX_OBJECT_LEVELS: Final = 5
"""Objects nested below `feedback`, `metadata` or `metrics`: HoneyHive's limit."""

MAX_ARRAY_LEVELS: Final = 2
"""Arrays on the way from the root to a leaf: HoneyHive's limit."""

MAX_JSON_LEVELS: Final = 100
"""Objects and arrays nested in a JSON text, wherever they stand. Far more than an event may have: it bounds
what parsers do with a text that is hostile."""

MAX_LEAVES: Final = 1_000
"""Booleans, numbers and strings of one event, over all three roots."""

MAX_PATH_BYTES: Final = 512
"""Of a dotted path in UTF-8, the root's name and escapes included."""

MIN_INTEGER: Final = -(2**63)
MAX_INTEGER: Final = 2**64 - 1
"""What JSON libraries of other languages read as an integer. Stored as Float64, so exact to 2**53."""

MIN_TIME_MS: Final = 1_420_070_400_000
MAX_TIME_MS: Final = 4_102_444_800_000
"""Milliseconds since 1970; from 2015-01-01 and before 2100-01-01, both UTC. Seconds that were taken for
milliseconds, and milliseconds taken for nanoseconds, are times in 1970."""

MAX_AHEAD_MS: Final = 5 * 60 * 1000
"""How far a time may lie ahead of the message that carries it; a later one becomes the message's time."""
