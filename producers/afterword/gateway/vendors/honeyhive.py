"""HoneyHive's sessions and events as ours.

    PUT /events  {"event_id": "7f22…", "feedback": {"rating": 4, "step1": {"retry": false}}}

HoneyHive keeps one object for each session and span, and merges into it. So does Afterword: whatever
is said of one of them is a `patch` under the id that the SDK's own `enrich_session` and `enrich_span`
take, `enrichment_id`, and so meets in one row, from whichever process it comes.

What an `event_id` means has to be read off itself, for HoneyHive's SDK sends the same request for
both calls. A session's is its session id, a UUID. A span of OTLP is known by its span id, 16
hexadecimal digits, and an event that was posted without an id is given a UUID of version 8, which no
session has: those two are spans, and every other id is a session's. A caller who gives a span a UUID
of their own (`update_event_id`, or `event_id` of a posted event) still finds all of it in one
row, only that an update by this id alone, coming last, names the UUID as its session.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from afterword._identity import enrichment_id, new_id
from afterword._signals import without_none
from afterword.gateway.intake import check_count
from afterword.gateway.json_objects import read_object
from afterword.gateway.unicode_text import check_text
from afterword.gateway.vendors.events import Translated
from afterword_schemas.errors import InvalidEventError, RejectCode

Reply = tuple[dict[str, Any], Sequence[Translated]]
"""What HoneyHive's SDK looks for in the answer to a request, and what the request says."""

_SPAN: Final = re.compile(
    "[0-9a-f]{16}|[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE
)


def start_session(body: Mapping[str, Any], project: str) -> Reply:
    """Give a session its id, the caller's where it brings one; it may hold feedback already.

    Raises:
        InvalidEventError: The session is no object, or its id no text.
    """
    session = _part(body, "session")
    session_id = _text(session, "session_id") or new_id()
    answer = {
        "session_id": session_id,
        "event_id": session_id,
        "event_type": "session",
        # The SDK warns where it misses one of these.
        "org_id": "afterword",
        "workspace_id": "afterword",
        "project_id": project,
    }
    return answer, [update_event(session_id, session, project)]


def update_posted(body: Mapping[str, Any], project: str) -> Reply:
    """Update the event whose id stands in the body; errors as for `update_event`."""
    return {}, [update_event(body.get("event_id"), body, project)]


def create_posted(body: Mapping[str, Any], project: str) -> Reply:
    """Create the event that a body is, or holds as `event`; errors as for `create_event`."""
    event_id, event = create_event(_part(body, "event"), project)
    return {"event_id": event_id}, [event]


def create_batch(body: Mapping[str, Any], project: str) -> Reply:
    """Create the `events` of a body, each by itself.

    Args:
        body: An event in it that could not be read is an `InvalidEventError`.
        project: The tenant.

    Raises:
        InvalidEventError: They are no array.
        RequestError: 413 for more than one request may hold.
    """
    posted = body.get("events")
    if not isinstance(posted, list):
        raise InvalidEventError(RejectCode.WRONG_TYPE, "$.events", "events takes an array")
    check_count(len(posted))
    created = [_attempt(one, project) for one in posted]
    return {"event_ids": [event_id for event_id, _ in created]}, [event for _, event in created]


def create_event(posted: Mapping[str, Any], project: str) -> tuple[str, dict[str, Any] | None]:
    """Return the id of a posted event, which is minted where it has none, and what it says.

    Raises:
        InvalidEventError: As for `update_event`.
    """
    session_id = _text(posted, "session_id")
    is_session = posted.get("event_type") == "session"
    event_id = _text(posted, "event_id") or (session_id if is_session else None) or _new_event_id()
    event = update_event(event_id, posted, project)
    if event is not None and not is_session:
        event |= {"span_id": event_id, "session_id": session_id}
    return event_id, event


def update_event(event_id: object, body: Mapping[str, Any], project: str) -> dict[str, Any] | None:
    """Return the patch that an update makes; None if there is nothing in its feedback and metrics.

    Metadata come along, `user_properties` among them, and their `user_id` as `_user`; alone they
    are no feedback. What else HoneyHive keeps of an event is dropped.

    Args:
        event_id: Of a session or a span: see the module.
        body: `feedback`, `metrics`, `metadata` and `user_properties`, nested as the caller did.
        project: The tenant.

    Raises:
        InvalidEventError: The id is absent or no text; the rest is for `read_event` to judge.
    """
    target = _text({"event_id": event_id}, "event_id")
    if target is None:
        detail = "event_id is required: the id of a session or span"
        raise InvalidEventError(RejectCode.MISSING_FIELD, "$.event_id", detail)
    said = {root: body[root] for root in ("feedback", "metrics") if _says_something(body.get(root))}
    if not said:
        return None
    kind: Literal["span", "session"] = "span" if _SPAN.fullmatch(target) else "session"
    target = target.lower() if kind == "span" else target
    event = {
        "feedback_id": enrichment_id(project, kind, target),
        "project": project,
        "op": "patch",
        f"{kind}_id": target,
        **said,
    }
    return event | without_none(metadata=_metadata(body))


def _attempt(posted: object, project: str) -> tuple[str | None, Translated]:
    if isinstance(posted, InvalidEventError):
        return None, posted
    try:
        return create_event(_part({"event": posted}, "event"), project)
    except InvalidEventError as error:
        return None, error


def _part(body: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return what a body holds under a name, as an object or its JSON text, or what it is."""
    part = body.get(name, body)
    if isinstance(part, str):
        return read_object(part, f"$.{name}")
    if not isinstance(part, Mapping):
        raise InvalidEventError(RejectCode.NOT_AN_OBJECT, f"$.{name}", f"{name} takes an object")
    return part


def _text(part: Mapping[str, Any], name: str) -> str | None:
    text = part.get(name)
    if text is not None and not isinstance(text, str):
        raise InvalidEventError(RejectCode.WRONG_TYPE, f"$.{name}", f"{name} takes text")
    if text:
        check_text(text, f"$.{name}")
    return text or None


def _new_event_id() -> str:
    minted = new_id()
    return f"{minted[:14]}8{minted[15:]}"


def _says_something(root: object) -> bool:
    """Whether there is more in it than nulls and empty containers, however deep."""
    found = [root]
    while found:
        node = found.pop()
        if isinstance(node, dict):
            found.extend(node.values())
        elif isinstance(node, list):
            found.extend(node)
        elif node is not None:
            return True
    return False


def _metadata(body: Mapping[str, Any]) -> object:
    metadata, properties = body.get("metadata"), body.get("user_properties")
    if not properties or not isinstance(metadata, dict | None):
        return metadata
    found = {"user_properties": properties}
    if isinstance(properties, dict) and type(properties.get("user_id")) in {str, int}:
        found["_user"] = properties["user_id"]
    return found | (metadata or {})
