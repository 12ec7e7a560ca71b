"""Rows of the feedback table, as the worker makes them, in one line."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from afterword_schemas.flatten import flatten


def make_row(number: int, **fields: Any) -> dict[str, Any]:
    """Make the row of one event, nested objects flattened as the worker does it.

    Args:
        number: Which event: the same number is the same feedback.
        fields: Columns, and the roots `feedback`, `metadata` and `metrics` as objects.
    """
    roots = {name: fields.pop(name, None) for name in ("feedback", "metadata", "metrics")}
    leaves = flatten(roots)
    created = fields.pop("created_at", datetime(2026, 1, 31, 9, 30, tzinfo=UTC)).timestamp()
    return {
        "project": "acme",
        "feedback_id": str(UUID(int=(0x019C12E98B3D7 << 76) | (0x2 << 62) | number)),
        "source": "explicit",
        "weight": 1.0,
        "numbers": leaves.numbers,
        "booleans": leaves.booleans,
        "strings": leaves.strings,
        "created_at": created,
        "updated_at": created,
        "ingested_at": created,
        "is_deleted": 0,
        "version": 1,
        **fields,
    }
