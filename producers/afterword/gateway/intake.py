"""Judge the events of a request one by one, each on its own bytes, as the worker will.

    for judged in judge(raw, Rules(received_at=now(), fixed={"project": "acme"})): ...

A refused item never takes the others with it. What the caller left out (`feedback_id`, `project`,
`updated_at`) is put in front of the item's own text, which is not written anew: the worker reads what
was sent, every digit of it.
"""

import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from json import JSONDecodeError
from typing import Any, Final

import orjson

from afterword._identity import new_id
from afterword.gateway.http.responses import ItemError, RequestError, refused
from afterword.gateway.json_objects import read_object
from afterword.gateway.json_values import Value, bulk, check_containers, read_value
from afterword.gateway.portkey import to_event
from afterword.gateway.unicode_text import to_json
from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.event import read_event
from afterword_schemas.json_text import text_error
from afterword_schemas.limits import MAX_EVENT_BYTES
from afterword_schemas.patterns import is_uuid, require_traceparent

MAX_ITEMS: Final = 5_000
"""Events of one request. An event's worth of answer for each of a million zeros would be a lot."""

_TRANSLATED: Final = frozenset({"traceID", "traceparent"})
"""Fields of an item that are none of an event."""

_LEADING_TRACEPARENT: Final = re.compile(r'{"traceparent":"([0-9a-f-]{55})",')
"""As our SDK puts it in front of an event. Without it, the rest is the event's own bytes."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What the route and the key make of an item.

    Attributes:
        received_at: Becomes `updated_at` where the item has none; RFC 3339.
        fixed: Fields that are filled in, and that an item may name only with the same value.
        defaults: Fields that are filled in where the item has none.
        traceparent: W3C trace context of the request, for items that bring none.
    """

    received_at: str
    fixed: Mapping[str, str] = field(default_factory=dict)
    defaults: Mapping[str, str] = field(default_factory=dict)
    traceparent: str | None = None


@dataclass(frozen=True, slots=True)
class Item:
    """An event that was judged good.

    Attributes:
        index: Position in the request.
        feedback_id: In lower case: the key of its message.
        value: Its bytes.
        traceparent: For the header of its message.
        own_id: By which the sender knows it, where it is stored under another.
    """

    index: int
    feedback_id: str
    value: bytes
    traceparent: str | None
    own_id: str | None = None


def judge(raw: bytes, rules: Rules) -> Iterator[Item | ItemError]:
    """Judge a body, which is one event or an array of them.

    Raises:
        RequestError: 400 where it is not JSON, or neither object nor array; 413 for too many items.
            What was yielded before must not be published.
    """
    with refusing_bad_json(raw) as text:
        for index, value in enumerate(_values(text)):
            check_count(index + 1)
            yield judge_one(index, value, rules)


def judge_update(raw: bytes, rules: Rules) -> Item | ItemError:
    """Judge a body that is one object, the fields to change; errors as for `judge`."""
    with refusing_bad_json(raw) as text:
        value = read_value(text)
    if isinstance(value.given, list):
        raise RequestError(
            400, "not_an_object", "An update takes one object: the fields to change."
        )
    return judge_one(0, value, rules)


@contextmanager
def refusing_bad_json(raw: bytes) -> Iterator[str]:
    """Give a body as text, and answer 400 for what is not JSON between its values, 413 for too many of them.

    A byte that is not UTF-8 stands in the text as half of a surrogate pair: it is refused with the item
    that it is in.
    """
    check_containers(raw)
    try:
        yield raw.decode(errors="surrogateescape")
    except JSONDecodeError as invalid:
        place = f"not JSON: at line {invalid.lineno} column {invalid.colno}"
        error = text_error(raw) or InvalidEventError(RejectCode.INVALID_JSON, "$", place)
        raise _unreadable(error) from None
    except InvalidEventError as error:
        raise _unreadable(error) from None


def _unreadable(error: InvalidEventError) -> RequestError:
    return RequestError(400, error.code.value, f"The body cannot be read: {error}.")


def check_count(items: int) -> None:
    """Refuse a request of too many items: `RequestError` 413."""
    if items > MAX_ITEMS:
        detail = f"More than {MAX_ITEMS:,} events; send smaller batches."
        raise RequestError(413, "too_large", detail)


def judge_one(index: int, value: Value, rules: Rules) -> Item | ItemError:
    """Judge one item.

    Args:
        index: Its position.
        value: The item; its numbers are not looked at.
        rules: What is filled in, and what it may not say.
    """
    try:
        raw, traceparent = _event_of(value.given, value.text, rules)
        event, _ = read_event(raw)
    except InvalidEventError as error:
        return refused(index, _named_id(value.given), error)
    except UnicodeEncodeError as error:
        detail = f"byte {len(value.text[: error.start].encode())} is not valid UTF-8"
        return refused(
            index, _named_id(value.given), InvalidEventError(RejectCode.INVALID_UTF8, "$", detail)
        )
    return Item(index, event.feedback_id, raw, traceparent)


def _event_of(given: object, text: str, rules: Rules) -> tuple[bytes, str | None]:
    """Return the bytes of the event that an item stands for, and its trace context."""
    if isinstance(given, InvalidEventError):
        raise _text_error(text) or given
    if not isinstance(given, dict):
        detail = "an event is a JSON object"
        raise _text_error(text) or InvalidEventError(RejectCode.NOT_AN_OBJECT, "$", detail)
    traceparent = rules.traceparent
    if lead := _LEADING_TRACEPARENT.match(text):
        traceparent, text = _traceparent(lead[1]), "{" + text[lead.end() :]
        given = {name: entry for name, entry in given.items() if name != "traceparent"}
    if not _TRANSLATED.isdisjoint(given) or type(given.get("metadata")) is str:
        given, text = _translate(text)
        traceparent = _traceparent(given.get("traceparent")) or traceparent
    return _complete(given, text, rules), traceparent


def _translate(text: str) -> tuple[dict[str, Any], str]:
    """Read Portkey's spelling of an event, and the fields that are no part of it."""
    if len(text) > MAX_EVENT_BYTES:  # to be refused; what follows would take its time over it
        return {}, text
    text.encode()  # told here from the halves of surrogate pairs that escapes stand for
    given = to_event(read_object(text, "$"))
    return given, to_json({name: given[name] for name in given if name != "traceparent"})


def _traceparent(given: object) -> str | None:
    return None if given is None else require_traceparent(given).header


def _complete(given: Mapping[str, Any], text: str, rules: Rules) -> bytes:
    filled = {"feedback_id": new_id(), **rules.defaults, "updated_at": rules.received_at}
    missing = {name: value for name, value in filled.items() if name not in given}
    for name, value in rules.fixed.items():
        if name not in given:
            missing[name] = value
        elif not _is(name, given[name], value):
            detail = f"{name} is {value} here, and another is named; leave it out"
            if name == "project":
                detail = f"the key belongs to project {value}, and the event names another"
            raise InvalidEventError(RejectCode.NOT_ALLOWED, f"$.{name}", detail)
    if not missing:
        return text.encode()
    # At the end, so that what is said of a line and column is true of the sender's own text.
    rest = text[:-1].rstrip(" \t\n\r")
    comma = b"" if rest == "{" else b","
    return rest.encode() + comma + orjson.dumps(missing)[1:]


def _is(name: str, given: object, value: str) -> bool:
    if name == "feedback_id" and isinstance(given, str):
        return given.lower() == value
    return given == value


def _named_id(given: object) -> str | None:
    named = given.get("feedback_id") if isinstance(given, dict) else None
    return named if isinstance(named, str) and is_uuid(named) else None


def _text_error(text: str) -> InvalidEventError | None:
    """Return what the worker would say of a text, if that is not JSON for it."""
    return text_error(text.encode(errors="surrogateescape"))


def _values(text: str) -> Iterator[Value]:
    """Yield each event of a body."""
    many = bulk(text, MAX_ITEMS)
    if many is not None:
        yield from many
        return
    value = read_value(text)
    if not isinstance(value.given, dict | InvalidEventError):
        if error := _text_error(value.text):
            raise RequestError(400, error.code.value, f"The body cannot be read: {error.detail}.")
        detail = "The body takes an event, which is a JSON object, or an array of them."
        raise RequestError(400, "not_an_object", detail)
    yield value
