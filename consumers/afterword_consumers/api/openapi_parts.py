"""The parts that the descriptions of all routes in the OpenAPI document are made of."""

from typing import Any, Final

from afterword_schemas import patterns
from afterword_schemas.patterns import whole

Json = dict[str, Any]

FAULTS: Final = {
    400: "A parameter is unknown, repeated or not of its form; `hint` says what to write.",
    401: "No key, or none that is known.",
    403: "The key may not read, or is for another project.",
    404: "There is nothing.",
    422: "The budget of time, rows or memory is used up; `hint` says what to do.",
    503: "ClickHouse is away, lacks tables, or too many queries run: ask again after `Retry-After`.",
}

PROJECT: Final[Json] = {
    "name": "project",
    "in": "query",
    "description": "Where no keys are configured, the project, or all; else the key's or nothing.",
    "schema": {"type": "string", "pattern": whole(patterns.PROJECT)},
}


def parameter(
    name: str,
    schema: Json,
    description: str,
    *,
    required: bool = False,
    example: str | list[str] | None = None,
) -> Json:
    """Describe a parameter of the URL; an array is one that may be repeated."""
    made = {"name": name, "in": "query", "description": description, "schema": schema}
    if example is not None:
        made["example"] = example
    return made | {"required": True} if required else made


def count(name: str, description: str, *, usual: int, most: int) -> Json:
    """Describe a parameter that is a whole number."""
    schema = {"type": "integer", "minimum": 1, "maximum": most, "default": usual}
    return parameter(name, schema, description)


def operation(operation_id: str, summary: str, result: str, parameters: list[Json]) -> Json:
    """Describe a route that takes a key.

    Args:
        operation_id: Its name, unique in the document.
        summary: A sentence.
        result: Name of the schema of its answer.
        parameters: Of path and query.
    """
    return {
        "operationId": operation_id,
        "summary": summary,
        "parameters": parameters,
        "responses": {"200": content("The answer.", "application/json", result)}
        | {
            str(status): content(text, "application/json", "Error")
            for status, text in FAULTS.items()
        },
    }


def plain(
    operation_id: str, summary: str, kind: str = "application/json", *, unready: str = ""
) -> Json:
    """Describe a route that takes and needs nothing."""
    answers = {"200": {"description": summary, "content": {kind: {}}}}
    if unready:
        answers["503"] = {"description": unready, "content": {kind: {}}}
    return {
        "operationId": operation_id,
        "summary": summary,
        "security": [],
        "responses": answers,
    }


def content(text: str, kind: str, schema: str) -> Json:
    """Describe an answer by the name of its schema."""
    return {
        "description": text,
        "content": {kind: {"schema": {"$ref": f"#/components/schemas/{schema}"}}},
    }
