"""Portkey's spelling of an event becomes ours, and nothing else about it changes."""

from typing import Any

import orjson
import pytest
from hypothesis import given

from afterword.gateway import Scope
from afterword.gateway.portkey import to_event
from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.testing import documents, events


def test_trace_id_may_be_spelt_as_in_the_node_samples() -> None:
    """`traceID` is `trace_id`."""
    assert to_event({"traceID": "tr-1", "value": 5}) == {"trace_id": "tr-1", "value": 5}


def test_both_spellings_may_agree() -> None:
    """A trace id that is given twice, alike, is one trace id; a null one is none."""
    assert to_event({"trace_id": "tr-1", "traceID": "tr-1"}) == {"trace_id": "tr-1"}
    assert to_event({"trace_id": None, "traceID": "tr-1"}) == {"trace_id": "tr-1"}
    assert to_event({"trace_id": "tr-1", "traceID": None}) == {"trace_id": "tr-1"}


@pytest.mark.parametrize("other", ["tr-2", "", 7, {"a": 1}])
def test_two_trace_ids_are_refused(other: object) -> None:
    """Of two trace ids that differ neither is chosen."""
    with pytest.raises(InvalidEventError) as refused:
        to_event({"trace_id": "tr-1", "traceID": other})
    assert (refused.value.code, refused.value.path) == (RejectCode.DUPLICATE_KEY, "$.traceID")


@pytest.mark.parametrize(
    ("text", "code", "path"),
    [
        ("", RejectCode.INVALID_JSON, "$.metadata"),
        ("user u-19", RejectCode.INVALID_JSON, "$.metadata"),
        ('["u-19"]', RejectCode.NOT_AN_OBJECT, "$.metadata"),
        ("null", RejectCode.NOT_AN_OBJECT, "$.metadata"),
        ('"{}"', RejectCode.NOT_AN_OBJECT, "$.metadata"),
        ('{"a": {"b": 1, "b": 2}}', RejectCode.DUPLICATE_KEY, "$.metadata.a.b"),
        ('{"a": ' + "9" * 5_000 + "}", RejectCode.OUT_OF_RANGE, "$.metadata"),
        ("[" * 100_000, RejectCode.TOO_DEEP, "$.metadata"),
    ],
)
def test_metadata_as_text_must_hold_one_object(text: str, code: RejectCode, path: str) -> None:
    """Text that holds no object, or one that could not be read whole, is refused with its place."""
    with pytest.raises(InvalidEventError) as refused:
        to_event({"metadata": text})
    assert (refused.value.code, refused.value.path) == (code, path)


@pytest.mark.parametrize(("header", "second"), [("x-portkey-api-key", ""), ("authorization", None)])
def test_a_refused_event_of_portkeys_sdk_has_an_empty_id(
    gateway: Any, header: str, second: str | None
) -> None:
    """Its SDK reads the ids as texts, and fails upon the null that says more."""
    secret = gateway.key("acme", Scope.WRITE)["authorization"]
    key = secret if header == "authorization" else secret.removeprefix("Bearer ")
    batch = [{"trace_id": "tr-1", "value": 1}, {"trace_id": "tr-2", "value": 11}]
    answer = gateway.http.post("/v1/feedback", json=batch, headers={header: key})
    assert answer.status_code == 207
    assert answer.json()["feedback_ids"] == [gateway.transport.events[0]["feedback_id"], second]


@given(documents())
def test_metadata_as_text_equal_metadata_as_an_object(metadata: dict[str, Any]) -> None:
    """The JSON text of metadata says what the object says."""
    assert to_event({"metadata": orjson.dumps(metadata).decode()}) == {"metadata": metadata}


@given(events())
def test_our_own_events_pass_unchanged(event: dict[str, Any]) -> None:
    """What needs no translation is returned as it is, and the argument is left alone."""
    before = dict(event)
    assert to_event(event) == event == before
