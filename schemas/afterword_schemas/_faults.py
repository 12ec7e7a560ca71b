"""Turn what pydantic found wrong into one `EventError`: a code, a path, a sentence of ours."""

from collections.abc import Sequence
from difflib import get_close_matches

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from afterword_schemas.errors import EventError, RejectCode
from afterword_schemas.flatten import json_path


def to_event_error(error: ValidationError, raw: bytes, fields: Sequence[str]) -> EventError:
    """Translate the faults of an event: the first in full, the others by their paths.

    Args:
        error: What validating `raw` raised.
        raw: The bytes, to tell bad UTF-8 from bad JSON.
        fields: The event's field names, to suggest the one that was meant.
    """
    faults = error.errors(include_url=False, include_input=False)
    first = faults[0]
    code, detail = _judge(first, raw, fields)
    if len(faults) > 1:
        others = ", ".join(json_path(list(fault["loc"])) for fault in faults[1:6])
        detail += f" (also wrong: {others}{' …' if len(faults) > 6 else ''})"
    return EventError(code, json_path(list(first["loc"])), detail)


def _judge(fault: ErrorDetails, raw: bytes, fields: Sequence[str]) -> tuple[RejectCode, str]:
    kind, field = fault["type"], str(fault["loc"][-1]) if fault["loc"] else ""
    bounds = fault.get("ctx", {})
    match kind:
        case "json_invalid":
            return _judge_json(str(bounds["error"]), raw)
        case "model_type":
            return RejectCode.NOT_AN_OBJECT, "an event is a JSON object"
        case "extra_forbidden":
            return RejectCode.UNKNOWN_FIELD, _unknown(field, fields)
        case "missing":
            return RejectCode.MISSING_FIELD, f"{field} is required"
        case "multiple_of":
            return RejectCode.WRONG_TYPE, f"{field} takes a whole number"
        case "literal_error":
            return RejectCode.INVALID_FORMAT, f"{field} takes {bounds['expected']}"
        case "finite_number":
            return RejectCode.NOT_FINITE, f"{field} takes a finite number"
        case "greater_than_equal" | "less_than_equal" | "less_than":
            return RejectCode.OUT_OF_RANGE, f"{field} must be {_bound(kind)} {_limit(bounds)}"
        case "string_too_short":
            return RejectCode.OUT_OF_RANGE, f"{field} is empty; leave it out instead"
        case "string_too_long":
            return (
                RejectCode.OUT_OF_RANGE,
                f"{field} has more than {bounds['max_length']} characters",
            )
        case "string_pattern_mismatch":
            return RejectCode.INVALID_FORMAT, _FORMS[field]
        case "timezone_aware":
            return RejectCode.INVALID_FORMAT, f"{field} has no time zone: end it in Z or +hh:mm"
        case _ if kind.startswith("datetime_") and kind != "datetime_type":
            return RejectCode.INVALID_FORMAT, f"{field} takes {_TIME}"
        case _:
            return RejectCode.WRONG_TYPE, f"{field} takes {_TYPES.get(field, 'another type')}"


_TIME = "a time such as 2026-01-31T09:30:00.125Z"
_FORMS = {
    "created_at": f"created_at takes {_TIME}",
    "updated_at": f"updated_at takes {_TIME}",
    "feedback_id": "feedback_id takes a UUID such as 019c12e9-8b3d-7000-8000-000000000000",
    "project": "project takes 1 to 64 of the characters A-Z a-z 0-9 . _ -",
}
_TYPES = {
    "feedback_id": "text",
    "project": "text",
    "trace_id": "text",
    "session_id": "text",
    "span_id": "text",
    "value": "a whole number from -10 to 10",
    "weight": "a number from 0 to 1",
    "feedback": "an object",
    "metadata": "an object",
    "metrics": "an object",
    "created_at": _TIME,
    "updated_at": _TIME,
}


def _judge_json(message: str, raw: bytes) -> tuple[RejectCode, str]:
    try:
        raw.decode()
    except UnicodeDecodeError as error:
        return RejectCode.INVALID_UTF8, f"byte {error.start} is no UTF-8"
    if "recursion limit" in message:
        return RejectCode.TOO_DEEP, "objects or arrays are nested far too deep"
    if "surrogate" in message or "hex escape" in message:
        return RejectCode.INVALID_UNICODE, f"half of a surrogate pair: {message}"
    if "number out of range" in message:
        return RejectCode.OUT_OF_RANGE, "a number of thousands of digits"
    if raw.startswith(b"\xef\xbb\xbf"):
        return RejectCode.INVALID_JSON, "the text begins with a byte order mark; send it without"
    return RejectCode.INVALID_JSON, f"not JSON: {message}"


def _unknown(field: str, fields: Sequence[str]) -> str:
    close = get_close_matches(field.lower(), fields, n=1)
    return "no such field; " + (
        f"did you mean {close[0]}?" if close else "free-form data goes into feedback or metadata"
    )


def _bound(kind: str) -> str:
    return {
        "greater_than_equal": "at least",
        "less_than_equal": "at most",
        "less_than": "before",
    }[kind]


def _limit(bounds: dict[str, object]) -> str:
    limit = next(bounds[name] for name in ("ge", "le", "lt") if name in bounds)
    return f"{limit:g}" if isinstance(limit, float) else str(limit)
