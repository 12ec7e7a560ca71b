"""What both sides of Afterword agree on: the event, its limits, flattening, errors and tables.

event, leaves = read_event(raw)       # or an InvalidEventError with code, path and sentence
"""

from afterword_schemas.errors import (
    AccessError,
    AfterwordError,
    ConfigurationError,
    InvalidEventError,
    RejectCode,
    RetryableError,
    RowsRejectedError,
    UnreachableError,
)
from afterword_schemas.event import (
    RESERVED_METADATA,
    SCHEMA_HEADER,
    Event,
    read_event,
    to_ms,
    uuid7_ms,
)
from afterword_schemas.flatten import Leaves, array_paths, escape_key, flatten, json_path
from afterword_schemas.receipt import Receipt, ReceiptStatus

__all__ = [
    "RESERVED_METADATA",
    "SCHEMA_HEADER",
    "AccessError",
    "AfterwordError",
    "ConfigurationError",
    "Event",
    "InvalidEventError",
    "Leaves",
    "Receipt",
    "ReceiptStatus",
    "RejectCode",
    "RetryableError",
    "RowsRejectedError",
    "UnreachableError",
    "array_paths",
    "escape_key",
    "flatten",
    "json_path",
    "read_event",
    "to_ms",
    "uuid7_ms",
]
