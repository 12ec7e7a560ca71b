"""`Client.rate`: one vote for each person and answer, under an id that any language can derive."""

import hashlib
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from afterword import Client, EventError, MemoryTransport, RejectCode, enrichment_id, trace, vote_id
from afterword._votes import VOTE_NAMESPACE

PAGE = (Path(__file__).parents[2] / "producers" / "docs" / "python-sdk.md").read_text(
    encoding="utf-8"
)
VECTORS = re.findall(r"^\| `(\S+/.*?)` \| (.*?) \| `([0-9a-f-]{36})` \|$", PAGE, flags=re.MULTILINE)


def only_event(memory: MemoryTransport) -> dict[str, Any]:
    """Return the one event that was sent."""
    [event] = memory.events
    return event


def test_a_vote_says_who_voted_what(client: Client, memory: MemoryTransport) -> None:
    """The thumb is a value, the person a column, the comment a path; all else is passed on."""
    returned = client.rate(
        trace_id="tr-1",
        up=False,
        user="u-19",
        comment="missed the date",
        weight=0.5,
        feedback={"tags": ["date"]},
        metadata={"model": "m-4"},
        updated_at="2026-01-31T09:30:00Z",
    )
    assert only_event(memory) == {
        "feedback_id": returned,
        "project": "acme",
        "op": "set",
        "trace_id": "tr-1",
        "value": -1,
        "weight": 0.5,
        "feedback": {"tags": ["date"], "comment": "missed the date"},
        "metadata": {"model": "m-4", "_user": "u-19"},
        "updated_at": "2026-01-31T09:30:00Z",
    }


def test_a_later_vote_replaces_the_earlier(client: Client, memory: MemoryTransport) -> None:
    """Whatever it says, and whatever else it names: the id is that of the person and the trace."""
    first = client.rate(trace_id="tr-1", user="u-19", up=True)
    second = client.rate(trace_id="tr-1", session_id="s-1", user="u-19", value=-3, comment="no")
    by_metadata = client.rate(trace_id="tr-1", metadata={"_user": "u-19"}, up=True)
    assert first == second == by_metadata == vote_id("acme", "trace", "tr-1", "u-19")
    assert [event["value"] for event in memory.events] == [1, -3, 1]
    assert all(event["op"] == "set" for event in memory.events)
    # A `created_at` would move the vote: without one, that of the first is kept.
    assert not any("created_at" in event for event in memory.events)


def test_a_vote_is_taken_back(client: Client, memory: MemoryTransport) -> None:
    """By the same target and person, in whichever process it was given."""
    given = client.rate(span_id="sp-1", user=19, up=True)
    assert client.unrate(span_id="sp-1", trace_id="tr-1", user="19") == given
    assert [event["op"] for event in memory.events] == ["set", "clear"]
    assert memory.events[1] == {
        "feedback_id": given,
        "project": "acme",
        "op": "clear",
        "updated_at": memory.events[1]["updated_at"],
    }


def test_another_process_derives_the_same_id() -> None:
    """Nothing of it depends on the process, as Python's own hashes do."""
    script = "from afterword import vote_id; print(vote_id('acme', 'trace', 'tr-1', 'u-19'))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout.strip() == vote_id("acme", "trace", "tr-1", "u-19")


@pytest.mark.parametrize(
    ("targets", "kind", "target"),
    [
        ({"trace_id": "t"}, "trace", "t"),
        ({"session_id": "s"}, "session", "s"),
        ({"span_id": "p"}, "span", "p"),
        ({"trace_id": "t", "session_id": "s"}, "trace", "t"),
        ({"trace_id": "t", "session_id": "s", "span_id": "p"}, "span", "p"),
        ({"trace_id": UUID(int=7)}, "trace", "00000000-0000-0000-0000-000000000007"),
    ],
)
def test_a_vote_is_about_the_most_exact_target(
    client: Client, targets: dict[str, Any], kind: Any, target: str
) -> None:
    """Span before trace before session, so a session id that comes later changes nothing."""
    assert client.rate(**targets, up=True) == vote_id("acme", kind, target)


def test_a_vote_in_a_request_is_about_its_trace(client: Client, memory: MemoryTransport) -> None:
    """As feedback is, where it names nothing else; so is what takes it back."""
    with trace("tr-7"):
        assert client.rate(up=True) == client.unrate() == vote_id("acme", "trace", "tr-7")
    assert memory.events[0]["trace_id"] == "tr-7"


@pytest.mark.parametrize("nobody", [None, ""])
def test_without_a_user_an_answer_has_one_vote(client: Client, nobody: str | None) -> None:
    """Whoever gives it."""
    assert client.rate(trace_id="t", user=nobody, up=True) == vote_id("acme", "trace", "t")


@pytest.mark.parametrize(
    ("call", "code", "path", "says"),
    [
        ({"trace_id": "t"}, "missing_field", "$.value", "a vote needs up or value; unrate"),
        ({"trace_id": "t", "up": True, "value": 1}, "duplicate_key", "$.value", "pass one"),
        ({"trace_id": "t", "up": "up"}, "wrong_type", "$.up", "up takes True or False"),
        ({"trace_id": "t", "up": 1}, "wrong_type", "$.up", "up takes True or False"),
        ({"trace_id": "t", "value": 11}, "out_of_range", "$.value", "at most 10"),
        ({"trace_id": "", "up": True}, "missing_field", "$.trace_id", "trace_id is required"),
        ({"up": True}, "no_target", "$", "name what the vote is about"),
        ({"trace_id": "\ud83d", "up": True}, "invalid_unicode", "$.trace_id", "surrogate"),
        ({"trace_id": "t", "user": "\ud83d", "up": True}, "invalid_unicode", "$.metadata._user", "surrogate"),
        ({"trace_id": "t", "user": True, "up": True}, "wrong_type", "$.metadata._user", "_user is reserved"),
        ({"trace_id": "t", "user": ["u"], "up": True}, "wrong_type", "$.metadata._user", "_user is reserved"),
        ({"trace_id": "t", "up": True, "user": "u", "metadata": "m"}, "wrong_type", "$.metadata", "an object"),
        ({"trace_id": "t", "up": True, "comment": "c", "feedback": ["f"]}, "wrong_type", "$.feedback", "an object"),
    ],
)  # fmt: skip
def test_a_vote_that_is_wrong_is_not_sent(
    *,
    client: Client,
    memory: MemoryTransport,
    call: dict[str, Any],
    code: str,
    path: str,
    says: str,
) -> None:
    """The error names the argument and says what to pass."""
    with pytest.raises(EventError) as failure:
        client.rate(**call)
    assert (failure.value.code, failure.value.path) == (RejectCode(code), path)
    assert says in failure.value.detail
    assert memory.events == []


@pytest.mark.parametrize("target", ["\ud83d", ""])
def test_an_enrichment_of_no_name_is_refused_alike(client: Client, target: str) -> None:
    """An id is derived of its name, too."""
    with pytest.raises(EventError, match="session_id"):
        client.enrich_session(target, feedback={"resolved": True})


def test_the_documented_vectors_hold() -> None:
    """Each row of the table is what the function returns, and what the rule says in plain SHA-1."""
    assert len(VECTORS) == 5
    for name, user, expected in VECTORS:
        project, kind, target = name.split("/")
        person = user.strip("`") if user != "none" else ""
        assert vote_id(project, kind, target, person) == expected
        subject = _uuid5(VOTE_NAMESPACE.bytes, name)
        assert str(_uuid5(subject.bytes, person) if person else subject) == expected
    assert str(VOTE_NAMESPACE) in PAGE


def _uuid5(namespace: bytes, name: str) -> UUID:
    """Return the UUIDv5 of RFC 9562, section 5.5, from its text."""
    digest = bytearray(hashlib.sha1(namespace + name.encode(), usedforsecurity=False).digest()[:16])
    digest[6] = digest[6] & 0x0F | 0x50
    digest[8] = digest[8] & 0x3F | 0x80
    return UUID(bytes=bytes(digest))


_names = st.text("a/é", min_size=1, max_size=4)


@given(_names, _names | st.none(), _names, _names | st.none())
def test_no_two_votes_share_an_id(
    target: str, user: str | None, other_target: str, other_user: str | None
) -> None:
    """Where the target ends and the user begins is never in doubt, whatever signs they hold."""
    one = vote_id("acme", "trace", target, user)
    other = vote_id("acme", "trace", other_target, other_user)
    assert (one == other) == ((target, user) == (other_target, other_user))
    assert one not in {
        vote_id("acme", "span", target, user),
        vote_id("acme2", "trace", target, user),
        enrichment_id("acme", "session", target),
    }
