"""Portkey's feedback, which is our event but for two spellings.

>>> to_event({"traceID": "tr-1", "value": 5, "metadata": '{"_user": "u-19"}'})
{'value': 5, 'metadata': {'_user': 'u-19'}, 'trace_id': 'tr-1'}

Its Node samples write `traceID`, and its reference types `metadata` as the JSON text of an object.
Its Node types also make `value` and `weight` text; those are refused here as everywhere, for its
samples and both its SDKs send numbers.
"""

from collections.abc import Mapping
from typing import Any

from afterword.gateway.json_objects import read_object
from afterword_schemas.errors import InvalidEventError, RejectCode


def to_event(item: dict[str, Any]) -> dict[str, Any]:
    """Return an event in our spelling; whether it is a good one is `read_event`'s to say.

    Raises:
        InvalidEventError: `DUPLICATE_KEY` at `$.traceID` where `trace_id` says otherwise, and at `$.metadata`
            what `read_object` raises.
    """
    event = dict(item)
    trace_id = event.pop("traceID", None)
    if trace_id is not None:
        if event.get("trace_id") not in (None, trace_id):
            detail = "trace_id and traceID are given, and differ"
            raise InvalidEventError(RejectCode.DUPLICATE_KEY, "$.traceID", detail)
        event["trace_id"] = trace_id
    if isinstance(event.get("metadata"), str):
        event["metadata"] = read_object(event["metadata"], "$.metadata")
    return event


def refused_id(headers: Mapping[str, str]) -> str | None:
    """Return what stands for the id of a refused event: Portkey's SDK fails upon a null."""
    return "" if "x-portkey-api-key" in headers else None
