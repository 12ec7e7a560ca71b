"""The schemas of what the API answers, for the OpenAPI document; schemathesis holds the answers to them."""

from typing import Final

from afterword_consumers.api.openapi_parts import Json

_TEXT: Final = {"type": "string"}
_OR_NULL: Final = {"type": ["string", "null"]}
_COUNT: Final = {"type": "integer", "minimum": 0}
_TIME: Final = {"type": "string", "format": "date-time"}
_TIME_OR_NULL: Final = {"type": ["string", "null"], "format": "date-time"}
_NUMBER_OR_NULL: Final = {"type": ["number", "null"]}
_CELL: Final = {"type": ["string", "number", "boolean", "null"]}
_LEAVES: Final = {
    "type": "object",
    "description": "Path to value, each in its type.",
    "additionalProperties": {"type": ["string", "number", "boolean"]},
}


def _record(**properties: Json) -> Json:
    """Describe an object that has exactly these properties."""
    return {
        "type": "object",
        "required": list(properties),
        "properties": properties,
        "additionalProperties": False,
    }


def _with_optional(described: Json, **properties: Json) -> Json:
    """Describe an object that may have these properties, too."""
    return described | {"properties": {**described["properties"], **properties}}


def _listed(items: Json) -> Json:
    return {"type": "array", "items": items}


_FRESHNESS: Final = {
    **_record(complete_until=_TIME_OR_NULL, waiting={"type": ["integer", "null"]}, note=_OR_NULL),
    "description": "Everything published before complete_until is in the answer; null: not known.",
}
_SERIES: Final = _record(
    type=_TEXT,
    columns=_listed(_record(name=_TEXT, kind=_TEXT, label=_TEXT)),
    rows=_listed(_listed(_CELL)),
    note=_OR_NULL,
)
_PATH: Final = _with_optional(
    _record(
        project=_TEXT,
        path=_TEXT,
        type={"type": "string", "enum": ["boolean", "number", "string"]},
        first_seen=_TIME,
        last_seen=_TIME,
        example=_TEXT,
    ),
    events=_COUNT,
    share_percent=_NUMBER_OR_NULL,
    distinct=_COUNT,
)
_TRACE: Final = _record(
    project=_TEXT,
    trace_id=_TEXT,
    feedback=_COUNT,
    sessions=_COUNT,
    session_ids=_listed(_TEXT),
    first_created_at=_TIME,
    last_created_at=_TIME,
    weighted_avg=_NUMBER_OR_NULL,
    pairs=_listed(_record(value={"type": "integer"}, weight={"type": "number"}, count=_COUNT)),
    ground_truth={"type": "boolean"},
)
_FEEDBACK: Final = _record(
    feedback_id={"type": "string", "format": "uuid"},
    project=_TEXT,
    trace_id=_TEXT,
    session_id=_OR_NULL,
    span_id=_OR_NULL,
    source=_TEXT,
    user_id=_OR_NULL,
    organisation=_OR_NULL,
    prompt=_OR_NULL,
    environment=_OR_NULL,
    value={"type": ["integer", "null"]},
    weight={"type": "number"},
    created_at=_TIME,
    updated_at=_TIME,
    ingested_at=_TIME,
    leaves=_LEAVES,
    ground_truth={"oneOf": [_LEAVES, {"type": "null"}]},
)
_REJECTED: Final = _with_optional(
    _record(
        rejected_at=_TIME,
        published_at=_TIME,
        replayed_at=_TIME_OR_NULL,
        code=_TEXT,
        path=_TEXT,
        detail=_TEXT,
        topic=_TEXT,
        partition=_COUNT,
        offset=_COUNT,
        project=_OR_NULL,
        feedback_id=_OR_NULL,
    ),
    payload=_TEXT,
    payload_encoding={"type": "string", "enum": ["utf-8", "base64"]},
)

SCHEMAS: Final[Json] = {
    "Error": _record(error=_record(code=_TEXT, detail=_TEXT, hint=_TEXT)),
    "Answer": _with_optional(
        _record(
            measure=_TEXT,
            freshness={"oneOf": [_FRESHNESS, {"type": "null"}]},
            notice=_OR_NULL,
            suggestions=_listed(_TEXT),
            series=_listed(_SERIES),
        ),
        sql=_listed(_record(type=_TEXT, sql=_TEXT)),
    ),
    "Paths": _record(paths=_listed(_PATH), more={"type": "boolean"}, suggestions=_listed(_TEXT)),
    "Traces": _record(traces=_listed(_TRACE), next=_OR_NULL),
    "TraceFeedback": _record(trace_id=_TEXT, feedback=_listed(_FEEDBACK), next=_OR_NULL),
    "Status": _record(
        project=_OR_NULL,
        freshness=_FRESHNESS,
        lag={
            "oneOf": [_listed(_record(partition=_COUNT, lag=_COUNT)), {"type": "null"}],
        },
        stored=_COUNT,
        rejected_24h=_listed(_record(code=_TEXT, count=_COUNT)),
    ),
    "Rejected": _record(rejected=_listed(_REJECTED), next=_OR_NULL),
}
"""By name; each answer has one."""
