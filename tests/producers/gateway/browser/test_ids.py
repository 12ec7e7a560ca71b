"""Browsers write under ids that reach what they wrote for the same user, and nothing else."""

import json
from typing import TYPE_CHECKING, Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword.gateway import Scope
from afterword.gateway.browser.ids import browser_id
from afterword_schemas.event import uuid7_ms

if TYPE_CHECKING:
    from tests.producers.gateway.conftest import GatewayHarness

ORIGIN = "http://localhost:3000"
OWN_ID = "019c12e9-8b3d-7000-8000-000000000000"
RANDOM_ID = "0b9b5f5e-6f0a-4a51-9b1c-52a4b1a4f6a1"
THUMB: dict[str, Any] = {"feedback_id": OWN_ID, "trace_id": "tr-1", "value": 1}


def user(name: object) -> dict[str, Any]:
    """Return the field of an event that names a user."""
    return {"metadata": {"_user": name}}


def send(gateway: "GatewayHarness", *events: object, secret: str = "") -> Any:
    """Send events as a page does."""
    body = json.dumps({"key": secret, "events": events})
    return gateway.http.post("/v1/beacon", content=body, headers={"origin": ORIGIN})


def stored_id(gateway: "GatewayHarness", event: dict[str, Any]) -> str:
    """Send an event, and return the id under which it was published."""
    before = len(gateway.transport.events)
    answer = send(gateway, event)
    (stored,) = gateway.transport.events[before:]
    assert answer.json()["feedback_ids"] == [stored["feedback_id"]]
    return str(stored["feedback_id"])


def test_a_stored_id_stays_what_it_is() -> None:
    """It is the same in every version, or a vote that changes would count twice."""
    assert browser_id("acme", OWN_ID) == "019c12e9-8b3d-7f3f-82c7-089d3df33ccc"
    assert browser_id("acme", OWN_ID, "u-19") == "019c12e9-8b3d-7ee3-b85e-5063afeb609c"
    assert browser_id("acme", RANDOM_ID, "u-19") == "d2a08cf0-c4cd-4753-b608-ae0f9b1e8b51"


@given(st.uuids(version=4) | st.integers(0, 2**48 - 1), st.text(), st.text())
def test_a_stored_id_is_of_the_same_kind(own: UUID | int, user: str, other: str) -> None:
    """Version and time are the browser's; another user has another id."""
    own_id = str(own if isinstance(own, UUID) else UUID(int=own << 80 | 7 << 76 | 2 << 62))
    stored = browser_id("acme", own_id, user)

    assert UUID(stored).version == UUID(own_id).version
    assert UUID(stored).variant == "specified in RFC 4122"
    assert uuid7_ms(stored) == uuid7_ms(own_id)
    assert stored != own_id
    assert (stored == browser_id("acme", own_id, other)) == (user == other)


@pytest.mark.parametrize("claim", [{}, user("u-19"), user(7), user('"ž"')])
@pytest.mark.parametrize("own_id", [OWN_ID, RANDOM_ID])
def test_a_browser_reaches_what_it_wrote(
    gateway: "GatewayHarness", claim: dict[str, Any], own_id: str
) -> None:
    """A vote that is sent again, changed and taken back is one row, as is one in Portkey's spelling."""
    vote = THUMB | claim | {"feedback_id": own_id}
    ids = {
        stored_id(gateway, event)
        for event in (
            vote,
            vote | {"value": -1, "feedback_id": own_id.upper()},
            {"feedback_id": own_id, "op": "clear"} | claim,
            vote | ({"metadata": json.dumps(claim["metadata"])} if claim else {}),
        )
    }

    assert ids == {browser_id("default", own_id, str(claim.get("metadata", {}).get("_user", "")))}
    assert "metadata" not in gateway.transport.events[2]


def test_a_user_is_text_or_a_number_or_none(gateway: "GatewayHarness") -> None:
    """As in the column of the table: 7 is "7", and null or an empty text is no user."""
    ids = [stored_id(gateway, THUMB | user(name)) for name in (7, "7", None, "")]
    assert ids == [browser_id("default", OWN_ID, name) for name in ("7", "7", "", "")]


def test_no_browser_reaches_what_others_wrote(gateway: "GatewayHarness") -> None:
    """The id of a backend's event, of another user's, of another project's or a stored one leads elsewhere."""
    by_backend = THUMB | {"project": "default"}
    assert gateway.http.post("/v1/feedback", json=by_backend).json()["feedback_ids"] == [OWN_ID]
    stored = stored_id(gateway, THUMB | user("u-19"))
    attacks = [
        {"feedback_id": named, "op": op, "project": project, **said}
        for named in (OWN_ID, stored)
        for op, said in (("set", {"trace_id": "tr-1", "value": -1}), ("clear", {}))
        for project in ("default", "other")
    ]

    for attack in attacks:
        for claim in ({}, user("u-20")):
            assert stored_id(gateway, attack | claim) not in {OWN_ID, stored}
    assert stored_id(gateway, {"feedback_id": stored, "op": "clear"} | user("u-19")) != stored


def test_an_id_is_of_the_keys_project(gateway: "GatewayHarness") -> None:
    """With keys, the project is the key's, and an event need not name it."""
    secret = gateway.key("acme", Scope.PUBLISH, origin=ORIGIN)["authorization"][len("Bearer ") :]
    answer = send(gateway, THUMB, THUMB | {"project": "acme"}, secret=secret)
    assert answer.json()["feedback_ids"] == [browser_id("acme", OWN_ID)] * 2


def test_a_stored_event_is_what_was_sent(gateway: "GatewayHarness") -> None:
    """Only its id is another; every value is kept."""
    said = {
        "value": 3,
        "weight": 0.1,
        "feedback": {
            "text": f'čau 🙂 "{OWN_ID}"',
            "n": 2**63 - 1,
            "x": 1e-7,
            "deep": [{"a": [None]}],
        },
        "metadata": {"_user": "u-19", "model": "aurora-2"},
    }
    stored_id(gateway, THUMB | said)
    (event,) = gateway.transport.events
    assert {name: event[name] for name in said} == said


@pytest.mark.parametrize(
    ("metadata", "path"),
    [
        ({"_user": "u-19", "model": "aurora-2"}, "$.metadata"),
        ({"_user": [1]}, "$.metadata._user"),
        ({"_user": True}, "$.metadata._user"),
        ("u-19", "$.metadata"),
    ],
)
def test_a_clear_says_whose_it_is_and_no_more(
    gateway: "GatewayHarness", metadata: object, path: str
) -> None:
    """Other metadata would be lost with it, so it is refused as for everybody."""
    answer = send(gateway, {"feedback_id": OWN_ID, "op": "clear", "metadata": metadata})
    assert answer.status_code == 422
    assert answer.json()["errors"][0]["path"] == path


@pytest.mark.parametrize(
    ("metadata", "code"),
    [
        (rb'{"_user": "\ud83d"}', "invalid_unicode"),
        (b'{"_user": "caf\xe9"}', "invalid_utf8"),
        (b'{"_user": "u-19", "model": "caf\xe9"}', "invalid_utf8"),
    ],
)
def test_a_clear_with_a_text_that_utf8_cannot_hold_is_refused_alone(
    gateway: "GatewayHarness", metadata: bytes, code: str
) -> None:
    """A user's emoji that was cut in two takes no other event with it, and is not sent for ever."""
    vote = json.dumps(THUMB).encode()
    clear = b'{"feedback_id": "%s", "op": "clear", "metadata": %s}' % (OWN_ID.encode(), metadata)
    body = b'{"events": [%s, %s]}' % (vote, clear)

    answer = gateway.http.post("/v1/beacon", content=body, headers={"origin": ORIGIN})

    assert answer.status_code == 207
    assert [(one["index"], one["code"]) for one in answer.json()["errors"]] == [(1, code)]
    assert len(gateway.transport.events) == 1


def test_what_was_not_delivered_is_named_as_the_page_knows_it(gateway: "GatewayHarness") -> None:
    """Sent again under that id it is the same row, also where the gateway made the id up."""
    gateway.transport.fail()
    answer = send(gateway, THUMB, {"trace_id": "tr-2", "value": 1})
    given, made_up = (error["feedback_id"] for error in answer.json()["errors"])
    gateway.transport.recover()

    assert given == OWN_ID
    for own_id, stored in zip((given, made_up), answer.json()["feedback_ids"], strict=True):
        assert stored_id(gateway, THUMB | {"feedback_id": own_id}) == stored
