"""Judge the events of a request one by one, each on its own bytes, as the worker will.

    for judged in judge(text, Rules(received_at=now(), fixed={"project": "acme"})): ...

A refused item never takes the others with it. What the caller left out (`feedback_id`, `project`,
`updated_at`) is put in front of the item's own text, which is not written anew: the worker reads what
was sent, every digit of it.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from json import JSONDecodeError
from typing import Any, Final

import orjson

from afterword._identity import new_id
from afterword.gateway.answers import ItemError, RequestError, refused
from afterword.gateway.json_objects import read_object
from afterword.gateway.portkey import to_event
from afterword_schemas.errors import EventError, RejectCode
from afterword_schemas.event import read_event
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
    """

    index: int
    feedback_id: str
    value: bytes
    traceparent: str | None


def judge(text: str, rules: Rules) -> Iterator[Item | ItemError]:
    """Judge a body, which is one event or an array of them.

    Raises:
        RequestError: 400 where it is no JSON, or neither object nor array; 413 for too many items.
            What was yielded before must not be published.
    """
    try:
        for index, (given, piece) in enumerate(_split(text)):
            check_count(index + 1)
            yield judge_one(index, given, piece, rules)
    except JSONDecodeError as error:
        place = f"line {error.lineno}, column {error.colno}"
        raise RequestError(400, "invalid_json", f"The body is no JSON at {place}.") from None


def check_count(items: int) -> None:
    """Refuse a request of too many items: `RequestError` 413."""
    if items > MAX_ITEMS:
        detail = f"More than {MAX_ITEMS:,} events; send smaller batches."
        raise RequestError(413, "too_large", detail)


def judge_one(index: int, given: object, text: str, rules: Rules) -> Item | ItemError:
    """Judge one item.

    Args:
        index: Its position.
        given: The item, parsed; its numbers are not looked at.
        text: Its JSON.
        rules: What is filled in, and what it may not say.
    """
    try:
        value, traceparent = _event_of(given, text, rules)
        event, _ = read_event(value)
    except EventError as error:
        return refused(index, _named_id(given), error)
    return Item(index, event.feedback_id, value, traceparent)


def to_json(event: object) -> str:
    """Write an event in UTF-8, for its size is limited; what UTF-8 cannot hold is left to be refused."""
    text = json.dumps(event, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:
        return json.dumps(event)
    return text


def _event_of(given: object, text: str, rules: Rules) -> tuple[bytes, str | None]:
    """Return the bytes of the event that an item stands for, and its trace context."""
    if isinstance(given, EventError):
        raise given
    if not isinstance(given, dict):
        raise EventError(RejectCode.NOT_AN_OBJECT, "$", "an event is a JSON object")
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
            raise EventError(RejectCode.NOT_ALLOWED, f"$.{name}", detail)
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


# Numbers, and NaN, are for `read_event` to judge; here they only must not cost much, as an int of 10,000
# digits would.
_decoder: Final = json.JSONDecoder(parse_int=float)
_structure: Final = re.compile(
    r'"(?:[^"\\]|\\.?)*+(?:"|\Z)|[\[\]{}]',  # a string without end goes to the end, at once
    re.DOTALL,
).finditer
_skip_white: Final = re.compile(r"[ \t\n\r]*").match


def _split(text: str) -> Iterator[tuple[object, str]]:
    """Yield each event of a body, parsed, and its own text."""
    at = _next(text, 0)
    if not text.startswith("[", at):
        given, end = _decode(text, at)
        _expect_end(text, end)
        if not isinstance(given, dict | EventError):
            detail = "The body takes an event, which is a JSON object, or an array of them."
            raise RequestError(400, "not_an_object", detail)
        yield given, text[at:end]
        return
    at = _next(text, at + 1)
    more = not text.startswith("]", at)
    while more:
        given, end = _decode(text, at)
        yield given, text[at:end]
        at = _next(text, end)
        more = text.startswith(",", at)
        if more:
            at = _next(text, at + 1)
        elif not text.startswith("]", at):
            raise JSONDecodeError("neither , nor ]", text, at)
    _expect_end(text, at + 1)


def _decode(text: str, at: int) -> tuple[object, int]:
    """Return the value that begins here, parsed, and where it ends.

    For one that is nested too deep to be parsed, what is wrong with it: those beside it are judged.
    """
    try:
        return _decoder.raw_decode(text, at)
    except RecursionError:
        detail = "objects or arrays are nested far too deep"
        return EventError(RejectCode.TOO_DEEP, "$", detail), _end_of(text, at)


def _end_of(text: str, at: int) -> int:
    depth = 0
    for found in _structure(text, at):
        depth += (found[0] in "[{") - (found[0] in "]}")
        if not depth:
            return found.end()
    raise JSONDecodeError("no end", text, len(text))


def _next(text: str, at: int) -> int:
    white = _skip_white(text, at)
    return white.end() if white else at


def _expect_end(text: str, at: int) -> None:
    if _next(text, at) != len(text):
        raise JSONDecodeError("something after the end", text, at)
