"""The parts that the descriptions of all routes in the OpenAPI document are made of."""

from typing import Any, Final

from afterword_schemas import patterns
from afterword_schemas.patterns import whole

Json = dict[str, Any]

COMPONENTS: Final = "#/components/schemas/"

FAULTS: Final = {
    400: "The body is not valid JSON, or it is damaged.",
    401: "No key, or none that is known.",
    403: "The key may not do this, or belongs to another project.",
    404: "No such address.",
    408: "The body took too long.",
    413: "The body is too large, or holds too many events.",
    415: "Another type than JSON, or a compression that is not known.",
    429: "Too many events from this address; `Retry-After` says when to go on.",
    503: "Kafka is away or the queue is full: send it again after `Retry-After`, under the same ids.",
}

ACCEPTED: Final = {
    200: "Kafka has all events.",
    207: "Kafka has some of the events; `errors` names the others.",
    422: "No event was accepted; `errors` says why.",
}

PROJECT: Final[Json] = {
    "name": "project",
    "in": "query",
    "description": "Where no keys are configured, the project; else the key's or nothing.",
    "schema": {"type": "string", "pattern": whole(patterns.PROJECT)},
}


def operation(
    operation_id: str,
    summary: str,
    *,
    answers: dict[int, str],
    body: Json | None = None,
    result: str = "Answer",
    kinds: tuple[str, ...] = ("application/json",),
    parameters: list[Json] | None = None,
) -> Json:
    """Describe a route that takes a key.

    Args:
        operation_id: Its name, unique in the document.
        summary: A sentence.
        answers: Its own statuses; those that any route may have come besides.
        body: The schema of what it takes, if anything.
        result: Name of the schema of its own answers.
        kinds: Content types of the body.
        parameters: Of path and query.
    """
    made: Json = {"operationId": operation_id, "summary": summary}
    if parameters:
        made["parameters"] = parameters
    if body is not None:
        made["requestBody"] = {
            "required": True,
            "content": {kind: {"schema": body} for kind in kinds},
        }
    made["responses"] = {
        str(status): content(text, "application/json", ref(result))
        for status, text in answers.items()
    } | {
        str(status): content(text, "application/json", ref("Answer"))
        for status, text in FAULTS.items()
        if status not in answers
    }
    return made


def plain(operation_id: str, summary: str, kind: str) -> Json:
    """Describe a route that takes and needs nothing."""
    return {
        "operationId": operation_id,
        "summary": summary,
        "security": [],
        "responses": {"200": content(summary, kind, {})},
    }


def content(text: str, kind: str, schema: Json) -> Json:
    """Describe an answer."""
    return {"description": text, "content": {kind: {"schema": schema}}}


def ref(name: str) -> Json:
    """Refer to a schema of the document."""
    return {"$ref": f"{COMPONENTS}{name}"}
