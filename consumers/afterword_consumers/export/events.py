"""Feedback as events again: JSONL that can be published once more.

    for piece in export_events(parse_selection(now, project="acme"), database): ...

A line is the event that makes the row it was read from: the nested documents are put together again
from their paths, and the times are there, so that publishing it changes nothing that was said since.
"""

from collections.abc import Iterator
from typing import Any, Final

import orjson

from afterword_consumers.export.pieces import Piece, Row, read_rows
from afterword_consumers.export.selection import (
    ORDER,
    SETTINGS,
    StreamingDatabase,
    select,
)
from afterword_consumers.query import Plan
from afterword_consumers.query.compile.parameters import Parameters
from afterword_consumers.query.compile.source import rfc3339_sql
from afterword_consumers.query.compile.storage import MAPS
from afterword_consumers.query.language.fields import COLUMNS, Type
from afterword_schemas import RESERVED_METADATA
from afterword_schemas.unflatten import restore

_RESERVED: Final = RESERVED_METADATA.values()
_FIELDS: Final = (
    "feedback_id",
    *(name for name, kind in COLUMNS.items() if kind == Type.TEXT and name not in _RESERVED),
)
_COLUMNS: Final = ", ".join(
    [
        *_FIELDS,
        *("value", "weight"),
        # Under other names, or filters would mean the text.
        *(f"{rfc3339_sql(name)} AS {name}_text" for name in ("created_at", "updated_at")),
        *_RESERVED,
        *MAPS.values(),
    ]
)


def export_events(selection: Plan, database: StreamingDatabase) -> Iterator[Piece]:
    """Yield the feedback selected as lines of JSON, one event each; errors as for `select`."""
    parameters = Parameters()
    sql = f"{select(_COLUMNS, selection, parameters)}\n{ORDER}"
    stream = database.stream(sql, parameters.values, SETTINGS, "JSONCompactEachRow")
    return read_rows(stream, to_line)


def to_line(row: Row) -> bytes:
    """Return the event that makes a row, as a line of JSON.

    It is a `set`, except for what such an event may not lack: a row that patches alone have made is a
    `patch`, which makes the same row where there is none.
    """
    values = iter(row)
    event = {name: text for name in _FIELDS if (text := next(values))}
    value, weight, created_at, updated_at = (next(values) for _ in range(4))
    reserved = {path: text for path in RESERVED_METADATA if (text := next(values))}
    leaves: dict[str, Any] = {}
    for found in values:  # the maps
        leaves |= found
    documents = restore(leaves | reserved)
    if not (_has_target(event) and (value is not None or documents.keys() - {"metadata"})):
        event["op"] = "patch"
    if value is not None:
        event["value"] = value
    times = {"created_at": created_at, "updated_at": updated_at}
    return orjson.dumps(event | {"weight": weight} | documents | times, option=_NEWLINE)


_NEWLINE: Final = orjson.OPT_APPEND_NEWLINE


def _has_target(event: dict[str, Any]) -> bool:
    return not event.keys().isdisjoint({"trace_id", "session_id", "span_id"})
