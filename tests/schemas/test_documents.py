"""The published documents are valid, are the committed ones, and say what `read_event` does."""

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import (  # type: ignore[import-untyped]  # publishes no types
    Draft7Validator,
    Draft202012Validator,
)

from afterword_schemas import InvalidEventError, RejectCode, read_event
from afterword_schemas.documents import TOPIC, asyncapi, json_schema
from afterword_schemas.testing import documents, events

ROOT = Path(__file__).parents[2]
SCHEMA = Draft202012Validator(json_schema())

IN_REACH = frozenset(
    {
        RejectCode.UNKNOWN_FIELD,
        RejectCode.MISSING_FIELD,
        RejectCode.WRONG_TYPE,
        RejectCode.TOO_DEEP,
        RejectCode.EMPTY_EVENT,
        RejectCode.NO_TARGET,
        RejectCode.NOT_ALLOWED,
    }
)
"""The codes of rules that the schema states in full."""

SET: dict[str, Any] = {
    "feedback_id": "019c12e9-8b3d-7000-8000-000000000000",
    "project": "acme",
    "trace_id": "t",
    "value": 4,
}


@pytest.mark.parametrize(("name", "made"), [("schema", json_schema), ("asyncapi", asyncapi)])
def test_committed_copy_is_current(name: str, made: Any) -> None:
    """A changed contract shows in the diff: `afterword schema json|asyncapi` rewrites the copy."""
    committed = json.loads((ROOT / f"schemas/feedback.v1.{name}.json").read_text("utf-8"))
    assert committed == made()


def test_schema_is_valid_under_its_draft() -> None:
    """The schema obeys the metaschema it names."""
    assert json_schema()["$schema"] == "https://json-schema.org/draft/2020-12/schema"
    Draft202012Validator.check_schema(json_schema())


def test_asyncapi_document_is_valid() -> None:
    """The document obeys the official JSON Schema of AsyncAPI 3.0."""
    path = Path(__file__).parent / "data" / "asyncapi-3.0.0.schema.json"
    official = Draft7Validator(json.loads(path.read_text("utf-8")))
    assert [error.message for error in official.iter_errors(asyncapi())] == []


def test_asyncapi_payload_judges_as_the_schema() -> None:
    """The payload is the same schema, with its parts among the components."""
    components = asyncapi()["components"]["schemas"]
    payload = {"components": {"schemas": components}} | components["feedbackEvent"]
    Draft7Validator.check_schema(payload)
    assert Draft7Validator(payload).is_valid(SET)
    assert not Draft7Validator(payload).is_valid(SET | {"feedback": nested(objects=6)})


def test_asyncapi_says_how_the_message_travels() -> None:
    """Topic, key and headers are in the document."""
    document = asyncapi()
    message = document["components"]["messages"]["feedbackEvent"]
    assert TOPIC == "feedback.events"
    assert list(document["channels"]) == ["feedback.events"]
    assert message["headers"]["properties"]["schema"]["const"] == "feedback/v1"
    assert "traceparent" in message["headers"]["properties"]
    assert message["bindings"]["kafka"]["key"]["format"] == "uuid"


def test_fields_say_what_they_are_and_no_more() -> None:
    """Every field has a description and a type, and none of pydantic's made-up titles."""
    for name, field in json_schema()["properties"].items():
        assert field["description"], name
        assert field["type"], name
        assert "title" not in field
        assert "anyOf" not in field


def test_null_is_in_the_type_where_it_is_accepted() -> None:
    """The four fields that must hold something if they are given do not take null."""
    fields = json_schema()["properties"]
    no_null = [name for name, field in fields.items() if "null" not in field["type"]]
    assert no_null == ["feedback_id", "project", "op", "source"]
    for name in fields:
        event = {"session_id": "s", "feedback": {"a": 1}} | SET | {name: None}
        assert SCHEMA.is_valid(event) == (verdict(event) is None) == (name not in no_null), name


def test_documents_are_fresh() -> None:
    """Changing an answer changes no later one."""
    json_schema()["examples"][0]["project"] = asyncapi()["info"]["title"] = "changed"
    assert json_schema()["examples"][0]["project"] == "support-bot"
    assert asyncapi()["info"]["title"] == "Afterword feedback events"


@pytest.mark.parametrize("example", json_schema()["examples"], ids=["set", "patch", "clear"])
def test_examples_are_events(example: dict[str, Any]) -> None:
    """The examples are accepted, by the schema and by the worker."""
    SCHEMA.validate(example)
    read_event(json.dumps(example).encode())


@given(events())
def test_accepted_events_are_valid(event: dict[str, Any]) -> None:
    """Whatever `read_event` accepts is valid under the schema."""
    read_event(json.dumps(event).encode())
    SCHEMA.validate(event)


@given(st.data())
def test_verdicts_agree_on_events_gone_wrong(data: st.DataObject) -> None:
    """An event with one field replaced, added or lost gets one verdict from both."""
    event = data.draw(events())
    name = data.draw(st.sampled_from([*json_schema()["properties"], "vlaue"]))
    if data.draw(st.booleans()):
        event.pop(name, None)
    else:
        event[name] = data.draw(documents() | st.sampled_from(ODD_VALUES))
    code = verdict(event)
    if code is None:
        SCHEMA.validate(event)
    elif code in IN_REACH:
        assert not SCHEMA.is_valid(event), code


ODD_VALUES: list[Any] = [
    None,
    True,
    0,
    1,
    -10.5,
    11,
    4.5,
    "",
    "4",
    "set",
    "clear",
    "x" * 257,
    [],
    [1],
    {},
]


def nested(*, objects: int = 0, arrays: int = 0) -> dict[str, Any]:
    """Nest containers of one kind below a root, around a leaf."""
    node: Any = 1
    for _ in range(arrays):
        node = [node]
    for _ in range(objects):
        node = {"a": node}
    return {"root": node}


FAULTS: dict[str, tuple[dict[str, Any], RejectCode]] = {
    "id of another form": ({"feedback_id": "7"}, RejectCode.INVALID_FORMAT),
    "id of a number": ({"feedback_id": 7}, RejectCode.WRONG_TYPE),
    "project with a blank": ({"project": "a b"}, RejectCode.INVALID_FORMAT),
    "project of 65 letters": ({"project": "a" * 65}, RejectCode.INVALID_FORMAT),
    "unknown op": ({"op": "delete"}, RejectCode.INVALID_FORMAT),
    "unknown source": ({"source": "guess"}, RejectCode.INVALID_FORMAT),
    "empty trace": ({"trace_id": ""}, RejectCode.OUT_OF_RANGE),
    "span of 257 letters": ({"span_id": "s" * 257}, RejectCode.OUT_OF_RANGE),
    "value too high": ({"value": 11}, RejectCode.OUT_OF_RANGE),
    "value too low": ({"value": -11}, RejectCode.OUT_OF_RANGE),
    "value not whole": ({"value": 4.5}, RejectCode.WRONG_TYPE),
    "value of text": ({"value": "4"}, RejectCode.WRONG_TYPE),
    "value of a boolean": ({"value": True}, RejectCode.WRONG_TYPE),
    "weight above one": ({"weight": 1.01}, RejectCode.OUT_OF_RANGE),
    "weight below nought": ({"weight": -0.01}, RejectCode.OUT_OF_RANGE),
    "feedback of an array": ({"feedback": [1]}, RejectCode.WRONG_TYPE),
    "objects six deep": ({"metrics": nested(objects=6)}, RejectCode.TOO_DEEP),
    "arrays three deep": ({"metrics": nested(arrays=3)}, RejectCode.TOO_DEEP),
    "reserved name of a boolean": ({"metadata": {"_user": True}}, RejectCode.WRONG_TYPE),
    "reserved name of a fraction": ({"metadata": {"_user": 1.5}}, RejectCode.WRONG_TYPE),
    "time without a zone": ({"created_at": "2026-01-31T09:30:00"}, RejectCode.INVALID_FORMAT),
    "time of digits": ({"updated_at": "1769851800"}, RejectCode.INVALID_FORMAT),
    "no target": ({"trace_id": None}, RejectCode.NO_TARGET),
    "nothing said": ({"value": None, "feedback": {"a": [{}, None]}}, RejectCode.EMPTY_EVENT),
    "only metadata": ({"value": None, "metadata": {"a": 1}}, RejectCode.EMPTY_EVENT),
    "clear with a value": ({"op": "clear"}, RejectCode.NOT_ALLOWED),
}


@pytest.mark.parametrize(("change", "code"), FAULTS.values(), ids=FAULTS)
def test_single_fault_is_refused_by_both(change: dict[str, Any], code: RejectCode) -> None:
    """What the schema can say, it refuses too."""
    assert verdict(SET) is None
    assert SCHEMA.is_valid(SET)
    assert verdict(SET | change) == code
    assert not SCHEMA.is_valid(SET | change)


@pytest.mark.parametrize("containers", [{"objects": 5}, {"arrays": 2}])
def test_deepest_event_is_valid(containers: dict[str, int]) -> None:
    """At the limits of nesting, both still accept."""
    event = SET | {"feedback": nested(**containers)}
    assert verdict(event) is None
    assert SCHEMA.is_valid(event)


def verdict(event: dict[str, Any]) -> RejectCode | None:
    """Return the code with which `read_event` refuses, None if it accepts."""
    try:
        read_event(json.dumps(event).encode())
    except InvalidEventError as error:
        return error.code
    return None
