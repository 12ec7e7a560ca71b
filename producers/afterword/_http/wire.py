"""What goes over the wire to the gateway: events into items, and its answer into verdicts.

    item = to_item(event, headers, timestamp_ms)
    verdicts = read_verdicts([key], answer)

An item is the event's own bytes. What a message on the topic holds beside them, its `traceparent` and
the time it was published, is put in front of the item's first field.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

import orjson

from afterword._errors import DeliveryFailure, RefusedError
from afterword._transport import Headers
from afterword_schemas.errors import RejectCode, RetryableError

UNAVAILABLE: Final = "unavailable"
"""The gateway's code for an event that Kafka did not acknowledge; every other code is final."""

_MAX_DETAIL: Final = 500
_NO_EVENT: Final = "over HTTP only an event can be sent, under its own id"
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)


def to_item(key: bytes, value: bytes, headers: Headers, timestamp_ms: int | None) -> bytes:
    """Return an event as the gateway takes it.

    Args:
        key: The event's id.
        value: The event, judged before.
        headers: Of the message; all but `traceparent` are the gateway's to write.
        timestamp_ms: When it was first published; now if None.

    Raises:
        RefusedError: The value is no event of this id. The gateway could not tell them apart.
    """
    event = _parse(value)
    if event is None:
        raise RefusedError(RejectCode.INVALID_JSON, "$", _NO_EVENT)
    if not isinstance(event, dict):
        raise RefusedError(RejectCode.NOT_AN_OBJECT, "$", _NO_EVENT)
    if str(event.get("feedback_id")).lower().encode() != key:
        raise RefusedError(RejectCode.WRONG_KEY, "$.feedback_id", _NO_EVENT)
    beside = {name: text.decode() for name, text in headers if name == "traceparent"}
    # The gateway may take it an hour from now, and would take that for the event's own time.
    for name in _times_due(key, event):
        beside[name] = _write_time(timestamp_ms)
    if not beside:
        return value
    start = value.index(b"{") + 1
    return b"%b%b,%b" % (value[:start], orjson.dumps(beside)[1:-1], value[start:])


def read_verdicts(keys: Sequence[bytes], answer: bytes) -> Sequence[DeliveryFailure | None] | None:
    """Read what became of each item of a request.

    Args:
        keys: The ids of the events, in the order of the request.
        answer: The body of the gateway's answer.

    Returns:
        One an item: None where Kafka has it, `RefusedError` where it never will, any other
        `RetryableError` where it is to be sent again. None if it is no answer to these items: what
        came from something in between, or is about the request as a whole.
    """
    match _parse(answer):
        case {"feedback_ids": [*ids], "errors": [*errors]} if len(ids) == len(keys):
            pass
        case {"feedback_ids": [*ids]} if len(ids) == len(keys):
            errors = []
        case _:
            return None
    verdicts: list[DeliveryFailure | None] = [
        None
        if given == key.decode()
        else RetryableError("the gateway's answer is to another event")
        for given, key in zip(ids, keys, strict=True)
    ]
    for error in errors:
        match error:
            case {
                "index": int(at),
                "code": str(code),
                "path": str(path),
                "detail": str(detail),
            } if 0 <= at < len(keys):
                verdicts[at] = _to_error(code, path, detail[:_MAX_DETAIL])
            case _:
                return None
    return verdicts


def read_message(answer: bytes) -> str:
    """Return what the gateway says of a request as a whole; empty if it was not the gateway."""
    match _parse(answer):
        case {"message": str(message), "feedback_ids": [*_]}:
            return message[:_MAX_DETAIL]
        case _:
            return ""


def _parse(text: bytes) -> object:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return None


def _times_due(key: bytes, event: dict[str, object]) -> list[str]:
    """List the times that a worker would take from the message, where the event has none."""
    due = [] if "updated_at" in event else ["updated_at"]
    is_set = event.get("op", "set") == "set"  # a patch with a created_at would change it
    if is_set and "created_at" not in event and key[14:15] != b"7":
        due.append("created_at")
    return due


def _write_time(timestamp_ms: int | None) -> str:
    now_ms = time.time_ns() // 1_000_000
    moment = _EPOCH + timedelta(milliseconds=now_ms if timestamp_ms is None else timestamp_ms)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _to_error(code: str, path: str, detail: str) -> DeliveryFailure:
    return RetryableError(detail) if code == UNAVAILABLE else RefusedError(code, path, detail)
