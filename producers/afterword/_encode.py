"""Turn an event of Python objects into the bytes that are sent, judged as the worker will.

>>> encode({"feedback_id": "019c12e9-8b3d-7000-8000-000000000000", "project": "acme", \
"trace_id": "tr-1", "value": 1})[0]
b'{"feedback_id":"019c12e9-8b3d-7000-8000-000000000000","project":"acme","trace_id":"tr-1","value":1}'

The verdict is `read_event`'s, on exactly the bytes that are sent. On top of it, what JSON has no
word for (NaN, a date, a tuple) is refused, where a JSON library would quietly turn it into another.
"""

from collections.abc import Iterable
from math import isfinite
from typing import Final

import orjson

from afterword_schemas.errors import InvalidEventError, RejectCode
from afterword_schemas.event import Event, read_event
from afterword_schemas.flatten import flatten, json_path

_ROOTS: Final = ("feedback", "metadata", "metrics")
_NO_TYPE: Final = "is not a JSON type; send text, a number, a boolean, a list or a dict"
_MAX_STEPS: Final = 16


def encode(event: dict[str, object]) -> tuple[bytes, Event]:
    """Return the bytes of an event, and the event that a worker will read from them.

    Args:
        event: Its fields; not changed, and not kept.

    Raises:
        InvalidEventError: What `read_event` raises, and for what JSON cannot hold.
    """
    try:
        raw = orjson.dumps(event)
    except (TypeError, RuntimeError):  # RuntimeError: another thread changes the objects
        _refuse_converted(event)
        raise _locate(event, []) from None
    try:
        judged, _ = read_event(raw)
    except InvalidEventError as error:
        if error.code is RejectCode.EMPTY_EVENT:
            _refuse_converted(event)  # the only leaf may have been a NaN, by now a null
        raise
    _refuse_converted(event)
    return raw, judged


def _refuse_converted(event: dict[str, object]) -> None:
    """Refuse what orjson writes as another type: NaN as null, UUID, date and Enum as text."""
    for name in ("value", "weight"):
        number = event.get(name)
        if isinstance(number, float) and not isfinite(number):
            detail = f"{name} takes a finite number"
            raise InvalidEventError(RejectCode.NOT_FINITE, json_path([name]), detail)
    flatten({name: event.get(name) for name in _ROOTS})


def _locate(node: object, steps: list[str | int]) -> InvalidEventError:
    """Find what orjson could not write, and say what is wrong with it."""
    match node:
        case dict() | list() | tuple() if len(steps) > _MAX_STEPS:
            return InvalidEventError(RejectCode.TOO_DEEP, json_path(steps), "nested far too deep")
        case dict():
            return _locate_in(node.items(), steps)
        case list() | tuple():
            return _locate_in(enumerate(node), steps)
        case _:
            return _judge_leaf(node, json_path(steps))


def _judge_leaf(leaf: object, path: str) -> InvalidEventError:
    match leaf:
        case str():
            return InvalidEventError(RejectCode.INVALID_UNICODE, path, "half of a surrogate pair")
        case int():
            return InvalidEventError(RejectCode.OUT_OF_RANGE, path, "an integer beyond 64 bits")
        case _:
            return InvalidEventError(
                RejectCode.WRONG_TYPE, path, f"{type(leaf).__name__} {_NO_TYPE}"
            )


def _locate_in(
    children: Iterable[tuple[object, object]], steps: list[str | int]
) -> InvalidEventError:
    for step, child in list(children):
        if type(step) is not str and type(step) is not int:
            detail = f"a key of type {type(step).__name__}; JSON objects have text keys only"
            return InvalidEventError(RejectCode.WRONG_TYPE, json_path(steps), detail)
        try:
            orjson.dumps(child)
        except TypeError:
            return _locate(child, [*steps, step])
    detail = "a key that is not text, or a change by another thread meanwhile"
    return InvalidEventError(RejectCode.WRONG_TYPE, json_path(steps), detail)
