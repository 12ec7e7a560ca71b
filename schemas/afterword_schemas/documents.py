"""The event as published documents: a JSON Schema and an AsyncAPI description of its topic.

    json_schema()["required"]       # ["feedback_id", "project"]
    asyncapi()["channels"]["feedback.events"]["messages"]

Both are made from `Event` and `limits`, so they say what `read_event` does. The copies in `schemas/`
are compared with them by a test: a change of the contract shows in a diff. Every event that
`read_event` accepts is valid under the schema; what the schema cannot say, its description does.
"""

from copy import deepcopy
from inspect import cleandoc
from typing import Any, Final

from afterword_schemas._document_rules import definitions, rules
from afterword_schemas.event import RESERVED_METADATA, SCHEMA_HEADER, Event
from afterword_schemas.limits import MAX_EVENT_BYTES, MAX_LEAVES, MAX_PATH_BYTES
from afterword_schemas.patterns import TRACEPARENT, whole

_Json = dict[str, Any]

DRAFT: Final = "https://json-schema.org/draft/2020-12/schema"
SCHEMA_ID: Final = "urn:afterword:schema:feedback:v1"
TOPIC: Final = "feedback.events"

_PROSE: Final = f"""
    What one person, or one signal, says about an AI answer. A field that is null, where it may
    be, counts as absent.

    The worker also rejects what a JSON Schema cannot say: an event of more than
    {MAX_EVENT_BYTES:,} bytes; more than {MAX_LEAVES:,} booleans, numbers and strings in `feedback`,
    `metadata` and `metrics` together; a dotted path of more than {MAX_PATH_BYTES} bytes; an object
    that names a key twice; NaN, infinities and integers beyond 64 bits; half of a surrogate pair; a
    date that no calendar has, or one before 2015 or after 2099 (UTC); and a reserved metadata
    number written with a decimal point.
"""

_EXAMPLES: Final[list[_Json]] = [
    {
        "feedback_id": "019c12e9-8b3d-7000-8000-000000000000",
        "project": "support-bot",
        "trace_id": "9f86d081884c7d65",
        "value": 4,
        "feedback": {"helpful": True, "comment": "Right, but long", "edits": [{"value": "Oslo"}]},
        "metadata": {"_user": "u-31", "model": "m1"},
    },
    {
        "feedback_id": "019c12e9-8b3d-7000-8000-000000000000",
        "project": "support-bot",
        "op": "patch",
        "feedback": {"ground_truth": "Oslo"},
    },
    {
        "feedback_id": "019c12e9-8b3d-7000-8000-000000000000",
        "project": "support-bot",
        "op": "clear",
    },
]


def json_schema() -> _Json:
    """Return the JSON Schema of one event, draft 2020-12; a fresh dictionary each time."""
    return {"$schema": DRAFT, "$id": SCHEMA_ID} | _event_schema() | {"$defs": definitions()}


def asyncapi() -> _Json:
    """Return the AsyncAPI 3.0 document of the topic; a fresh dictionary each time."""
    schemas = {"feedbackEvent": _event_schema()} | definitions()
    return {
        "asyncapi": "3.0.0",
        "id": "urn:afterword:asyncapi:feedback:v1",
        "info": {
            "title": "Afterword feedback events",
            "version": "1.0.0",
            "description": _flow(_INFO),
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": "application/json",
        "channels": {TOPIC: _channel()},
        "operations": {
            "publishFeedback": _operation("send", _PUBLISH),
            "storeFeedback": _operation("receive", _STORE),
        },
        "components": {
            "messages": {"feedbackEvent": _message()},
            "schemas": _repoint(schemas, "#/$defs/", "#/components/schemas/"),
        },
    }


_INFO: Final = """
    Services publish feedback on AI answers; a worker stores it in ClickHouse. Delivery
    is at least once, and `feedback_id` makes it exact: the same id again replaces the event.

    There is no topic for rejected events. What breaks a rule is stored in the table
    `feedback_rejected` as it came, with a code, a path and a sentence, and
    `afterword rejected replay` publishes it to this topic again.
"""
_PUBLISH: Final = "Wait for the acknowledgement of all in-sync replicas before calling it accepted."
_STORE: Final = """
    The worker, consumer group `afterword`. It commits an offset after ClickHouse has acknowledged
    the row, or the rejection, of every event before it.
"""
_TOPIC_TEXT: Final = """
    Keyed by `feedback_id`, so that events of one feedback stay in order. Any number of partitions;
    it bounds the number of workers.
"""


def _event_schema() -> _Json:
    fields: dict[str, _Json] = Event.model_json_schema()["properties"]
    return {
        "title": "Feedback event",
        "description": _flow(_PROSE),
        "type": "object",
        "properties": {name: _polish(name, field) for name, field in fields.items()},
        "required": ["feedback_id", "project"],
        "additionalProperties": False,
        "allOf": rules(),
        "examples": deepcopy(_EXAMPLES),
    }


def _polish(name: str, field: _Json) -> _Json:
    """Write a field as a person would: no title, null as a type, the rule before the prose."""
    branches = field.get("anyOf", [field])
    rule = {key: branches[0][key] for key in _SHOWN if key in branches[0]}
    if len(branches) > 1:
        rule["type"] = [rule["type"], "null"]
    if field.get("default") is not None:
        rule["default"] = field["default"]
    if "object" in rule["type"]:
        rule |= _reserved(name) | {"additionalProperties": _nested()}
    if name == "weight":
        rule["default"] = 1.0
    return rule | {"description": _flow(field["description"])}


_SHOWN: Final = (
    *("type", "enum", "format", "pattern", "minLength", "maxLength", "minimum", "maximum"),
    "examples",
)


def _nested() -> _Json:
    return {"$ref": "#/$defs/nested"}


def _reserved(root: str) -> _Json:
    if root == "feedback":
        return {"properties": {"ground_truth": _nested() | {"description": "The expected answer."}}}
    columns = {
        path.removeprefix(f"{root}."): {
            "type": ["string", "integer", "null"],
            "description": f"Stored in the column `{column}`.",
        }
        for path, column in RESERVED_METADATA.items()
        if path.startswith(f"{root}.")
    }
    return {"properties": columns} if columns else {}


def _channel() -> _Json:
    return {
        "address": TOPIC,
        "title": "Feedback events",
        "description": _flow(_TOPIC_TEXT),
        "messages": {"feedbackEvent": {"$ref": "#/components/messages/feedbackEvent"}},
        "bindings": {
            "kafka": {
                "topic": TOPIC,
                "topicConfiguration": {
                    "cleanup.policy": ["delete"],
                    "max.message.bytes": 1_048_588,
                },
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operation(action: str, text: str) -> _Json:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{TOPIC}"},
        "description": _flow(text),
        "messages": [{"$ref": f"#/channels/{TOPIC}/messages/feedbackEvent"}],
    }


def _message() -> _Json:
    return {
        "name": "feedbackEvent",
        "title": "Feedback event",
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "properties": {
                "schema": {"const": SCHEMA_HEADER, "description": "Version of the payload."},
                "traceparent": {
                    "type": "string",
                    "pattern": whole(TRACEPARENT),
                    "description": "W3C Trace Context of the publisher, when it has one.",
                },
            },
        },
        "payload": {"$ref": "#/components/schemas/feedbackEvent"},
        "bindings": {
            "kafka": {
                "key": {
                    "type": "string",
                    "format": "uuid",
                    "description": "The event's `feedback_id`, in lower case.",
                },
                "bindingVersion": "0.5.0",
            }
        },
        "examples": [{"name": "set", "payload": deepcopy(_EXAMPLES[0])}],
    }


def _flow(text: str) -> str:
    """Join the lines of a paragraph; an empty line parts two paragraphs."""
    paragraphs = cleandoc(text).split("\n\n")
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in paragraphs)


def _repoint(node: Any, old: str, new: str) -> Any:
    """Copy a document with its local references moved."""
    if isinstance(node, dict):
        return {
            key: part.replace(old, new) if key == "$ref" else _repoint(part, old, new)
            for key, part in node.items()
        }
    return [_repoint(part, old, new) for part in node] if isinstance(node, list) else node
