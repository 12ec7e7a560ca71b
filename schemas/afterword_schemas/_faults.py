"""Turn what pydantic found wrong into one `InvalidEventError`: a code, a path, a sentence of ours."""

from collections.abc import Sequence

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from afterword_schemas._unknown_fields import explain_unknown
from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.flatten import json_path


def to_invalid_event_error(error: ValidationError, fields: Sequence[str]) -> InvalidEventError:
    """Translate the faults of an event: the first in full, the others by their paths.

    Args:
        error: What validating an event raised, whose text is JSON.
        fields: The event's field names, to suggest the one that was meant.
    """
    faults = error.errors(include_url=False)
    first = faults[0]
    code, detail = _judge(first, fields)
    others = [json_path(list(fault["loc"])) for fault in faults[1 : _MAX_OTHERS + 1]]
    if others:
        more = " …" if len(faults) > _MAX_OTHERS + 1 else ""
        detail += f" (also wrong: {', '.join(others)}{more})"
    return InvalidEventError(code, json_path(list(first["loc"])), detail)


_MAX_OTHERS = 5


def _judge(fault: ErrorDetails, fields: Sequence[str]) -> tuple[RejectCode, str]:
    kind, field = fault["type"], str(fault["loc"][-1]) if fault["loc"] else ""
    bounds = fault.get("ctx", {})
    if kind in _PLAIN:
        code, sentence = _PLAIN[kind]
        limits = {name: _limit(bound) for name, bound in bounds.items()}
        is_unit = field in _TIMES and str(fault["input"]).startswith("1970")
        return code, sentence.format(field=field, **limits) + (_WRONG_UNIT if is_unit else "")
    match kind:
        case "extra_forbidden":
            return RejectCode.UNKNOWN_FIELD, explain_unknown(field, fields)
        case "literal_error":
            is_text = isinstance(fault["input"], str)
            code = RejectCode.INVALID_FORMAT if is_text else RejectCode.WRONG_TYPE
            return code, f"{field} takes {bounds['expected']}"
        case _ if kind == "string_pattern_mismatch" or kind.startswith("datetime_"):
            return RejectCode.INVALID_FORMAT, _FORMS[field]
        case _:
            return RejectCode.WRONG_TYPE, f"{field} takes {_TYPES.get(field, 'another type')}"


_PLAIN = {
    "model_type": (RejectCode.NOT_AN_OBJECT, "an event is a JSON object"),
    "missing": (RejectCode.MISSING_FIELD, "{field} is required"),
    "multiple_of": (RejectCode.WRONG_TYPE, "{field} takes a whole number"),
    "finite_number": (RejectCode.NOT_FINITE, "{field} takes a finite number"),
    "greater_than_equal": (RejectCode.OUT_OF_RANGE, "{field} must be at least {ge}"),
    "less_than_equal": (RejectCode.OUT_OF_RANGE, "{field} must be at most {le}"),
    "less_than": (RejectCode.OUT_OF_RANGE, "{field} must be before {lt}"),
    "string_too_short": (RejectCode.OUT_OF_RANGE, "{field} is empty; leave it out instead"),
    "string_too_long": (
        RejectCode.OUT_OF_RANGE,
        "{field} has more than {max_length} characters",
    ),
    "timezone_aware": (
        RejectCode.INVALID_FORMAT,
        "{field} has no time zone: end it in Z or +hh:mm",
    ),
}
"""Faults whose sentence needs no more than the field and pydantic's own bounds."""

_TIMES = ("created_at", "updated_at")
_WRONG_UNIT = "; a time in 1970 comes from seconds that were taken for milliseconds"
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


def _limit(bound: object) -> str:
    return f"{bound:g}" if isinstance(bound, float) else str(bound)
