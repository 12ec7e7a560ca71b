"""The rules of the event's JSON Schema that stand between fields, and inside nested parts.

They use no keyword younger than draft 7: AsyncAPI's schemas are a superset of that draft.
"""

from typing import Any

from afterword_schemas.limits import MAX_ARRAY_LEVELS, MAX_OBJECT_LEVELS

_Json = dict[str, Any]


def definitions() -> dict[str, _Json]:
    """Return what may stand in `feedback`, `metadata` and `metrics`, under the names of `$defs`.

    `nested` is any value within the limits of nesting, `leaf` any value with a leaf in it.
    """
    return {
        "nested": {
            "allOf": [_ref(f"objects{MAX_OBJECT_LEVELS}"), _ref(f"arrays{MAX_ARRAY_LEVELS}")]
        },
        "leaf": {
            "description": "A boolean, number or string, or what holds one at any depth.",
            "anyOf": [
                {"type": ["boolean", "number", "string"]},
                {"type": "array", "contains": _ref("leaf")},
                {"type": "object", "not": {"additionalProperties": {"not": _ref("leaf")}}},
            ],
        },
        **_levels("objects", MAX_OBJECT_LEVELS, "object", "additionalProperties", "items"),
        **_levels("arrays", MAX_ARRAY_LEVELS, "array", "items", "additionalProperties"),
    }


def rules() -> list[_Json]:
    """Return what each `op` demands of the fields together."""
    targets = ("trace_id", "session_id", "span_id")
    target = [_given(name, {"type": "string"}) for name in targets]
    content = [
        _given("value", {"type": "number"}),
        *(_given(name, _ref("leaf")) for name in ("feedback", "metrics")),
    ]
    other = [
        *(_given(name, {"not": {"type": "null"}}) for name in ("weight", "source", "created_at")),
        _given("metadata", _ref("leaf")),
    ]
    cleared = ("value", "weight", "feedback", "metadata", "metrics")
    return [
        {
            # True also where `op` is absent, for its default is `set`.
            "if": {"properties": {"op": {"const": "set"}}},
            "then": {"allOf": [{"anyOf": target}, {"anyOf": content}]},
        },
        {
            "if": _given("op", {"const": "patch"}),
            "then": {"anyOf": [*target, *content, *other]},
        },
        {
            "if": _given("op", {"const": "clear"}),
            "then": {"properties": {name: {"type": "null"} for name in cleared}},
        },
    ]


def _levels(name: str, most: int, kind: str, deeper: str, level: str) -> dict[str, _Json]:
    """Define values with at most 0, 1, … levels of one kind of container in them."""
    innermost = {
        "description": f"A value without {name} in it.",
        "not": {"type": kind},
        level: _ref(f"{name}0"),
    }
    return {f"{name}0": innermost} | {
        f"{name}{left}": {
            "description": f"A value with {name} at most {left} deep.",
            deeper: _ref(f"{name}{left - 1}"),
            level: _ref(f"{name}{left}"),
        }
        for left in range(1, most + 1)
    }


def _given(name: str, schema: _Json) -> _Json:
    return {"required": [name], "properties": {name: schema}}


def _ref(name: str) -> _Json:
    return {"$ref": f"#/$defs/{name}"}
