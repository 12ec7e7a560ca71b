"""The ids under which browsers' events are stored: a space of their own, which no browser can leave.

    stored = browser_id("support-bot", "019c12e9-8b3d-7000-8000-000000000000", user="u-19")

A browser names its events by ids that it made. The gateway stores each event under an id that it derives
from the project, from the user whom the event names, and from the browser's own id. So a browser reaches
what it wrote for that user, again and again, and nothing else: not what a backend wrote, whose ids it may
well know, and not what it wrote for another user. Nothing is looked up or kept for that.
"""

from collections.abc import Mapping
from types import NoneType
from typing import Final

import orjson

from afterword._identity import derived_id, derived_random_id
from afterword.gateway.intake import Item
from afterword.gateway.json_objects import read_object
from afterword.gateway.json_values import Value
from afterword.gateway.unicode_text import check_text, to_json
from afterword_schemas.event import uuid7_ms

_SPACE: Final = "browser"
_USER: Final = "_user"


def browser_id(project: str, own_id: str, user: str = "") -> str:
    """Return the id under which an event of a browser is stored.

    It has the version of the browser's own id. For version 7 it has its time, too, so that rows stay in
    time order. The other bits are the first of a SHA-256 over `browser`, project, own id and user in UTF-8,
    each after its length in 8 bytes, big-endian.

    Args:
        project: Of the event.
        own_id: The browser's: a UUID of version 4 or 7, in lower case.
        user: `metadata._user` as text; empty where the event names none.
    """
    parts = (_SPACE, project, own_id, user)
    time_ms = uuid7_ms(own_id)
    return derived_random_id(*parts) if time_ms is None else derived_id(time_ms, *parts)


def take_user(event: Value) -> tuple[str, Value]:
    """Take the user out of a clear, which names one only to say whose event it takes back.

    Raises:
        InvalidEventError: The event cannot be read whole, or UTF-8 cannot hold the user.
    """
    given = event.given
    if not isinstance(given, Mapping) or given.get("op") != "clear" or "metadata" not in given:
        return "", event
    try:
        event.text.encode()
    except UnicodeEncodeError:
        return "", event  # the event's own check says where
    clear = read_object(event.text, "$")
    metadata = clear.pop("metadata")
    if not isinstance(metadata, Mapping) or type(metadata.get(_USER)) not in {str, int, NoneType}:
        return "", event  # the event's own check says what is wrong
    if others := {name: metadata[name] for name in metadata if name != _USER}:
        clear["metadata"] = others
    user = _text(metadata.get(_USER))
    check_text(user, f"$.metadata.{_USER}")
    return user, Value(clear, to_json(clear))


def move_to_browser_ids(item: Item, cleared_user: str = "") -> Item:
    """Return an event that was judged good with the id under which it is stored.

    Args:
        item: Under the browser's own id.
        cleared_user: Of a clear, from `take_user`.
    """
    event = orjson.loads(item.value)
    user = cleared_user or _text((event.get("metadata") or {}).get(_USER))
    stored = browser_id(event["project"], item.feedback_id, user)
    value = orjson.dumps(event | {"feedback_id": stored})
    return Item(item.index, stored, value, item.traceparent, own_id=item.feedback_id)


def _text(user: str | int | None) -> str:
    return "" if user is None else str(user)
